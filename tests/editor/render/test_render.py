# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering: exports equal the engine's pixels bit for bit, and the screen shows the same as the export."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import DTypeLike, NDArray

from s2am_editor.document import commands, layer_tree
from s2am_editor.document.geometry import Transform
from s2am_editor.document.history import History
from s2am_editor.document.model import Document, Harmonization, Layer
from s2am_editor.document.raster import Raster, TiledMask
from s2am_editor.document.tone_curves import ToneCurves
from s2am_editor.render.export import canvas_coverage, flatten
from s2am_editor.render.renderer import RenderSession, layer_thumbnail
from s2am_engine.color.adjustments import Sliders
from s2am_engine.color.map import Curves, Matrix
from s2am_engine.image.arrays import full_scale
from s2am_engine.image.data import ImageData
from s2am_engine.image.paste import paste_layer, place_layer
from s2am_engine.image.rect import Rect
from tests.editor.document.sample_documents import cutout, disc, scene, two_layers
from tests.engine.icc import ADOBE, adobe_curve, rgb_profile

DEPTHS = [np.uint8, np.uint16, np.float32]
WARM = Harmonization(Matrix(np.diag([1.2, 1.0, 0.8]) @ np.eye(3, 4)), "concord")


@pytest.mark.parametrize("dtype", DEPTHS)
@pytest.mark.parametrize("at", [(110, 70), (-20, 150), (0, 0)])
def test_flatten_equals_engine_paste(dtype: DTypeLike, at: tuple[int, int]) -> None:
    document, layer = two_layers(dtype)
    background, person = ImageData(scene(dtype=dtype)), cutout(dtype=dtype)
    moved = commands.set_transform(layer.id, Transform.at(*at, layer.size)).change(document)
    placement = place_layer(person, background, at)
    expected = paste_layer(placement, placement.pixels, background)
    result = flatten(moved)
    np.testing.assert_array_equal(result.pixels, expected.pixels)
    assert result.alpha is None
    assert result.pixels.dtype == dtype


@pytest.mark.parametrize("dtype", DEPTHS)
def test_flatten_keeps_background_bits(dtype: DTypeLike) -> None:
    document, layer = two_layers(dtype)
    changed = commands.set_transform(layer.id, Transform(140.5, 90.3, 1.3, 0.8, 33, flip_x=True)).change(document)
    changed = commands.set_opacity(layer.id, 0.7).change(changed)
    changed = commands.set_harmonization(layer.id, WARM).change(changed)
    outside = canvas_coverage(changed, changed.layer(layer.id)) == 0
    assert 0 < outside.sum() < outside.size
    result = flatten(changed).pixels
    np.testing.assert_array_equal(result[outside], scene(dtype=dtype)[outside])
    assert (result[~outside] != scene(dtype=dtype)[~outside]).any(axis=1).mean() > 0.9


def test_flatten_keeps_alpha_and_colors_of_transparent_pixels() -> None:
    image = ImageData(scene(), disc(300, 200))
    result = flatten(Document.from_image(image, "logo"))
    np.testing.assert_array_equal(result.pixels, image.pixels)
    assert result.alpha is not None
    np.testing.assert_array_equal(result.alpha, image.alpha)


