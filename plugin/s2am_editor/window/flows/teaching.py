# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking through somebody's pictures, and learning from them, in the background."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtGui import QImage

from s2am_editor.window.jobs import Job, Jobs

if TYPE_CHECKING:
    from s2am_engine.training.album import Skipped
    from s2am_engine.training.events import Event
    from s2am_engine.training.finetune import FineTuned


@dataclass(frozen=True)
class Found:
    """What a folder holds."""

    folder: Path
    usable: int
    needed: int
    skipped: list[Skipped]


@dataclass(frozen=True)
class Samples:
    """Curves and samples as they are at the moment."""

    image: QImage
    step: int
    gain: float  # dB over the untouched composites


@dataclass(frozen=True)
class Learned:
    """How it ended."""

    result: FineTuned
    sheet: QImage  # held-out pictures before and after


class Teaching(QObject):
    """One fine-tuning at a time."""

    looking = pyqtSignal(int, int)  # pictures done, of so many
    found = pyqtSignal(object)  # Found
    happened = pyqtSignal(object)  # an event of the training
    samples = pyqtSignal(object)  # Samples
    learned = pyqtSignal(object)  # Learned
    failed = pyqtSignal(object)  # a Problem
    stopped = pyqtSignal()  # whatever ran has ended

    def __init__(self, parent: QObject) -> None:
        """Start with nothing to do."""
        super().__init__(parent)
        self._jobs = Jobs(self)
        self._job: Job | None = None

    @property
    def busy(self) -> bool:
        """Whether anything runs."""
        return self._job is not None

    def look(self, folder: Path) -> None:
        """Find out which pictures of a folder can be learned from."""
        self.cancel()

        def work(job: Job) -> Found:
            from s2am_engine.training.album import load_photographs
            from s2am_engine.training.finetune import FEWEST

            def progress(done: int, total: int) -> None:
                job.tell((done, total))

            album = load_photographs(folder, None, progress=progress)
            return Found(folder, len(album), FEWEST, album.skipped)

        self._start(work, self.found.emit)
        if self._job:
            self._job.told.connect(lambda pair: self.looking.emit(*pair))

    def start(self, folder: Path, name: str, base: str, minutes: float) -> None:
        """Learn from a folder's pictures."""
        self.cancel()

        def work(job: Job) -> Learned:
            from s2am_engine.training.events import Validated
            from s2am_engine.training.finetune import finetune

            def report(event: Event) -> None:
                job.tell(event)
                if isinstance(event, Validated):  # its picture goes with the run's folder
                    job.tell(Samples(QImage(str(event.picture)), event.step, event.gain))

            with tempfile.TemporaryDirectory(prefix="s2am-teach-") as place:
                sheet = Path(place) / "sheet.png"
                result = finetune(folder, name, base=base, minutes=minutes, sheet=sheet, report=report)
                return Learned(result, QImage(str(sheet)))

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
        if isinstance(what, Samples):
            self.samples.emit(what)
        else:
            self.happened.emit(what)

    def _start(self, work: Callable[[Job], object], done: Callable[[Any], None]) -> None:
        job = self._jobs.start("", work, done, self.failed.emit, quiet=True)
        self._job = job
        job.ended.connect(self._end)

    def _end(self, job: Job) -> None:
        if job is self._job:
            self._job = None
            self.stopped.emit()
