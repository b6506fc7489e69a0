# SPDX-License-Identifier: GPL-3.0-or-later
"""Finish of layers: equal to the engine's, on the screen as in files, and following its layer."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from s2am_common.errors import ImageFormatError
from s2am_editor.document import commands
from s2am_editor.document.geometry import Transform
from s2am_editor.document.model import Document, Layer
from s2am_editor.files.document_io import open_document, save_project
from s2am_editor.render.export import flatten
from s2am_editor.render.finish_layer import with_drafts
from s2am_editor.render.harmonize_layer import LoadedModels, find_finish, find_harmonization, prepare_input
from s2am_editor.render.renderer import RenderSession
from s2am_engine.finish.values import Finish
from s2am_engine.image.data import ImageData
from s2am_engine.image.rect import Rect
from s2am_engine.inference.harmonizer import Harmonizer
from tests.editor.document.sample_documents import cutout, scene, two_layers
from tests.editor.files.test_projects import rewritten

VALUES = (
    {"grain": 6.0, "sharpness": -1.2},
    {"grain": -5.0, "light_wrap": 0.5},
    {"sharpness": 2.0, "decontaminate": 1.0},
    {"light": 1.0},
)


def finished(dtype: type[np.generic] = np.uint8, **values: float) -> tuple[Document, Layer]:
    """Return a document with a harmonized layer that has a finish, and the layer."""
    document, layer = two_layers(dtype)
    found = find_harmonization(document, layer.id, LoadedModels("cpu"), "reinhard")
    document = commands.set_harmonization(layer.id, found).change(document)
    finish = find_finish(document, layer.id).replace(**vars(Finish(**values)))
    document = commands.set_finish(layer.id, finish).change(document)
    return document, document.layer(layer.id)


def without_finish(document: Document, layer: Layer) -> Document:
    return commands.set_finish(layer.id, None).change(document)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("values", VALUES)
def test_finish_equals_the_engines(values: dict[str, float], dtype: type[np.generic]) -> None:
    document, layer = finished(dtype, **values)
    result = Harmonizer("reinhard", "cpu").paste(cutout(dtype=dtype), ImageData(scene(dtype=dtype)), (110, 70))
    found = flatten(document).pixels
    np.testing.assert_array_equal(found, result.render(finish=Finish(**values)).pixels)
    plain = flatten(without_finish(document, layer)).pixels
    changed = (found != plain).any(axis=2)
    assert changed.sum() > 200
    assert not changed[prepare_input(document, layer.id).mask == 0].any()  # the background


@pytest.mark.parametrize("rect", [Rect(0, 0, 300, 200), Rect(121, 83, 170, 130)])
@pytest.mark.parametrize("zoom", [1.0, 0.5])
def test_draft_is_close_to_the_finish_that_replaces_it(zoom: float, rect: Rect) -> None:
    """A draft has the details of full resolution and most of the change; nothing else differs."""
    document, layer = finished(light=3, grain=-2, sharpness=-1.2, decontaminate=1, light_wrap=1)
    plain = without_finish(document, layer)
    draft = with_drafts(plain, document)
    assert draft is not document
    assert with_drafts(document, document) is document
    no_noise_reduction = finished(grain=5)[0]
    assert with_drafts(plain, no_noise_reduction) is no_noise_reduction
    rect = Rect(*(round(edge * zoom) for edge in rect))
    first, exact, unfinished = (RenderSession(each).tile(rect, zoom).astype(int) for each in (draft, document, plain))
    change = np.abs(exact - unfinished).mean()
    assert change > 0
    assert np.abs(first - exact).mean() < 0.85 * change
    np.testing.assert_array_equal(first[..., 3], exact[..., 3])
    session = RenderSession(draft)
    session.tile(rect, zoom)
    assert not session.update(document).is_empty
    np.testing.assert_array_equal(session.tile(rect, zoom), exact)


def test_automatic_values_are_the_engines() -> None:
    document, layer = finished()
    assert layer.finish is not None
    result = Harmonizer("reinhard", "cpu").paste(cutout(), ImageData(scene()), (110, 70))
    assert layer.finish.automatic == result.measure().automatic(result.predict_shading())
    assert layer.finish.measurement.notes == result.measure().notes
    off = flatten(document).pixels  # all values are 0
    np.testing.assert_array_equal(off, flatten(without_finish(document, layer)).pixels)


def test_parts_and_tiles_equal_the_whole() -> None:
    document, layer = finished(grain=-5, sharpness=-1.2, decontaminate=1, light_wrap=1)
    whole = flatten(document).pixels.astype(int)
    session = RenderSession(document)
    shown = np.zeros((200, 300, 4), np.uint8)
    for left in range(0, 300, 75):
        for top in range(0, 200, 50):
            rect = Rect(left, top, left + 75, top + 50)
            shown[rect.slices] = session.tile(rect, 1.0)
    assert np.abs(shown[..., 2::-1] - whole).max() <= 1
    for command in (
        commands.set_transform(layer.id, Transform(60, 70, 1.2, 0.9, 20)),
        commands.set_opacity(layer.id, 0.5),
        commands.set_sliders(layer.id, brightness=0.5),
        commands.set_finish(layer.id, None),
    ):
        document = command.change(document)
        area = session.update(document)
        shown[area.slices] = session.tile(area, 1.0)
        assert np.abs(shown[..., 2::-1].astype(int) - flatten(document).pixels).max() <= 2


def test_reduced_view_resembles_the_reduced_image() -> None:
    document, layer = finished(sharpness=-4, light_wrap=1)
    half = RenderSession(document).tile(Rect(0, 0, 150, 100), 0.5)[..., 2::-1].astype(float)
    expected, plain = (
        flatten(one).pixels.astype(float).reshape(100, 2, 150, 2, 3).mean(axis=(1, 3))
        for one in (document, without_finish(document, layer))
    )
    covered = (expected != plain).any(axis=2)
    assert np.abs(half - expected)[covered].mean() < 0.3 * np.abs(plain - expected)[covered].mean()


def test_light_wrap_follows_the_layer() -> None:
    """A layer that is turned by a quarter has the same edges as before, turned."""
    document, layer = two_layers()
    gray = ImageData(np.full((200, 300, 3), 220, np.uint8))
    document = document.with_layers((*Document.from_image(gray, "gray").layers, layer))
    finish = find_finish(document, layer.id).replace(grain=0, sharpness=0, light_wrap=1)
    document = commands.set_finish(layer.id, finish).change(document)
    plain = without_finish(document, layer)
    turn = commands.set_transform(layer.id, dataclasses.replace(layer.transform, rotation=90))
    added, turned = (
        flatten(one).pixels.astype(int) - flatten(other).pixels
        for one, other in ((document, plain), (turn.change(document), turn.change(plain)))
    )
    assert added.max() > 15
    expected = np.rot90(added[70:130, 110:190], -1)
    assert np.abs(turned[60:140, 120:180] - expected).mean() < 0.08 * expected.mean()


def test_project_keeps_the_finish_and_other_programs_see_the_finished_pixels(tmp_path: Path) -> None:
    document, _ = finished(grain=6, light_wrap=1)
    path = tmp_path / "work.ora"
    save_project(path, document)
    again = open_document(path).document
    assert again.layers[1].finish is not None
    assert again.layers[1].finish.values == Finish(grain=6, light_wrap=1)
    assert np.abs(flatten(again).pixels.astype(int) - flatten(document).pixels).max() <= 1
    foreign = open_document(rewritten(path, tmp_path / "foreign.ora", "s2am/document.json", lambda _: None)).document
    np.testing.assert_array_equal(flatten(foreign).pixels, flatten(document).pixels)
    damaged = rewritten(
        path, tmp_path / "bad.ora", "s2am/document.json", lambda data: data.replace(b'"grain": 6', b'"grain": 60')
    )
    with pytest.raises(ImageFormatError, match="damaged"):
        open_document(damaged)
