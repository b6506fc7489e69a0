# SPDX-License-Identifier: GPL-3.0-or-later
"""A slider that fills from 0, goes where it is clicked, and returns with a double click."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PyQt6.QtWidgets import QSlider, QWidget

from s2am_editor.window.theme import current_colors

RADIUS = 7.5
GROOVE = 4.0


class Slider(QSlider):
    """A horizontal slider in whole steps."""

    reset = pyqtSignal()  # by a double click

    def __init__(self, lowest: int, highest: int, neutral: int, parent: QWidget | None = None) -> None:
        """Go from `lowest` to `highest`; `neutral` is where it starts."""
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.neutral = neutral
        self.setRange(lowest, highest)
        self.setValue(neutral)
        self.setPageStep(max(1, (highest - lowest) // 20))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumHeight(22)

    def sizeHint(self) -> QSize:
        """A comfortable width."""
        return QSize(120, 22)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw groove, filling and handle."""
        colors = current_colors()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = self.height() / 2
        groove = QRectF(RADIUS, middle - GROOVE / 2, self.width() - 2 * RADIUS, GROOVE)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colors.border))
        painter.drawRoundedRect(groove, GROOVE / 2, GROOVE / 2)
        here, zero = self._place(self.value()), self._place(max(0, self.minimum()))
        if self.isEnabled():
            painter.setBrush(QColor(colors.accent))
            filling = QRectF(min(here, zero), groove.top(), abs(here - zero), GROOVE)
            painter.drawRoundedRect(filling, GROOVE / 2, GROOVE / 2)
        if self.minimum() < 0 < self.maximum():
            painter.setBrush(QColor(colors.muted))
            painter.drawRect(QRectF(zero - 0.5, middle - 5, 1, 10))
        edge = colors.accent if self.hasFocus() or self.isSliderDown() or self.underMouse() else colors.muted
        painter.setPen(QPen(QColor(edge if self.isEnabled() else colors.border), 1.4))
        painter.setBrush(QColor(colors.raised if self.isEnabled() else colors.window))
        painter.drawEllipse(QPointF(here, middle), RADIUS - 1, RADIUS - 1)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Go where it is clicked, and be dragged from there."""
        if event and event.button() is Qt.MouseButton.LeftButton:
            self.setSliderDown(True)
            self.setValue(self._value_at(event.position().x()))
            event.accept()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Follow the mouse."""
        if event and self.isSliderDown():
            self.setValue(self._value_at(event.position().x()))

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Let go."""
        self.setSliderDown(False)
        self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Return to where it does nothing."""
        self.reset.emit()

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Leave the wheel to the panel, unless the slider has the focus: scrolling should change nothing."""
        if event and not self.hasFocus():
            event.ignore()
        else:
            super().wheelEvent(event)

    def _place(self, value: int) -> float:
        share = (value - self.minimum()) / max(1, self.maximum() - self.minimum())
        return RADIUS + share * (self.width() - 2 * RADIUS)

    def _value_at(self, x: float) -> int:
        share = (x - RADIUS) / max(1.0, self.width() - 2 * RADIUS)
        return round(self.minimum() + min(max(share, 0.0), 1.0) * (self.maximum() - self.minimum()))
