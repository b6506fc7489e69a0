# SPDX-License-Identifier: GPL-3.0-or-later
"""Affine matrices, and the placement of a layer on the canvas.

Coordinates refer to pixel corners, y downward: the pixel in column 0 and row 0 covers [0, 1) × [0, 1).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2am_engine.image.rect import Rect

Point = tuple[float, float]
"""(x, y)"""

Affine = NDArray[np.float64]
"""2×3 matrix that maps (x, y, 1) to (x', y')."""


def bounding_rect(points: Iterable[tuple[float, float]]) -> Rect:
    """Return the smallest rectangle of whole pixels that contains all points (x, y)."""
    xs, ys = zip(*points, strict=True)
    epsilon = 1e-6  # rounding errors of a rotation by 90° must not add a row
    return Rect(
        *(math.floor(min(xs) + epsilon), math.floor(min(ys) + epsilon)),
        *(math.ceil(max(xs) - epsilon), math.ceil(max(ys) - epsilon)),
    )


@dataclass(frozen=True)
class Transform:
    """Placement of a layer: flip, scale and rotation about its center, then translation of the center to (x, y).

    Attributes:
        x: horizontal position of the layer's center on the canvas, in pixels.
        y: vertical position of the layer's center on the canvas, in pixels.
        scale_x: horizontal scale factor, above 0.
        scale_y: vertical scale factor, above 0.
        rotation: angle in degrees, clockwise on the screen.
        flip_x: exchange left and right.
        flip_y: exchange top and bottom.

    Raises:
        ValueError: a value is not finite, or a scale factor is not above 0.
    """

    x: float
    y: float
    scale_x: float = 1.0
    scale_y: float = 1.0
    rotation: float = 0.0
    flip_x: bool = False
    flip_y: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        if not all(math.isfinite(getattr(self, field.name)) for field in fields(self)):
            raise ValueError(f"a transform must consist of finite numbers: {self}")
        if self.scale_x <= 0 or self.scale_y <= 0:
            raise ValueError(f"scale factors must be above 0: {self}")

    @classmethod
    def at(cls, left: float, top: float, size: tuple[int, int], **others: Any) -> Transform:
        """Return the transform that puts the upper left corner of a layer of `size` (width, height) at (left, top).

        The position applies to the unscaled and unrotated layer. `others` are further fields of the transform.
        """
        return cls(left + size[0] / 2, top + size[1] / 2, **others)

    def matrix(self, size: tuple[int, int]) -> Affine:
        """Return the matrix from coordinates of a layer of `size` (width, height) to canvas coordinates."""
        cosine, sine = _cosine_and_sine(self.rotation)
        across = -self.scale_x if self.flip_x else self.scale_x
        down = -self.scale_y if self.flip_y else self.scale_y
        linear = np.array([[cosine * across, -sine * down], [sine * across, cosine * down]])
        offset = np.array([self.x, self.y]) - linear @ np.array([size[0] / 2, size[1] / 2])
        return np.column_stack([linear, offset])

    def moved(self, right: float, down: float) -> Transform:
        """Return the transform at a place that lies `right` and `down` canvas pixels from this one."""
        return dataclasses.replace(self, x=self.x + right, y=self.y + down)

    def corners(self, size: tuple[int, int]) -> list[tuple[float, float]]:
        """Return the canvas positions of the upper left, upper right, lower right and lower left corner."""
        width, height = size
        return transform_points(self.matrix(size), [(0, 0), (width, 0), (width, height), (0, height)])

    def box(self, size: tuple[int, int]) -> Rect:
        """Return the bounding box of a layer of `size` (width, height) on the canvas."""
        return bounding_rect(self.corners(size))


def _cosine_and_sine(degrees: float) -> tuple[float, float]:
    """Return cosine and sine, exact for quarter turns."""
    if degrees % 90 == 0:
        return ((1, 0), (0, 1), (-1, 0), (0, -1))[int(degrees // 90) % 4]
    angle = math.radians(degrees)
    return math.cos(angle), math.sin(angle)


def transform_points(matrix: Affine, points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Apply an affine matrix to points (x, y)."""
    return [
        (
            float(matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]),
            float(matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]),
        )
        for x, y in points
    ]


def invert_affine(matrix: Affine) -> Affine:
    """Return the inverse of an affine matrix."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def concatenate_affine(first: Affine, second: Affine) -> Affine:
    """Return the matrix that applies `first`, then `second`."""
    return np.column_stack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]])
