# SPDX-License-Identifier: GPL-3.0-or-later
"""Rectangles of whole pixels."""

from __future__ import annotations

from typing import NamedTuple


class Rect(NamedTuple):
    """Pixels from (left, top) up to, but not including, (right, bottom)."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Number of columns, at least 0."""
        return max(0, self.right - self.left)

    @property
    def height(self) -> int:
        """Number of rows, at least 0."""
        return max(0, self.bottom - self.top)

    @property
    def is_empty(self) -> bool:
        """True if the rectangle contains no pixel."""
        return self.width == 0 or self.height == 0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices into an array whose origin is (0, 0)."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def corners(self) -> list[tuple[float, float]]:
        """Upper left, upper right, lower right and lower left corner."""
        return [(self.left, self.top), (self.right, self.top), (self.right, self.bottom), (self.left, self.bottom)]

    def intersection(self, other: Rect) -> Rect:
        """Return the common part of two rectangles; its width or height is 0 if there is none."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        return Rect(left, top, max(left, min(self.right, other.right)), max(top, min(self.bottom, other.bottom)))

    def union(self, other: Rect) -> Rect:
        """Return the smallest rectangle that contains both; an empty one is ignored."""
        if self.is_empty or other.is_empty:
            return other if self.is_empty else self
        left, top = min(self.left, other.left), min(self.top, other.top)
        return Rect(left, top, max(self.right, other.right), max(self.bottom, other.bottom))

    def translated(self, x: int, y: int) -> Rect:
        """Return the rectangle shifted by (x, y)."""
        return Rect(self.left + x, self.top + y, self.right + x, self.bottom + y)

    def expanded(self, margin: int) -> Rect:
        """Return the rectangle with a margin added on all sides."""
        return Rect(self.left - margin, self.top - margin, self.right + margin, self.bottom + margin)

    def padded(self, step: int) -> Rect:
        """Return the rectangle enlarged to the right and the bottom, so that its sides are multiples of `step`."""
        width, height = (-(-length // step) * step for length in (self.width, self.height))
        return Rect(self.left, self.top, self.left + width, self.top + height)


EMPTY_RECT = Rect(0, 0, 0, 0)
