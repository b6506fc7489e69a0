# SPDX-License-Identifier: GPL-3.0-or-later
"""Background jobs in worker threads, with progress and cancellation, and the problems that they end with."""

from __future__ import annotations

import itertools
import logging
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from PyQt6 import sip
from PyQt6.QtCore import QCoreApplication, QObject, QRunnable, QThreadPool, pyqtSignal

from s2am_common.errors import S2AMError, with_advice
from s2am_common.log import log_path
from s2am_common.translation import localized

logger = logging.getLogger(__name__)

MAX_SENTENCES = 3
"""Errors of one job that are shown, each in its own line."""

OnDone = Callable[[Any], object]
OnFailed = Callable[["Problem"], object]

EDITOR_ADVICE = {
    "mask.inverted": "choose Layer > Invert mask",
    "mask.invisible": "show a part of the layer with the brush",
    "mask.not-found": "cut the subject out with the box or scribble tool instead",
    "subject": "mark it with the box or scribble tool instead",
    "model.result": "choose another model in the Harmonize panel",
    "model.torch": "add it with Harmonize > Fine-tune on my photos, or choose another model in the Harmonize panel",
    "sample.photographs": "run “s2am install sample” in a terminal",
}
"""The editor's advice by error code, for errors whose message has none; see `s2am_common.errors.with_advice`."""


class CanceledJobError(Exception):
    """The user canceled the job; raised by `BackgroundJob.progress` inside the work."""


class Problem:
    """An error as a sentence for the user, with details for a bug report."""

    def __init__(self, error: BaseException) -> None:
        """Describe an exception and write it to the log."""
        self.error = error
        self.details = "".join(traceback.format_exception(error))
        if isinstance(error, S2AMError):
            self.sentence = with_advice(error, EDITOR_ADVICE, localized)
            logger.warning("%s [%s]", error, error.code)
        elif isinstance(error, MemoryError):
            self.sentence = _tr("There is not enough memory. Close other programs, or use a smaller image.")
            logger.error("out of memory", exc_info=error)
        else:
            self.sentence = _tr(
                "An unexpected error occurred ({0}). Your document is unchanged. "
                "Please copy the details and report them."
            ).format(type(error).__name__)
            logger.error("unexpected error", exc_info=error)

    @classmethod
    def joined(cls, errors: Sequence[BaseException]) -> Problem:
        """Describe one or several errors, such as those of files that were opened together: one per line."""
        problems = [cls(error) for error in errors]
        found = problems[0]
        sentences = [problem.sentence for problem in problems[:MAX_SENTENCES]]
        if len(problems) > MAX_SENTENCES:
            sentences.append(_tr("{0} more files have problems.").format(len(problems) - MAX_SENTENCES))
        found.sentence = "\n".join(sentences)
        found.details = "\n".join(problem.details for problem in problems)
        return found

    @property
    def report(self) -> str:
        """The text for a bug report: sentence, traceback, and the path of the log file."""
        return f"{self.sentence}\n\n{self.details}\nLog file: {log_path()}\n"


class BackgroundJob(QObject):
    """One piece of work; its signals arrive in the GUI thread."""

    progressed = pyqtSignal(float, str)  # share done in [0, 1] (negative: unknown), and the current step
    reported = pyqtSignal(object)  # intermediate results
    finished = pyqtSignal(object)  # the result
    failed = pyqtSignal(object)  # a Problem
    ended = pyqtSignal(object)  # the job itself; always the last signal

    def __init__(self, title: str, work: Callable[[BackgroundJob], Any], *, writes: bool = False) -> None:
        """Describe the job; `BackgroundJobs.start` starts it."""
        super().__init__()
        self.title = title
        self.writes = writes
        self._work = work
        self._canceled = threading.Event()
        self._running = threading.Event()
        self._running.set()

    @property
    def canceled(self) -> bool:
        """True after `cancel`."""
        return self._canceled.is_set()

    def cancel(self) -> None:
        """Stop the work at its next call of `progress`; of its signals only `ended` is still emitted."""
        self._canceled.set()
        self._running.set()

    def pause(self, on: bool) -> None:
        """Suspend the work at its next call of `progress`, or resume it."""
        if on:
            self._running.clear()
        else:
            self._running.set()

    def progress(self, share: float, step: str = "") -> None:
        """Report progress; called by the work.

        Args:
            share: done so far, in [0, 1]; negative = unknown.
            step: the current step, for the user.

        Raises:
            CanceledJobError: the job was canceled.
        """
        self._wait_while_paused()
        self.progressed.emit(share, step)

    def report(self, value: object) -> None:
        """Emit an intermediate result; called by the work. Raises as `progress` does."""
        self._wait_while_paused()
        self.reported.emit(value)

    def run(self) -> None:
        """Do the work; called in a worker thread."""
        try:
            result = self._work(self)
        except CanceledJobError:
            pass
        except Exception as error:
            if not self.canceled:
                self.failed.emit(Problem(error))
        else:
            if not self.canceled:
                self.finished.emit(result)
        self.ended.emit(self)

    def _wait_while_paused(self) -> None:
        self._running.wait()
        if self.canceled:
            raise CanceledJobError


