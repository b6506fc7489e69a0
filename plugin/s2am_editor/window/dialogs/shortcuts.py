# SPDX-License-Identifier: GPL-3.0-or-later
"""All keys in one list."""

from __future__ import annotations

from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QDialog, QGridLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from s2am_editor.window.actions import ENTRIES, Actions
from s2am_editor.window.tool_box import ToolBox
from s2am_editor.window.widgets.buttons import heading, muted_label


class ShortcutsDialog(QDialog):
    """What the keys do."""

    def __init__(self, actions: Actions, tools: ToolBox, parent: QWidget) -> None:
        """List the keys of actions, of tools, and over the picture."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("Keyboard shortcuts"))
        inside = QWidget()
        grid = QGridLayout(inside)
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(5)
        over = (
            (self.tr("Space and drag"), self.tr("Move the picture")),
            (self.tr("Wheel"), self.tr("Zoom at the mouse")),
            (self.tr("Arrows"), self.tr("Move the layer by a pixel; with Shift by ten")),
            (self.tr("+ and −"), self.tr("Scale the layer by 1 %; with Shift by 10 %")),
            (self.tr(", and ."), self.tr("Rotate the layer by 1°; with Shift by 15°")),
            (self.tr("[ and ]"), self.tr("Smaller and larger brush")),
            (self.tr("C (hold)"), self.tr("See the picture before harmonizing")),
        )
        self._add(grid, self.tr("Over the picture"), over)
        self._add(grid, self.tr("Tools"), [_pair(action) for action in tools.actions_by_name.values()])
        listed = [_pair(actions[entry.name]) for entry in ENTRIES if entry.key is not None]
        self._add(grid, self.tr("Menus"), listed)
        scroll = QScrollArea()
        scroll.setObjectName("sidebarScroll")
        inside.setObjectName("sidebar")
        scroll.setWidget(inside)
        scroll.setWidgetResizable(True)
        column = QVBoxLayout(self)
        column.addWidget(scroll)
        self.resize(460, 560)

    def _add(self, grid: QGridLayout, title: str, rows: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> None:
        grid.addWidget(heading(title), grid.rowCount(), 0, 1, 2)
        for keys, text in rows:
            row = grid.rowCount()
            grid.addWidget(muted_label(keys), row, 0)
            grid.addWidget(QLabel(text), row, 1)


def _pair(action: QAction) -> tuple[str, str]:
    keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
    return keys, action.text().replace("&", "").replace(" …", "")