def test_flatten_is_gray_until_color_is_added() -> None:
    gray = np.repeat(scene()[..., :1], 3, axis=2)
    document = Document.from_image(ImageData(gray, gray=True), "old")
    assert flatten(document).gray
    colored = commands.add_layers([document.new_layer(cutout(), "person")]).change(document)
    assert not flatten(colored).gray


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("flip_x", [False, True])
@pytest.mark.parametrize("flip_y", [False, True])
def test_canvas_coverage_is_exact_for_flips_and_quarter_turns(rotation: int, flip_x: bool, flip_y: bool) -> None:
    document, layer = two_layers()
    placed = Transform(150, 100, rotation=rotation, flip_x=flip_x, flip_y=flip_y)
    cover = canvas_coverage(document, dataclasses.replace(layer, transform=placed))
    expected = disc(80, 60)
    expected = expected[:, ::-1] if flip_x else expected
    expected = expected[::-1] if flip_y else expected
    expected = np.rot90(expected, -rotation // 90)
    height, width = expected.shape
    np.testing.assert_array_equal(cover[100 - height // 2 :, 150 - width // 2 :][:height, :width], expected)
    assert (cover > 0).sum() == (expected > 0).sum()


@settings(max_examples=25, deadline=None)
@given(
    x=st.floats(60, 240), y=st.floats(40, 160), scale_x=st.floats(0.3, 2), scale_y=st.floats(0.3, 2),
    rotation=st.floats(-360, 360), flip=st.booleans(),
)  # fmt: skip
def test_canvas_coverage_matches_warp_affine(
    x: float, y: float, scale_x: float, scale_y: float, rotation: float, flip: bool
) -> None:
    document, layer = two_layers()
    layer = dataclasses.replace(layer, transform=Transform(x, y, scale_x, scale_y, rotation, flip_y=flip))
    cover = canvas_coverage(document, layer).astype(np.float32)
    matrix = layer.transform.matrix(layer.size)
    to_index = matrix.copy()
    to_index[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5  # OpenCV counts from the middle of the first pixel
    expected = cv2.warpAffine(disc(80, 60).astype(np.float32), to_index, (300, 200), flags=cv2.INTER_LINEAR)
    wide = [cv2.GaussianBlur(values, (0, 0), 2) for values in (cover, expected)]
    assert np.abs(wide[0] - wide[1]).max() < 40  # the shape is right to about half a pixel
    assert abs(cover.sum() - expected.sum()) < 0.08 * cover.sum() + 50 * 255


def to_rgb(drawn: NDArray[np.uint8]) -> NDArray[Any]:
    return drawn[..., 2::-1]


@pytest.mark.parametrize("dtype", DEPTHS)
def test_tile_at_full_size_equals_flatten(dtype: DTypeLike) -> None:
    document, layer = two_layers(dtype)
    document = commands.set_harmonization(layer.id, WARM).change(document)
    document = commands.set_opacity(layer.id, 0.6).change(document)
    drawn = RenderSession(document).tile(document.rect, 1.0)
    export = flatten(document).pixels
    expected = export / full_scale(export.dtype) * 255
    assert np.abs(to_rgb(drawn) - expected).max() <= 1.01
    assert (drawn[..., 3] == 255).all()


@pytest.mark.parametrize("zoom", [0.11, 0.25, 0.37, 0.5, 0.8, 1.0, 1.6])
def test_tiles_fit_together_and_match_resized_export(zoom: float) -> None:
    document, layer = two_layers()
    document = commands.set_transform(layer.id, Transform(140.5, 90.3, 1.3, 1.1, 33)).change(document)
    document = commands.set_harmonization(layer.id, WARM).change(document)
    width, height = round(300 * zoom), round(200 * zoom)
    session = RenderSession(document)
    whole = session.tile(Rect(0, 0, width, height), zoom)
    tiles = np.zeros_like(whole)
    for top in range(0, height, 64):
        for left in range(0, width, 64):
            tile = Rect(left, top, min(left + 64, width), min(top + 64, height))
            tiles[tile.slices] = session.tile(tile, zoom)
    assert np.abs(tiles.astype(int) - whole).max() <= 2
    method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    expected = cv2.resize(flatten(document).pixels, (width, height), interpolation=method)
    assert np.abs(to_rgb(whole).astype(int) - expected).mean() < 4


def test_tile_magnifies_pixels_to_squares_and_is_transparent_beyond_canvas() -> None:
    document, _ = two_layers()
    drawn = RenderSession(document).tile(Rect(-8, -8, 40, 24), 8.0)
    assert (drawn[:8] == 0).all()
    assert (drawn[:, :8] == 0).all()
    expected = np.repeat(np.repeat(flatten(document).pixels[:3, :5], 8, axis=0), 8, axis=1)
    np.testing.assert_array_equal(to_rgb(drawn[8:, 8:]), expected)


def test_tile_converts_profile_to_srgb() -> None:
    green = np.full((20, 20, 3), (100, 180, 60), np.uint8)
    document = Document.from_image(ImageData(green, profile=rgb_profile(ADOBE, adobe_curve)), "print")
    blue_green_red = RenderSession(document).tile(Rect(0, 0, 1, 1), 1.0)[0, 0, :3].astype(int)
    assert blue_green_red[2] < 80  # the same green needs less red in sRGB
    np.testing.assert_array_equal(flatten(document).pixels, green)


def test_render_session_cache_is_never_stale() -> None:
    document, layer = two_layers()
    history, session = History(document), RenderSession(document, max_cache_bytes=1 << 20)
    mask = TiledMask(*layer.size, 255).replaced(0, 0, np.zeros((30, 80), np.uint8))
    curves = Curves(np.tile(np.linspace(0, 1, 5) ** 2, (3, 1)))
    rect = Rect(0, 0, 150, 100)
    for command in (
        *(commands.set_harmonization(layer.id, WARM), commands.set_sliders(layer.id, strength=0.3)),
        *(commands.set_curves(layer.id, ToneCurves.from_samples(curves)), commands.set_mask(layer.id, mask)),
        *(commands.set_transform(layer.id, Transform(10, 10, 2, 2, 10)), commands.set_visible(layer.id, False)),
        *(commands.set_visible(layer.id, True), layer_tree.shift_item(layer.id, -1)),
    ):
        before = history.document
        history.do(command)
        for state in (history.document, before, history.document):
            session.update(state)
            for harmonized in (True, False):
                expected = RenderSession(state).tile(rect, 0.5, harmonized=harmonized)
                np.testing.assert_array_equal(session.tile(rect, 0.5, harmonized=harmonized), expected)


def test_render_session_update_returns_the_whole_changed_area() -> None:
    document, layer = two_layers()
    stroke = TiledMask(*layer.size, 255).replaced(5, 5, np.zeros((10, 10), np.uint8))
    rotated = commands.set_transform(layer.id, Transform(140.5, 90.3, 3, 3, 33)).change(document)
    for before, command in (
        *((document, commands.set_opacity(layer.id, 0.2)), (document, commands.remove_layer(layer.id))),
        *((rotated, commands.set_mask(layer.id, stroke)), (document, commands.set_harmonization(layer.id, WARM))),
        *(
            (document, commands.set_transform(layer.id, Transform(30, 30))),
            (document, layer_tree.shift_item(layer.id, -1)),
        ),
        (document, commands.duplicate_layer(document.layers[0].id)),
    ):
        session = RenderSession(before)
        old = session.tile(document.rect, 1.0)
        after = command.change(before)
        dirty = session.update(after)
        new = session.tile(document.rect, 1.0)
        assert not dirty.is_empty
        assert session.document is after
        is_clean = np.ones((200, 300), bool)
        is_clean[dirty.slices] = False
        np.testing.assert_array_equal(old[is_clean], new[is_clean])
        np.testing.assert_array_equal(flatten(before).pixels[is_clean], flatten(after).pixels[is_clean])


def test_render_session_update_is_empty_for_invisible_changes() -> None:
    document, layer = two_layers()
    for command in (commands.rename_item(layer.id, "x"), commands.set_locked(layer.id, True)):
        assert RenderSession(document).update(command.change(document)).is_empty
    hidden = commands.set_visible(layer.id, False).change(document)
    assert RenderSession(hidden).update(commands.set_opacity(layer.id, 0.1).change(hidden)).is_empty


def test_render_session_update_covers_both_canvases_if_the_size_changes() -> None:
    assert RenderSession(Document(30, 20)).update(Document(10, 40)) == Rect(0, 0, 30, 40)


def test_flatten_with_strength_zero_shows_original_colors() -> None:
    document, layer = two_layers()
    off = commands.set_harmonization(layer.id, dataclasses.replace(WARM, sliders=Sliders(0.0)))
    np.testing.assert_array_equal(flatten(off.change(document)).pixels, flatten(document).pixels)


def test_render_session_tile_is_thread_safe() -> None:
    document, layer = two_layers()
    document = commands.set_harmonization(layer.id, WARM).change(document)
    session, rect = RenderSession(document), Rect(0, 0, 90, 60)
    with ThreadPoolExecutor(8) as pool:
        tiles = list(pool.map(lambda _: session.tile(rect, 0.3), range(40)))
    assert all(np.array_equal(tile, tiles[0]) for tile in tiles)


def test_flatten_is_canceled_by_progress_exception() -> None:
    class StoppedError(Exception):
        pass

    def stop(done: float) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        flatten(two_layers()[0], progress=stop)


def test_layer_thumbnail_shows_mask_and_harmonization() -> None:
    _, layer = two_layers()
    placed = dataclasses.replace(layer, transform=Transform(9, 9, 3, 3, 45), opacity=0.1, harmonization=WARM)
    drawn = layer_thumbnail(placed, 40)
    assert drawn.shape == (30, 40, 4)
    assert drawn[0, 0].max() == 0
    warmed = np.clip(cutout().pixels[30, 40] * [1.2, 1.0, 0.8], 0, 255)
    assert np.abs(drawn[15, 20, 2::-1] - warmed).max() < 20


def row_layer(pixels: list[tuple[int, int, int]], alpha: list[int], name: str = "row", **fields: Any) -> Layer:
    """Return a layer of one row of pixels at the upper left corner of the canvas."""
    raster = Raster(np.array([pixels], np.uint8), np.array([alpha], np.uint8))
    return Layer(name, raster, Transform.at(0, 0, raster.size), **fields)


def test_flatten_golden_values_of_alpha_mask_and_opacity() -> None:
    background = row_layer([(10, 20, 30)] * 4, [255] * 4)
    mask = TiledMask.from_array(np.array([[255, 255, 255, 51]], np.uint8))
    layer = row_layer([(200, 100, 50)] * 4, [0, 128, 255, 255], mask=mask, opacity=0.5)
    result = flatten(Document(4, 1, (background, layer)))
    # share of the layer: 0, 128/255 · 0.5, 0.5, 0.2 · 0.5
    assert result.pixels[0].tolist() == [[10, 20, 30], [58, 40, 35], [105, 60, 40], [29, 28, 32]]
    assert result.alpha is None


def test_flatten_golden_values_of_transparent_backdrop() -> None:
    lower = row_layer([(100, 0, 0)] * 2, [0, 128])
    upper = row_layer([(0, 200, 0)] * 2, [128, 128])
    result = flatten(Document(2, 1, (lower, upper)))
    assert result.alpha is not None
    assert result.alpha[0].tolist() == [128, 192]  # a + b - a·b
    assert result.pixels[0].tolist() == [[0, 200, 0], [33, 134, 0]]


def test_flatten_golden_values_of_sliders_before_curves() -> None:
    curves = Curves(np.array([[0.0, 0.5, 1.0], [0.0, 0.25, 1.0], [0.5, 0.5, 0.5]], np.float32))
    double = Matrix((np.eye(3, 4) * 2).astype(np.float32))
    drawn = ToneCurves.from_samples(curves)
    harmonization = Harmonization(double, "concord", sliders=Sliders(strength=0.5), curves=drawn)
    layer = row_layer([(40, 60, 80), (100, 120, 140)], [255, 255], harmonization=harmonization)
    # Half of the doubling is a factor of 1.5; the curves follow at full strength: identity, two slopes, constant.
    result = flatten(Document(2, 1, (layer,))).pixels
    assert result[0].tolist() == [[60, 45, 128], [150, 143, 128]]


def test_tile_golden_values_of_alpha_weighted_reduction() -> None:
    pixels = np.zeros((2, 4, 3), np.uint8)
    pixels[:, ::2], pixels[:, 1::2] = (200, 0, 0), (0, 0, 100)
    alpha = np.tile(np.array([255, 0, 255, 85], np.uint8), (2, 1))
    raster = Raster(pixels, alpha)
    document = Document(4, 2, (Layer("grid", raster, Transform.at(0, 0, raster.size)),))
    tile = RenderSession(document).tile(Rect(0, 0, 2, 1), 0.5)
    assert tile[0, :, 3].tolist() == [128, 170]
    color = tile[0, :, 2::-1] / tile[0, :, 3:] * 255
    np.testing.assert_allclose(color, [[200, 0, 0], [150, 0, 25]], atol=2)
