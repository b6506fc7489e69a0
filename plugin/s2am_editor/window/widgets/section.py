# SPDX-License-Identifier: GPL-3.0-or-later
"""A part of the sidebar with a heading that opens and closes it."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from s2am_editor.window.icons import icon


class Section(QWidget):
    """A heading, small buttons at its right, and content beneath."""

    toggled = pyqtSignal(bool)

    def __init__(self, name: str, content: QWidget, *buttons: QWidget, closed: bool = False) -> None:
        """Put content beneath a heading."""
        super().__init__()
        self._content = content
        self._heading = QToolButton()
        self._heading.setText(name)
        self._heading.setCheckable(True)
        self._heading.setIconSize(QSize(14, 14))
        self._heading.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._heading.setStyleSheet(
            "QToolButton, QToolButton:checked { background: transparent; font-weight: 600; padding: 2px 0; }"
        )
        self._heading.setToolTip(self.tr("Open or close this section"))
        self._heading.toggled.connect(self._toggle)
        row = QHBoxLayout()
        row.setSpacing(2)
        row.addWidget(self._heading)
        row.addStretch()
        for button in buttons:
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 8, 14, 10)
        column.setSpacing(6)
        column.addLayout(row)
        column.addWidget(content)
        self._heading.setChecked(not closed)
        self._toggle(not closed)

    @property
    def is_open(self) -> bool:
        """Whether the content shows."""
        return self._heading.isChecked()

    def set_open(self, on: bool) -> None:
        """Show or hide the content."""
        self._heading.setChecked(on)

    def _toggle(self, on: bool) -> None:
        self._heading.setIcon(icon("chevron-down" if on else "chevron-right"))
        self._content.setVisible(on)
        self.toggled.emit(on)
