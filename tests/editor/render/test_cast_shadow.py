# SPDX-License-Identifier: GPL-3.0-or-later
"""Shadows of layers: equal to the engine's, on the screen as in files, and following their layer."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from s2am_common.errors import ImageFormatError
from s2am_editor.document import commands, layer_tree
from s2am_editor.document.geometry import Transform
from s2am_editor.document.model import Document, Layer
from s2am_editor.files.document_io import open_document, save_project
from s2am_editor.render.export import flatten
from s2am_editor.render.harmonize_layer import find_shadow, prepare_input
from s2am_editor.render.renderer import RenderSession
from s2am_engine.image.data import ImageData
from s2am_engine.image.rect import Rect
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.shadow.settings import Shadow
from tests.editor.document.sample_documents import cutout, scene, two_layers
from tests.editor.files.test_projects import rewritten

SHADOW = Shadow(direction=100, length=0.7, opacity=0.8, contact=0.5, color=(0.1, 0.05, 0.2))


def with_shadow(dtype: type[np.generic] = np.uint8) -> tuple[Document, Layer]:
    document, layer = two_layers(dtype)
    document = commands.set_shadow(layer.id, SHADOW).change(document)
    return document, document.layer(layer.id)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_shadow_equals_the_engines(dtype: type[np.generic]) -> None:
    document, layer = with_shadow(dtype)
    result = Harmonizer("reinhard", "cpu").paste(cutout(dtype=dtype), ImageData(scene(dtype=dtype)), (110, 70))
    expected = result.render(strength=0.0, shadow=SHADOW).pixels
    found = flatten(document).pixels
    step = {1: 1, 2: 8, 4: 1e-4}[np.dtype(dtype).itemsize]  # 8 bits: dithered from another corner
    assert np.abs(found.astype(np.float64) - expected).max() <= step
    without = flatten(commands.set_shadow(layer.id, None).change(document)).pixels
    assert np.abs(found.astype(np.float64) - without).max() > 100 * step / 8


def test_screen_shows_the_shadow_after_each_change_and_at_each_zoom() -> None:
    document, layer = with_shadow()
    session = RenderSession(document)
    shown = session.tile(document.rect, 1.0)
    for command in (
        commands.set_shadow(layer.id, SHADOW.replace(direction=-100)),
        commands.set_transform(layer.id, Transform(60, 70, 1.2, 0.9, 20)),
        commands.set_opacity(layer.id, 0.5),
        layer_tree.group_items([layer.id], "group"),
        commands.set_shadow(layer.id, None),
    ):
        document = command.change(document)
        area = session.update(document)
        shown[area.slices] = session.tile(area, 1.0)
        assert np.abs(shown[..., 2::-1].astype(int) - flatten(document).pixels).max() <= 2
    document = commands.set_shadow(layer.id, SHADOW).change(document)
    session.update(document)
    half = session.tile(Rect(0, 0, 150, 100), 0.5)[..., 2::-1].astype(float)
    exact = flatten(document).pixels.astype(float).reshape(100, 2, 150, 2, 3).mean(axis=(1, 3))
    assert np.abs(half - exact).mean() < 2


def test_shadow_of_isolated_group_is_kept_over_transparency() -> None:
    document, layer = with_shadow()
    grouped = layer_tree.group_items([layer.id], "group").change(document)
    assert grouped.active is not None
    isolated = commands.set_blend_mode(grouped.active, layer.blend_mode).change(grouped)
    without = flatten(commands.set_shadow(layer.id, None).change(isolated)).pixels.astype(float)
    found, expected = (flatten(one).pixels.astype(float) for one in (isolated, document))
    assert np.abs(found - without).mean() > 0.5 * np.abs(expected - without).mean()


def test_shadow_is_estimated_and_not_part_of_the_models_input() -> None:
    document, layer = with_shadow()
    estimate = find_shadow(document, layer.id)
    assert estimate.notes
    assert estimate.shadow.contact > 0
    plain = commands.set_shadow(layer.id, None).change(document)
    found, expected = prepare_input(document, layer.id), prepare_input(plain, layer.id)
    np.testing.assert_array_equal(found.image.pixels, expected.image.pixels)


def test_project_keeps_the_shadow_and_other_programs_see_it_as_a_layer(tmp_path: Path) -> None:
    document, _ = with_shadow()
    path = tmp_path / "work.ora"
    save_project(path, document)
    assert open_document(path).document.layers[1].shadow == SHADOW
    foreign = open_document(rewritten(path, tmp_path / "foreign.ora", "s2am/document.json", lambda _: None)).document
    assert [one.name for one in foreign.layers] == ["beach", "Shadow of person", "person"]
    assert np.abs(flatten(foreign).pixels[:, :, :3].astype(float) / 257 - flatten(document).pixels).max() <= 2
    with zipfile.ZipFile(path) as archive:
        assert 'composite-op="svg:multiply"' in archive.read("stack.xml").decode()
    damaged = rewritten(
        path, tmp_path / "bad.ora", "s2am/document.json", lambda data: data.replace(b'"length": 0.7', b'"length": 70')
    )
    with pytest.raises(ImageFormatError, match="damaged"):
        open_document(damaged)
