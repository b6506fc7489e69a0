# SPDX-License-Identifier: GPL-3.0-or-later
"""A line over the lower edge of the picture that says what to do next."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtWidgets import QLabel, QWidget

GAP = 18


class HintPill(QLabel):
    """Stays in the middle of its parent's lower edge; the mouse goes through it."""

    def __init__(self, parent: QWidget) -> None:
        """Lie over a widget."""
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setStyleSheet("background: rgba(20, 20, 22, 205); color: white; border-radius: 15px; padding: 6px 16px;")
        parent.installEventFilter(self)
        self.hide()

    def say(self, text: str) -> None:
        """Show a hint; an empty one hides it."""
        if text != self.text():
            self.setText(text)
            self.setVisible(bool(text))
            self._place()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Follow the parent's size."""
        if event and event.type() is QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        parent = self.parentWidget()
        if parent:
            self.adjustSize()
            self.move((parent.width() - self.width()) // 2, parent.height() - self.height() - GAP)
            self.raise_()
