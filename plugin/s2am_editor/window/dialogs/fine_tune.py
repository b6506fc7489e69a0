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
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QProgressBar,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from s2am_editor.window.dialogs import prompts
from s2am_editor.window.jobs import BackgroundJob, BackgroundJobs, Problem
from s2am_editor.window.messages import Banner
from s2am_editor.window.panels.harmonize_panel import usable_models
from s2am_editor.window.settings import EditorSettings
from s2am_editor.window.theme import icon
from s2am_editor.window.widgets.basic import ImageLabel, Plot, heading, muted_label, primary_button, push_button
from s2am_engine.errors import EngineError
from s2am_engine.models.model_files import check_free, check_name, delete_model, free_name

if TYPE_CHECKING:
    from s2am_engine.training.events import Event
    from s2am_engine.training.finetune import FineTuned
    from s2am_engine.training.photo_cache import Skipped


@dataclass(frozen=True)
class PhotoFolder:
    """What a folder holds."""

    folder: Path
    usable: int
    needed: int
    skipped: list[Skipped]


@dataclass(frozen=True)
class TrainingSamples:
    """Curves and samples as they are at the moment."""

    image: QImage
    step: int
    gain: float  # dB over the untouched composites


@dataclass(frozen=True)
class FineTuneOutcome:
    """How it ended."""

    result: FineTuned
    sheet: QImage  # held-out pictures before and after


class FineTuning(QObject):
    """One fine-tuning at a time."""

    looking = pyqtSignal(int, int)  # pictures done, of so many
    found = pyqtSignal(object)  # PhotoFolder
    happened = pyqtSignal(object)  # an event of the training
    samples = pyqtSignal(object)  # TrainingSamples
    learned = pyqtSignal(object)  # FineTuneOutcome
    failed = pyqtSignal(object)  # a Problem
    stopped = pyqtSignal()  # whatever ran has ended

    def __init__(self, parent: QObject) -> None:
        """Start with nothing to do."""
        super().__init__(parent)
        self._jobs = BackgroundJobs(self)
        self._job: BackgroundJob | None = None

    @property
    def busy(self) -> bool:
        """Whether anything runs."""
        return self._job is not None

    def look(self, folder: Path) -> None:
        """Find out which pictures of a folder can be learned from."""
        self.cancel()

        def work(job: BackgroundJob) -> PhotoFolder:
            from s2am_engine.training.finetune import FEWEST
            from s2am_engine.training.photo_cache import load_photographs

            def progress(done: int, total: int) -> None:
                job.tell((done, total))

            photographs = load_photographs(folder, None, progress=progress)
            return PhotoFolder(folder, len(photographs), FEWEST, photographs.skipped)

        self._start(work, self.found.emit)
        if self._job:
            self._job.told.connect(lambda pair: self.looking.emit(*pair))

    def start(self, folder: Path, name: str, base: str, minutes: float) -> None:
        """Learn from a folder's pictures."""
        self.cancel()

        def work(job: BackgroundJob) -> FineTuneOutcome:
            from s2am_engine.training.events import Validated
            from s2am_engine.training.finetune import finetune

            def report(event: Event) -> None:
                job.tell(event)
                if isinstance(event, Validated):  # its picture goes with the run's folder
                    job.tell(TrainingSamples(QImage(str(event.picture)), event.step, event.gain))

            with tempfile.TemporaryDirectory(prefix="s2am-teach-") as place:
                sheet = Path(place) / "sheet.png"
                result = finetune(folder, name, base=base, minutes=minutes, sheet=sheet, report=report)
                return FineTuneOutcome(result, QImage(str(sheet)))

        self._start(work, self.learned.emit)
        if self._job:
            self._job.told.connect(self._tell)

    def pause(self, on: bool) -> None:
        """Let the work rest, or go on; the clock of the training goes on, too."""
        if self._job:
            self._job.pause(on)

    def cancel(self) -> None:
        """Stop what runs; nothing of it is kept."""
        if self._job:
            self._job.cancel()

    def close(self) -> None:
        """Stop and wait for it."""
        self._jobs.close()

    def _tell(self, what: object) -> None:
        if isinstance(what, TrainingSamples):
            self.samples.emit(what)
        else:
            self.happened.emit(what)

    def _start(self, work: Callable[[BackgroundJob], object], done: Callable[[Any], None]) -> None:
        job = self._jobs.start("", work, done, self.failed.emit, quiet=True)
        self._job = job
        job.ended.connect(self._end)

    def _end(self, job: BackgroundJob) -> None:
        if job is self._job:
            self._job = None
            self.stopped.emit()


