# SPDX-License-Identifier: GPL-3.0-or-later
"""Blend modes: arithmetic, rendering, and exchange with other programs."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops
from psd_tools.composite import blend as reference

from s2am_editor.document import commands
from s2am_editor.document.blend_mode import BlendMode
from s2am_editor.document.geometry import Transform
from s2am_editor.document.model import Document, Layer
from s2am_editor.document.raster import Raster
from s2am_editor.files.document_io import open_document, save_project
from s2am_editor.render.export import flatten, merge
from s2am_editor.render.mixing import mix_colors
from s2am_editor.render.renderer import RenderSession
from tests.editor.document.sample_documents import scene, two_layers

REFERENCE = {
    BlendMode.DARKEN: reference.darken,
    BlendMode.MULTIPLY: reference.multiply,
    BlendMode.COLOR_BURN: reference.color_burn,
    BlendMode.LIGHTEN: reference.lighten,
    BlendMode.SCREEN: reference.screen,
    BlendMode.COLOR_DODGE: reference.color_dodge,
    BlendMode.ADD: reference.linear_dodge,
    BlendMode.OVERLAY: reference.overlay,
    BlendMode.SOFT_LIGHT: reference.soft_light,
    BlendMode.HARD_LIGHT: reference.hard_light,
    BlendMode.DIFFERENCE: reference.difference,
    BlendMode.HUE: reference.hue,
    BlendMode.SATURATION: reference.saturation,
    BlendMode.COLOR: reference.color,
    BlendMode.LUMINOSITY: reference.luminosity,
}
"""The functions of psd-tools, which compares its renderings with Photoshop's."""


@pytest.mark.parametrize("mode", REFERENCE, ids=lambda mode: mode.name)
def test_mix_colors_equals_the_reference(mode: BlendMode) -> None:
    rng = np.random.default_rng(0)
    backdrop, source = (rng.random((40, 50, 3), np.float32) for _ in range(2))
    expected = np.clip(REFERENCE[mode](backdrop, source), 0, 1)
    np.testing.assert_allclose(mix_colors(mode, backdrop, source), expected, atol=2e-3)


@pytest.mark.parametrize("mode", BlendMode, ids=lambda mode: mode.name)
def test_mix_colors_of_extremes_is_finite(mode: BlendMode) -> None:
    grid = np.stack(np.meshgrid(*[[0.0, 0.5, 1.0]] * 6), -1).reshape(-1, 6).astype(np.float32)
    found = mix_colors(mode, grid[:, :3], grid[:, 3:])
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1


def test_flatten_multiplies_in_proportion_to_the_opacity_below() -> None:
    alpha = np.repeat([[255], [255], [128], [0]], 4, axis=1).astype(np.uint8)
    below = Raster(np.full((4, 4, 3), 128, np.uint8), alpha)
    above = Raster(np.full((4, 4, 3), (255, 128, 0), np.uint8))
    place = Transform.at(0, 0, (4, 4))
    layers = Layer("below", below, place), Layer("above", above, place, blend_mode=BlendMode.MULTIPLY)
    found = flatten(Document(4, 4, layers)).pixels
    assert found[0, 0].tolist() == [128, 64, 0]
    assert found[3, 0].tolist() == [255, 128, 0]
    assert np.abs(found[2, 0].astype(int) - [191, 96, 0]).max() <= 1  # half of each


@pytest.mark.parametrize("mode", [BlendMode.MULTIPLY, BlendMode.SOFT_LIGHT, BlendMode.LUMINOSITY])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_screen_shows_what_is_exported(mode: BlendMode, dtype: type[np.generic]) -> None:
    document, layer = two_layers(dtype)
    document = commands.set_blend_mode(layer.id, mode).change(document)
    document = commands.set_opacity(layer.id, 0.7).change(document)
    exported = flatten(document).pixels.astype(np.float64)
    shown = RenderSession(document).tile(document.rect, 1.0)[..., 2::-1]
    scale = {1: 1, 2: 1 / 257, 4: 255}[np.dtype(dtype).itemsize]
    assert np.abs(shown - exported * scale).max() <= 1.5
    plain = flatten(commands.set_blend_mode(layer.id, BlendMode.NORMAL).change(document)).pixels
    assert not np.array_equal(plain, flatten(document).pixels)


def test_blend_mode_change_redraws_the_layer() -> None:
    document, layer = two_layers()
    session = RenderSession(document)
    session.tile(document.rect, 1.0)
    after = commands.set_blend_mode(layer.id, BlendMode.SCREEN).change(document)
    assert session.update(after) == layer.box
    np.testing.assert_array_equal(session.tile(document.rect, 1.0), RenderSession(after).tile(document.rect, 1.0))


@pytest.mark.parametrize("mode", BlendMode, ids=lambda mode: mode.name)
def test_project_keeps_blend_mode_and_its_stack_names_it(tmp_path: Path, mode: BlendMode) -> None:
    document, layer = two_layers()
    path = tmp_path / "work.ora"
    save_project(path, commands.set_blend_mode(layer.id, mode).change(document))
    assert open_document(path).document.layers[1].blend_mode is mode
    with zipfile.ZipFile(path) as archive:
        assert f'composite-op="{mode.value}"' in archive.read("stack.xml").decode()


def test_blend_modes_of_another_programs_file_are_read_and_rendered(tmp_path: Path) -> None:
    path = tmp_path / "krita.ora"
    images = [Image.fromarray(scene(60, 40, seed)) for seed in (1, 2)]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", b"image/openraster")
        archive.writestr(
            "stack.xml",
            '<image w="60" h="40"><stack><layer src="data/1.png" composite-op="svg:multiply"/>'
            '<layer src="data/0.png"/></stack></image>',
        )
        for index, image in enumerate(images):
            encoded = io.BytesIO()
            image.save(encoded, "PNG")
            archive.writestr(f"data/{index}.png", encoded.getvalue())
    found = open_document(path)
    assert found.notes == ()
    expected = np.asarray(ImageChops.multiply(*images)).astype(int)
    assert np.abs(flatten(found.document).pixels - expected).max() <= 1


def test_merge_looks_the_same_and_keeps_what_lies_outside_of_the_canvas() -> None:
    document, layer = two_layers()
    for command in (
        commands.set_transform(layer.id, Transform(290, 20, 1.3, 0.8, 25)),
        commands.set_blend_mode(layer.id, BlendMode.OVERLAY),
        commands.set_opacity(layer.id, 0.6),
    ):
        document = command.change(document)
    lower, upper = document.layers
    merged = commands.merge_layers(upper.id, lower.id, *merge(lower, upper, document)).change(document)
    assert [one.name for one in merged.layers] == ["beach"]
    assert np.abs(flatten(merged).pixels.astype(int) - flatten(document).pixels).max() <= 1
    assert merged.layers[0].box == lower.box.union(upper.box)
    assert merged.active == lower.id
