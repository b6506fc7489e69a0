# SPDX-License-Identifier: GPL-3.0-or-later
"""Geometry of a shadow: the ground line, and the projection of a silhouette along the light onto the ground.

Coordinates are those of the canvas in pixels, x to the right and y down; pixel i covers i to i + 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from s2am_engine.image.arrays import to_depth
from s2am_engine.image.rect import Rect
from s2am_engine.shadow.layer import Silhouette
from s2am_engine.shadow.settings import Shadow
from s2am_engine.types import Bytes, Doubles, Mask

OUTLINE = 0.5
"""Opacity from which on a pixel belongs to the body that touches the ground."""

_VISIBLE = 32  # of 255: fainter pixels, such as stray ones of a cutout, do not enlarge the foreground


def bounds_of(alpha: Mask, least: int) -> Rect | None:
    """Return the smallest box that contains all values of at least `least`; None = there are none.

    Args:
        alpha: h×w, uint8 or uint16.
        least: the limit.
    """
    if not alpha.size:
        return None
    ys, xs = (np.flatnonzero(alpha.max(axis=axis) >= least) for axis in (1, 0))
    if not len(ys):
        return None
    return Rect(int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1)


@dataclass(frozen=True, eq=False)
class Foreground:
    """The visible part of a silhouette. alpha: h×w uint8; box: its place on the canvas, which it may exceed."""

    alpha: Bytes
    box: Rect

    @classmethod
    def of(cls, silhouette: Silhouette) -> Foreground | None:
        """Crop a silhouette; None = nothing is visible."""
        alpha = to_depth(silhouette.alpha, np.dtype(np.uint8))
        box = bounds_of(alpha, _VISIBLE)
        if box is None:
            return None
        x, y = silhouette.left + box.left, silhouette.top + box.top
        return cls(alpha[box.top : box.bottom, box.left : box.right], Rect(x, y, x + box.width, y + box.height))


@dataclass(frozen=True)
class GroundLine:
    """The line y = level + fall · (x - center)."""

    center: float
    level: float
    fall: float

    @classmethod
    def of(cls, shadow: Shadow, box: Rect) -> GroundLine:
        """Return the ground line of a foreground in a box."""
        fall = math.tan(math.radians(shadow.slope))
        return cls((box.left + box.right) / 2, box.bottom - shadow.ground * box.height, fall)

    def at(self, x: Doubles | float) -> Doubles | float:
        """Return y."""
        return self.level + self.fall * (x - self.center)


@dataclass(frozen=True)
class Projection:
    """Oblique projection: the point at height h above its foot on the ground line falls at foot + h · (right, down)."""

    ground: GroundLine
    right: float
    down: float

    @classmethod
    def of(cls, shadow: Shadow, box: Rect) -> Projection:
        """Return the projection of a foreground in a box."""
        return cls(GroundLine.of(shadow, box), *shadow.vector)

    @property
    def depth(self) -> float:
        """Vertical distance of a shadow's point from the ground line, for each pixel of its height; not 0."""
        return self.down - self.ground.fall * self.right

    @property
    def matrix(self) -> Doubles:
        """3×3 affine matrix from points of the foreground to points of the shadow."""
        fall = self.ground.fall
        foot = self.ground.level - fall * self.ground.center
        return np.array(
            [
                [1 + fall * self.right, -self.right, foot * self.right],
                [fall * (1 + self.down), -self.down, foot * (1 + self.down)],
                [0, 0, 1],
            ]
        )

    def heights(self, xs: Doubles, ys: Doubles) -> Doubles:
        """Return the heights, in pixels, of the foreground's points whose shadow lies at (x, y), len(ys)×len(xs).

        A ground line without slope gives one column, as the heights depend on y only.
        """
        if self.ground.fall == 0:
            return (ys[:, None] - self.ground.level) / self.depth
        return (ys[:, None] - np.asarray(self.ground.at(xs))[None]) / self.depth

    def tallest(self, box: Rect) -> float:
        """Return the height of the highest corner of a box above the ground line."""
        return max(float(self.ground.at(x)) - box.top for x in (box.left, box.right))

    def shadow_box(self, box: Rect, margin: tuple[float, float]) -> Rect:
        """Return where the shadow of the part of a box above the ground line falls.

        Args:
            box: the foreground's.
            margin: added on each side, horizontally and vertically.
        """
        xs = np.array([box.left, box.right, box.left, box.right], np.float64)
        feet = np.asarray(self.ground.at(xs))
        heights = np.where(np.arange(4) < 2, 0, np.maximum(feet - box.top, 0))
        x, y = xs + heights * self.right, feet + heights * self.down
        return Rect(
            math.floor(x.min() - margin[0]),
            math.floor(y.min() - margin[1]),
            math.ceil(x.max() + margin[0]),
            math.ceil(y.max() + margin[1]),
        )


def lower_edge(alpha: Bytes) -> Doubles:
    """Return for each column the row below its lowest pixel of the body, h×w → w; NaN = there is none."""
    body = alpha[::-1] >= OUTLINE * 255
    rows = len(alpha) - body.argmax(axis=0).astype(np.float64)
    return np.where(body.any(axis=0), rows, np.nan)
