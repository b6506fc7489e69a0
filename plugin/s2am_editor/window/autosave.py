# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery copies of unsaved changes, and opening those that crashes left behind."""

from __future__ import annotations

from functools import partial

from PyQt6.QtCore import QObject, QTimer, pyqtSignal
from PyQt6.QtWidgets import QWidget

from s2am_editor.document.model import Document
from s2am_editor.files.recovery import Recovery, RecoveryCopy
from s2am_editor.window.dialogs.recovery import RecoveryDialog
from s2am_editor.window.document_files import DocumentFiles
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.jobs import BackgroundJobs, Problem

AUTOSAVE_INTERVAL = 40_000  # milliseconds; including the time of saving, a crash loses less than a minute


class Autosave(QObject):
    """Keeps a recovery copy of unsaved changes, and offers the copies left by crashes."""

    failed = pyqtSignal(object)  # a Problem
    noted = pyqtSignal(str)

    def __init__(
        self,
        session: EditorSession,
        jobs: BackgroundJobs,
        window: QWidget,
        files: DocumentFiles,
    ) -> None:
        """Keep copies of a session's document; `files` asks before it is replaced."""
        super().__init__(window)
        self._session, self._jobs, self._window, self._files = session, jobs, window, files
        self._recovery = Recovery()
        self._saved_document: Document | None = None
        self._restored: RecoveryCopy | None = None  # open now; needed until there is a copy of its own
        self._reported_failure = False
        self._writing = False
        self._timer = QTimer(self)
        self._timer.setInterval(AUTOSAVE_INTERVAL)
        self._timer.timeout.connect(self.save_copy)
        self._timer.start()
        session.opened.connect(self._discard_copy)
        session.file_changed.connect(self._discard_if_saved)

    def save_copy(self) -> None:
        """Write a recovery copy if there are unsaved changes."""
        session = self._session
        if self._writing or not session.is_modified or session.document is self._saved_document:
            return
        self._writing = True
        document, title, path, losses = session.document, session.title, session.path, session.losses

        def done(_: object) -> None:
            self._saved_document = document
            self._reported_failure = False
            if not self._session.is_modified:  # saved or closed meanwhile
                self._discard_copy()
            self._discard_restored()

        def ended(_: object) -> None:
            self._writing = False

        def work(_: object) -> None:
            self._recovery.save(document, title, path, losses)

        self._jobs.start("", work, done, self._fail, ended=ended)

    def offer_recovery(self, *, asked: bool = False) -> None:
        """Ask which recovery copy to open, if there are any; `asked`: by the user, who is told if there are none."""
        copies = self._recovery.find_copies()
        if copies:
            dialog = RecoveryDialog(copies, self._window)
            dialog.chosen.connect(self._open)
            dialog.open()
        elif asked:
            self.noted.emit(self.tr("There is no unsaved work to recover."))

    def close(self) -> None:
        """Delete the recovery copy of the closed document."""
        self._timer.stop()
        self._recovery.clear()

    def _open(self, found: RecoveryCopy) -> None:
        def start() -> None:
            show = partial(self._files.replace_later(), partial(self._show, found))
            self._jobs.start(self.tr("Recovering"), lambda _: found.load(), show, self._fail)

        self._files.when_saved(start)

    def _show(self, found: RecoveryCopy, document: Document) -> None:
        self._session.open(document, found.title, found.path, saved=False, losses=found.losses)
        self._restored = found
        self.save_copy()

    def _discard_copy(self) -> None:
        self._saved_document = None
        self._recovery.clear()

    def _discard_if_saved(self) -> None:
        if not self._session.is_modified:
            self._discard_copy()
            self._discard_restored()

    def _discard_restored(self) -> None:
        if self._restored is not None:
            self._restored.discard()
            self._restored = None

    def _fail(self, problem: Problem) -> None:
        if not self._reported_failure:  # a full disk would cause one message per minute
            self._reported_failure = True
            self.failed.emit(problem)
