# SPDX-License-Identifier: GPL-3.0-or-later
"""Quarter turns of an image: the new places of its points and boxes, and arrays of its pixels.

Turns are clockwise on the screen; negative ones are counterclockwise. Coordinates are pixels, x to the right, y down.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_Scalar = TypeVar("_Scalar", bound=np.generic)
Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""


def turned_array(array: NDArray[_Scalar], turns: int) -> NDArray[_Scalar]:
    """Return an H×W or H×W×C array turned, contiguous in memory."""
    return np.ascontiguousarray(np.rot90(array, -turns))


def turned_point(point: tuple[float, float], turns: int, size: tuple[float, float]) -> tuple[float, float]:
    """Return the place of a point (x, y) in the turned image, which is `size` (width, height) before.

    With the size (0, 0), points turn about the origin.
    """
    (x, y), (width, height) = point, size
    for _ in range(turns % 4):
        x, y, width, height = height - y, x, height, width
    return x, y


def turned_box(box: Box, turns: int, size: tuple[float, float]) -> Box:
    """Return the place of a box in the turned image; see `turned_point`."""
    left, top, right, bottom = box
    (x0, y0), (x1, y1) = (turned_point(corner, turns, size) for corner in ((left, top), (right, bottom)))
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
