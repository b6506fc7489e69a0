# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on the edge of a mask in tiles: little memory, progress, and nothing to do where the mask is uniform."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from s2am_engine.types import FractionCallback, Mask


@dataclass(frozen=True)
class EdgeTile:
    """A part of an image, with its surroundings.

    inner: rows and columns of the part. outer: those with the surroundings.
    """

    inner: tuple[slice, slice]
    outer: tuple[slice, slice]

    def read(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the part of an image with its surroundings, as a view."""
        return array[self.outer]

    def core(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the part without its surroundings of values computed for `outer`, as a view."""
        return self._cut(values, self.inner)

    def narrowed(self, halo: int) -> EdgeTile:
        """Return the same part with smaller surroundings."""
        rows, columns = (
            slice(max(inner.start - halo, outer.start), min(inner.stop + halo, outer.stop))
            for inner, outer in zip(self.inner, self.outer, strict=True)
        )
        return EdgeTile(self.inner, (rows, columns))

    def cut(self, values: NDArray[Any], narrowed: EdgeTile) -> NDArray[Any]:
        """Return the part within smaller surroundings of values computed for `outer`, as a view."""
        return self._cut(values, narrowed.outer)

    def _cut(self, values: NDArray[Any], part: tuple[slice, slice]) -> NDArray[Any]:
        rows, columns = (
            slice(wanted.start - outer.start, wanted.stop - outer.start)
            for wanted, outer in zip(part, self.outer, strict=True)
        )
        return values[rows, columns]

    def write(self, array: NDArray[Any], values: NDArray[Any]) -> None:
        """Replace the part in an image."""
        array[self.inner] = values


def edge_tiles(mask: Mask, side: int, halo: int, progress: FractionCallback | None = None) -> Iterator[EdgeTile]:
    """Yield the tiles of a mask that have an edge in or around them.

    Args:
        mask: H×W.
        side: of a tile, in pixels.
        halo: width of the surroundings that the work on a tile needs, in pixels.
        progress: see `FractionCallback`; called for each tile.
    """
    height, width = mask.shape
    corners = [(top, left) for top in range(0, height, side) for left in range(0, width, side)]
    for number, (top, left) in enumerate(corners):
        if progress:
            progress(number / len(corners))
        inner = slice(top, min(top + side, height)), slice(left, min(left + side, width))
        outer = (
            slice(max(0, top - halo), min(top + side + halo, height)),
            slice(max(0, left - halo), min(left + side + halo, width)),
        )
        around = mask[outer]
        if around.min() != around.max():
            yield EdgeTile(inner, outer)
