# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks in tiles: a stroke on a mask of 24 megapixels makes a new mask that shares all the tiles it did not touch."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_editor.document.geometry import Rect

TILE = 256
DEEPEST = 8  # the level at which a tile is one pixel

Levels = NDArray[np.uint8]


class _Tile:
    """TILE×TILE values that never change, and their halvings, made when they are asked for."""

    __slots__ = ("_levels",)

    def __init__(self, values: Levels) -> None:
        values.flags.writeable = False
        self._levels: tuple[Levels, ...] = (values,)

    def level(self, index: int) -> Levels:
        """The values, halved `index` times."""
        levels = self._levels
        while len(levels) <= index:
            side = levels[-1].shape[0] // 2
            coarser = np.asarray(cv2.resize(levels[-1], (side, side), interpolation=cv2.INTER_AREA), np.uint8)
            levels = (*levels, coarser)
        # Threads may get here at once: they have made the same, and each puts a whole tuple in place.
        self._levels = levels
        return levels[index]


_UNIFORM = {value: _Tile(np.full((TILE, TILE), value, np.uint8)) for value in (0, 255)}


class Mask:
    """H×W values of 8 bits, 255 = foreground; it never changes, and is equal to itself alone."""

    __slots__ = ("__weakref__", "_tiles", "height", "width")

    def __init__(self, width: int, height: int, value: int = 0) -> None:
        """Make a mask that is 0 or 255 everywhere."""
        self.width, self.height = width, height
        self._tiles: tuple[_Tile, ...] = (_UNIFORM[value],) * (_count(width) * _count(height))

    @classmethod
    def from_array(cls, values: NDArray[np.uint8]) -> Mask:
        """Make one of H×W values; they are copied."""
        height, width = values.shape
        return cls(width, height).replaced(0, 0, values)

    @property
    def rect(self) -> Rect:
        """All of it."""
        return Rect(0, 0, self.width, self.height)

    def to_array(self) -> Levels:
        """All H×W values, in an array of their own."""
        return self.read(self.rect)

    def read(self, rect: Rect, level: int = 0) -> Levels:
        """The values of a rectangle, 0 outside of the mask.

        Args:
            rect: in pixels of the level.
            level: 0 = full size, each further one half as large (rounded up), at most DEEPEST.

        Returns:
            h×w, an array of its own.
        """
        values = np.zeros((rect.height, rect.width), np.uint8)
        size = -(-self.width // (1 << level)), -(-self.height // (1 << level))
        inside = rect.within(Rect(0, 0, *size))
        for index, part in self._parts(inside, TILE >> level):
            if self._tiles[index] is _UNIFORM[0]:
                continue
            column, row = index % _count(self.width) * (TILE >> level), index // _count(self.width) * (TILE >> level)
            tile = self._tiles[index].level(level)
            values[part.moved(-rect.left, -rect.top).window] = tile[part.moved(-column, -row).window]
        return values

    def replaced(self, left: int, top: int, values: NDArray[np.uint8]) -> Mask:
        """The mask with h×w values put at (left, top); what reaches beyond the edge is left out."""
        height, width = values.shape
        area = Rect(left, top, left + width, top + height).within(self.rect)
        tiles = list(self._tiles)
        for index, part in self._parts(area, TILE):
            column, row = index % _count(self.width) * TILE, index // _count(self.width) * TILE
            tile = tiles[index].level(0).copy()
            tile[part.moved(-column, -row).window] = values[part.moved(-left, -top).window]
            tiles[index] = _packed(_filled(tile, self.width - column, self.height - row))
        return self._with(tuple(tiles))

    def box(self) -> Rect:
        """The smallest rectangle around all values above 0; of no size if there are none."""
        found = Rect(0, 0, 0, 0)
        for index, part in self._parts(self.rect, TILE):
            if self._tiles[index] is _UNIFORM[0]:
                continue
            x, y, width, height = cv2.boundingRect(self.read(part))
            if width:
                found = found.with_(Rect(x, y, x + width, y + height).moved(part.left, part.top))
        return found

    @property
    def is_empty(self) -> bool:
        """Whether all values are 0."""
        return all(tile is _UNIFORM[0] for tile in self._tiles)

    @property
    def is_full(self) -> bool:
        """Whether all values are 255."""
        return all(tile is _UNIFORM[255] for tile in self._tiles)

    def changed_area(self, other: Mask) -> Rect:
        """Where another mask of the same size may differ, in whole tiles."""
        found = Rect(0, 0, 0, 0)
        for index, part in self._parts(self.rect, TILE):
            if self._tiles[index] is not other._tiles[index]:
                found = found.with_(part)
        return found

    def tiles_of_its_own(self, seen: set[int]) -> int:
        """Bytes of the tiles whose id is not among those seen, which are added to it: to count what a history holds."""
        fresh = {id(tile) for tile in self._tiles} - seen - {id(tile) for tile in _UNIFORM.values()}
        seen |= fresh
        return len(fresh) * TILE * TILE

    def _with(self, tiles: tuple[_Tile, ...]) -> Mask:
        mask = Mask.__new__(Mask)
        mask.width, mask.height, mask._tiles = self.width, self.height, tiles
        return mask

    def _parts(self, rect: Rect, side: int) -> Iterator[tuple[int, Rect]]:
        """The index of each tile that a rectangle touches, and the part of the rectangle in it."""
        if rect.is_empty:
            return
        for row in range(rect.top // side, -(-rect.bottom // side)):
            for column in range(rect.left // side, -(-rect.right // side)):
                tile = Rect(column * side, row * side, (column + 1) * side, (row + 1) * side)
                yield row * _count(self.width) + column, rect.within(tile)


def _count(length: int) -> int:
    """Tiles along a side."""
    return -(-length // TILE)


def _filled(tile: Levels, width: int, height: int) -> Levels:
    """Repeat the last column and row beyond the mask's edge, so that halvings stay as opaque there as elsewhere."""
    if width < TILE:
        tile[:, width:] = tile[:, width - 1 : width]
    if height < TILE:
        tile[height:] = tile[height - 1]
    return tile


def _packed(tile: Levels) -> _Tile:
    """A tile; one and the same wherever all is 0 or all is 255."""
    value = int(tile[0, 0])
    return _UNIFORM[value] if value in _UNIFORM and (tile == value).all() else _Tile(tile)
