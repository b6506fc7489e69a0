# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are: rectangles of pixels, and how a layer lies on the canvas.

Coordinates are of pixel corners, y downwards: the pixel in column 0 and row 0 covers [0, 1) × [0, 1).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Affine = NDArray[np.float64]
"""2×3: takes (x, y, 1) to (x', y')."""


class Rect(NamedTuple):
    """Pixels from (left, top) up to, and not including, (right, bottom)."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Columns; 0 for a rectangle of nothing."""
        return max(0, self.right - self.left)

    @property
    def height(self) -> int:
        """Rows; 0 for a rectangle of nothing."""
        return max(0, self.bottom - self.top)

    @property
    def is_empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.width == 0 or self.height == 0

    @property
    def window(self) -> tuple[slice, slice]:
        """Its rows and columns of an array that begins at (0, 0)."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def corners(self) -> list[tuple[float, float]]:
        """Upper left, upper right, lower right, lower left."""
        return [(self.left, self.top), (self.right, self.top), (self.right, self.bottom), (self.left, self.bottom)]

    def within(self, other: Rect) -> Rect:
        """What it shares with another; of no width or height if that is nothing."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        return Rect(left, top, max(left, min(self.right, other.right)), max(top, min(self.bottom, other.bottom)))

    def with_(self, other: Rect) -> Rect:
        """The smallest rectangle around both."""
        if self.is_empty or other.is_empty:
            return other if self.is_empty else self
        left, top = min(self.left, other.left), min(self.top, other.top)
        return Rect(left, top, max(self.right, other.right), max(self.bottom, other.bottom))

    def moved(self, x: int, y: int) -> Rect:
        """The same rectangle elsewhere."""
        return Rect(self.left + x, self.top + y, self.right + x, self.bottom + y)

    def grown(self, by: int) -> Rect:
        """With a margin on all sides."""
        return Rect(self.left - by, self.top - by, self.right + by, self.bottom + by)


def box_of(points: Iterable[tuple[float, float]]) -> Rect:
    """The smallest rectangle of whole pixels around points (x, y)."""
    xs, ys = zip(*points, strict=True)
    tiny = 1e-6  # so that rounding errors of a rotation by 90° add no row
    return Rect(
        math.floor(min(xs) + tiny), math.floor(min(ys) + tiny), math.ceil(max(xs) - tiny), math.ceil(max(ys) - tiny)
    )


@dataclass(frozen=True)
class Transform:
    """How a layer lies on the canvas: flipped, scaled and rotated about its center, which is then put at (x, y).

    Raises ValueError for values that are not finite, and for a scale that is not above 0.
    """

    x: float  # of the layer's center on the canvas, in pixels
    y: float
    scale_x: float = 1.0
    scale_y: float = 1.0
    rotation: float = 0.0  # degrees, clockwise as seen
    flip_x: bool = False  # left becomes right
    flip_y: bool = False

    def __post_init__(self) -> None:
        """Take finite numbers and scales above 0, or raise ValueError."""
        if not all(math.isfinite(getattr(self, field.name)) for field in fields(self)):
            raise ValueError(f"a transform must be made of finite numbers: {self}")
        if self.scale_x <= 0 or self.scale_y <= 0:
            raise ValueError(f"scales must be above 0: {self}")

    @classmethod
    def at(cls, left: float, top: float, size: tuple[int, int], **others: Any) -> Transform:
        """Place the upper left corner of a layer of `size` (width, height), as it is before scaling and rotating."""
        return cls(left + size[0] / 2, top + size[1] / 2, **others)

    def matrix(self, size: tuple[int, int]) -> Affine:
        """From coordinates of a layer of `size` (width, height) to those of the canvas."""
        cosine, sine = _turn(self.rotation)
        across = -self.scale_x if self.flip_x else self.scale_x
        down = -self.scale_y if self.flip_y else self.scale_y
        linear = np.array([[cosine * across, -sine * down], [sine * across, cosine * down]])
        offset = np.array([self.x, self.y]) - linear @ np.array([size[0] / 2, size[1] / 2])
        return np.column_stack([linear, offset])

    def corners(self, size: tuple[int, int]) -> list[tuple[float, float]]:
        """Where a layer's corners lie on the canvas: its upper left, upper right, lower right, lower left."""
        width, height = size
        return apply(self.matrix(size), [(0, 0), (width, 0), (width, height), (0, height)])

    def box(self, size: tuple[int, int]) -> Rect:
        """The pixels of the canvas that a layer of `size` touches."""
        return box_of(self.corners(size))

    @property
    def is_exact(self) -> bool:
        """Whether pixels keep their size and direction, so that on whole offsets they need no resampling."""
        return self.scale_x == self.scale_y == 1 and self.rotation % 90 == 0


def _turn(degrees: float) -> tuple[float, float]:
    """Cosine and sine, exact for quarter turns."""
    if degrees % 90 == 0:
        return ((1, 0), (0, 1), (-1, 0), (0, -1))[int(degrees // 90) % 4]
    angle = math.radians(degrees)
    return math.cos(angle), math.sin(angle)


def apply(matrix: Affine, points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Take points (x, y) through an affine map."""
    return [
        (
            float(matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]),
            float(matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]),
        )
        for x, y in points
    ]


def inverse(matrix: Affine) -> Affine:
    """The map that undoes an affine map."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def chained(first: Affine, then: Affine) -> Affine:
    """One affine map and then another, as one."""
    return np.column_stack([then[:, :2] @ first[:, :2], then[:, :2] @ first[:, 2] + then[:, 2]])
