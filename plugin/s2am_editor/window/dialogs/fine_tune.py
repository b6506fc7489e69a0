# SPDX-License-Identifier: GPL-3.0-or-later
"""Fine-tuning a model on the user's photographs: choose a folder, watch training, keep or discard the model."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PyQt6.QtCore import QObject, Qt, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QImage
from PyQt6.QtWidgets import (
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QProgressBar,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from s2am_common.translation import localized
from s2am_editor.window.clipboard import to_image
from s2am_editor.window.dialogs import standard_dialogs
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.jobs import BackgroundJob, BackgroundJobs, Problem
from s2am_editor.window.messages import Banner
from s2am_editor.window.panels.harmonize_panel import usable_models
from s2am_editor.window.theme import icon
from s2am_editor.window.widgets.basic import (
    ChoiceBox,
    Plot,
    SheetView,
    WholeNumberBox,
    heading,
    muted_label,
    primary_button,
    push_button,
)
from s2am_engine.errors import EngineError
from s2am_engine.image.io import ImageData
from s2am_engine.models.model_files import check_free, check_name, delete_model, free_name

if TYPE_CHECKING:
    from s2am_engine.training.events import TrainingEvent
    from s2am_engine.training.finetune import FineTuned
    from s2am_engine.training.photo_cache import Skipped

    Trainer = Callable[..., FineTuned]

MAX_LISTED = 200  # maximum number of skipped files listed


@dataclass(frozen=True)
class PhotoFolder:
    """Result of scanning a folder."""

    folder: Path
    usable: int
    needed: int
    skipped: list[Skipped]


@dataclass(frozen=True)
class TrainingSamples:
    """Contact sheet of held-out pairs, and the gain, at a validation."""

    image: QImage
    step: int
    gain: float  # dB over the input composites


@dataclass(frozen=True)
class FineTuneOutcome:
    """Result of fine-tuning."""

    result: FineTuned
    sheet: QImage  # held-out photos before and after


class FineTuning(QObject):
    """Runs one fine-tuning at a time in the background."""

    scanned = pyqtSignal(int, int)  # photos scanned, of how many
    found = pyqtSignal(object)  # PhotoFolder
    happened = pyqtSignal(object)  # a training event
    samples = pyqtSignal(object)  # TrainingSamples
    finished = pyqtSignal(object)  # FineTuneOutcome
    failed = pyqtSignal(object)  # a Problem
    canceled = pyqtSignal()  # a canceled job has ended, and left nothing

    def __init__(self, parent: QObject, trainer: Trainer | None = None) -> None:
        """Start idle; trainer: None = `s2am_engine.training.finetune.finetune`."""
        super().__init__(parent)
        self._trainer = trainer
        self._jobs = BackgroundJobs(self)
        self._job: BackgroundJob | None = None

    @property
    def busy(self) -> bool:
        """True while a job is running."""
        return self._job is not None

    def scan(self, folder: Path) -> None:
        """Scan a folder for usable photos."""
        self.cancel()

        def work(job: BackgroundJob) -> PhotoFolder:
            from s2am_engine.training.finetune import FEWEST
            from s2am_engine.training.photo_cache import load_photographs

            def progress(done: int, total: int) -> None:
                job.report((done, total))

            photos = load_photographs(folder, None, progress=progress)
            return PhotoFolder(folder, len(photos), FEWEST, photos.skipped)

        self._start(work, self.found.emit, lambda pair: self.scanned.emit(*pair))

    def start(self, folder: Path, name: str, base: str, minutes: float) -> None:
        """Fine-tune a model on a folder's photos."""
        self.cancel()

        def work(job: BackgroundJob) -> FineTuneOutcome:
            from s2am_engine.training.finetune import finetune

            def report(event: TrainingEvent) -> None:
                job.report(event)
                if found := event.validation:
                    job.report(TrainingSamples(to_image(ImageData(found.samples)), found.step, found.gain))

            check_free(name)
            kept = False
            try:
                with tempfile.TemporaryDirectory(prefix="s2am-fine-tune-") as place:
                    sheet = Path(place) / "sheet.png"
                    train = self._trainer or finetune
                    result = train(folder, name, base=base, minutes=minutes, sheet=sheet, report=report)
                    outcome = FineTuneOutcome(result, QImage(str(sheet)))
                kept = not job.canceled
                return outcome
            finally:
                if not kept:  # the model is made before its last measurements, which can fail or be canceled
                    with suppress(EngineError):
                        delete_model(name)

        self._start(work, self.finished.emit, self._forward)

    def pause(self, on: bool) -> None:
        """Pause or resume; the time limit keeps running."""
        if self._job:
            self._job.pause(on)

    def cancel(self) -> None:
        """Stop the job and discard its results."""
        if self._job:
            self._job.cancel()

    def close_with(self, owner: QObject) -> None:
        """Cancel, and delete the object that owns this one when the job has ended."""
        self._jobs.close_with(owner)

    def _forward(self, report: object) -> None:
        if isinstance(report, TrainingSamples):
            self.samples.emit(report)
        else:
            self.happened.emit(report)

    def _start(
        self,
        work: Callable[[BackgroundJob], object],
        done: Callable[[Any], object],
        reported: Callable[[Any], object],
    ) -> None:
        failed = self.failed.emit
        self._job = self._jobs.start("", work, done, failed, reported=reported, ended=self._end, quiet=True)

    def _end(self, job: BackgroundJob) -> None:
        if job is self._job:
            self._job = None
        if job.canceled:
            self.canceled.emit()


