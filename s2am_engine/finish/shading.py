# SPDX-License-Identifier: GPL-3.0-or-later
"""Shading: a smooth field of gains over the foreground, for light that falls off or comes from one side.

Gains are in stops: the factor of linear light is 2^gain. Pixels stay encoded: sRGB is close to a power of 1 / 2.2, so
the factor of encoded values is 2^(gain / 2.2). Exact conversions to linear light and back would take several times as
long, and differ by less than the error of a predicted field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from s2am_engine.finish.interpolation import interpolate_by_splines
from s2am_engine.finish.scratch import Scratch, repeat_channels
from s2am_engine.image.quarter_turns import turned_array, turned_box
from s2am_engine.types import Floats

GAMMA = 2.2
"""Exponent of the encoding."""

MAX_STOPS = 1.5
"""Largest gain, up or down."""

MOST_CELLS = 64
"""Largest number of rows and of columns of a field."""

NOTABLE = 0.1  # root mean square of the gains in the foreground, in stops; less is hardly visible, and often wrong
_CUBED_LEVELS = 255.0**-3  # turns the cube of an 8-bit level into that of an encoded value


@dataclass(frozen=True, eq=False)
class Shading:
    """Gains over a box of an image, interpolated by cubic B-splines.

    box: left, top, right and bottom in pixels of the image.
    gains: n×m float32 in stops, from -MAX_STOPS to MAX_STOPS, at the centers of equal cells; constant beyond the box.
    rms: root mean square of the gains in the foreground, in stops.
    at_top: the foreground covers the upper border of the image, as a sky does.
    """

    box: tuple[float, float, float, float]
    gains: Floats
    rms: float = 0.0
    at_top: bool = False

    def __post_init__(self) -> None:
        """Check shape and range. Raises ValueError."""
        left, top, right, bottom = self.box
        if self.gains.ndim != 2 or not 0 < min(self.gains.shape) <= max(self.gains.shape) <= MOST_CELLS:
            raise ValueError(f"the gains must have 1 to {MOST_CELLS} rows and columns")
        if not (left < right and top < bottom):
            raise ValueError("the box of the gains must not be empty")
        if not np.abs(self.gains).max() <= MAX_STOPS:  # also if it is not a number
            raise ValueError(f"the gains must be from -{MAX_STOPS:g} to {MAX_STOPS:g} stops")

    @property
    def automatic(self) -> float:
        """The automatic strength: 1 if the field is visible in the foreground, else 0."""
        return 1.0 if self.rms > NOTABLE else 0.0

    @property
    def changes_nothing(self) -> bool:
        """True if all gains are 0."""
        return not self.gains.any()

    def scaled(self, factor: float) -> Shading:
        """Return the field for an image that is `factor` times as large."""
        left, top, right, bottom = (each * factor for each in self.box)
        return replace(self, box=(left, top, right, bottom))

    def moved(self, right: float, down: float) -> Shading:
        """Return the field moved by a number of pixels."""
        x0, y0, x1, y1 = self.box
        return replace(self, box=(x0 + right, y0 + down, x1 + right, y1 + down))

    def turned(self, turns: int, size: tuple[float, float]) -> Shading:
        """Return the field for an image of `size` (width, height) after quarter turns, clockwise."""
        return replace(self, box=turned_box(self.box, turns, size), gains=turned_array(self.gains, turns))

    def factors(self, strength: float, top: int, left: int, height: int, width: int) -> Floats:
        """Return the factors of encoded values for a block of the image, height×width float32.

        Args:
            strength: 0 to 3, factor of the gains.
            top: first row of the block in the image that was measured.
            left: its first column.
            height: number of rows.
            width: number of columns.
        """
        cells = np.exp2(self.gains * np.float32(strength / GAMMA))
        return interpolate_by_splines(cells, self.box, (top, left, height, width))

    def apply(self, colors: Floats, top: int, left: int, strength: float, scratch: Scratch | None = None) -> Floats:
        """Apply the gains to the colors of a block. Highlights roll off toward white instead of clipping.

        An encoded value v becomes f·v / (1 + (f - 1)·v³) if the factor f is greater than 1, else f·v.

        Args:
            colors: h×w×3 in 8-bit levels; modified.
            top: first row of the block in the image that was measured.
            left: its first column.
            strength: 0 to 3, factor of the gains.
            scratch: memory of intermediate results; None = new memory.

        Returns:
            The colors.
        """
        scratch = scratch or Scratch()
        divisors, wide = (scratch.floats(name, colors.shape) for name in ("change", "weights"))
        factor = self.factors(strength, top, left, *colors.shape[:2])
        inverse = np.reciprocal(factor, out=factor)
        if inverse.min() < 1:
            # v / (1/f + (1 - 1/f)·v³): the same as above, with one product less.
            np.clip(colors, 0, 255, out=divisors)
            cv2.pow(divisors, 3, dst=divisors)
            rising = np.multiply(inverse, np.float32(-_CUBED_LEVELS))
            rising += np.float32(_CUBED_LEVELS)
            np.maximum(rising, 0, out=rising)
            cv2.multiply(divisors, repeat_channels(rising, wide), dst=divisors)
            cv2.add(divisors, repeat_channels(inverse, wide), dst=divisors)
        else:
            repeat_channels(inverse, divisors)
        cv2.divide(colors, divisors, dst=colors)
        return colors

    def to_json(self) -> dict[str, Any]:
        """Return plain values, from which `from_json` restores the field."""
        return {
            "box": [float(each) for each in self.box],
            "gains": self.gains.tolist(),
            "rms": self.rms,
            "at_top": self.at_top,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Shading:
        """Return the field that `to_json` describes. Raises KeyError, TypeError or ValueError for anything else."""
        left, top, right, bottom = (float(each) for each in data["box"])
        gains, at_top = np.array(data["gains"], np.float32), bool(data.get("at_top", False))  # absent in earlier files
        return cls((left, top, right, bottom), gains, float(data["rms"]), at_top)
