# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks of an image that is changed in place: reading them with what is around them, as it was before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s2am_engine.image.arrays import full_scale
from s2am_engine.types import Floats, Pixels

BlockPart = tuple[slice, slice]
"""Rows and columns."""


class OriginalPixels:
    """Pixels that are changed in blocks, row after row, each after it was entered.

    Copies are made only of the pixels that later blocks depend on: the lowest rows of two rows of blocks, and the last
    columns of a block.
    """

    def __init__(self, pixels: Pixels, box: tuple[int, int, int, int], reach: int) -> None:
        """Copy nothing yet.

        Args:
            pixels: H×W×3, or H×W×4 whose last channel is not read.
            box: left, top, right, bottom of all blocks.
            reach: pixels to each side of a block that it depends on, at most the size of a block that is not the last.
        """
        self._pixels, self._reach = pixels, reach
        left, top, right, self._bottom = box
        self._columns = slice(max(0, left - reach), min(pixels.shape[1], right + reach))
        self._rows = slice(0, 0)
        self._above = self._before = pixels[:0]
        self._lowest = pixels[max(0, top - reach) : top, self._columns]

    def enter(self, block: BlockPart) -> BlockSurroundings:
        """Return the pixels of the next block and around it, to be read before the following block is entered."""
        rows, columns = block
        pixels, reach, every = self._pixels, self._reach, self._columns
        if rows != self._rows:
            self._rows, self._above = rows, self._lowest
            self._before = pixels[rows, every.start : columns.start]
            if rows.stop < self._bottom:
                self._lowest = pixels[rows.stop - reach : rows.stop, every].copy()
        before, end = self._before, min(every.stop, columns.stop + reach)
        seen = slice(columns.start - before.shape[1] - every.start, end - every.start)
        below = pixels[rows.stop : rows.stop + reach, seen.start + every.start : end]
        self._before = pixels[rows, max(columns.start, columns.stop - reach) : columns.stop].copy()
        return BlockSurroundings(self._above[:, seen], before, pixels[rows, columns.start : end], below)


@dataclass(frozen=True, eq=False)
class BlockSurroundings:
    """Pixels of a block and around it, as they were before.

    above: the rows above. before: the columns before, in the block's rows. after: the block and the columns after it.
    below: the rows below.
    """

    above: Pixels
    before: Pixels
    after: Pixels
    below: Pixels

    def read(self, part: BlockPart, out: Floats) -> None:
        """Write a part to `out`, in 8-bit levels."""
        middle, right = len(self.above), self.before.shape[1]
        bottom = middle + len(self.after)
        pieces = (self.above, 0, 0), (self.before, middle, 0), (self.after, middle, right), (self.below, bottom, 0)
        rows, columns = part
        for pixels, top, left in pieces:
            y0, y1 = max(rows.start, top), min(rows.stop, top + pixels.shape[0])
            x0, x1 = max(columns.start, left), min(columns.stop, left + pixels.shape[1])
            if y0 < y1 and x0 < x1:
                piece = pixels[y0 - top : y1 - top, x0 - left : x1 - left, :3]
                to_levels(piece, out[y0 - rows.start : y1 - rows.start, x0 - columns.start : x1 - columns.start])


def with_surroundings(block: BlockPart, reach: int, shape: tuple[int, ...]) -> BlockPart:
    """Return a block with the pixels to each side that it depends on, within an image or a part of a shape (h, w)."""
    rows, columns = block
    return (
        slice(max(0, rows.start - reach), min(shape[0], rows.stop + reach)),
        slice(max(0, columns.start - reach), min(shape[1], columns.stop + reach)),
    )


def within(block: BlockPart, outer: BlockPart) -> BlockPart:
    """Return the place of a block in a larger part."""
    (top, left), (rows, columns) = (each.start for each in outer), block
    return slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)


def shape_of(part: BlockPart) -> tuple[int, int]:
    """Return the numbers of rows and columns of a part."""
    rows, columns = part
    return rows.stop - rows.start, columns.stop - columns.start


def to_levels(pixels: Pixels, out: Floats) -> Floats:
    """Convert pixels to 8-bit levels."""
    if pixels.dtype == np.uint8:
        np.copyto(out, pixels)
        return out
    return np.multiply(pixels, np.float32(255 / full_scale(pixels.dtype)), out=out)
