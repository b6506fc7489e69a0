# SPDX-License-Identifier: GPL-3.0-or-later
"""Immutable pixel storage of a layer: `Raster` (color and alpha) and `TiledMask` (8 bits, in tiles).

Both provide reduced levels (a mipmap pyramid), from which any zoom is drawn.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.image.arrays import full_scale
from s2am_engine.image.mask_reading import invert_mask
from s2am_engine.image.rect import EMPTY_RECT, Rect

OPENCV_DEPTHS = {np.dtype(np.uint8): cv2.CV_8U, np.dtype(np.uint16): cv2.CV_16U, np.dtype(np.float32): cv2.CV_32F}
"""OpenCV's depth constants by NumPy dtype, for all dtypes that pixels can have."""

MAX_INVISIBLE = 2
"""Largest alpha, of 255, of an invisible pixel; cutouts of other programs often have such pixels far outside."""

MASK_TILE = 256
MAX_LEVEL = 8
"""The level at which a mask tile is a single pixel."""

_STRIP_PIXELS = 1 << 18


@dataclass(frozen=True, eq=False)
class Raster:
    """A layer's original pixels, before mask, transform and harmonization.

    The arrays are made read-only. A raster compares equal only to itself, which makes it usable as a cache key.

    Attributes:
        pixels: H×W×3 uint8, uint16 or float32.
        alpha: H×W of the same dtype; None = opaque.
    """

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None = None
    _reduced: list[Raster] = field(default_factory=list, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        self.pixels.flags.writeable = False
        if self.alpha is not None:
            self.alpha.flags.writeable = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @cached_property
    def opaque_box(self) -> Rect:
        """Bounding box of the pixels that are not transparent; empty if all are."""
        if self.alpha is None:
            return Rect(0, 0, *self.size)
        limit = MAX_INVISIBLE / 255 * full_scale(self.alpha.dtype)
        x, y, width, height = cv2.boundingRect((self.alpha > limit).view(np.uint8))
        return Rect(x, y, x + width, y + height)

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels and alpha; reduced levels add at most a third."""
        return self.pixels.nbytes + (0 if self.alpha is None else self.alpha.nbytes)

    def level(self, index: int) -> Raster:
        """Return the pixels halved `index` times, with sides rounded up. Levels are computed on demand; thread-safe."""
        if index == 0:
            return self
        with self._lock:
            while len(self._reduced) < index:
                self._reduced.append(_halve_raster(self._reduced[-1] if self._reduced else self))
            return self._reduced[index - 1]


def _halve_raster(fine: Raster) -> Raster:
    """Average 2×2 pixels, with colors weighted by alpha."""
    width, height = fine.size
    size = -(-width // 2), -(-height // 2)
    pixels = np.empty((size[1], size[0], 3), fine.pixels.dtype)
    alpha = None if fine.alpha is None else np.empty((size[1], size[0]), fine.pixels.dtype)
    step = max(2, _STRIP_PIXELS // width // 2 * 2)
    for top in range(0, height, step):
        block = _pad_to_even(fine.pixels[top : top + step])
        rows = slice(top // 2, top // 2 + block.shape[0] // 2)
        if fine.alpha is None or alpha is None:
            pixels[rows] = _average(block)
        else:
            block_alpha = _pad_to_even(fine.alpha[top : top + step])
            alpha[rows] = _average(block_alpha)
            is_uniform = block_alpha.min() == block_alpha.max()
            pixels[rows] = _average(block) if is_uniform else _weighted_average(block, block_alpha)
    return Raster(pixels, alpha)


def _pad_to_even(block: NDArray[Any]) -> NDArray[Any]:
    """Repeat the last row or column if their number is odd."""
    rows, columns = block.shape[:2]
    if rows % 2 == columns % 2 == 0:
        return block
    return cv2.copyMakeBorder(block, 0, rows % 2, 0, columns % 2, cv2.BORDER_REPLICATE)


def _average(block: NDArray[Any]) -> NDArray[Any]:
    return cv2.resize(block, (block.shape[1] // 2, block.shape[0] // 2), interpolation=cv2.INTER_AREA)


def _weighted_average(block: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    products = cv2.multiply(block, cv2.merge([alpha] * 3), dtype=cv2.CV_32F)
    weights = _average(alpha.astype(np.float32))
    divisor = cv2.merge([np.maximum(weights, np.float32(1e-6))] * 3)
    colors = cv2.divide(_average(products), divisor, dtype=OPENCV_DEPTHS[block.dtype])
    is_transparent = (weights == 0).view(np.uint8)
    return cv2.copyTo(_average(block), is_transparent, colors)


class _Tile:
    """MASK_TILE×MASK_TILE immutable values and their reduced levels, computed on demand."""

    __slots__ = ("_levels",)

    def __init__(self, values: NDArray[np.uint8]) -> None:
        values.flags.writeable = False
        self._levels: tuple[NDArray[np.uint8], ...] = (values,)

    def level(self, index: int) -> NDArray[np.uint8]:
        """Return the values, halved `index` times."""
        levels = self._levels
        while len(levels) <= index:
            side = levels[-1].shape[0] // 2
            reduced = np.asarray(cv2.resize(levels[-1], (side, side), interpolation=cv2.INTER_AREA), np.uint8)
            levels = (*levels, reduced)
        # Threads that get here at the same time have computed equal levels; each assigns a complete tuple.
        self._levels = levels
        return levels[index]


_UNIFORM_TILES = {value: _Tile(np.full((MASK_TILE, MASK_TILE), value, np.uint8)) for value in (0, 255)}


class TiledMask:
    """An immutable H×W mask of 8 bits, 255 = foreground, stored in tiles.

    An edited copy shares all tiles that did not change: a brush stroke on a 24-megapixel mask costs a few tiles. A mask
    compares equal only to itself.
    """

    __slots__ = ("__weakref__", "_tiles", "height", "width")

    def __init__(self, width: int, height: int, value: int = 0) -> None:
        """Create a mask that is 0 or 255 everywhere."""
        self.width, self.height = width, height
        self._tiles: tuple[_Tile, ...] = (_UNIFORM_TILES[value],) * (_tile_count(width) * _tile_count(height))

    @classmethod
    def from_array(cls, values: NDArray[np.uint8]) -> TiledMask:
        """Create a mask from H×W values, which are copied."""
        height, width = values.shape
        return cls(width, height).replaced(0, 0, values)

    @property
    def rect(self) -> Rect:
        """The whole mask."""
        return Rect(0, 0, self.width, self.height)

    def to_array(self) -> NDArray[np.uint8]:
        """Return all H×W values as a new array."""
        return self.read(self.rect)

    def read(self, rect: Rect, level: int = 0) -> NDArray[np.uint8]:
        """Return the values of a rectangle as a new h×w array, 0 outside of the mask.

        Args:
            rect: the rectangle, in pixels of the level.
            level: 0 = full size; each level halves the sides (rounded up); at most MAX_LEVEL.
        """
        values = np.zeros((rect.height, rect.width), np.uint8)
        size = -(-self.width // (1 << level)), -(-self.height // (1 << level))
        inside = rect.intersection(Rect(0, 0, *size))
        side = MASK_TILE >> level
        for index, part in self._tile_parts(inside, side):
            if self._tiles[index] is _UNIFORM_TILES[0]:
                continue
            row, column = divmod(index, _tile_count(self.width))
            tile = self._tiles[index].level(level)
            in_tile = part.translated(-column * side, -row * side).slices
            values[part.translated(-rect.left, -rect.top).slices] = tile[in_tile]
        return values

    def replaced(self, left: int, top: int, values: NDArray[np.uint8]) -> TiledMask:
        """Return a mask in which h×w values replace those at (left, top); values beyond the edges are ignored."""
        height, width = values.shape
        area = Rect(left, top, left + width, top + height).intersection(self.rect)
        tiles = list(self._tiles)
        for index, part in self._tile_parts(area, MASK_TILE):
            row, column = divmod(index, _tile_count(self.width))
            x, y = column * MASK_TILE, row * MASK_TILE
            tile = tiles[index].level(0).copy()
            tile[part.translated(-x, -y).slices] = values[part.translated(-left, -top).slices]
            tiles[index] = _to_tile(_extend_edges(tile, self.width - x, self.height - y))
        return self._with_tiles(tuple(tiles))

    def combined(
        self, other: TiledMask, function: Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.uint8]]
    ) -> TiledMask:
        """Return the results of an element-wise function of this mask's values and those of one of the same size."""
        if (other.width, other.height) != (self.width, self.height):
            raise ValueError(f"masks of {self.width}×{self.height} and {other.width}×{other.height} do not match")
        pairs = zip(self._tiles, other._tiles, strict=True)
        return self._with_tiles(tuple(_to_tile(function(mine.level(0), theirs.level(0))) for mine, theirs in pairs))

    def inverted(self) -> TiledMask:
        """Return the inverted mask."""
        return self.combined(self, lambda values, _: invert_mask(values))

    def box(self, above: int = 0) -> Rect:
        """Return the bounding box of all values above one; it is empty if there are none."""
        found = EMPTY_RECT
        for index, part in self._tile_parts(self.rect, MASK_TILE):
            if self._tiles[index] is _UNIFORM_TILES[0]:
                continue
            values = self.read(part)
            x, y, width, height = cv2.boundingRect((values > above).view(np.uint8) if above else values)
            if width:
                found = found.union(Rect(x, y, x + width, y + height).translated(part.left, part.top))
        return found

    @property
    def is_empty(self) -> bool:
        """True if all values are 0."""
        return all(tile is _UNIFORM_TILES[0] for tile in self._tiles)

    @property
    def is_full(self) -> bool:
        """True if all values are 255."""
        return all(tile is _UNIFORM_TILES[255] for tile in self._tiles)

    def changed_area(self, other: TiledMask) -> Rect:
        """Return the area, in whole tiles, in which another mask of the same size can differ."""
        found = EMPTY_RECT
        for index, part in self._tile_parts(self.rect, MASK_TILE):
            if self._tiles[index] is not other._tiles[index]:
                found = found.union(part)
        return found

    def count_new_bytes(self, seen: set[int]) -> int:
        """Return the bytes of the tiles whose id is not in `seen`, and add these ids to it."""
        new = {id(tile) for tile in self._tiles} - seen - {id(tile) for tile in _UNIFORM_TILES.values()}
        seen |= new
        return len(new) * MASK_TILE * MASK_TILE

    def _with_tiles(self, tiles: tuple[_Tile, ...]) -> TiledMask:
        mask = TiledMask.__new__(TiledMask)
        mask.width, mask.height, mask._tiles = self.width, self.height, tiles
        return mask

    def _tile_parts(self, rect: Rect, side: int) -> Iterator[tuple[int, Rect]]:
        """Yield the index of each tile that a rectangle intersects, and the intersection."""
        if rect.is_empty:
            return
        for row in range(rect.top // side, -(-rect.bottom // side)):
            for column in range(rect.left // side, -(-rect.right // side)):
                tile = Rect(column * side, row * side, (column + 1) * side, (row + 1) * side)
                yield row * _tile_count(self.width) + column, rect.intersection(tile)


def _tile_count(length: int) -> int:
    """Return the number of tiles along a side."""
    return -(-length // MASK_TILE)


def _extend_edges(tile: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Repeat the last column and row beyond the mask's edge, so reduced levels stay opaque along it."""
    if width < MASK_TILE:
        tile[:, width:] = tile[:, width - 1 : width]
    if height < MASK_TILE:
        tile[height:] = tile[height - 1]
    return tile


def _to_tile(values: NDArray[np.uint8]) -> _Tile:
    """Wrap values in a tile; tiles that are 0 or 255 everywhere are shared."""
    value = int(values[0, 0])
    return _UNIFORM_TILES[value] if value in _UNIFORM_TILES and (values == value).all() else _Tile(values)
