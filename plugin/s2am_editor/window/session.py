# SPDX-License-Identifier: GPL-3.0-or-later
"""The open document as widgets see it: what it is, what is done to it, and signals when it changes."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QCoreApplication, QObject, pyqtSignal

from s2am_editor.document.history import Command, History
from s2am_editor.document.model import Document, Layer
from s2am_editor.window.jobs import Problem
from s2am_engine.errors import EngineError


class EditorSession(QObject):
    """At most one document, its history, and the project's file."""

    opened = pyqtSignal()  # another document is open, or none
    changed = pyqtSignal(object, object)  # the documents before and after
    file_changed = pyqtSignal()  # the path, or whether there is something to save
    refused = pyqtSignal(object)  # a Problem: the command did nothing

    def __init__(self, parent: QObject | None = None) -> None:
        """Begin without a document."""
        super().__init__(parent)
        self._history: History | None = None
        self.path: Path | None = None  # of the project
        self.title = ""  # where there is no path

    @property
    def is_open(self) -> bool:
        """Whether there is a document."""
        return self._history is not None

    @property
    def history(self) -> History:
        """The document's history. RuntimeError if none is open."""
        if self._history is None:
            raise RuntimeError("no document is open")
        return self._history

    @property
    def document(self) -> Document:
        """The document as it is. RuntimeError if none is open."""
        return self.history.document

    @property
    def active(self) -> Layer | None:
        """The layer that commands are meant for."""
        if self._history is None:
            return None
        document = self._history.document
        return next((layer for layer in document.layers if layer.id == document.active), None)

    @property
    def is_modified(self) -> bool:
        """Whether closing would lose anything."""
        return self._history is not None and self._history.is_modified

    def open(self, document: Document, title: str, path: Path | None = None, *, saved: bool = True) -> None:
        """Put another document in the place of the present one.

        Args:
            document: the new one.
            title: what to call it.
            path: of its project file; None = it has none.
            saved: whether a file holds it.
        """
        self._history = History(document, saved=saved)
        self._history.subscribe(self._tell)
        self.path, self.title = path, title
        self.opened.emit()
        self.file_changed.emit()

    def close(self) -> None:
        """Be without a document."""
        self._history, self.path, self.title = None, None, ""
        self.opened.emit()
        self.file_changed.emit()

    def do(self, command: Command) -> bool:
        """Carry out a command; whether that was possible. What it refuses is told by `refused`."""
        if self._history is None:
            return False
        try:
            self._history.do(command)
        except (EngineError, MemoryError) as error:
            self.refused.emit(Problem(error))
            return False
        return True

    def select(self, layer_id: int | None) -> None:
        """Make a layer the active one."""
        if self._history is not None:
            self._history.select(layer_id)

    def undo(self) -> None:
        """Take the last step back."""
        if self._history is not None:
            self._history.undo()

    def redo(self) -> None:
        """Do again what was taken back last."""
        if self._history is not None:
            self._history.redo()

    def mark_saved(self, document: Document, path: Path | None = None) -> None:
        """Say that a file holds a document, and which."""
        if self._history is not None:
            self.path = path or self.path
            self._history.mark_saved(document)

    def _tell(self, before: Document, after: Document) -> None:
        if before is not after:
            self.changed.emit(before, after)
        self.file_changed.emit()


def translated(name: str) -> str:
    """The name of a command in the person's language."""
    return QCoreApplication.translate("commands", name)
