# SPDX-License-Identifier: GPL-3.0-or-later
"""Color maps for pixels in the color space of another profile, without converting the pixels themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gimp_bridge.strip_messages import TRANSFER_STEPS, ColorSpace
from s2am_common.errors import EngineError
from s2am_engine.color.map import Chain, ColorMap, Curves, Matrix
from s2am_engine.color.srgb import linear_to_srgb, srgb_to_linear
from s2am_engine.types import Doubles, Floats

_LATTICE = 9
_IDENTITY_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class _GamutPreserving(ColorMap):
    """A map of sRGB values that makes none more negative than it was, as `apply_color_map` does with floats."""

    map: ColorMap

    def _evaluate(self, colors: Floats) -> Floats:
        levels = self.map(colors)
        return np.maximum(levels, np.minimum(colors, 0), out=levels)


def in_color_space(color_map: ColorMap, space: ColorSpace) -> ColorMap:
    """Return a map of values in a color space that equals a map of sRGB values.

    Raises:
        EngineError: the conversion has no inverse.
    """
    # GIMP measures the transfer function by converting grays, with rounding errors that may make it fall in places.
    linear = np.maximum.accumulate(np.frombuffer(space.transfer, np.float32).astype(np.float64))
    primaries = np.reshape(space.primaries, (3, 3))
    if not np.isfinite(linear).all() or linear[-1] <= linear[0] or abs(np.linalg.det(primaries)) < 1e-6:
        raise EngineError("The layer's color space cannot be converted to sRGB.", code="engine.request")
    encoded = np.linspace(0, 1, TRANSFER_STEPS)
    decode = Curves(np.tile(linear_to_srgb(linear), (3, 1)))
    encode = Curves(np.tile(np.interp(srgb_to_linear(encoded), linear, encoded), (3, 1)).astype(np.float32))
    inverse = _linear_matrix(np.linalg.inv(primaries))
    return Chain((decode, _linear_matrix(primaries), _GamutPreserving(color_map), inverse, encode))


def is_identity(color_map: ColorMap) -> bool:
    """Return whether a map changes no color."""
    steps = np.linspace(0, 1, _LATTICE, dtype=np.float32)
    colors = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    return bool(np.abs(color_map(colors) - colors).max() < _IDENTITY_TOLERANCE)


def _linear_matrix(mixing: Doubles) -> Matrix:
    return Matrix(np.column_stack([mixing, np.zeros(3)]).astype(np.float32), linear=True)
