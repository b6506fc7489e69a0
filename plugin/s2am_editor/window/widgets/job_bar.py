# SPDX-License-Identifier: GPL-3.0-or-later
"""What is being done at the moment, how far it is, and a button to cancel it."""

from __future__ import annotations

from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QWidget

from s2am_editor.window.jobs import Job, Jobs
from s2am_editor.window.widgets.buttons import small_button

PATIENCE = 150  # milliseconds that work may take before anything is shown


class JobBar(QWidget):
    """Shows the newest of the jobs that run."""

    def __init__(self, jobs: Jobs, parent: QWidget | None = None) -> None:
        """Follow these jobs."""
        super().__init__(parent)
        self._job: Job | None = None
        self._label = QLabel()
        self._bar = QProgressBar()
        self._bar.setFixedWidth(150)
        self._bar.setTextVisible(False)
        self.cancel_button = small_button("close", self.tr("Cancel"), self.cancel)
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 0, 4, 0)
        for widget in (self._label, self._bar, self.cancel_button):
            row.addWidget(widget)
        self._jobs = jobs
        self._shown: list[Job] = []
        jobs.started.connect(self._start)
        jobs.ended.connect(self._end)
        self.hide()

    def cancel(self) -> None:
        """Cancel what is shown."""
        if self._job:
            self._label.setText(self.tr("Cancelling …"))
            self._job.cancel()

    def _start(self, job: Job) -> None:
        self._shown.append(job)
        job.progressed.connect(lambda share, what, job=job: self._progress(job, share, what))
        self._show(job)

    def _end(self, job: Job) -> None:
        if job in self._shown:
            self._shown.remove(job)
        self._show(self._shown[-1] if self._shown else None)

    def _show(self, job: Job | None) -> None:
        self._job = job
        if job is None:
            self.hide()
            return
        self._label.setText(job.title)
        self._bar.setRange(0, 0)
        QTimer.singleShot(PATIENCE, self._appear)

    def _appear(self) -> None:
        self.setVisible(self._job is not None)

    def _progress(self, job: Job, share: float, what: str) -> None:
        if job is not self._job:
            return
        self._label.setText(f"{job.title}: {what}" if what else job.title)
        self._bar.setRange(0, 0 if share < 0 else 1000)
        self._bar.setValue(round(1000 * max(0.0, share)))
