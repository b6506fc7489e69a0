# SPDX-License-Identifier: GPL-3.0-or-later
"""Shading: a smooth field of gains over the foreground, for light that falls off or comes from one side.

Gains are in stops: the factor of linear light is 2^gain. Pixels stay encoded: sRGB is close to a power of 1 / 2.2, so
the factor of encoded values is 2^(gain / 2.2). Exact conversions to linear light and back would take several times as
long, and differ by less than the error of a predicted field.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.finish.edges import times
from s2am_engine.types import Doubles, Floats

GAMMA = 2.2
"""Exponent of the encoding."""

MAX_STOPS = 1.5
"""Largest gain, up or down."""

MOST_CELLS = 64
"""Largest number of rows and of columns of a field."""

NOTABLE = 0.1  # root mean square of the gains in the foreground, in stops; less is hardly visible, and often wrong


@dataclass(frozen=True, eq=False)
class Shading:
    """Gains over a box of an image, interpolated by cubic B-splines.

    box: left, top, right and bottom in pixels of the image.
    gains: n×m float32 in stops, from -MAX_STOPS to MAX_STOPS, at the centers of equal cells; constant beyond the box.
    rms: root mean square of the gains in the foreground, in stops.
    """

    box: tuple[float, float, float, float]
    gains: Floats
    rms: float = 0.0

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

    def factors(self, strength: float, top: int, left: int, height: int, width: int) -> Floats:
        """Return the factors of encoded values for a block of the image, height×width float32.

        They are sums of four products by rows and by columns, whose bits do not depend on the block, as those of a
        product of matrices may.

        Args:
            strength: 0 to 3, factor of the gains.
            top: first row of the block in the image that was measured.
            left: its first column.
            height: number of rows.
            width: number of columns.
        """
        x0, y0, x1, y1 = self.box
        cells = np.exp2(self.gains * np.float32(strength / GAMMA))
        stretched = _weighted(cells.T, *_nodes(left, width, cells.shape[1], x0, x1)).T
        return _weighted(stretched, *_nodes(top, height, cells.shape[0], y0, y1))

    def apply(self, colors: Floats, top: int, left: int, strength: float) -> Floats:
        """Return the colors of a block with the gains applied. Highlights roll off toward white instead of clipping.

        An encoded value v becomes f·v / (1 + (f - 1)·v³) if the factor f is greater than 1, else f·v.

        Args:
            colors: h×w×3 in 8-bit levels.
            top: first row of the block in the image that was measured.
            left: its first column.
            strength: 0 to 3, factor of the gains.
        """
        factor = self.factors(strength, top, left, *colors.shape[:2])
        result = times(colors, factor)
        if factor.max() <= 1:
            return result
        share = np.clip(colors, 0, 255)
        share *= np.float32(1 / 255)
        divisor = times(cv2.pow(share, 3, dst=share), np.maximum(factor - 1, 0), out=share)
        divisor += 1
        return np.asarray(cv2.divide(result, divisor, dst=result), np.float32)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, from which `from_json` restores the field."""
        return {
            "box": [float(each) for each in self.box],
            "gains": self.gains.tolist(),
            "rms": self.rms,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Shading:
        """Return the field that `to_json` describes. Raises KeyError, TypeError or ValueError for anything else."""
        left, top, right, bottom = (float(each) for each in data["box"])
        return cls((left, top, right, bottom), np.array(data["gains"], np.float32), float(data["rms"]))


def _weighted(rows: Floats, places: NDArray[np.intp], weights: Floats) -> Floats:
    """Return sums of four rows each: (count, m), for rows (n, m), their numbers (4, count) and weights (4, count)."""
    found = rows[places[0]] * weights[0, :, None]
    for place, weight in zip(places[1:], weights[1:], strict=True):
        found += rows[place] * weight[:, None]
    return found


def spline_nodes(places: NDArray[Any], samples: int, length: float) -> tuple[NDArray[np.intp], Doubles]:
    """Return the four samples (4, count) of a uniform cubic B-spline at each position, and their weights (4, count).

    Such splines are smooth up to the second derivative.

    Args:
        places: (count,) positions on an axis.
        samples: number of samples on the axis, at the centers of equal parts; the outermost ones continue beyond.
        length: of the axis.
    """
    at = np.clip(places * (samples / length) - 0.5, -2, samples + 1)
    nodes = np.floor(at) + np.arange(-1, 3)[:, None]
    distances = np.abs(at - nodes)
    near, far = 2 / 3 - distances**2 + distances**3 / 2, np.maximum(2 - distances, 0) ** 3 / 6
    return nodes.clip(0, samples - 1).astype(np.intp), np.where(distances < 1, near, far)


@functools.lru_cache(64)
def _nodes(start: int, count: int, samples: int, first: float, last: float) -> tuple[NDArray[np.intp], Floats]:
    """Return `spline_nodes` of `count` pixels from `start` on, for an axis from `first` to `last`.

    They are cached, as blocks above one another have the same ones. The centers of the pixels are exact before the
    subtraction, so that the bits do not depend on the block.
    """
    places, weights = spline_nodes(np.arange(start, start + count) + 0.5 - first, samples, last - first)
    return places, weights.astype(np.float32)