class TrainingPage(QWidget):
    """Live plots of loss and gain, sample images, pause and cancel."""

    canceled = pyqtSignal()

    def __init__(self, fine_tuning: FineTuning) -> None:
        """Show the progress of a fine-tuning."""
        super().__init__()
        self._fine_tuning = fine_tuning
        self._state = muted_label()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.loss = Plot(self.tr("Color error while training"))
        self.gain = Plot(self.tr("Improvement on held-out photos"), "{0:+.2f} dB", zero=True)
        self.image = SheetView(self.tr("Samples appear here after the first validation."))
        self.pause_button = push_button(self.tr("Pause"), self._pause, "pause")
        self.pause_button.setCheckable(True)
        plots = QHBoxLayout()
        plots.setSpacing(10)
        plots.addWidget(self.loss)
        plots.addWidget(self.gain)
        buttons = QHBoxLayout()
        buttons.addWidget(self.pause_button)
        buttons.addStretch()
        self.cancel_button = push_button(self.tr("Cancel"), self.canceled.emit)
        buttons.addWidget(self.cancel_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        column.addWidget(heading(self.tr("Training")))
        column.addWidget(self._state)
        column.addWidget(self.bar)
        column.addLayout(plots)
        column.addWidget(self.image, 1)
        column.addLayout(buttons)
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
        self._state.setText(self.tr("Preparing…"))

    def end(self) -> None:
        """Show that a canceled training has not ended yet."""
        self.bar.setRange(0, 0)
        self._state.setText(self.tr("Canceling…"))
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
        self._state.setText(text)
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
            self._state.setText(self.tr("Paused"))


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
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(self._discard_button)
        buttons.addWidget(self.keep_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        for widget in (self._title, self.figures, self._advice):
            column.addWidget(widget)
        column.addWidget(self.image, 1)
        column.addLayout(buttons)

    def show_result(self, finished: FineTuneOutcome) -> None:
        """Show a result."""
        result = finished.result
        self._name = result.model.card.name if result.model else None
        style = result.style
        lines = [
            self.tr("Color error on held-out photos of this style: {0:+.0%}.").format(-style.fmse_saved),
            self.tr("Color error on photos of other styles: {0:+.0%}.").format(-result.others.fmse_saved),
        ]
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
            with suppress(EngineError):  # the model stays in the list and can be deleted there
                delete_model(name)
        self.discarded.emit()


class FineTuneDialog(QDialog):
    """Three pages: choose photos, watch training, keep or discard the model."""

    kept = pyqtSignal(str)  # the name of the kept model

    def __init__(self, settings: EditorSettings, parent: QWidget | None = None, trainer: Trainer | None = None) -> None:
        """Start with the choice of a folder; trainer: see `FineTuning`."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("Fine-tune on my photos"))
        self.resize(680, 600)
        self._settings = settings
        self._found: PhotoFolder | None = None
        self.fine_tuning = FineTuning(self, trainer)
        self.banner = Banner()
        self.pages = QStackedWidget()
        self.choice = QWidget()
        self.progress = TrainingPage(self.fine_tuning)
        self.outcome = ResultPage()
        self._make_choice()
        for page in (self.choice, self.progress, self.outcome):
            self.pages.addWidget(page)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(12)
        column.addWidget(self.banner)
        column.addWidget(self.pages, 1)
        fine_tuning = self.fine_tuning
        fine_tuning.scanned.connect(self._show_scan)
        fine_tuning.found.connect(self._show_found)
        fine_tuning.finished.connect(self._show_result)
        fine_tuning.failed.connect(self._fail)
        fine_tuning.canceled.connect(self._show_canceled)
        self.progress.canceled.connect(self._cancel)
        self.outcome.kept.connect(self._keep)
        self.outcome.discarded.connect(self.close)

    def _make_choice(self) -> None:
        self.folder_label = QLabel(self.tr("No folder chosen yet"))
        self.folder_label.setTextFormat(Qt.TextFormat.PlainText)
        row = QHBoxLayout()
        row.addWidget(push_button(self.tr("Choose a folder…"), self._choose_folder, "open"))
        row.addWidget(self.folder_label, 1)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.hide()
        self.state = muted_label(self.tr("At least 20 photos, better 40. They stay on this computer."))
        self.skipped = QListWidget()
        self.skipped.setAccessibleName(self.tr("Skipped files"))
        self.skipped.hide()
        self.name = QLineEdit(self.tr("my photos"))
        self.base = ChoiceBox()
        for model in usable_models():
            self.base.addItem(model.card.name)
        self.minutes = WholeNumberBox()
        self.minutes.setRange(1, 600)
        self.minutes.setValue(10)
        self.minutes.setSuffix(self.tr(" minutes"))
        form = QFormLayout()
        form.setVerticalSpacing(8)
        form.addRow(self.tr("Name"), self.name)
        form.addRow(self.tr("Base model"), self.base)
        form.addRow(self.tr("Training time"), self.minutes)
        self.start_button = primary_button(self.tr("Start"), self._begin)
        self.start_button.setEnabled(False)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(push_button(self.tr("Cancel"), self.close))
        buttons.addWidget(self.start_button)
        column = QVBoxLayout(self.choice)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        column.addWidget(heading(self.tr("Fine-tune a model on your photos")))
        text = self.tr(
            "Choose photos of one style: a wedding in warm light, a film look, products on gray. "
            "A fifth of them is held out to measure the result."
        )
        column.addWidget(muted_label(text))
        column.addLayout(row)
        column.addWidget(self._bar)
        column.addWidget(self.state)
        column.addWidget(self.skipped, 1)
        column.addLayout(form)
        column.addStretch()
        column.addLayout(buttons)

    # ---- choosing photos

    def _choose_folder(self) -> None:
        folder = standard_dialogs.choose_folder(self, self._settings, "teach", self.tr("Choose photos of one style"))
        if folder:
            self.scan_folder(folder)

    def scan_folder(self, folder: Path) -> None:
        """Scan a folder."""
        self._found = None
        self.banner.hide()
        self.skipped.clear()
        self.skipped.hide()
        self.start_button.setEnabled(False)
        self.folder_label.setText(str(folder))
        self.name.setText(unused_name(folder.name))
        self.state.setText(self.tr("Reading photos…"))
        self._bar.setRange(0, 0)
        self._bar.show()
        self.fine_tuning.scan(folder)

    def _show_scan(self, done: int, total: int) -> None:
        self._bar.setRange(0, total)
        self._bar.setValue(done)
        self.state.setText(self.tr("Reading photos: {0} of {1}").format(done, total))

    def _show_found(self, found: PhotoFolder) -> None:
        self._found = found
        self._bar.hide()
        text = self.tr("{0} usable photos, {1} skipped.").format(found.usable, len(found.skipped))
        enough = found.usable >= found.needed
        if not enough:
            text += " " + self.tr("At least {0} are needed. Add more to the folder.").format(found.needed)
        self.state.setText(text)
        for one in found.skipped[:MAX_LISTED]:
            self.skipped.addItem(_reason(one))
        self.skipped.setVisible(bool(found.skipped))
        self.start_button.setEnabled(enough)

    def _begin(self) -> None:
        if self._found is None:
            return
        try:
            name = check_name(self.name.text().strip())
            check_free(name)
        except EngineError as error:
            self.banner.show_problem(Problem(error))
            return
        self.banner.hide()
        self.progress.begin()
        self.pages.setCurrentWidget(self.progress)
        self.fine_tuning.start(self._found.folder, name, self.base.currentText(), self.minutes.value())

    # ---- result

    def _cancel(self) -> None:
        self.fine_tuning.cancel()
        self.progress.end()

    def _show_canceled(self) -> None:
        if self.pages.currentWidget() is self.progress:
            self.pages.setCurrentWidget(self.choice)
            self.state.setText(self.tr("Canceled. No model was created."))

    def _fail(self, problem: Problem) -> None:
        self._bar.hide()
        self.banner.show_problem(problem)
        self.state.setText("")
        self.pages.setCurrentWidget(self.choice)

    def _show_result(self, finished: FineTuneOutcome) -> None:
        self.outcome.show_result(finished)
        self.pages.setCurrentWidget(self.outcome)

    def _keep(self, name: str) -> None:
        self.kept.emit(name)
        self.close()

    def reject(self) -> None:
        """Close like the window's button."""
        self.close()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Ask before stopping the training, and whether to keep a finished model."""
        learning = self.fine_tuning.busy and self.pages.currentWidget() is self.progress
        if not (self._may_stop() if learning else self._decide()):
            if event:
                event.ignore()
            return
        self.fine_tuning.close_with(self)
        super().reject()  # QDialog.closeEvent would call `reject` again

    def _may_stop(self) -> bool:
        answer = standard_dialogs.choose_answer(
            self,
            self.tr("Stop training?"),
            self.tr("The model trained so far will be discarded."),
            self.tr("Stop"),
            cancel=self.tr("Continue"),
            careful=True,
        )
        return answer is not None

    def _decide(self) -> bool:
        """Ask about a model that was neither kept nor discarded. Return False if the dialog is to stay open."""
        if self.outcome.undecided is None:
            return True
        keep, discard = self.tr("Keep"), self.tr("Discard")
        text = self.tr("Keep the model “{0}”?").format(self.outcome.undecided)
        answer = standard_dialogs.choose_answer(self, self.tr("Keep the model?"), text, keep, discard)
        if answer == keep:
            self.kept.emit(self.outcome.undecided)
        elif answer == discard:
            self.outcome.discarded.disconnect(self.close)
            self.outcome.discard()
        return answer is not None


def unused_name(name: str) -> str:
    """Return an unused model name based on a folder's name."""
    try:
        return free_name(name)
    except EngineError:
        return free_name("my-photos")


def _reason(skipped: Skipped) -> str:
    """Return a sentence on a photograph that cannot be used, in the user's language."""
    name, why = skipped.path.name, skipped.why
    for sentence in (f"{name} is {why}.", f"{name} {why}."):  # the clause comes from one of them
        translated = localized(sentence)
        if translated != sentence:
            return translated
    return f"{name}: {why}"
