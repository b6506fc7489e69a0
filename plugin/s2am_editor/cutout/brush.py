# SPDX-License-Identifier: GPL-3.0-or-later
"""A round brush and eraser on masks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2am_editor.document.geometry import Rect, box_of
from s2am_editor.document.mask import Mask

Point = tuple[float, float]


@dataclass(frozen=True)
class Brush:
    """What is painted with.

    size: its diameter in pixels of the mask, above 0. hardness: 1 = a sharp edge, 0 = soft from the middle on. erase:
    whether it takes away. Raises ValueError for anything else.
    """

    size: float = 60.0
    hardness: float = 0.8
    erase: bool = False

    def __post_init__(self) -> None:
        """Take a size above 0 and a hardness from 0 to 1, or raise ValueError."""
        if not (self.size > 0 and 0 <= self.hardness <= 1):
            raise ValueError(f"a brush needs a size above 0 and a hardness from 0 to 1, not {self}")


def paint(mask: Mask, points: Sequence[Point], brush: Brush) -> Mask:
    """Draw a brush along points (x, y) of the mask's pixels; a single point is a dab.

    Painting over what this brush painted already changes nothing: a stroke may be given piece by piece, each piece
    beginning where the last one ended.
    """
    ends = list(itertools.pairwise(points)) or [(point, point) for point in points]
    for start, end in ends:
        area = box_of([start, end]).grown(int(brush.size / 2) + 2).within(mask.rect)
        if area.is_empty:
            continue
        touched = np.rint(_strength(area, start, end, brush) * 255).astype(np.uint8)
        before = mask.read(area)
        after = np.minimum(before, 255 - touched) if brush.erase else np.maximum(before, touched)
        if not np.array_equal(before, after):
            mask = mask.replaced(area.left, area.top, after)
    return mask


def _strength(area: Rect, start: Point, end: Point, brush: Brush) -> NDArray[np.float32]:
    """How much of the brush each pixel of an area gets: 1 in its core, smoothly down to 0 at its edge."""
    x = np.arange(area.left, area.right, dtype=np.float32)[None] + np.float32(0.5 - start[0])
    y = np.arange(area.top, area.bottom, dtype=np.float32)[:, None] + np.float32(0.5 - start[1])
    across, down = np.float32(end[0] - start[0]), np.float32(end[1] - start[1])
    length = across * across + down * down
    if length > 0:
        along = np.clip((x * across + y * down) / length, 0, 1)
        x, y = x - along * across, y - along * down
    radius = brush.size / 2
    fade = max(radius * (1 - brush.hardness), 1.0)  # a sharp edge is one pixel wide
    share = np.clip((radius + 0.5 - np.hypot(x, y)) / np.float32(fade), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)
