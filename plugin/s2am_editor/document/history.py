# SPDX-License-Identifier: GPL-3.0-or-later
"""Undo and redo: named commands, and the states of the document that they produce."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from s2am_editor.document.model import Document

ChangeListener = Callable[[Document, Document], None]
"""Called with the document before and after a change; see `changes.document_changes`."""

MAX_UNDO_STEPS = 200
MAX_UNDO_BYTES = 2 << 30


@dataclass(frozen=True)
class Command:
    """A named change of a document.

    Attributes:
        name: label in the menu after “Undo”, in English; the window translates it.
        change: returns the next document, or the same object if nothing changes (which adds no undo step).
        merge: key of a gesture. Consecutive commands with the same key, not None, form a single undo step: the drag of
            a slider, a brush stroke (see `commands.gesture`).
    """

    name: str
    change: Callable[[Document], Document]
    merge: object = None


@dataclass(frozen=True)
class _Step:
    name: str
    merge: object
    document: Document  # after the step


class History:
    """A document with its undo and redo states.

    history = History(document)
    history.do(commands.set_opacity(layer.id, 0.5))
    history.undo()
    """

    def __init__(
        self,
        document: Document,
        *,
        saved: bool = True,
        max_steps: int = MAX_UNDO_STEPS,
        max_bytes: int = MAX_UNDO_BYTES,
    ) -> None:
        """Start with a document.

        Args:
            document: the first state.
            saved: True if a file holds this state; False for a recovered or pasted document.
            max_steps: maximum number of undo steps.
            max_bytes: memory limit of the undo states beyond the current one; the oldest steps are dropped first.
        """
        self._steps = [_Step("", None, document)]
        self._at = 0
        self._saved: Document | None = document if saved else None
        self._max_steps, self._max_bytes = max_steps, max_bytes
        self._listeners: list[ChangeListener] = []

    @property
    def document(self) -> Document:
        """The current state."""
        return self._steps[self._at].document

    def do(self, command: Command) -> Document:
        """Execute a command and drop the redo states. An exception of the command leaves the history unchanged.

        Returns:
            The document after the command.
        """
        before, after = self.document, command.change(self.document)
        if after is before:
            return after
        step, current = _Step(command.name, command.merge, after), self._steps[self._at]
        merges = command.merge is not None and command.merge == current.merge and self._at == len(self._steps) - 1
        # The saved state remains a separate step: undoing to it must make the document unmodified again.
        if merges and self._at > 0 and before is not self._saved:
            self._steps[self._at] = step
        else:
            self._steps[self._at + 1 :] = [step]
            self._at += 1
        self._drop_oldest()
        self._notify(before)
        return after

    def undo(self) -> Document:
        """Go back one step, if there is one; return the current document."""
        return self.go_to(self._at - 1)

    def redo(self) -> Document:
        """Go forward one step, if there is one; return the current document."""
        return self.go_to(self._at + 1)

    def go_to(self, index: int) -> Document:
        """Go to a state by its index in `names` (0 = the oldest); an index out of range is ignored."""
        if 0 <= index < len(self._steps) and index != self._at:
            before, self._at = self.document, index
            self._notify(before)
        return self.document

    def select(self, item_id: int | None) -> None:
        """Activate a layer or group without adding an undo step. Raises DocumentError if it does not exist."""
        if item_id is not None:
            self.document.item(item_id)
        if item_id == self.document.active:
            return
        before = self.document
        document = dataclasses.replace(before, active=item_id)
        if self._saved is before:
            self._saved = document
        self._steps[self._at] = dataclasses.replace(self._steps[self._at], document=document, merge=None)
        self._notify(before)

    @property
    def names(self) -> list[str]:
        """The command name that led to each state; empty for the oldest state."""
        return [step.name for step in self._steps]

    @property
    def position(self) -> int:
        """Index of the current state in `names`."""
        return self._at

    @property
    def undo_name(self) -> str | None:
        """Name of the command that `undo` would revert; None = nothing to undo."""
        return self._steps[self._at].name if self._at else None

    @property
    def redo_name(self) -> str | None:
        """Name of the command that `redo` would repeat; None = nothing to redo."""
        return self._steps[self._at + 1].name if self._at + 1 < len(self._steps) else None

    @property
    def is_modified(self) -> bool:
        """True if the document differs from the last saved state."""
        return self.document is not self._saved

    def mark_saved(self, document: Document | None = None) -> None:
        """Record that a file holds a state; None = the current one (which can have changed while it was saved)."""
        self._saved = self.document if document is None else document
        self._notify(self.document)

    def subscribe(self, listener: ChangeListener) -> Callable[[], None]:
        """Call a function after every change, with the document before and after.

        Returns:
            A function that ends the subscription.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _notify(self, before: Document) -> None:
        for listener in tuple(self._listeners):
            listener(before, self.document)

    def _drop_oldest(self) -> None:
        """Drop the oldest steps beyond the limits; at least one undo step remains."""
        first = self._at
        seen: set[int] = set()
        _count_new_bytes(self.document, seen)
        used = 0
        while first > 0 and self._at - first < self._max_steps:
            used += _count_new_bytes(self._steps[first - 1].document, seen)
            if used > self._max_bytes and first < self._at:
                break
            first -= 1
        del self._steps[:first]
        self._at -= first


def _count_new_bytes(document: Document, seen: set[int]) -> int:
    """Return the bytes of the pixels and masks whose ids are not in `seen`, and add these ids to it."""
    total = 0
    for layer in document.layers:
        if id(layer.raster) not in seen:
            seen.add(id(layer.raster))
            total += layer.raster.nbytes
        if layer.mask is not None:
            total += layer.mask.count_new_bytes(seen)
        if layer.harmonization is not None and layer.harmonization.reference.area is not None:
            total += layer.harmonization.reference.area.count_new_bytes(seen)
    return total if document.area is None else total + document.area.count_new_bytes(seen)
