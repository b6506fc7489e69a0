# SPDX-License-Identifier: GPL-3.0-or-later
"""A named slider with its value beside it."""

from __future__ import annotations

import time

from PyQt6.QtCore import QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtWidgets import QAbstractSpinBox, QDoubleSpinBox, QGridLayout, QLabel, QWidget

from s2am_editor.document.commands import gesture
from s2am_editor.window.widgets.slider import Slider

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
