# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages about the finish of a layer: light, grain, sharpness and edges.

1. `PlaceWindows` returns the places of small windows, which the client reads from the visible image at full resolution.
2. `MeasureFinish` measures grain and sharpness in them, and edges in the reduced image, in which it predicts the light,
   too; it returns automatic values.
3. After `Render`, `FinishStrip` finishes a strip, which has rows of context above and below: see `FinishReach`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gimp_bridge.protocol import Done, Message, Request, check_message_size
from gimp_bridge.strip_messages import Strip
from s2am_common.sliders import FINISH_SLIDERS, check_sliders

FINISH_WINDOW = 96
"""Side of a window in pixels."""

MAX_FINISH_WINDOWS = 96
"""Largest number of windows."""


@dataclass(frozen=True, kw_only=True)
class WindowsPlaced(Message):
    """Left upper corners of windows at full resolution, x and y of one after another.

    A window has FINISH_WINDOW pixels per side; what lies beyond the image is transparent, and its mask 0.
    """

    kind = "windows-placed"
    corners: tuple[int, ...]

    @property
    def positions(self) -> list[tuple[int, int]]:
        """The corners (x, y)."""
        return list(zip(self.corners[::2], self.corners[1::2], strict=True))


@dataclass(frozen=True, kw_only=True)
class PlaceWindows(Request[WindowsPlaced]):
    """Ask where to read windows.

    mask: plane of the reduced composite, see `HarmonizeResponse`.
    full_width, full_height: size of the same part of the image at full resolution.
    """

    kind = "place-windows"
    width: int
    height: int
    mask: bytes
    full_width: int
    full_height: int

    def __post_init__(self) -> None:
        """Check the sizes."""
        check_message_size(self.width, self.height)
        if len(self.mask) != self.width * self.height or min(self.full_width, self.full_height) < 1:
            raise ValueError("mask and full size must be those of the image")


@dataclass(frozen=True, kw_only=True)
class FinishMeasured(Message):
    """Measurements of a layer and its background.

    measured: for `LayerFinish`.
    automatic: automatic values by slider; that of the light only if it was asked for.
    notes: what could not be measured, one sentence each.
    """

    kind = "finish-measured"
    measured: dict[str, Any]
    automatic: dict[str, float]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MeasureFinish(Request[FinishMeasured]):
    """Measure grain, sharpness, edges and light for a finish.

    pixels, mask: RGBA and plane of the reduced composite, as in `Harmonize` and `HarmonizeResponse`.
    full_width: width of the same part of the image at full resolution.
    windows: RGBA of the visible composite at full resolution, one window after another.
    window_masks: the layer's share of their pixels: alpha × masks × selection × predicted mask, one byte per pixel.
    color_map: with the sliders, see `AdjustResult`.
    sharpness: value for which the automatic grain is estimated; None = the automatic one.
    light: whether the light is predicted, which takes a network.
    """

    kind = "measure-finish"
    width: int
    height: int
    pixels: bytes
    mask: bytes
    full_width: int
    windows: bytes
    window_masks: bytes
    color_map: dict[str, Any]
    sharpness: float | None = None
    light: bool = False

    def __post_init__(self) -> None:
        """Check the sizes."""
        check_message_size(self.width, self.height)
        plane, window = self.width * self.height, FINISH_WINDOW**2
        if (len(self.pixels), len(self.mask)) != (4 * plane, plane) or self.full_width < 1:
            raise ValueError("pixels and mask must have the size of the image")
        count, rest = divmod(len(self.window_masks), window)
        if rest or not 1 <= count <= MAX_FINISH_WINDOWS or len(self.windows) != 4 * window * count:
            raise ValueError(
                f"1 to {MAX_FINISH_WINDOWS} windows and their masks must have {FINISH_WINDOW} pixels per side"
            )
        if self.sharpness is not None:
            FINISH_SLIDERS["sharpness"].check(self.sharpness)


@dataclass(frozen=True, kw_only=True)
class LayerFinish:
    """The finish of a layer.

    sliders: values by name, see `s2am_common.sliders.FINISH_SLIDERS`; omitted ones have their default.
    measured: that of a `FinishMeasured`.
    left, top: position of the layer's first pixel in the part of the image that was measured, at full resolution.
    """

    sliders: dict[str, float] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    left: int = 0
    top: int = 0

    def __post_init__(self) -> None:
        """Check the sliders."""
        check_sliders(self.sliders, FINISH_SLIDERS)


@dataclass(frozen=True, kw_only=True)
class ReachFound(Message):
    """Number of rows above and below that a strip needs."""

    kind = "reach-found"
    rows: int


@dataclass(frozen=True, kw_only=True)
class FinishReach(Request[ReachFound]):
    """Ask how many rows around a strip a finish depends on."""

    kind = "finish-reach"
    finish: LayerFinish


@dataclass(frozen=True, kw_only=True)
class FinishStrip(Request[Done]):
    """Finish a strip in place, after it was rendered.

    strip: that of the `Render` request.
    row: of the layer, the first one of the strip.
    above, below: number of the strip's first and last rows that are only context; they keep their pixels.
    """

    kind = "finish-strip"
    strip: Strip
    finish: LayerFinish
    row: int
    above: int = 0
    below: int = 0

    def __post_init__(self) -> None:
        """Check the rows."""
        if min(self.above, self.below) < 0 or self.above + self.below >= self.strip.rows:
            raise ValueError("a strip must have rows to finish")
