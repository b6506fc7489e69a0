# SPDX-License-Identifier: GPL-3.0-or-later
"""Closing a window while files are being written."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QWidget

from s2am_editor.window.dialogs import standard_dialogs
from s2am_editor.window.jobs import BackgroundJob, BackgroundJobs


class ClosingAfterWriting(QObject):
    """Delays the closing of a window until all files are written."""

    noted = pyqtSignal(str)  # a sentence for the banner

    def __init__(self, jobs: BackgroundJobs, close: Callable[[], object], window: QWidget) -> None:
        """Wait for nothing yet; `close` closes the window."""
        super().__init__(window)
        self._jobs, self._close, self._window = jobs, close, window
        self._waits = False
        jobs.ended.connect(self._job_ended)

    def cancel(self) -> None:
        """Keep the window open."""
        self._waits = False

    def may_close(self) -> bool:
        """Return whether the window may be closed now; if not, it closes later. Asked again, offer to stop writing."""
        if not self._jobs.writing:
            return True
        if not self._waits:
            self._waits = True
            self.noted.emit(self.tr("The window closes as soon as all files are written."))
            return False
        answer = standard_dialogs.choose_answer(
            self._window,
            self.tr("Stop writing?"),
            self.tr("{0} is not finished. Close the window without this file?").format(self._jobs.writing[0].title),
            self.tr("Close without it"),
            cancel=self.tr("Wait"),
            careful=True,
        )
        return answer is not None

    def _job_ended(self, job: BackgroundJob) -> None:
        if job.writes and self._waits and not self._jobs.writing:
            self._waits = False
            if not job.canceled:
                self._close()
