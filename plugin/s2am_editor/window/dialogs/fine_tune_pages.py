# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of the fine-tuning dialog: progress of the training, and the decision to keep the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtGui import QImage
from PyQt6.QtWidgets import QLabel, QWidget

from s2am_common.translation import localized
from s2am_editor.window.dialogs.fine_tuning import FineTuneOutcome, FineTuning, TrainingSamples, discard_model
from s2am_editor.window.theme import icon
from s2am_editor.window.widgets.basic import (
    Plot,
    SheetView,
    heading,
    muted_label,
    plain_progress_bar,
    primary_button,
    push_button,
)
from s2am_editor.window.widgets.layouts import column_of, row_of

if TYPE_CHECKING:
    from s2am_engine.training.events import TrainingEvent


class TrainingPage(QWidget):
    """Live plots of loss and gain, sample images, pause and cancel."""

    canceled = pyqtSignal()

    def __init__(self, fine_tuning: FineTuning) -> None:
        """Show the progress of a fine-tuning."""
        super().__init__()
        self._fine_tuning = fine_tuning
        self.state = muted_label()
        self.bar = plain_progress_bar()
        self.loss = Plot(self.tr("Color error while training"))
        self.gain = Plot(self.tr("Improvement on held-out photos"), "{0:+.2f} dB", zero=True)
        self.image = SheetView(self.tr("Samples appear here after the first validation."))
        self.pause_button = push_button(self.tr("Pause"), self._pause, "pause")
        self.pause_button.setCheckable(True)
        self.cancel_button = push_button(self.tr("Cancel"), self.canceled.emit)
        plots = row_of([self.loss, self.gain], spacing=10)
        buttons = row_of([self.pause_button, None, self.cancel_button])
        title = heading(self.tr("Training"))
        column_of(self, [title, self.state, self.bar, plots, (self.image, 1), buttons], spacing=10)
        fine_tuning.happened.connect(self._take)
        fine_tuning.samples.connect(self._show_samples)

    def begin(self) -> None:
        """Start with empty plots."""
        self.loss.clear()
        self.gain.clear()
        self.bar.setRange(0, 0)
        self.image.show_image(QImage())  # of an earlier training
        self.pause_button.setChecked(False)
        for button in (self.pause_button, self.cancel_button):
            button.setEnabled(True)
        self.state.setText(self.tr("Preparing…"))

    def end(self) -> None:
        """Show that a canceled training has not ended yet."""
        self.bar.setRange(0, 0)
        self.state.setText(self.tr("Canceling…"))
        for button in (self.pause_button, self.cancel_button):
            button.setEnabled(False)

    def _take(self, event: TrainingEvent) -> None:
        from s2am_engine.training.events import Phase

        if event.phase is Phase.TRAINING:
            self.loss.add(event.done, event.loss)
            text = self.tr("Training")
        else:
            text = {
                Phase.READING: self.tr("Reading photos"),
                Phase.PREPARING: self.tr("Learning what sets the look apart"),
                Phase.MEASURING: self.tr("Measuring the result"),
                Phase.SAVING: self.tr("Saving"),
            }[event.phase]
        if event.seconds_left is not None:
            text += self.tr(", {0} left").format(format_duration(event.seconds_left))
        self._show_progress(text, event.overall or 0.0)

    def _show_progress(self, text: str, share: float) -> None:
        self.state.setText(text)
        self.bar.setRange(0, 1000)
        self.bar.setValue(round(1000 * min(max(share, 0.0), 1.0)))

    def _show_samples(self, samples: TrainingSamples) -> None:
        self.gain.add(samples.step, samples.gain)
        self.image.show_image(samples.image)

    def _pause(self) -> None:
        paused = self.pause_button.isChecked()
        self._fine_tuning.pause(paused)
        self.pause_button.setText(self.tr("Resume") if paused else self.tr("Pause"))
        self.pause_button.setIcon(icon("play" if paused else "pause"))
        if paused:
            self.state.setText(self.tr("Paused"))


def format_duration(seconds: float) -> str:
    """Format seconds as minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class ResultPage(QWidget):
    """Measured gain, held-out photos before and after, and the decision to keep the model."""

    kept = pyqtSignal(str)  # the model's name
    discarded = pyqtSignal()

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self._name: str | None = None  # of a model that exists and was neither kept nor discarded
        self._title = heading("")
        self.figures = QLabel()
        self._advice = muted_label()
        self.image = SheetView()
        self._discard_button = push_button(self.tr("Discard"), self.discard)
        self.keep_button = primary_button(self.tr("Keep"), self.keep)
        buttons = row_of([None, self._discard_button, self.keep_button])
        column_of(self, [self._title, self.figures, self._advice, (self.image, 1), buttons], spacing=10)

    def show_result(self, finished: FineTuneOutcome) -> None:
        """Show the gains in figures, and the held-out photographs before and after."""
        result = finished.result
        self._name = result.model.card.name if result.model else None
        style = result.style
        lines = [
            self.tr("Color error on held-out photos of this style: {0:+.0%}.").format(-style.fmse_saved),
            self.tr("Color error on photos of other styles: {0:+.0%}.").format(-result.others.fmse_saved),
        ]
        if self._name is not None:
            found = result.recognition
            text = self.tr(
                "Used on {0:.0%} of backgrounds of this style; on {1:.0%} of others, the base model is used."
            )
            lines.append(text.format(found.recognized, found.rejected))
        self.figures.setText("\n".join(lines))
        decibels = self.tr("PSNR: {0:+.2f} dB in this style, {1:+.2f} dB in others")
        self.figures.setToolTip(decibels.format(style.psnr_gained, result.others.psnr_gained))
        self.image.show_image(finished.sheet)
        if self._name is None:
            self._title.setText(self.tr("The base model is still the better one"))
            self._advice.setText(localized(result.sentence))
        else:
            self._title.setText(self.tr("“{0}” is better for this style").format(self._name))
            self._advice.setText(self.tr("Keep it to add it to the list of models."))
        self._discard_button.setVisible(self._name is not None)
        self.keep_button.setText(self.tr("Keep") if self._name else self.tr("Close"))
        self.keep_button.setDefault(True)
        self.keep_button.setFocus()

    @property
    def undecided(self) -> str | None:
        """The name of a model that was neither kept nor discarded yet."""
        return self._name

    def keep(self) -> None:
        """Keep the model; without one, there is nothing to decide."""
        name, self._name = self._name, None
        if name is None:
            self.discarded.emit()
        else:
            self.kept.emit(name)

    def discard(self) -> None:
        """Delete the model."""
        name, self._name = self._name, None
        if name is not None:
            discard_model(name)
        self.discarded.emit()
