# SPDX-License-Identifier: GPL-3.0-or-later
"""Size, format and reading of a layer's pixels, for `EngineClient.render`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gimp_bridge.strip_messages import BYTES_OF, ColorSpace, Depth

ReadRows = Callable[[int, int], bytes]
"""Returns rows of pixels or of a plane, from (top, count)."""

WriteRows = Callable[[int, int, bytes], None]
"""Takes rows of pixels, from (top, count, bytes)."""


def bytes_reader(data: bytes, row_bytes: int) -> ReadRows:
    """Return a function that reads rows of pixels or of a plane in memory."""
    return lambda top, count: data[top * row_bytes : (top + count) * row_bytes]


STRIP_BYTES = 6 << 20
"""Size of a strip of pixels."""

_TILE_ROWS = 64  # of GEGL: strips end at tile borders


@dataclass(frozen=True)
class PixelLayout:
    """Size and format of a layer's RGBA pixels.

    linear: they are linear light rather than sRGB values (only with float).
    space: they are values of another color space (only with integers).
    """

    width: int
    height: int
    depth: Depth = "u8"
    linear: bool = False
    space: ColorSpace | None = None

    def rows_per_strip(self) -> int:
        """Return the number of rows of a strip."""
        wanted = STRIP_BYTES // (self.width * 4 * BYTES_OF[self.depth])
        return max(1, min(self.height, wanted // _TILE_ROWS * _TILE_ROWS or wanted))


@dataclass(frozen=True)
class PixelSource:
    """Functions that read a layer.

    pixels: RGBA in the format of the `PixelLayout`.
    layer_masks, selection, predicted: the planes that limit the change; none = everything that is not transparent.
    """

    pixels: ReadRows
    layer_masks: tuple[ReadRows, ...] = ()
    selection: ReadRows | None = None
    predicted: ReadRows | None = None

    @property
    def planes(self) -> list[ReadRows]:
        """All planes, in the order of a `Strip`."""
        return [*self.layer_masks, *(plane for plane in (self.selection, self.predicted) if plane)]


@dataclass(frozen=True)
class NativeFormat:
    """Access to a layer's own pixel format, where converting to it and back is not exact.

    size: bytes per pixel.
    original: returns rows before the change.
    written: returns rows as they are after they were written.
    write: overwrites rows.
    """

    size: int
    original: ReadRows
    written: ReadRows
    write: WriteRows
