# SPDX-License-Identifier: GPL-3.0-or-later
"""Undo and redo: exactly back and forth, with names, a drag as one step, and what was saved remembered."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from s2am_editor.compose.flatten import flatten
from s2am_editor.document import commands
from s2am_editor.document.geometry import Transform
from s2am_editor.document.history import History
from s2am_editor.document.mask import Mask
from s2am_editor.document.model import Document, Harmonization
from s2am_engine.color.map import IDENTITY
from s2am_engine.errors import EngineError
from tests.editor.document.made_up import cutout, two_layers


def test_everything_is_undone_and_done_again_exactly() -> None:
    document, layer = two_layers()
    history = History(document)
    steps = [
        commands.set_transform(layer.id, Transform(100, 80, 1.5, 1.5, 30), "Rotate"),
        commands.set_opacity(layer.id, 0.5),
        commands.rename_layer(layer.id, "friend"),
        commands.set_mask(layer.id, Mask(*layer.size).replaced(10, 10, np.full((20, 20), 255, np.uint8)), "Brush"),
        commands.set_harmonization(layer.id, Harmonization(IDENTITY, "concord")),
        commands.set_adjustments(layer.id, warmth=0.5),
        commands.duplicate_layer(layer.id),
        commands.move_layer(layer.id, 0),
        commands.set_visible(layer.id, False),
        commands.add_layers([document.adopt(cutout(seed=5), "dog")]),
        commands.remove_layer(layer.id),
    ]
    states = [history.document, *(history.do(step) for step in steps)]
    seen = [flatten(state).pixels for state in states]
    assert history.names[1:] == [step.name for step in steps]
    for state, pixels in list(zip(states, seen, strict=True))[-2::-1]:
        assert history.undo() is state
        np.testing.assert_array_equal(flatten(history.document).pixels, pixels)
    assert history.undo() is document  # at the beginning nothing more happens
    assert history.undo_name is None
    assert history.redo_name == "Rotate"
    for state in states[1:]:
        assert history.redo() is state


def test_a_drag_is_one_step_and_the_next_drag_another() -> None:
    document, layer = two_layers()
    history = History(document)
    for _ in range(2):
        drag = commands.gesture()
        for opacity in (0.9, 0.8, 0.7):
            history.do(commands.set_opacity(layer.id, opacity, drag))
    assert history.names == ["", "Opacity", "Opacity"]
    assert history.undo().layer(layer.id).opacity == 0.7
    assert history.undo() is document


def test_a_new_command_ends_what_could_be_redone() -> None:
    document, layer = two_layers()
    history = History(document)
    history.do(commands.set_opacity(layer.id, 0.5))
    history.undo()
    history.do(commands.rename_layer(layer.id, "other"))
    assert history.redo_name is None
    assert history.names == ["", "Rename layer"]


def test_a_command_that_changes_nothing_leaves_no_trace() -> None:
    document, layer = two_layers()
    history = History(document)
    for command in (
        *(commands.set_opacity(layer.id, 1.0), commands.rename_layer(layer.id, "  "), commands.move_layer(layer.id, 9)),
        *(commands.set_visible(layer.id, True), commands.add_layers([])),
    ):
        assert history.do(command) is document
    assert history.undo_name is None


def test_a_command_that_fails_changes_nothing_and_says_why() -> None:
    document, layer = two_layers()
    history = History(document)
    with pytest.raises(EngineError, match="“person” is not harmonized yet"):
        history.do(commands.set_adjustments(layer.id, warmth=0.1))
    with pytest.raises(EngineError, match="no such layer"):
        history.do(commands.remove_layer(-1))
    with pytest.raises(ValueError, match="opacity"):
        history.do(commands.set_opacity(layer.id, 2))
    assert history.document is document


def test_modified_means_different_from_what_was_saved() -> None:
    document, layer = two_layers()
    history = History(document)
    drag = commands.gesture()
    modified = []
    for step in (
        lambda: history.do(commands.set_opacity(layer.id, 0.9, drag)),
        history.mark_saved,
        lambda: history.select(document.layers[0].id),  # which layer is active is no change
        lambda: history.do(commands.set_opacity(layer.id, 0.8, drag)),
        history.undo,
    ):
        step()
        modified.append(history.is_modified)
    assert modified == [True, False, False, True, False]
    assert History(document, saved=False).is_modified


def test_listeners_are_told_of_every_change_until_they_leave() -> None:
    document, layer = two_layers()
    history, told = History(document), list[tuple[Document, Document]]()
    leave = history.subscribe(lambda before, after: told.append((before, after)))
    after = history.do(commands.set_opacity(layer.id, 0.5))
    history.undo()
    leave()
    history.redo()
    assert told == [(document, after), (after, document)]


def test_the_past_is_forgotten_from_its_end_when_it_takes_too_much_memory() -> None:
    document, layer = two_layers()
    history = History(document, memory=5 * layer.raster.nbytes)
    for _ in range(12):
        fresh = dataclasses.replace(layer.raster, pixels=layer.raster.pixels.copy(), _coarser=[])
        history.do(commands.set_raster(layer.id, fresh, "Decontaminate"))
    assert 3 <= len(history.names) <= 6
    assert history.undo_name == "Decontaminate"


def test_strokes_share_what_they_did_not_touch() -> None:
    mask = Mask(3000, 2000)
    seen: set[int] = set()
    held = 0
    for index in range(50):
        mask = mask.replaced(100 + index, 100, np.full((20, 20), 255, np.uint8))
        held += mask.tiles_of_its_own(seen)
    assert held < 3000 * 2000  # fifty strokes together take less than one copy of the mask
