# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonizing a queue of pictures in the background."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from s2am_editor.batch.queue import Item, Settings, run
from s2am_editor.compose.harmonize import Models
from s2am_editor.window.jobs import Job, Jobs

SHEET = "sheet.png"


class Batching(QObject):
    """One queue at a time."""

    happened = pyqtSignal(object)  # a batch.queue.Event
    finished = pyqtSignal(int)  # how many failed
    failed = pyqtSignal(object)  # a Problem: nothing could be done at all
    stopped = pyqtSignal()  # whatever ran has ended

    def __init__(self, parent: QObject) -> None:
        """Start with nothing to do."""
        super().__init__(parent)
        self._jobs = Jobs(self)
        self._models = Models()
        self._job: Job | None = None

    @property
    def busy(self) -> bool:
        """Whether a queue is being worked on."""
        return self._job is not None

    def start(self, items: Sequence[Item], settings: Settings, sheet: Path) -> None:
        """Work on a queue; a sheet of all pictures is drawn at its end."""
        job = self._jobs.start(
            "",
            lambda job: run(items, settings, self._models, job.tell, sheet),
            self.finished.emit,
            self.failed.emit,
            quiet=True,
        )
        self._job = job
        job.told.connect(self.happened)
        job.ended.connect(self._end)

    def cancel(self) -> None:
        """Stop after the present picture; what was written stays."""
        if self._job:
            self._job.cancel()

    def close(self) -> None:
        """Stop and wait for it."""
        self._jobs.close()

    def _end(self) -> None:
        self._job = None
        self.stopped.emit()
