# SPDX-License-Identifier: GPL-3.0-or-later
"""Pasting a layer: where it lies, what it covers, and that nothing else of the background changes."""

from __future__ import annotations

import numpy as np
import pytest

from s2am_engine.errors import EngineError
from s2am_engine.image.compositing import paste, place
from s2am_engine.image.io import ImageData

RED = ImageData(np.full((4, 6, 3), (200, 0, 0), np.uint8), np.full((4, 6), 255, np.uint8))
BLUE = ImageData(np.full((10, 12, 3), (0, 0, 100), np.uint8))


def test_a_layer_lands_where_it_is_told_and_nothing_else_changes() -> None:
    placement = place(RED, BLUE, (5, 3))
    result = paste(placement, placement.pixels, BLUE).pixels
    expected = BLUE.pixels.copy()
    expected[3:7, 5:11] = (200, 0, 0)
    np.testing.assert_array_equal(result, expected)
    assert (placement.mask(10, 12) > 0).sum() == 24


@pytest.mark.parametrize(("at", "covered"), [((-2, -1), (3, 4)), ((9, 8), (2, 3)), (None, (4, 6))])
def test_a_layer_that_reaches_beyond_the_edge_is_cropped(at: tuple[int, int] | None, covered: tuple[int, int]) -> None:
    assert place(RED, BLUE, at).alpha.shape == covered


def test_a_layer_outside_is_refused() -> None:
    with pytest.raises(EngineError, match="no part of the layer lies on the background"):
        place(RED, BLUE, (50, 50))


def test_a_layer_without_alpha_is_refused() -> None:
    with pytest.raises(EngineError, match="no transparency"):
        place(ImageData(RED.pixels), BLUE)


def test_half_transparent_pixels_are_mixed_half_and_half() -> None:
    layer = ImageData(RED.pixels, np.full((4, 6), 128, np.uint8))
    placement = place(layer, BLUE, (0, 0))
    mixed = paste(placement, placement.pixels, BLUE).pixels[0, 0]
    np.testing.assert_array_equal(mixed, np.rint([200 * 128 / 255, 0, 100 * 127 / 255]))


def test_over_a_transparent_background_only_the_layer_shows() -> None:
    clear = ImageData(BLUE.pixels, np.zeros((10, 12), np.uint8))
    layer = ImageData(RED.pixels, np.full((4, 6), 128, np.uint8))
    placement = place(layer, clear, (0, 0))
    result = paste(placement, placement.pixels, clear)
    np.testing.assert_array_equal(result.pixels[0, 0], (200, 0, 0))
    assert result.alpha is not None
    assert result.alpha[0, 0] == 128
    assert result.alpha[9, 11] == 0


def test_a_color_layer_on_a_gray_picture_becomes_gray() -> None:
    gray = ImageData(np.full((10, 12, 3), 90, np.uint8), gray=True)
    placement = place(RED, gray, (0, 0))
    result = paste(placement, placement.pixels, gray)
    assert result.gray
    np.testing.assert_array_equal(result.pixels[0, 0], (67, 67, 67))
    np.testing.assert_array_equal(result.pixels[9, 11], (90, 90, 90))


def test_a_layer_takes_the_depth_of_the_background() -> None:
    deep = ImageData(np.full((10, 12, 3), 40000, np.uint16))
    placement = place(RED, deep, (0, 0))
    np.testing.assert_array_equal(placement.pixels[0, 0], (200 * 257, 0, 0))
    assert placement.alpha.max() == 65535
