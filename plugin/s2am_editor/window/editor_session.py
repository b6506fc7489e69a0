# SPDX-License-Identifier: GPL-3.0-or-later
"""The open document, its history and file, with signals for the widgets that show them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QCoreApplication, QObject, pyqtSignal

from s2am_common.errors import EngineError
from s2am_editor.document.changes import ImageAdjusted, LayerAdjusted, document_changes
from s2am_editor.document.history import Command, History
from s2am_editor.document.layer_tree import layers_in
from s2am_editor.document.model import Document, Group, Item, Layer
from s2am_editor.window.jobs import Problem


class EditorSession(QObject):
    """At most one document, its history, and its project file.

    A change emits `repainted`, then one of `layer_adjusted`, `image_adjusted` and `layers_changed`, so the drag of a
    slider refreshes only the widgets that show sliders and curves.
    """

    opened = pyqtSignal()  # another document, or none
    repainted = pyqtSignal(object, object)  # documents before and after any change
    layer_adjusted = pyqtSignal(int)  # only the sliders or curves of this layer changed
    image_adjusted = pyqtSignal()  # only the adjustment of the whole image changed
    layers_changed = pyqtSignal()  # anything else changed
    history_changed = pyqtSignal()  # the names of the steps to undo and redo
    file_changed = pyqtSignal()  # the path, or whether there are unsaved changes
    refused = pyqtSignal(object)  # a Problem: the command changed nothing

    def __init__(self, parent: QObject | None = None) -> None:
        """Start without a document."""
        super().__init__(parent)
        self._history: History | None = None
        self._selection: tuple[int, ...] = ()
        self._steps: tuple[str | None, str | None] = (None, None)
        self._file_state: tuple[Path | None, bool] = (None, False)
        self.path: Path | None = None  # of the project
        self.title = ""  # shown if there is no path
        self.source: Path | None = None  # the file that the document was opened from, or saved in
        self.losses: tuple[str, ...] = ()  # sentences on contents of the project file that saving would lose

    @property
    def is_open(self) -> bool:
        """True if there is a document."""
        return self._history is not None

    @property
    def name(self) -> str:
        """The name of the project file, or the title of a document without one."""
        return self.path.name if self.path else self.title

    @property
    def folder(self) -> Path:
        """The folder of the project or of the opened image, for file dialogs; empty if there is none."""
        return self.source.parent if self.source else Path()

    @property
    def history(self) -> History:
        """The document's history. RuntimeError if no document is open."""
        if self._history is None:
            raise RuntimeError("no document is open")
        return self._history

    @property
    def document(self) -> Document:
        """The current document. RuntimeError if none is open."""
        return self.history.document

    @property
    def active(self) -> Layer | None:
        """The layer that commands apply to; None if it is a group."""
        item = self.active_item
        return item if isinstance(item, Layer) else None

    @property
    def active_group(self) -> Group | None:
        """The group that commands apply to; None if it is a layer."""
        item = self.active_item
        return item if isinstance(item, Group) else None

    @property
    def active_item(self) -> Item | None:
        """The layer or group that commands apply to."""
        if self._history is None:
            return None
        document = self._history.document
        return next((item for item in document.items if item.id == document.active), None)

    @property
    def selected_items(self) -> list[Item]:
        """The selected layers and groups, the active one first."""
        active = self.active_item
        if active is None or active.id not in self._selection:
            return [] if active is None else [active]
        chosen = (item for item in self.document.items if item.id in self._selection)
        return [active, *(item for item in chosen if item is not active)]

    @property
    def selected(self) -> list[Layer]:
        """The selected layers and those of selected groups, the active one, or the topmost of its group, first.

        Commands that make sense for several layers apply to all.
        """
        found = [layer for item in self.selected_items for layer in reversed(layers_in(self.document, item.id))]
        return list(dict.fromkeys(found))

    def select_all_of(self, item_ids: Sequence[int]) -> None:
        """Select several layers and groups; the active one is among them, or else it alone is selected."""
        self._selection = tuple(item_ids)

    @property
    def is_modified(self) -> bool:
        """True if there are unsaved changes."""
        return self._history is not None and self._history.is_modified

    def open(
        self,
        document: Document,
        title: str,
        path: Path | None = None,
        *,
        source: Path | None = None,
        saved: bool = True,
        losses: Sequence[str] = (),
    ) -> None:
        """Replace the current document.

        Args:
            document: the new one.
            title: its name in the window's title.
            path: its project file; None = it has none.
            source: the file that it was opened from, if it is not the project file.
            saved: False if no file contains it (pasted or recovered).
            losses: one sentence for each content of the project file that is not part of the document.
        """
        self._history = History(document, saved=saved)
        self._history.subscribe(self._notify)
        self.path, self.title, self.source, self.losses = path, title, path or source, tuple(losses)
        self._notify_opened()

    def close(self) -> None:
        """Close the document."""
        self._history, self.path, self.title, self.source, self.losses = None, None, "", None, ()
        self._notify_opened()

    def do(self, command: Command) -> bool:
        """Execute a command. Return False, after emitting `refused`, if it raised an error."""
        if self._history is None:
            return False
        try:
            self._history.do(command)
        except (EngineError, MemoryError) as error:
            self.refused.emit(Problem(error))
            return False
        return True

    def select(self, item_id: int | None) -> None:
        """Make a layer or group the active one."""
        if self._history is not None:
            self._history.select(item_id)

    def undo(self) -> None:
        """Undo the last step."""
        if self._history is not None:
            self._history.undo()

    def redo(self) -> None:
        """Redo the last undone step."""
        if self._history is not None:
            self._history.redo()

    def mark_saved(self, document: Document, path: Path | None = None) -> None:
        """Record that a file contains a document; path: the project file, if it is a new one."""
        if self._history is not None:
            self.path = path or self.path
            self.source, self.losses = self.path or self.source, ()
            self._history.mark_saved(document)

    def _notify_opened(self) -> None:
        self._file_state = self.path, self.is_modified
        self.opened.emit()
        self._notify_history()
        self.file_changed.emit()

    def _notify(self, before: Document, after: Document) -> None:
        if before is not after:
            self.repainted.emit(before, after)
            match document_changes(before, after):
                case (LayerAdjusted(layer_id),):
                    self.layer_adjusted.emit(layer_id)
                case (ImageAdjusted(),):
                    self.image_adjusted.emit()
                case _:
                    self.layers_changed.emit()
            self._notify_history()
        state = self.path, self.is_modified
        if state != self._file_state:
            self._file_state = state
            self.file_changed.emit()

    def _notify_history(self) -> None:
        steps = (self._history.undo_name, self._history.redo_name) if self._history else (None, None)
        if steps != self._steps:
            self._steps = steps
            self.history_changed.emit()


def translated_command(name: str) -> str:
    """Translate the name of a command."""
    return QCoreApplication.translate("commands", name)
