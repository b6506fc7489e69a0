# SPDX-License-Identifier: GPL-3.0-or-later
"""Undo and redo of everything, with names."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from s2am_editor.document.model import Document

Listener = Callable[[Document, Document], None]

STEPS = 200
MEMORY = 2 << 30  # bytes that states which can be undone may hold beyond the present one


@dataclass(frozen=True)
class Command:
    """A named change of a document.

    name: what the menu says after “Undo”, in English; front ends translate it.
    change: makes the next document; one that returns the same document leaves no trace in the history.
    merge: commands in a row with the same key, not None, are one step: a slider's drag, a stroke. Keys are told apart
        by being equal, so a new drag takes a new key (see `commands.gesture`).
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
    """The document as it is, and as it was and will be again.

    history = History(document)
    history.do(commands.set_opacity(layer.id, 0.5))
    history.undo()
    """

    def __init__(self, document: Document, *, saved: bool = True, steps: int = STEPS, memory: int = MEMORY) -> None:
        """Begin with a document.

        Args:
            document: as it was opened or made.
            saved: whether a file holds it; False for one that was recovered or pasted.
            steps: how many can be undone at most.
            memory: how many bytes the undoable past may hold; of the oldest steps as many are dropped.
        """
        self._steps = [_Step("", None, document)]
        self._at = 0
        self._saved: Document | None = document if saved else None
        self._limits = steps, memory
        self._listeners: list[Listener] = []

    @property
    def document(self) -> Document:
        """As it is now."""
        return self._steps[self._at].document

    def do(self, command: Command) -> Document:
        """Carry out a command; what was undone before is gone. What it raises is passed on, and nothing changes.

        Returns:
            The document after it.
        """
        before, after = self.document, command.change(self.document)
        if after is before:
            return after
        step, present = _Step(command.name, command.merge, after), self._steps[self._at]
        merges = command.merge is not None and command.merge == present.merge and self._at == len(self._steps) - 1
        # What was saved stays a state of its own, so that undoing back to it is not “modified”.
        if merges and self._at > 0 and before is not self._saved:
            self._steps[self._at] = step
        else:
            self._steps[self._at + 1 :] = [step]
            self._at += 1
        self._forget()
        self._tell(before)
        return after

    def undo(self) -> Document:
        """Go back one step; at the beginning nothing happens."""
        return self.go_to(self._at - 1)

    def redo(self) -> Document:
        """Go forward one step; at the end nothing happens."""
        return self.go_to(self._at + 1)

    def go_to(self, index: int) -> Document:
        """Go to a state of `names` (0 = the oldest); beyond the ends nothing happens."""
        if 0 <= index < len(self._steps) and index != self._at:
            before, self._at = self.document, index
            self._tell(before)
        return self.document

    def select(self, layer_id: int | None) -> None:
        """Make a layer the active one, which is no step of its own. Raises EngineError if there is none."""
        if layer_id is not None:
            self.document.layer(layer_id)
        if layer_id == self.document.active:
            return
        before = self.document
        document = dataclasses.replace(before, active=layer_id)
        if self._saved is before:
            self._saved = document
        self._steps[self._at] = dataclasses.replace(self._steps[self._at], document=document, merge=None)
        self._tell(before)

    @property
    def names(self) -> list[str]:
        """The name of the step that led to each state; that of the oldest is empty."""
        return [step.name for step in self._steps]

    @property
    def position(self) -> int:
        """The index in `names` of the present state."""
        return self._at

    @property
    def undo_name(self) -> str | None:
        """What `undo` would take back; None = nothing."""
        return self._steps[self._at].name if self._at else None

    @property
    def redo_name(self) -> str | None:
        """What `redo` would do again; None = nothing."""
        return self._steps[self._at + 1].name if self._at + 1 < len(self._steps) else None

    @property
    def is_modified(self) -> bool:
        """Whether the document differs from what was saved last."""
        return self.document is not self._saved

    def mark_saved(self, document: Document | None = None) -> None:
        """Say that a file holds a document now; None = the present one (it may have changed while it was saved)."""
        self._saved = self.document if document is None else document
        self._tell(self.document)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have a function called after every change with the document before and after.

        Returns:
            A function that ends the subscription.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _tell(self, before: Document) -> None:
        for listener in tuple(self._listeners):
            listener(before, self.document)

    def _forget(self) -> None:
        """Drop the oldest steps that the limits have no room for; one can always be undone."""
        steps, memory = self._limits
        keep = self._at
        seen: set[int] = set()
        held_beyond(self.document, seen)
        held = 0
        while keep > 0 and self._at - keep < steps:
            held += held_beyond(self._steps[keep - 1].document, seen)
            if held > memory and keep < self._at:
                break
            keep -= 1
        del self._steps[:keep]
        self._at -= keep


def held_beyond(document: Document, seen: set[int]) -> int:
    """Bytes of pixels and masks that a document holds and that are not among those seen, which are added to it."""
    total = 0
    for layer in document.layers:
        if id(layer.raster) not in seen:
            seen.add(id(layer.raster))
            total += layer.raster.nbytes
        if layer.mask is not None:
            total += layer.mask.tiles_of_its_own(seen)
        if layer.harmonization is not None and layer.harmonization.reference.area is not None:
            total += layer.harmonization.reference.area.tiles_of_its_own(seen)
    return total if document.area is None else total + document.area.tiles_of_its_own(seen)
