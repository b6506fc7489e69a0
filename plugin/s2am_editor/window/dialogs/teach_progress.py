# SPDX-License-Identifier: GPL-3.0-or-later
"""The second page of “Teach it your pictures”: how the learning goes."""

from __future__ import annotations

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from s2am_editor.window.flows.teaching import Samples, Teaching
from s2am_editor.window.icons import icon
from s2am_editor.window.widgets.buttons import heading, muted_label, push_button
from s2am_editor.window.widgets.picture_label import PictureLabel
from s2am_editor.window.widgets.plot import Plot


class TeachProgress(QWidget):
    """A live plot of the loss and of the gain, samples, pause and cancel."""

    cancelled = pyqtSignal()

    def __init__(self, teaching: Teaching) -> None:
        """Follow a fine-tuning."""
        super().__init__()
        self._teaching = teaching
        self._minutes = 10.0
        self._state = muted_label()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.loss = Plot(self.tr("Loss"))
        self.gain = Plot(self.tr("Gain on held-out pictures"), "{0:+.2f} dB", zero=True)
        self.picture = PictureLabel(self.tr("Samples appear here after the first measurement."))
        self.pause_button = push_button(self.tr("Pause"), self._pause, "pause")
        self.pause_button.setCheckable(True)
        plots = QHBoxLayout()
        plots.setSpacing(10)
        plots.addWidget(self.loss)
        plots.addWidget(self.gain)
        buttons = QHBoxLayout()
        buttons.addWidget(self.pause_button)
        buttons.addStretch()
        buttons.addWidget(push_button(self.tr("Cancel"), self.cancelled.emit))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        column.addWidget(heading(self.tr("Learning")))
        column.addWidget(self._state)
        column.addWidget(self.bar)
        column.addLayout(plots)
        column.addWidget(self.picture, 1)
        column.addLayout(buttons)
        teaching.happened.connect(self._take)
        teaching.samples.connect(self._show_samples)

    def begin(self, minutes: float) -> None:
        """Start with empty plots."""
        self._minutes = minutes
        self.loss.clear()
        self.gain.clear()
        self.bar.setRange(0, 0)
        self.pause_button.setChecked(False)
        self._state.setText(self.tr("Preparing …"))

    def _take(self, event: object) -> None:
        from s2am_engine.training.events import Measuring, Reading, Stepped

        if isinstance(event, Reading):
            self._tell(self.tr("Reading the pictures"), event.done / max(1, event.total))
        elif isinstance(event, Measuring):
            self._tell(self.tr("Measuring before and after"), event.done / max(1, event.total))
        elif isinstance(event, Stepped):
            self.loss.add(event.step, event.loss)
            left = event.seconds_left
            done = 0.0 if left is None else 1 - left / (60 * self._minutes)
            text = self.tr("Step {0}, {1} pictures a second").format(event.step, round(event.pictures_per_second))
            if left is not None:
                text += self.tr(", {0} left").format(duration(left))
            self._tell(text, done)

    def _tell(self, text: str, share: float) -> None:
        self._state.setText(text)
        self.bar.setRange(0, 1000)
        self.bar.setValue(round(1000 * min(max(share, 0.0), 1.0)))

    def _show_samples(self, samples: Samples) -> None:
        self.gain.add(samples.step, samples.gain)
        self.picture.show_image(samples.image)

    def _pause(self) -> None:
        paused = self.pause_button.isChecked()
        self._teaching.pause(paused)
        self.pause_button.setText(self.tr("Go on") if paused else self.tr("Pause"))
        self.pause_button.setIcon(icon("play" if paused else "pause"))
        if paused:
            self._state.setText(self.tr("Paused"))


def duration(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
