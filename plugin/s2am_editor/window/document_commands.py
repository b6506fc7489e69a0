# SPDX-License-Identifier: GPL-3.0-or-later
"""Common base of the classes that handle menu entries with dialogs and background work."""

from __future__ import annotations

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QWidget

from s2am_editor.window.document_files import DocumentFiles
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.jobs import BackgroundJobs


class DocumentCommands(QObject):
    """Handlers of menu entries that work on a session's document."""

    failed = pyqtSignal(object)  # a Problem
    noted = pyqtSignal(str)

    def __init__(
        self,
        window: QWidget,
        session: EditorSession,
        jobs: BackgroundJobs,
        settings: EditorSettings,
        files: DocumentFiles,
    ) -> None:
        """Work on a session's document; dialogs belong to the window."""
        super().__init__(window)
        self._window, self._session, self._jobs, self._settings, self._files = window, session, jobs, settings, files
