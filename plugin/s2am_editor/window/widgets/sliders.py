# SPDX-License-Identifier: GPL-3.0-or-later
"""A slider with a neutral value, and a labeled row of slider and number."""

from __future__ import annotations

import time

from PyQt6.QtCore import QPointF, QRectF, QSignalBlocker, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PyQt6.QtWidgets import QAbstractSpinBox, QDoubleSpinBox, QGridLayout, QLabel, QSlider, QWidget

from s2am_editor.document.commands import gesture
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


PAUSE = 0.8  # seconds without a change after which the next one by key or wheel is a step of its own


class SliderRow(QWidget):
    """A value between two others, shown in hundredths; one drag is one gesture."""

    moved = pyqtSignal(float, object)  # the value, and the key of the gesture

    def __init__(
        self,
        name: str,
        tip: str,
        lowest: float = -1.0,
        highest: float = 1.0,
        neutral: float = 0.0,
        parent: QWidget | None = None,
    ) -> None:
        """Name it, say what it does, and where it goes from and to."""
        super().__init__(parent)
        self._neutral = neutral
        self._gesture: object = gesture()
        self._last = 0.0
        self.slider = Slider(round(lowest * 100), round(highest * 100), round(neutral * 100))
        self.number = QDoubleSpinBox()
        self.number.setRange(lowest * 100, highest * 100)
        self.number.setDecimals(0)
        self.number.setProperty("compact", True)
        self.number.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        self.number.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.number.setFixedWidth(44)
        self.number.setKeyboardTracking(False)
        self.number.setValue(neutral * 100)
        label = QLabel(name)
        label.setBuddy(self.slider)
        label.setMinimumWidth(76)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        for column, widget in enumerate((label, self.slider, self.number)):
            widget.setToolTip(tip)
            grid.addWidget(widget, 0, column)
        grid.setColumnStretch(1, 1)
        self.slider.setAccessibleName(name)
        self.slider.setAccessibleDescription(tip)
        self.number.setAccessibleName(name)
        self.slider.sliderPressed.connect(self._begin)
        self.slider.valueChanged.connect(lambda value: self._move(value / 100))
        self.slider.reset.connect(self.reset)
        self.number.valueChanged.connect(lambda value: self._move(value / 100))

    @property
    def value(self) -> float:
        """Where it is."""
        return self.number.value() / 100

    def set_value(self, value: float) -> None:
        """Show a value without telling anybody."""
        with QSignalBlocker(self.slider), QSignalBlocker(self.number):
            self.slider.setValue(round(value * 100))
            self.number.setValue(value * 100)
        self.slider.update()

    def reset(self) -> None:
        """Go back to where it does nothing."""
        self._begin()
        self.set_value(self._neutral)
        self.moved.emit(self._neutral, self._gesture)

    def _begin(self) -> None:
        self._gesture = gesture()

    def _move(self, value: float) -> None:
        now = time.monotonic()
        if not self.slider.isSliderDown() and now - self._last > PAUSE:
            self._begin()
        self._last = now
        self.set_value(value)
        self.moved.emit(value, self._gesture)
