# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages about a layer's pixels at full resolution, which client and engine share in a workspace.

1. `OpenWorkspace` creates the workspace, a file that both map into memory.
2. The client writes a `Strip` of the layer to it, and `Render` applies a color map in place.
3. `RestoreUnchanged` undoes rounding in the layer's own format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from gimp_bridge.protocol import Done, Message, Request

MAX_WORKSPACE = 512 << 20
"""Largest size of a shared workspace in bytes."""

TRANSFER_STEPS = 65536
"""Number of values that describe the transfer function of a color space."""

Depth = Literal["u8", "u16", "float"]
BYTES_OF: dict[Depth, int] = {"u8": 1, "u16": 2, "float": 4}


@dataclass(frozen=True, kw_only=True)
class WorkspaceOpened(Message):
    """Name of the workspace's file in the bridge folder."""

    kind = "workspace-opened"
    file: str


@dataclass(frozen=True, kw_only=True)
class OpenWorkspace(Request[WorkspaceOpened]):
    """Create a file that client and engine map into memory.

    It replaces the connection's earlier one, and is removed with the connection.
    """

    kind = "open-workspace"
    size: int

    def __post_init__(self) -> None:
        """Check the size."""
        if not 1 <= self.size <= MAX_WORKSPACE:
            raise ValueError(f"a workspace must have 1 to {MAX_WORKSPACE} bytes")


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Some rows of a layer in the workspace: RGBA pixels at `offset`, then the planes that limit the change.

    depth: of the pixels, in the machine's byte order.
    linear: the pixels are linear light (only with float). Float values outside [0, 1] are preserved.
    layer_masks, selection, predicted: the planes that follow, in this order.
    original_bytes: bytes per pixel in the layer's own format, if the strip has space for `RestoreUnchanged`; else 0.
    """

    offset: int
    width: int
    rows: int
    depth: Depth = "u8"
    linear: bool = False
    layer_masks: int = 0
    selection: bool = False
    predicted: bool = False
    original_bytes: int = 0

    def __post_init__(self) -> None:
        """Check the layout."""
        if min(self.width, self.rows) < 1 or self.offset < 0 or self.offset % 4:
            raise ValueError("a strip must lie within its workspace, at a multiple of 4")
        if not 0 <= self.layer_masks <= 64 or not 0 <= self.original_bytes <= 64 or self.end > MAX_WORKSPACE:
            raise ValueError("a strip must lie within its workspace")
        if self.linear and self.depth != "float":
            raise ValueError("linear light must be float")

    @property
    def pixel_count(self) -> int:
        """Number of pixels, which is the size of a plane."""
        return self.width * self.rows

    @property
    def pixels_end(self) -> int:
        """Offset of the first plane."""
        return self.offset + 4 * BYTES_OF[self.depth] * self.pixel_count

    @property
    def planes_end(self) -> int:
        """Offset behind the last plane, where the original pixels begin."""
        return self.pixels_end + (self.layer_masks + self.selection + self.predicted) * self.pixel_count

    @property
    def end(self) -> int:
        """Offset behind the strip, including the space for original and written pixels."""
        return self.planes_end + 2 * self.original_bytes * self.pixel_count


@dataclass(frozen=True)
class ColorSpace:
    """The color space of an RGB profile with primaries and a transfer function.

    transfer: TRANSFER_STEPS floats: the linear light of values that are evenly spaced from 0 to 1.
    primaries: 3×3 row by row, from linear light in this space to linear sRGB.
    """

    transfer: bytes
    primaries: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Render(Request[Done]):
    """Apply a color map to a strip, in place; alpha is kept.

    transfer, primaries: see `ColorSpace`; empty = the pixels are sRGB values.
    """

    kind = "render"
    color_map: dict[str, Any]
    strip: Strip
    transfer: bytes = b""
    primaries: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check the color space."""
        if (len(self.transfer), len(self.primaries)) not in ((0, 0), (4 * TRANSFER_STEPS, 9)):
            raise ValueError(f"a color space must have {TRANSFER_STEPS} values and nine numbers")

    @property
    def space(self) -> ColorSpace | None:
        """The color space of the pixels; None = sRGB."""
        return ColorSpace(self.transfer, self.primaries) if self.transfer else None


@dataclass(frozen=True, kw_only=True)
class RestoreUnchanged(Request[Done]):
    """Undo rounding where a rendered strip does not change.

    Behind the planes lie the strip's pixels in the layer's own format, first the original ones, then the written ones.
    Written pixels that the strip's planes exclude are replaced by the original ones.
    """

    kind = "restore-unchanged"
    strip: Strip
