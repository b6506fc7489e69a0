# SPDX-License-Identifier: GPL-3.0-or-later
"""Fine-tuning in the background: scan a folder of photographs, train, and leave nothing when it is canceled."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtGui import QImage

from s2am_common.errors import EngineError
from s2am_editor.window.clipboard import to_image
from s2am_editor.window.jobs import BackgroundJob, BackgroundJobs
from s2am_engine.image.data import ImageData
from s2am_engine.models.model_files import check_free, delete_model

if TYPE_CHECKING:
    from s2am_engine.training.events import EventCallback, TrainingEvent
    from s2am_engine.training.finetune import FineTuneResult, FineTuneSettings
    from s2am_engine.training.photo_cache import Skipped

    Trainer = Callable[[FineTuneSettings, EventCallback], FineTuneResult]


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

    result: FineTuneResult
    sheet: QImage  # held-out photos before and after


def discard_model(name: str) -> None:
    """Delete a model that is not wanted; one that cannot be deleted stays in the list and can be deleted there."""
    with suppress(EngineError):
        delete_model(name)


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
            from s2am_engine.training.finetune import FineTuneSettings, finetune

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
                    result = train(FineTuneSettings(folder, name, base, minutes, sheet=sheet), report)
                    outcome = FineTuneOutcome(result, QImage(str(sheet)))
                kept = not job.canceled
                return outcome
            finally:
                if not kept:  # the model is made before its last measurements, which can fail or be canceled
                    discard_model(name)

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
        self._job = self._jobs.start("", work, done, failed, reported=reported, ended=self._end)

    def _end(self, job: BackgroundJob) -> None:
        if job is self._job:
            self._job = None
        if job.canceled:
            self.canceled.emit()