class _Runnable(QRunnable):
    def __init__(self, job: BackgroundJob) -> None:
        super().__init__()
        self._job = job

    def run(self) -> None:
        self._job.run()


_every: weakref.WeakSet[BackgroundJobs] = weakref.WeakSet()


def close_all_jobs(seconds: float) -> bool:
    """Cancel the jobs of all windows and dialogs, and wait. Return False if one has not ended after that time."""
    end = time.monotonic() + seconds
    busy = [jobs for jobs in _every if jobs.running]
    for job in itertools.chain.from_iterable(jobs.running for jobs in busy):
        job.cancel()
    return all(jobs.close(max(0.0, end - time.monotonic())) for jobs in busy)


class BackgroundJobs(QObject):
    """The jobs of a window or dialog."""

    started = pyqtSignal(object)  # a BackgroundJob
    ended = pyqtSignal(object)  # a BackgroundJob

    def __init__(self, parent: QObject | None = None) -> None:
        """Start without jobs."""
        super().__init__(parent)
        self._pool = QThreadPool()  # not a child, see `__del__`
        self._pool.setMaxThreadCount(4)
        self.running: list[BackgroundJob] = []
        _every.add(self)

    def start(
        self,
        title: str,
        work: Callable[[BackgroundJob], Any],
        done: OnDone | None = None,
        failed: OnFailed | None = None,
        *,
        reported: Callable[[Any], object] | None = None,
        ended: Callable[[BackgroundJob], object] | None = None,
        writes: bool = False,
    ) -> BackgroundJob:
        """Start a job.

        Args:
            title: shown in the status bar; empty = the job is not shown.
            work: called in a worker thread with the job, to report progress.
            done: called in the GUI thread with the result, unless the job failed or was canceled.
            failed: called in the GUI thread with the Problem.
            reported: called in the GUI thread with each intermediate result.
            ended: called in the GUI thread with the job at its end, also after errors.
            writes: it writes a file that the user wants; see `writing`.
        """
        job = BackgroundJob(title, work, writes=writes)  # all signals are connected before the work can emit any
        if done:
            job.finished.connect(done)
        if failed:
            job.failed.connect(failed)
        if reported:
            job.reported.connect(reported)
        job.ended.connect(self._end)
        if ended:
            job.ended.connect(ended)
        self.running.append(job)
        if title:
            self.started.emit(job)
            logger.info("%s", title)
        self._pool.start(_Runnable(job))
        return job

    def __del__(self) -> None:
        """Wait for the threads without Python's global lock, which they need to end: Qt would wait with it, forever."""
        if not sip.isdeleted(self._pool):  # else Qt has waited when it deleted the owner
            self._pool.waitForDone()

    @property
    def writing(self) -> list[BackgroundJob]:
        """The running jobs that write files, which the window waits for before it closes."""
        return [job for job in self.running if job.writes and not job.canceled]

    def close(self, seconds: float = 10.0) -> bool:
        """Cancel all jobs and wait for them. Return True if all have ended."""
        for job in self.running:
            job.cancel()
        return self._pool.waitForDone(round(seconds * 1000))

    def close_with(self, owner: QObject) -> None:
        """Cancel all jobs, and delete the object that owns them as soon as they have ended, without waiting here."""
        for job in self.running:
            job.cancel()
        if self.running:
            self.ended.connect(lambda _: None if self.running else owner.deleteLater())
        else:
            owner.deleteLater()

    def _end(self, job: BackgroundJob) -> None:
        if job in self.running:
            self.running.remove(job)
        self.ended.emit(job)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Problem", text)
