# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that takes long, in threads of its own: with progress, to be cancelled, and never in the window's way."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from typing import Any

from PyQt6.QtCore import QObject, QRunnable, QThreadPool, pyqtSignal

from s2am_engine.errors import EngineError

Done = Callable[[Any], object]
Failed = Callable[["Problem"], object]


class Cancelled(Exception):  # noqa: N818 (it is no error)
    """Somebody pressed Cancel; comes out of `BackgroundJob.progress` within the work."""


class Problem:
    """What went wrong: a sentence for people, and details for those who mend it."""

    def __init__(self, error: BaseException) -> None:
        """Describe an exception."""
        self.error = error
        self.details = "".join(traceback.format_exception(error))
        if isinstance(error, EngineError):
            self.sentence = str(error)
        elif isinstance(error, MemoryError):
            self.sentence = "There is not enough memory for this: close other programs, or use a smaller picture."
        else:
            self.sentence = (
                f"This should not have happened ({type(error).__name__}): your document is as it was. "
                "Copy the details and report them."
            )


class BackgroundJob(QObject):
    """One piece of work; its signals arrive in the window's thread."""

    progressed = pyqtSignal(float, str)  # share done in [0, 1] (negative: unknown), and what is being done
    told = pyqtSignal(object)  # whatever else the work tells
    finished = pyqtSignal(object)  # its result
    failed = pyqtSignal(object)  # a Problem
    ended = pyqtSignal(object)  # the job itself, always the last

    def __init__(self, title: str, work: Callable[[BackgroundJob], Any]) -> None:
        """Describe it; `BackgroundJobs.start` starts it."""
        super().__init__()
        self.title = title
        self._work = work
        self._cancelled = threading.Event()
        self._running = threading.Event()
        self._running.set()

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask it to stop at its next progress; nothing of it will be heard but `ended`."""
        self._cancelled.set()
        self._running.set()

    def pause(self, on: bool) -> None:
        """Let it wait at its next progress, or go on."""
        if on:
            self._running.clear()
        else:
            self._running.set()

    def progress(self, share: float, what: str = "") -> None:
        """Tell how far the work is; called by the work.

        Raises:
            Cancelled: it is to stop.
        """
        self._running.wait()
        if self.cancelled:
            raise Cancelled
        self.progressed.emit(share, what)

    def tell(self, what: object) -> None:
        """Tell anything else; called by the work. Raises as `progress` does."""
        self._running.wait()
        if self.cancelled:
            raise Cancelled
        self.told.emit(what)

    def run(self) -> None:
        """Do the work; called in a worker's thread."""
        try:
            result = self._work(self)
        except Cancelled:
            pass
        except Exception as error:
            if not self.cancelled:
                self.failed.emit(Problem(error))
        else:
            if not self.cancelled:
                self.finished.emit(result)
        self.ended.emit(self)


class _Runnable(QRunnable):
    def __init__(self, job: BackgroundJob) -> None:
        super().__init__()
        self._job = job

    def run(self) -> None:
        self._job.run()


class BackgroundJobs(QObject):
    """The jobs of a window."""

    started = pyqtSignal(object)  # a BackgroundJob
    ended = pyqtSignal(object)  # a BackgroundJob

    def __init__(self, parent: QObject | None = None) -> None:
        """Start with none."""
        super().__init__(parent)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(4)
        self.running: list[BackgroundJob] = []

    def start(
        self,
        title: str,
        work: Callable[[BackgroundJob], Any],
        done: Done | None = None,
        failed: Failed | None = None,
        *,
        quiet: bool = False,
    ) -> BackgroundJob:
        """Start a job.

        Args:
            title: what it does, for people.
            work: does it, in a thread of its own; it is given the job, to tell its progress.
            done: given the result, in the window's thread; not called if the job failed or was cancelled.
            failed: given the Problem.
            quiet: not to be shown anywhere.
        """
        job = BackgroundJob(title, work)
        if done:
            job.finished.connect(done)
        if failed:
            job.failed.connect(failed)
        job.ended.connect(self._end)
        self.running.append(job)
        if not quiet:
            self.started.emit(job)
        self._pool.start(_Runnable(job))
        return job

    def close(self, seconds: float = 10.0) -> bool:
        """Cancel all jobs and wait for them; whether all have ended."""
        for job in self.running:
            job.cancel()
        return self._pool.waitForDone(round(seconds * 1000))

    def _end(self, job: BackgroundJob) -> None:
        if job in self.running:
            self.running.remove(job)
        self.ended.emit(job)
