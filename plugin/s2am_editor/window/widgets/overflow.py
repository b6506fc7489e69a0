# SPDX-License-Identifier: GPL-3.0-or-later
"""A row of buttons that fits any width: those without room are entries of a menu."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QRect, QSize
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QMenu, QPushButton, QSizePolicy, QToolButton, QWidget

_SPACING = 8  # pixels between two buttons


class OverflowRow(QWidget):
    """Shows as many buttons as fit, the first ones first, and offers the others in the menu of a button at its end."""

    def __init__(self, buttons: Sequence[QPushButton]) -> None:
        """Take buttons into the row; those without room keep their state and their tooltip in the menu."""
        super().__init__()
        self._buttons = list(buttons)
        for button in self._buttons:
            button.setParent(self)
        self._menu = QMenu(self)
        self._menu.setToolTipsVisible(True)
        self._menu.aboutToShow.connect(self._fill)
        self.more = QToolButton(self)
        self.more.setText("…")
        self.more.setToolTip(self.tr("More"))
        self.more.setAccessibleName(self.tr("More"))
        self.more.setMenu(self._menu)
        self.more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)

    @property
    def hidden(self) -> list[QPushButton]:
        """The buttons that are entries of the menu."""
        return [button for button in self._buttons if button.isHidden()]

    def sizeHint(self) -> QSize:
        """Wide enough for all buttons."""
        sizes = [button.sizeHint() for button in self._buttons]
        width = sum(size.width() for size in sizes) + _SPACING * (len(sizes) - 1)
        return QSize(width, max(size.height() for size in sizes))

    def minimumSizeHint(self) -> QSize:
        """The button of the menu."""
        return QSize(self.more.sizeHint().width(), self.sizeHint().height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Share the room among the buttons."""
        super().resizeEvent(event)
        everything = self.sizeHint().width() <= self.width()
        room = self.width() if everything else self.width() - self.more.sizeHint().width()
        left = 0
        for button in self._buttons:
            size = button.sizeHint()
            button.setGeometry(self._place(left, size.width(), size.height()))
            button.setVisible(left + size.width() <= room)
            left += size.width() + _SPACING
        self.more.setVisible(not everything)
        size = self.more.sizeHint()
        self.more.setGeometry(self._place(self.width() - size.width(), size.width(), size.height()))

    def _place(self, left: int, width: int, height: int) -> QRect:
        return QRect(left, (self.height() - height) // 2, width, height)

    def _fill(self) -> None:
        self._menu.clear()
        for button in self.hidden:
            action = self._menu.addAction(button.text(), button.click)
            if action:
                action.setEnabled(button.isEnabled())
                action.setToolTip(button.toolTip())