class TrainingPage(QWidget):
    """A live plot of the loss and of the gain, samples, pause and cancel."""

    cancelled = pyqtSignal()

    def __init__(self, teaching: FineTuning) -> None:
        """Follow a fine-tuning."""
        super().__init__()
        self._teaching = teaching
        self._minutes = 10.0
        self._state = muted_label()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.loss = Plot(self.tr("Loss"))
        self.gain = Plot(self.tr("Gain on held-out pictures"), "{0:+.2f} dB", zero=True)
        self.picture = ImageLabel(self.tr("TrainingSamples appear here after the first measurement."))
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

    def _show_samples(self, samples: TrainingSamples) -> None:
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


class ResultPage(QWidget):
    """Measured gain, held-out pictures before and after, and the decision."""

    kept = pyqtSignal(str)  # the model's name
    discarded = pyqtSignal()

    def __init__(self) -> None:
        """Start with nothing to show."""
        super().__init__()
        self._name: str | None = None  # of a model that is there and was not decided on yet
        self._title = heading("")
        self.figures = QLabel()
        self._advice = muted_label()
        self.picture = ImageLabel()
        self._discard_button = push_button(self.tr("Discard"), self._discard)
        self._keep_button = primary_button(self.tr("Keep it"), self._keep)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(self._discard_button)
        buttons.addWidget(self._keep_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        for widget in (self._title, self.figures, self._advice):
            column.addWidget(widget)
        column.addWidget(self.picture, 1)
        column.addLayout(buttons)

    def show_result(self, learned: FineTuneOutcome) -> None:
        """Show what came of it."""
        result = learned.result
        self._name = result.model.card.name if result.model else None
        look = result.look
        lines = [
            self.tr("On held-out pictures of this look: {0:+.2f} dB, {1:.0%} less error than before.").format(
                look.psnr_gained, look.fmse_saved
            ),
            self.tr("On other looks: {0:+.2f} dB.").format(result.others.psnr_gained),
        ]
        self.figures.setText("\n".join(lines))
        self.picture.show_image(learned.sheet)
        if self._name is None:
            self._title.setText(self.tr("The model that was there stays the better one"))
            self._advice.setText(self.tr("No model was made. More photographs of one look, or more minutes, help."))
        else:
            self._title.setText(self.tr("“{0}” is the better one for this look").format(self._name))
            self._advice.setText(self.tr("Keep it, and it is among the models that you choose from."))
        self._discard_button.setVisible(self._name is not None)
        self._keep_button.setText(self.tr("Keep it") if self._name else self.tr("Close"))

    def discard_unless_kept(self) -> None:
        """Delete a model that nobody decided to keep."""
        if self._name is not None:
            with suppress(EngineError):  # then it stays in the list, and can be deleted there
                delete_model(self._name)
            self._name = None

    def _keep(self) -> None:
        name, self._name = self._name, None
        if name is None:
            self.discarded.emit()
        else:
            self.kept.emit(name)

    def _discard(self) -> None:
        self.discard_unless_kept()
        self.discarded.emit()


SHOWN = 200  # skipped files that are listed


class FineTuneDialog(QDialog):
    """Choose, learn, keep or discard; three pages one after another."""

    kept = pyqtSignal(str)  # the name of a model that was kept

    def __init__(self, settings: EditorSettings, parent: QWidget | None = None) -> None:
        """Start with the choice of a folder."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("Teach it your pictures"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(680, 600)
        self._settings = settings
        self._found: PhotoFolder | None = None
        self.teaching = FineTuning(self)
        self.banner = Banner()
        self.pages = QStackedWidget()
        self.choice = QWidget()
        self.progress = TrainingPage(self.teaching)
        self.outcome = ResultPage()
        self._make_choice()
        for page in (self.choice, self.progress, self.outcome):
            self.pages.addWidget(page)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(12)
        column.addWidget(self.banner)
        column.addWidget(self.pages, 1)
        teaching = self.teaching
        teaching.looking.connect(self._looking)
        teaching.found.connect(self._show_found)
        teaching.learned.connect(self._show_result)
        teaching.failed.connect(self._fail)
        self.progress.cancelled.connect(self._cancel)
        self.outcome.kept.connect(self._keep)
        self.outcome.discarded.connect(self.close)

    def _make_choice(self) -> None:
        self.folder_label = QLabel(self.tr("No folder chosen yet"))
        self.folder_label.setTextFormat(Qt.TextFormat.PlainText)
        row = QHBoxLayout()
        row.addWidget(push_button(self.tr("Choose a folder …"), self._choose_folder, "open"))
        row.addWidget(self.folder_label, 1)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.hide()
        self.state = muted_label(self.tr("From 20 photographs on; 40 are better. They stay on this computer."))
        self.skipped = QListWidget()
        self.skipped.setAccessibleName(self.tr("Pictures that were left out"))
        self.skipped.hide()
        self.name = QLineEdit(self.tr("my pictures"))
        self.base = QComboBox()
        for model in usable_models():
            self.base.addItem(model.card.name)
        self.minutes = QSpinBox()
        self.minutes.setRange(1, 600)
        self.minutes.setValue(10)
        self.minutes.setSuffix(self.tr(" minutes"))
        form = QFormLayout()
        form.setVerticalSpacing(8)
        form.addRow(self.tr("Call it"), self.name)
        form.addRow(self.tr("Begin with"), self.base)
        form.addRow(self.tr("Learn for"), self.minutes)
        self.start_button = primary_button(self.tr("Start"), self._begin)
        self.start_button.setEnabled(False)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(push_button(self.tr("Cancel"), self.close))
        buttons.addWidget(self.start_button)
        column = QVBoxLayout(self.choice)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        column.addWidget(heading(self.tr("Teach it how your photographs look")))
        text = self.tr(
            "A wedding in warm light, a film look, a product against gray: choose photographs of one look. "
            "A fifth of them is held out to measure what was learned."
        )
        column.addWidget(muted_label(text))
        column.addLayout(row)
        column.addWidget(self._bar)
        column.addWidget(self.state)
        column.addWidget(self.skipped, 1)
        column.addLayout(form)
        column.addStretch()
        column.addLayout(buttons)

    # ---- the choice

    def _choose_folder(self) -> None:
        folder = prompts.choose_folder(self, self._settings, "teach", self.tr("Choose photographs of one look"))
        if folder:
            self.look_at(folder)

    def look_at(self, folder: Path) -> None:
        """Find out what a folder holds."""
        self._found = None
        self.banner.hide()
        self.skipped.clear()
        self.skipped.hide()
        self.start_button.setEnabled(False)
        self.folder_label.setText(str(folder))
        self.name.setText(free_or_plain(folder.name))
        self.state.setText(self.tr("Looking through the pictures …"))
        self._bar.setRange(0, 0)
        self._bar.show()
        self.teaching.look(folder)

    def _looking(self, done: int, total: int) -> None:
        self._bar.setRange(0, total)
        self._bar.setValue(done)
        self.state.setText(self.tr("Looking through the pictures: {0} of {1}").format(done, total))

    def _show_found(self, found: PhotoFolder) -> None:
        self._found = found
        self._bar.hide()
        text = self.tr("{0} pictures found, {1} left out.").format(found.usable, len(found.skipped))
        enough = found.usable >= found.needed
        if not enough:
            text += " " + self.tr("At least {0} are needed: add more to the folder.").format(found.needed)
        self.state.setText(text)
        for one in found.skipped[:SHOWN]:
            self.skipped.addItem(f"{one.path.name}: {one.why}")
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
        self.progress.begin(self.minutes.value())
        self.pages.setCurrentWidget(self.progress)
        self.teaching.start(self._found.folder, name, self.base.currentText(), self.minutes.value())

    # ---- what comes of it

    def _cancel(self) -> None:
        self.teaching.cancel()
        self.pages.setCurrentWidget(self.choice)
        self.state.setText(self.tr("Cancelled: nothing was learned, and no model was made."))

    def _fail(self, problem: Problem) -> None:
        self._bar.hide()
        self.banner.show_problem(problem)
        self.state.setText("")
        self.pages.setCurrentWidget(self.choice)

    def _show_result(self, learned: FineTuneOutcome) -> None:
        self.outcome.show_result(learned)
        self.pages.setCurrentWidget(self.outcome)

    def _keep(self, name: str) -> None:
        self.kept.emit(name)
        self.close()

    def reject(self) -> None:
        """Close as the window's button does."""
        self.close()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Ask before work is lost; what was learned and not kept is discarded."""
        learning = self.teaching.busy and self.pages.currentWidget() is self.progress
        if (
            event
            and learning
            and not prompts.ask(
                self,
                self.tr("Stop learning?"),
                self.tr("Nothing of what was learned so far is kept."),
                self.tr("Stop"),
                self.tr("Go on"),
            )
        ):
            event.ignore()
            return
        self.outcome.discard_unless_kept()
        self.teaching.close()
        super().reject()  # QDialog's closeEvent would come back here through `reject`


def free_or_plain(name: str) -> str:
    """A name for a model like a folder's, which no other model has."""
    try:
        return free_name(name)
    except EngineError:
        return free_name("my-pictures")
