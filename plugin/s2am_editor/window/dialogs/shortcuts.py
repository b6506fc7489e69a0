# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialog that lists all keys."""

from __future__ import annotations

from PyQt6.QtCore import QSize
from PyQt6.QtWidgets import QDialog, QGridLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from s2am_editor.window.action_table import ACTIONS, SHORTCUTS, translated_action
from s2am_editor.window.actions import Actions, key_names, plain_text
from s2am_editor.window.widgets.basic import heading, muted_label
from s2am_editor.window.widgets.layouts import fit_on_screen

SCROLL_BAR_MARGIN = 64  # pixels: scroll bar and margins of the list of shortcuts


class ShortcutsDialog(QDialog):
    """Lists every key of `ACTIONS` and `SHORTCUTS`."""

    def __init__(self, actions: Actions, parent: QWidget) -> None:
        """List the keys."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("Keyboard shortcuts"))
        inside = QWidget()
        grid = QGridLayout(inside)
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(5)
        owners = {"": self.tr("Canvas"), "move": self.tr("Move tool"), "brush": self.tr("Brushes")}
        owners |= {"cut": self.tr("Box and scribbles"), "curves": self.tr("Curves"), "layers": self.tr("Layers")}
        for owner, title in owners.items():
            rows = [(shortcut.label, shortcut.text) for shortcut in SHORTCUTS if shortcut.owner == owner]
            wheel = [(self.tr("Mouse wheel"), self.tr("Zoom at the pointer"))] if owner == "" else []
            self._add(grid, title, [*((translated_action(a), translated_action(b)) for a, b in rows), *wheel])
        listed = [entry for entry in ACTIONS if entry.keys]
        for title, is_tool in ((self.tr("Tools"), True), (self.tr("Menus"), False)):
            shown = [actions[entry.name] for entry in listed if (entry.tool is not None) == is_tool]
            self._add(grid, title, [(key_names(action), plain_text(action.text())) for action in shown])
        scroll = QScrollArea()
        scroll.setObjectName("sidebarScroll")
        inside.setObjectName("sidebar")
        scroll.setWidget(inside)
        scroll.setWidgetResizable(True)
        column = QVBoxLayout(self)
        column.addWidget(scroll)
        fit_on_screen(self, QSize(460, 560))
        self.resize(max(self.width(), inside.sizeHint().width() + SCROLL_BAR_MARGIN), self.height())

    def _add(self, grid: QGridLayout, title: str, rows: list[tuple[str, str]]) -> None:
        grid.addWidget(heading(title), grid.rowCount(), 0, 1, 2)
        for keys, text in rows:
            row = grid.rowCount()
            grid.addWidget(muted_label(keys), row, 0)
            grid.addWidget(QLabel(text), row, 1)
