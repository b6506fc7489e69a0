# SPDX-License-Identifier: GPL-3.0-or-later
"""Color maps for pixels in another color space equal converting to sRGB, applying the map, and converting back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gimp_bridge.color_space import in_color_space, is_identity
from gimp_bridge.strip_messages import TRANSFER_STEPS, ColorSpace
from s2am_common.errors import EngineError
from s2am_engine.color.apply import apply_color_map
from s2am_engine.color.map import Chain, Curves, Matrix
from s2am_engine.color.srgb import linear_to_srgb, srgb_to_linear

ADOBE_RGB = np.array([[1.3983, -0.3983, 0.0], [0.0, 1.0, 0.0], [0.0, -0.0429, 1.0429]])
PROPHOTO = np.array([[2.0341, -0.7274, -0.3067], [-0.2288, 1.2317, -0.0029], [-0.0086, -0.1533, 1.1618]])
MAP = Chain(
    (
        Curves(np.stack([np.linspace(0, 1, 9) ** power for power in (0.8, 0.9, 1.2)]).astype(np.float32)),
        Matrix(np.array([[0.9, 0.05, 0, 0.01], [0.02, 0.85, 0.05, 0.02], [0, 0.1, 0.8, 0.02]], np.float32)),
    )
)


def color_space(gamma: float, primaries: NDArray[Any]) -> ColorSpace:
    """Return a color space with a power as its transfer function."""
    transfer = np.linspace(0, 1, TRANSFER_STEPS) ** gamma
    return ColorSpace(transfer.astype(np.float32).tobytes(), tuple(primaries.ravel().tolist()))


@pytest.mark.parametrize(("gamma", "primaries"), [(2.2, ADOBE_RGB), (1.8, PROPHOTO), (1.0, np.eye(3))])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_in_color_space_equals_converting_the_pixels(gamma: float, primaries: NDArray[Any], dtype: type[Any]) -> None:
    full = np.iinfo(dtype).max
    pixels = np.random.default_rng(0).integers(0, full + 1, (40, 50, 3)).astype(dtype)
    found = apply_color_map(in_color_space(MAP, color_space(gamma, primaries)), pixels).astype(np.float64)
    encoded = linear_to_srgb((pixels / full) ** gamma @ primaries.T)
    mapped = np.maximum(MAP(encoded), np.minimum(encoded, 0))  # no value becomes more negative than it was
    linear = srgb_to_linear(mapped) @ np.linalg.inv(primaries).T
    expected = full * linear.clip(0, 1) ** (1 / gamma)
    assert np.abs(found - expected).max() <= max(0.6, full / 65535 * 4)


def test_pixels_of_a_color_space_that_cannot_be_converted_are_an_error() -> None:
    with pytest.raises(EngineError, match="cannot be converted"):
        in_color_space(MAP, color_space(2.2, np.zeros((3, 3))))
    falling = np.linspace(1, 0, TRANSFER_STEPS, dtype=np.float32).tobytes()
    with pytest.raises(EngineError, match="cannot be converted"):
        in_color_space(MAP, ColorSpace(falling, tuple(ADOBE_RGB.ravel())))


def test_is_identity() -> None:
    assert is_identity(Chain(()))
    assert is_identity(Matrix(np.eye(3, 4, dtype=np.float32)).blend(0.5))
    assert not is_identity(MAP)
    assert not is_identity(Matrix(np.array([[1, 0, 0, 1e-4], [0, 1, 0, 0], [0, 0, 1, 0]], np.float32)))
