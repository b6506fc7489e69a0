# SPDX-License-Identifier: GPL-3.0-or-later
"""Color maps for linear light: as for the sRGB values of the same pixels, block by block."""

from __future__ import annotations

import numpy as np
import pytest

from s2am_engine.color.apply import apply_color_map
from s2am_engine.color.linear_light import apply_in_linear_light
from s2am_engine.color.map import Matrix
from s2am_engine.color.srgb import linear_to_srgb, srgb_to_linear
from s2am_engine.types import Floats, Mask

WARMER = Matrix(np.array([[1.2, 0.1, 0, 0.05], [0, 1, 0.1, 0], [0, 0, 0.7, -0.1]], np.float32))


@pytest.fixture
def pixels(monkeypatch: pytest.MonkeyPatch) -> Floats:
    """Return float RGBA beyond [0, 1] that takes several blocks."""
    monkeypatch.setattr("s2am_engine.color.linear_light._BLOCK_PIXELS", 64)
    return np.random.default_rng(5).uniform(-0.1, 1.3, (60, 23, 4)).astype(np.float32)


@pytest.fixture
def mask() -> Mask:
    """Return a mask with soft, hard and empty rows and pixels."""
    values: Mask = np.random.default_rng(6).choice(np.array([0, 1, 100, 255], np.uint8), (60, 23))
    values[20:40] = 0
    return values


def test_linear_light_gets_the_map_of_its_srgb_values(pixels: Floats, mask: Mask) -> None:
    result = pixels.copy()
    apply_in_linear_light(WARMER, result, mask)
    expected = srgb_to_linear(apply_color_map(WARMER, linear_to_srgb(pixels[..., :3]), mask))
    inside = mask > 0
    np.testing.assert_allclose(result[inside][:, :3], expected[inside], atol=2e-6)
    np.testing.assert_array_equal(result[~inside], pixels[~inside])
    np.testing.assert_array_equal(result[..., 3], pixels[..., 3])
    assert np.abs(result - pixels)[inside].max() > 0.1


def test_linear_light_can_be_canceled(pixels: Floats, mask: Mask) -> None:
    class StopError(Exception):
        pass

    def stop(_fraction: float) -> None:
        raise StopError

    with pytest.raises(StopError):
        apply_in_linear_light(WARMER, pixels, mask, stop)
