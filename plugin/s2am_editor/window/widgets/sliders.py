# SPDX-License-Identifier: GPL-3.0-or-later
"""A slider with a neutral value, and a labeled row of slider and number."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

from PyQt6.QtCore import QCoreApplication, QPointF, QRectF, QSignalBlocker, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QAbstractSpinBox, QGridLayout, QLabel, QSlider, QWidget

from s2am_common.sliders import SliderSpec
from s2am_editor.document.commands import gesture
from s2am_editor.window.theme import current_colors
from s2am_editor.window.widgets.basic import FocusedWheel, NumberBox
from s2am_editor.window.widgets.layouts import align_labels, for_font

HANDLE_RADIUS = 7.5
GROOVE_HEIGHT = 4.0
STEP_PAUSE = 0.8  # seconds; a later change by key or wheel starts a new undo step


class Slider(FocusedWheel, QSlider):
    """A horizontal slider with integer values that fills from 0 and resets on a double click."""

    reset = pyqtSignal()  # double-clicked

    def __init__(self, lowest: int, highest: int, neutral: int, parent: QWidget | None = None) -> None:
        """Create a slider from `lowest` to `highest`; `neutral` is its initial value."""
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.neutral = neutral
        self.setRange(lowest, highest)
        self.setValue(neutral)
        self.setPageStep(max(1, (highest - lowest) // 20))
        self.setMinimumHeight(22)

    def sizeHint(self) -> QSize:
        """A useful width."""
        return QSize(120, 22)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint groove, filling and handle."""
        colors = current_colors()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = self.height() / 2
        groove = QRectF(HANDLE_RADIUS, middle - GROOVE_HEIGHT / 2, self.width() - 2 * HANDLE_RADIUS, GROOVE_HEIGHT)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colors.border))
        painter.drawRoundedRect(groove, GROOVE_HEIGHT / 2, GROOVE_HEIGHT / 2)
        here, zero = self._place(self.value()), self._place(max(0, self.minimum()))
        if self.isEnabled():
            painter.setBrush(QColor(colors.accent))
            filling = QRectF(min(here, zero), groove.top(), abs(here - zero), GROOVE_HEIGHT)
            painter.drawRoundedRect(filling, GROOVE_HEIGHT / 2, GROOVE_HEIGHT / 2)
        if self.minimum() < 0 < self.maximum():
            painter.setBrush(QColor(colors.muted))
            painter.drawRect(QRectF(zero - 0.5, middle - 5, 1, 10))
        edge = colors.accent if self.hasFocus() or self.isSliderDown() or self.underMouse() else colors.muted
        painter.setPen(QPen(QColor(edge if self.isEnabled() else colors.border), 1.4))
        painter.setBrush(QColor(colors.raised if self.isEnabled() else colors.window))
        painter.drawEllipse(QPointF(here, middle), HANDLE_RADIUS - 1, HANDLE_RADIUS - 1)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Jump to the pointer, and start dragging."""
        if event and event.button() is Qt.MouseButton.LeftButton:
            self.setSliderDown(True)
            self.setValue(self._value_at(event.position().x()))
            event.accept()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Follow the pointer."""
        if event and self.isSliderDown():
            self.setValue(self._value_at(event.position().x()))

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """End the drag."""
        self.setSliderDown(False)
        self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Reset to the neutral value."""
        self.reset.emit()

    def _place(self, value: int) -> float:
        share = (value - self.minimum()) / max(1, self.maximum() - self.minimum())
        return HANDLE_RADIUS + share * (self.width() - 2 * HANDLE_RADIUS)

    def _value_at(self, x: float) -> int:
        share = (x - HANDLE_RADIUS) / max(1.0, self.width() - 2 * HANDLE_RADIUS)
        return round(self.minimum() + min(max(share, 0.0), 1.0) * (self.maximum() - self.minimum()))


class SliderRow(QWidget):
    """A labeled slider and number for a value, shown in percent or in a unit; one drag is one undo step."""

    moved = pyqtSignal(float, object)  # the value, and the key of the gesture

    def __init__(self, spec: SliderSpec) -> None:
        """Create the row of a slider whose label and help are in the user's language."""
        super().__init__()
        self._spec = spec
        self._neutral = spec.default
        self._gesture: object = gesture()
        self._last = 0.0
        self._steps = spec.factor * 10**spec.digits  # of the slider
        self.slider = Slider(*(round(value * self._steps) for value in (spec.low, spec.high, spec.default)))
        self.number = self._make_number()
        label = self.label = QLabel(spec.label)
        label.setBuddy(self.slider)
        label.setMinimumWidth(for_font(76))
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        for column, widget in enumerate((label, self.slider, self.number)):
            widget.setToolTip(spec.help)
            grid.addWidget(widget, 0, column)
        grid.setColumnStretch(1, 1)
        self.slider.setAccessibleName(spec.label)
        self.slider.setAccessibleDescription(spec.help)
        self.number.setAccessibleName(spec.label)
        self.slider.sliderPressed.connect(self._begin)
        self.slider.valueChanged.connect(lambda value: self._move(value / self._steps))
        self.slider.reset.connect(self.reset)
        self.number.valueChanged.connect(lambda value: self._move(value / spec.factor))

    def _make_number(self) -> NumberBox:
        """Return the field next to the slider, too narrow for units other than °, which the tooltip names."""
        spec, number = self._spec, NumberBox()
        number.setRange(spec.low * spec.factor, spec.high * spec.factor)
        number.setDecimals(spec.digits)
        number.setSuffix("°" if spec.unit == "°" else "")
        number.setValue(spec.default * spec.factor)
        number.setProperty("compact", True)
        number.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        number.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        number.setFixedWidth(for_font(44))
        number.setKeyboardTracking(False)
        return number

    @classmethod
    def translated(cls, spec: SliderSpec) -> SliderRow:
        """Create the row of a slider of a table of `s2am_common`, whose texts are English."""
        label, tip = (QCoreApplication.translate("sliders", text) for text in (spec.label, spec.help))
        return cls(replace(spec, label=label, help=tip))

    def hide_label(self) -> None:
        """Hide the name, where a form shows it."""
        self.label.hide()

    @staticmethod
    def align(rows: Iterable[SliderRow]) -> None:
        """Give the labels of rows below each other one width, so that their sliders begin at the same place."""
        align_labels(row.label for row in rows)

    @property
    def value(self) -> float:
        """The current value."""
        return self.number.value() / self._spec.factor

    def set_neutral(self, value: float) -> None:
        """Set the value that a double click restores, such as an automatic one."""
        self._neutral = value

    def set_value(self, value: float) -> None:
        """Show a value without emitting `moved`."""
        with QSignalBlocker(self.slider), QSignalBlocker(self.number):
            self.slider.setValue(round(value * self._steps))
            self.number.setValue(value * self._spec.factor)
        self.slider.update()

    def reset(self) -> None:
        """Reset to the neutral value."""
        self._begin()
        self.set_value(self._neutral)
        self.moved.emit(self._neutral, self._gesture)

    def _begin(self) -> None:
        self._gesture = gesture()

    def _move(self, value: float) -> None:
        now = time.monotonic()
        if not self.slider.isSliderDown() and now - self._last > STEP_PAUSE:
            self._begin()
        self._last = now
        self.set_value(value)
        self.moved.emit(value, self._gesture)
