# SPDX-License-Identifier: GPL-3.0-or-later
"""Undo history: exact states, command names, merged gestures, and the saved state."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from s2am_common.errors import EngineError
from s2am_editor.document import commands, layer_tree
from s2am_editor.document.geometry import Transform
from s2am_editor.document.history import History
from s2am_editor.document.model import Document, Harmonization
from s2am_editor.document.raster import TiledMask
from s2am_editor.render.export import flatten
from s2am_engine.color.map import IDENTITY
from s2am_engine.image.rect import Rect
from tests.editor.document.sample_documents import cutout, two_layers


def test_history_undoes_and_redoes_every_command_exactly() -> None:
    document, layer = two_layers()
    history = History(document)
    steps = [
        commands.set_transform(layer.id, Transform(100, 80, 1.5, 1.5, 30), "Rotate"),
        commands.set_opacity(layer.id, 0.5),
        commands.rename_item(layer.id, "friend"),
        commands.set_mask(layer.id, TiledMask(*layer.size).replaced(10, 10, np.full((20, 20), 255, np.uint8)), "Brush"),
        commands.set_harmonization(layer.id, Harmonization(IDENTITY, "concord")),
        commands.set_sliders(layer.id, warmth=0.5),
        commands.duplicate_layer(layer.id),
        layer_tree.shift_item(layer.id, -1),
        commands.set_visible(layer.id, False),
        commands.add_layers([document.new_layer(cutout(seed=5), "dog")]),
        commands.remove_layer(layer.id),
    ]
    states = [history.document, *(history.do(step) for step in steps)]
    seen = [flatten(state).pixels for state in states]
    assert history.names[1:] == [step.name for step in steps]
    for state, pixels in list(zip(states, seen, strict=True))[-2::-1]:
        assert history.undo() is state
        np.testing.assert_array_equal(flatten(history.document).pixels, pixels)
    assert history.undo() is document  # there is no older state
    assert history.undo_name is None
    assert history.redo_name == "Rotate"
    for state in states[1:]:
        assert history.redo() is state


def test_history_merges_commands_of_one_gesture() -> None:
    document, layer = two_layers()
    history = History(document)
    for _ in range(2):
        drag = commands.gesture()
        for opacity in (0.9, 0.8, 0.7):
            history.do(commands.set_opacity(layer.id, opacity, drag))
    assert history.names == ["", "Opacity", "Opacity"]
    assert history.undo().layer(layer.id).opacity == 0.7
    assert history.undo() is document


def test_history_do_drops_redo_states() -> None:
    document, layer = two_layers()
    history = History(document)
    history.do(commands.set_opacity(layer.id, 0.5))
    history.undo()
    history.do(commands.rename_item(layer.id, "other"))
    assert history.redo_name is None
    assert history.names == ["", "Rename"]


def test_history_ignores_commands_without_effect() -> None:
    document, layer = two_layers()
    history = History(document)
    for command in (
        *(
            commands.set_opacity(layer.id, 1.0),
            commands.rename_item(layer.id, "  "),
            layer_tree.shift_item(layer.id, 1),
        ),
        *(commands.set_visible(layer.id, True), commands.add_layers([])),
    ):
        assert history.do(command) is document
    assert history.undo_name is None


def test_history_is_unchanged_if_command_raises() -> None:
    document, layer = two_layers()
    history = History(document)
    with pytest.raises(EngineError, match="“person” is not harmonized yet"):
        history.do(commands.set_sliders(layer.id, warmth=0.1))
    with pytest.raises(EngineError, match="This layer no longer exists"):
        history.do(commands.remove_layer(-1))
    with pytest.raises(ValueError, match="opacity"):
        history.do(commands.set_opacity(layer.id, 2))
    assert history.document is document


def test_history_is_modified_with_selection_between_drag_steps() -> None:
    document, layer = two_layers()
    history = History(document)
    drag = commands.gesture()
    modified = []
    for step in (
        lambda: history.do(commands.set_opacity(layer.id, 0.9, drag)),
        history.mark_saved,
        lambda: history.select(document.layers[0].id),  # the active layer does not count as a change
        lambda: history.do(commands.set_opacity(layer.id, 0.8, drag)),
        history.undo,
    ):
        step()
        modified.append(history.is_modified)
    assert modified == [True, False, False, True, False]
    assert History(document, saved=False).is_modified


def test_history_does_not_merge_drag_into_saved_state() -> None:
    document, layer = two_layers()
    history = History(document)
    drag = commands.gesture()
    modified = []
    for step in (
        lambda: history.do(commands.set_opacity(layer.id, 0.9, drag)),
        history.mark_saved,
        lambda: history.do(commands.set_opacity(layer.id, 0.8, drag)),  # the drag continues after saving
        lambda: history.do(commands.set_opacity(layer.id, 0.7, drag)),
        history.undo,
    ):
        step()
        modified.append((history.is_modified, history.document.layer(layer.id).opacity))
    assert modified == [(True, 0.9), (False, 0.9), (True, 0.8), (True, 0.7), (False, 0.9)]
    assert history.names == ["", "Opacity", "Opacity"]


def test_history_merges_drag_that_started_at_saved_state() -> None:
    document, layer = two_layers()
    history = History(document, saved=True)
    drag = commands.gesture()
    for opacity in (0.9, 0.8):
        history.do(commands.set_opacity(layer.id, opacity, drag))
    assert history.names == ["", "Opacity"]
    assert history.undo() is document


def test_history_limits_number_of_steps() -> None:
    document, layer = two_layers()
    history = History(document, max_steps=3)
    for opacity in (0.9, 0.8, 0.7, 0.6, 0.5):
        history.do(commands.set_opacity(layer.id, opacity))
    assert [history.undo().layer(layer.id).opacity for _ in range(4)] == [0.6, 0.7, 0.8, 0.8]


def test_history_notifies_subscribers() -> None:
    document, layer = two_layers()
    history, notified = History(document), list[tuple[Document, Document]]()
    unsubscribe = history.subscribe(lambda before, after: notified.append((before, after)))
    after = history.do(commands.set_opacity(layer.id, 0.5))
    history.undo()
    unsubscribe()
    history.redo()
    assert notified == [(document, after), (after, document)]


def test_history_drops_oldest_steps_beyond_memory_limit() -> None:
    document, layer = two_layers()
    history = History(document, max_bytes=5 * layer.raster.nbytes)
    for _ in range(12):
        fresh = dataclasses.replace(layer.raster, pixels=layer.raster.pixels.copy(), _reduced=[])
        history.do(commands.set_raster(layer.id, fresh, "Decontaminate"))
    assert 3 <= len(history.names) <= 6
    assert history.undo_name == "Decontaminate"


def test_mask_strokes_share_unchanged_tiles() -> None:
    mask = TiledMask(3000, 2000)
    seen: set[int] = set()
    held = 0
    for index in range(50):
        mask = mask.replaced(100 + index, 100, np.full((20, 20), 255, np.uint8))
        held += mask.count_new_bytes(seen)
    assert held < 3000 * 2000  # fifty strokes together take less than one copy of the mask


def test_set_canvas_enlarges_and_crops_about_the_same_image() -> None:
    document, layer = two_layers()
    area = TiledMask(300, 200).replaced(10, 20, np.full((5, 5), 255, np.uint8))
    document = dataclasses.replace(document, area=area)
    larger = commands.set_canvas(Rect(-50, -20, 350, 220), "Canvas size").change(document)
    assert (larger.width, larger.height) == (400, 240)
    assert larger.layers[1].box == layer.box.translated(50, 20)
    assert larger.area is not None
    assert larger.area.box() == Rect(60, 40, 65, 45)
    again = commands.set_canvas(Rect(50, 20, 350, 220), "Crop").change(larger)
    assert [one.transform for one in again.layers] == [one.transform for one in document.layers]
    assert again.area is not None
    np.testing.assert_array_equal(again.area.to_array(), area.to_array())
    assert commands.set_canvas(document.rect, "Crop").change(document) is document
    with pytest.raises(ValueError, match="no pixels"):
        commands.set_canvas(Rect(5, 5, 5, 9), "Crop")
