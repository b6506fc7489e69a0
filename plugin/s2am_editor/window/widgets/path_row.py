# SPDX-License-Identifier: GPL-3.0-or-later
"""A file or folder, and a button to choose it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from s2am_editor.window.widgets.buttons import push_button


class PathRow(QWidget):
    """Shows what was chosen."""

    changed = pyqtSignal()

    def __init__(self, choose: Callable[[], Path | None]) -> None:
        """Choose with a function that asks; it gives None for a change of mind."""
        super().__init__()
        self._choose = choose
        self.path: Path | None = None
        self._label = QLabel(self.tr("Not chosen yet"))
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self._label.setProperty("role", "muted")
        self._label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(push_button(self.tr("Choose …"), self._ask))
        row.addWidget(self._label, 1)

    def set_path(self, path: Path) -> None:
        """Take a path."""
        self.path = path
        self._label.setText(str(path))
        self._label.setToolTip(str(path))
        self.changed.emit()

    def _ask(self) -> None:
        path = self._choose()
        if path is not None:
            self.set_path(path)
