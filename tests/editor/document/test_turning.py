# SPDX-License-Identifier: GPL-3.0-or-later
"""Quarter turns of the whole image."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from s2am_editor.document import commands
from s2am_editor.document.history import History
from s2am_editor.document.model import BENEATH, Document, DocumentError, Harmonization, Reference
from s2am_editor.document.out_of_date import finish_outdated, harmonization_outdated, with_basis
from s2am_editor.document.raster import TiledMask
from s2am_editor.document.turning import QuarterTurn, turn_image, turns_since
from s2am_editor.files.document_io import open_document, save_project
from s2am_editor.render.export import flatten
from s2am_editor.render.harmonize_layer import find_finish
from s2am_engine.color.map import Matrix
from s2am_engine.finish.shading import Shading
from s2am_engine.image.rect import Rect
from s2am_engine.shadow.settings import Shadow
from tests.editor.document.sample_documents import two_layers


def harmonized(reference: Reference = BENEATH) -> Document:
    """Return a document whose upper layer has a mask, a flip, and a current harmonization."""
    document, layer = two_layers()
    mask = TiledMask(*layer.size, value=255).replaced(5, 9, np.zeros((12, 30), np.uint8))
    document = commands.set_mask(layer.id, mask, "Mask").change(document)
    transform = dataclasses.replace(layer.transform.moved(31, -20), flip_x=True)
    document = commands.set_transform(layer.id, transform, "Move").change(document)
    layer = document.layers[1]
    warmer = Matrix(np.diag([1.1, 1.0, 0.8, 0.0])[:3])
    found = with_basis(Harmonization(warmer, "reinhard", reference=reference), document, layer)
    return dataclasses.replace(document, layers=(document.layers[0], dataclasses.replace(layer, harmonization=found)))


@pytest.mark.parametrize("turn", [1, -1])
def test_turned_image_has_the_turned_pixels(turn: QuarterTurn) -> None:
    document = harmonized()
    turned = turn_image(turn).change(document)
    assert (turned.width, turned.height) == (document.height, document.width)
    np.testing.assert_array_equal(flatten(turned).pixels, np.rot90(flatten(document).pixels, -turn))


def shaded_and_lit() -> Document:
    """Return a document whose upper layer has a shadow to the right, and light that falls from its left."""
    document = harmonized()
    layer = document.layers[1]
    shadow = Shadow(direction=110, length=0.8, ground=0.1, slope=6)
    shading = Shading((110, 50, 170, 120), np.linspace(1.2, -1.2, 12, dtype=np.float32).reshape(3, 4), 0.8)
    found = dataclasses.replace(find_finish(document, layer.id), shading=shading).replace(light=1.5)
    layer = dataclasses.replace(layer, shadow=shadow, finish=found)
    return dataclasses.replace(document, layers=(document.layers[0], layer))


@pytest.mark.parametrize("turn", [1, -1])
def test_shadows_and_light_turn_with_the_image(turn: QuarterTurn, tmp_path: Path) -> None:
    document = shaded_and_lit()
    before = flatten(document).pixels.astype(int)
    assert (before != flatten(harmonized()).pixels).any(axis=2).sum() > 2000
    history = History(document)
    history.do(turn_image(turn))
    turned = history.document
    after = flatten(turned).pixels
    assert np.abs(after - np.rot90(before, -turn)).max() <= 2  # the dither stays in place
    assert finish_outdated(turned, turned.layers[1]) == ()
    save_project(tmp_path / "turned.ora", turned)
    reopened = open_document(tmp_path / "turned.ora").document
    np.testing.assert_array_equal(flatten(reopened).pixels, after)
    assert finish_outdated(reopened, reopened.layers[1]) == ()
    history.undo()
    np.testing.assert_array_equal(flatten(history.document).pixels, before)
    history.redo()
    np.testing.assert_array_equal(flatten(history.document).pixels, after)
    for _ in range(3):
        history.do(turn_image(turn))
    np.testing.assert_array_equal(flatten(history.document).pixels, before)


def test_light_keeps_its_place_on_another_canvas() -> None:
    document = shaded_and_lit()
    part = Rect(37, 21, 260, 190)
    cropped = flatten(commands.set_canvas(part, "Crop").change(document)).pixels.astype(int)
    assert np.abs(cropped - flatten(document).pixels[part.slices]).max() <= 2


def test_four_turns_and_opposite_turns_restore_the_image() -> None:
    document = harmonized()
    turned = document
    for _ in range(4):
        turned = turn_image(1).change(turned)
    back = turn_image(-1).change(turn_image(1).change(document))
    for each in (turned, back):
        assert [layer.transform for layer in each.layers] == [layer.transform for layer in document.layers]


def test_harmonization_stays_current_and_areas_turn() -> None:
    area = TiledMask(300, 200).replaced(10, 20, np.full((5, 8), 255, np.uint8))
    document = dataclasses.replace(harmonized(Reference("area", area=area)), area=area)
    turned = turn_image(1).change(document)
    layer = turned.layers[1]
    assert layer.harmonization is not None
    assert harmonization_outdated(turned, layer) == ()
    for mask in (turned.area, layer.harmonization.reference.area):
        assert mask is not None
        np.testing.assert_array_equal(mask.to_array(), np.rot90(area.to_array(), -1))
    moved = commands.set_transform(layer.id, layer.transform.moved(9, 0), "Move").change(turned)
    assert harmonization_outdated(moved, moved.layers[1])
    again = turn_image(1).change(moved)
    assert harmonization_outdated(again, again.layers[1]) == harmonization_outdated(moved, moved.layers[1])


def test_colors_computed_for_another_canvas_are_refused() -> None:
    area = TiledMask(300, 200).replaced(10, 20, np.full((5, 8), 255, np.uint8))
    document = harmonized(Reference("area", area=area))
    layer = document.layers[1]
    turned = turn_image(1).change(document)
    with pytest.raises(DocumentError, match="canvas has changed"):
        commands.set_harmonization(layer.id, layer.harmonization).change(turned)
    assert commands.set_harmonization(layer.id, None).change(turned).layers[1].harmonization is None
    assert commands.set_harmonization(layer.id, layer.harmonization).change(document) is document


def test_turns_since_counts_quarter_turns() -> None:
    document = harmonized()
    right, left = turn_image(1).change(document), turn_image(-1).change(document)
    assert [turns_since(document, now) for now in (document, right, left)] == [0, 1, 3]
    assert turns_since(right, left) == 2
