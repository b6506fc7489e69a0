# SPDX-License-Identifier: GPL-3.0-or-later
"""The few rules by which our widgets differ from Fusion's: spacing, round corners, quiet edges."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s2am_editor.window.theme import Colors

DRAWINGS = Path(__file__).parent / "drawings"

_RULES = Template("""
QMainWindow, QDialog { background: $window; }
QToolTip { background: $raised; color: $text; border: 1px solid $border; padding: 4px 6px; }

QMenuBar { background: $window; border-bottom: 1px solid $border; padding: 1px 4px; }
QMenuBar::item { padding: 4px 9px; border-radius: 5px; background: transparent; }
QMenuBar::item:selected { background: $hover; }
QMenu { background: $panel; border: 1px solid $border; padding: 5px; }
QMenu::item { padding: 5px 26px 5px 24px; border-radius: 4px; }
QMenu::item:selected { background: $accent_soft; color: $text; }
QMenu::item:disabled { color: $muted; }
QMenu::separator { height: 1px; background: $border; margin: 5px 8px; }
QMenu::icon { padding-left: 6px; }

QToolBar { background: $window; border: none; spacing: 3px; padding: 5px 8px; }
QToolBar#tools { border-right: 1px solid $border; padding: 8px 5px; }
QToolBar#main { border-bottom: 1px solid $border; }
QToolBar::separator { background: $border; width: 1px; height: 1px; margin: 5px 6px; }
QToolButton { border: none; border-radius: 6px; padding: 5px; background: transparent; }
QToolButton:hover { background: $hover; }
QToolButton:pressed, QToolButton:checked { background: $accent_soft; }
QToolButton:focus { outline: none; border: 1px solid $accent; padding: 4px; }
QToolButton[popupMode="2"] { padding-right: 16px; }
QToolButton::menu-indicator { subcontrol-position: right center; right: 3px; }

QPushButton {
    background: $raised; border: 1px solid $border; border-radius: 6px; padding: 5px 14px; min-height: 18px;
}
QPushButton:hover { background: $hover; }
QPushButton:pressed { background: $accent_soft; }
QPushButton:checked { background: $accent_soft; border-color: $accent; }
QPushButton:focus { border-color: $accent; }
QPushButton:disabled { color: $muted; background: $window; }
QPushButton[primary="true"] { background: $accent; color: $on_accent; border-color: $accent; font-weight: 600; }
QPushButton[primary="true"]:hover { background: $accent_hover; }
QPushButton[primary="true"]:disabled { background: $hover; border-color: $border; color: $muted; }
QPushButton[flat="true"] { background: transparent; border-color: transparent; }
QPushButton[flat="true"]:hover { background: $hover; }

QComboBox, QLineEdit, QSpinBox, QDoubleSpinBox {
    background: $base; border: 1px solid $border; border-radius: 6px; padding: 4px 8px; min-height: 18px;
    selection-background-color: $accent; selection-color: $on_accent;
}
QComboBox:hover, QLineEdit:hover, QSpinBox:hover, QDoubleSpinBox:hover { border-color: $muted; }
QComboBox:focus, QLineEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus { border-color: $accent; }
QComboBox::drop-down { border: none; width: 24px; }
QComboBox::down-arrow { image: url("$drawings/arrow-down-$shade.svg"); width: 12px; height: 12px; }
QSpinBox::up-button, QSpinBox::down-button { border: none; width: 18px; background: transparent; }
QSpinBox::up-arrow { image: url("$drawings/arrow-up-$shade.svg"); width: 10px; height: 10px; }
QSpinBox::down-arrow { image: url("$drawings/arrow-down-$shade.svg"); width: 10px; height: 10px; }
QComboBox QAbstractItemView { background: $panel; border: 1px solid $border; padding: 4px; outline: none; }
QComboBox QAbstractItemView::item { padding: 4px 6px; border-radius: 4px; min-height: 20px; }
QDoubleSpinBox[compact="true"] { padding: 1px 3px; background: transparent; border-color: transparent; }
QDoubleSpinBox[compact="true"]:hover { border-color: $border; }
QDoubleSpinBox[compact="true"]:focus { border-color: $accent; background: $base; }

QSlider { min-height: 20px; }
QSlider::groove:horizontal { height: 4px; border-radius: 2px; background: $border; }
QSlider::handle:horizontal {
    width: 14px; height: 14px; margin: -6px 0; border-radius: 8px; background: $raised; border: 1px solid $muted;
}
QSlider::handle:horizontal:hover, QSlider::handle:horizontal:focus { border-color: $accent; }
QSlider::handle:horizontal:pressed { background: $accent; border-color: $accent; }
QSlider::handle:horizontal:disabled { border-color: $border; background: $window; }
QSlider[filled="true"]::sub-page:horizontal { background: $accent; border-radius: 2px; }
QSlider[filled="true"]::sub-page:horizontal:disabled { background: $border; }

QListView, QTreeView, QTableView, QPlainTextEdit, QScrollArea[framed="true"] {
    background: $base; border: 1px solid $border; border-radius: 8px; outline: none;
}
QListView::item { border-radius: 6px; }
QListView::item:hover { background: $hover; }
QListView::item:selected { background: $accent_soft; color: $text; }
QTableView { gridline-color: transparent; }
QTableView::item { padding: 3px 6px; }
QTableView::item:selected { background: $accent_soft; color: $text; }
QHeaderView::section {
    background: $base; border: none; border-bottom: 1px solid $border; padding: 5px 8px; color: $muted;
}

QScrollBar:vertical { background: transparent; width: 11px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: 11px; margin: 0; }
QScrollBar::handle { background: $border; border-radius: 4px; margin: 2px; min-height: 28px; min-width: 28px; }
QScrollBar::handle:hover { background: $muted; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }

QProgressBar {
    background: $border; border: none; border-radius: 3px; min-height: 6px; max-height: 6px; text-align: center;
}
QProgressBar::chunk { background: $accent; border-radius: 3px; }

QSplitter::handle { background: $border; }
QStatusBar { background: $window; border-top: 1px solid $border; color: $muted; }
QStatusBar::item { border: none; }
QStatusBar QLabel { color: $muted; }
QCheckBox, QRadioButton { spacing: 7px; }

QWidget#sidebar, QSplitter#sidebarSplitter, QSplitter#sidebarSplitter > QWidget { background: $panel; }
QScrollArea#sidebarScroll { border: none; background: $panel; }
QWidget#optionsBar { background: $panel; border-bottom: 1px solid $border; }
QFrame#rule { background: $border; border: none; max-height: 1px; min-height: 1px; }
QLabel[role="title"] { font-size: 24px; font-weight: 600; }
QLabel[role="heading"] { font-weight: 600; }
QLabel[role="muted"] { color: $muted; }
QLabel[role="danger"] { color: $danger; }
QFrame#banner { background: $warning; border: 1px solid $warning_edge; border-radius: 8px; }
QFrame#card { background: $base; border: 1px solid $border; border-radius: 10px; }
QFrame#card[drop="true"] { border: 2px dashed $accent; background: $accent_soft; }
QFrame#variant { border: 2px solid transparent; border-radius: 8px; background: transparent; }
QFrame#variant:hover { background: $hover; }
QFrame#variant[chosen="true"] { border-color: $accent; background: $accent_soft; }
QWidget#variants { background: $panel; border-top: 1px solid $border; }
""")


def style_sheet(colors: Colors) -> str:
    """The rules in the colors of a look."""
    shade = "dark" if colors.dark else "light"
    return _RULES.substitute(vars(colors), drawings=DRAWINGS.as_posix(), shade=shade)
