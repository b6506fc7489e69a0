# SPDX-License-Identifier: GPL-3.0-or-later
"""A crash loses at most a minute: the document is kept beside the project while it is worked on."""

from __future__ import annotations

from PyQt6.QtCore import QLocale, QObject, QTimer, pyqtSignal
from PyQt6.QtWidgets import QWidget

from s2am_editor.document.model import Document
from s2am_editor.files.recovery import Recovered, Recovery
from s2am_editor.window.dialogs import questions
from s2am_editor.window.jobs import Jobs, Problem
from s2am_editor.window.session import Session

INTERVAL = 40_000  # milliseconds; with the time that saving takes it stays below a minute


class Safety(QObject):
    """Keeps copies, and offers the one that a crash left."""

    failed = pyqtSignal(object)  # a Problem

    def __init__(self, session: Session, jobs: Jobs, window: QWidget) -> None:
        """Look after a session's document."""
        super().__init__(window)
        self._session, self._jobs, self._window = session, jobs, window
        self._recovery = Recovery()
        self._kept: Document | None = None
        self._told = False
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL)
        self._timer.timeout.connect(self.keep)
        self._timer.start()
        session.opened.connect(self._forget)
        session.file_changed.connect(self._forget_if_saved)

    def keep(self) -> None:
        """Keep a copy, if there is something that no file holds yet."""
        if not self._session.is_modified or self._session.document is self._kept:
            return
        document, title, path = self._session.document, self._session.title, self._session.path

        def done(_: object) -> None:
            self._kept = document
            if not self._session.is_modified:  # saved or closed in the meantime
                self._forget()

        self._jobs.start("", lambda _: self._recovery.save(document, title, path), done, self._fail, quiet=True)

    def offer_recovery(self) -> None:
        """Ask whether to open what a crash left, if it left anything."""
        left = self._recovery.found()
        if not left:
            return
        found = left[0]
        text = self.tr("The editor was not closed properly. Open “{0}” as it was at {1}?")
        yes, no = self.tr("Open it"), self.tr("Throw it away")
        text = text.format(
            found.title or self.tr("Untitled"),
            QLocale().toString(found.when.astimezone(), QLocale.FormatType.ShortFormat),
        )
        if not questions.ask(self._window, self.tr("Recover your work?"), text, yes, no):
            found.discard()
            return
        self._jobs.start(
            self.tr("Recovering"), lambda _: found.load(), lambda document: self._show(found, document), self._fail
        )

    def close(self) -> None:
        """Throw the copy away: all is saved."""
        self._timer.stop()
        self._recovery.clear()

    def _show(self, found: Recovered, document: Document) -> None:
        self._session.open(document, found.title, found.path, saved=False)
        found.discard()
        self.keep()

    def _forget(self) -> None:
        self._kept = None
        self._recovery.clear()

    def _forget_if_saved(self) -> None:
        if not self._session.is_modified:
            self._forget()

    def _fail(self, problem: Problem) -> None:
        if not self._told:  # a full disk would tell it every minute
            self._told = True
            self.failed.emit(problem)
