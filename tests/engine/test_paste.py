# SPDX-License-Identifier: GPL-3.0-or-later
"""place_layer and paste_layer: position, alpha, depth, and an unchanged background elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from s2am_common.errors import EngineError
from s2am_engine.image.data import ImageData
from s2am_engine.image.paste import paste_layer, place_layer

RED = ImageData(np.full((4, 6, 3), (200, 0, 0), np.uint8), np.full((4, 6), 255, np.uint8))
BLUE = ImageData(np.full((10, 12, 3), (0, 0, 100), np.uint8))


def test_paste_layer_changes_only_the_pixels_beneath_it() -> None:
    placement = place_layer(RED, BLUE, (5, 3))
    result = paste_layer(placement, placement.pixels, BLUE).pixels
    expected = BLUE.pixels.copy()
    expected[3:7, 5:11] = (200, 0, 0)
    np.testing.assert_array_equal(result, expected)
    assert (placement.mask(10, 12) > 0).sum() == 24


@pytest.mark.parametrize(("at", "covered"), [((-2, -1), (3, 4)), ((9, 8), (2, 3)), (None, (4, 6))])
def test_place_layer_crops_at_the_edges(at: tuple[int, int] | None, covered: tuple[int, int]) -> None:
    assert place_layer(RED, BLUE, at).alpha.shape == covered


@pytest.mark.parametrize(("rows", "percent"), [(1, "Less than 1"), (500, "50"), (998, "99")])
def test_place_layer_notes_the_share_that_is_cut_off(rows: int, percent: str, caplog: pytest.LogCaptureFixture) -> None:
    layer = ImageData(np.zeros((1000, 2, 3), np.uint8), np.full((1000, 2), 255, np.uint8))
    place_layer(layer, ImageData(np.zeros((1000, 2, 3), np.uint8)), (0, rows))
    assert caplog.messages == [f"{percent} % of the layer lies beyond the edge of the background and is cut off."]


def test_place_layer_refuses_position_outside() -> None:
    with pytest.raises(EngineError, match="no part of the layer lies on the background"):
        place_layer(RED, BLUE, (50, 50))


def test_place_layer_refuses_layer_without_alpha() -> None:
    with pytest.raises(EngineError, match="no transparency"):
        place_layer(ImageData(RED.pixels), BLUE)


def test_paste_layer_interpolates_translucent_pixels() -> None:
    layer = ImageData(RED.pixels, np.full((4, 6), 128, np.uint8))
    placement = place_layer(layer, BLUE, (0, 0))
    mixed = paste_layer(placement, placement.pixels, BLUE).pixels[0, 0]
    np.testing.assert_array_equal(mixed, np.rint([200 * 128 / 255, 0, 100 * 127 / 255]))


def test_paste_layer_over_transparent_background() -> None:
    clear = ImageData(BLUE.pixels, np.zeros((10, 12), np.uint8))
    layer = ImageData(RED.pixels, np.full((4, 6), 128, np.uint8))
    placement = place_layer(layer, clear, (0, 0))
    result = paste_layer(placement, placement.pixels, clear)
    np.testing.assert_array_equal(result.pixels[0, 0], (200, 0, 0))
    assert result.alpha is not None
    assert result.alpha[0, 0] == 128
    assert result.alpha[9, 11] == 0


def test_paste_layer_on_gray_image_stays_gray() -> None:
    gray = ImageData(np.full((10, 12, 3), 90, np.uint8), gray=True)
    placement = place_layer(RED, gray, (0, 0))
    result = paste_layer(placement, placement.pixels, gray)
    assert result.gray
    np.testing.assert_array_equal(result.pixels[0, 0], (43, 43, 43))
    np.testing.assert_array_equal(result.pixels[9, 11], (90, 90, 90))


def test_place_layer_converts_to_depth_of_background() -> None:
    deep = ImageData(np.full((10, 12, 3), 40000, np.uint16))
    placement = place_layer(RED, deep, (0, 0))
    np.testing.assert_array_equal(placement.pixels[0, 0], (200 * 257, 0, 0))
    assert placement.alpha.max() == 65535
