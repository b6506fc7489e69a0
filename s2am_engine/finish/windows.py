# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows at full resolution, evenly spread over an image, in which foreground and background are measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2am_engine.color.map import ColorMap
from s2am_engine.finish.noise import PATCH
from s2am_engine.image.arrays import full_scale
from s2am_engine.types import Floats, Mask, Pixels

WINDOW = 96
"""Side of a window in pixels."""

MAX_WINDOWS = 48
"""Most windows of each region."""

_LEAST_SHARE = 0.5  # of a window that belongs to its region
_MEASURED_SHARE = 1 / 8  # the same, of a window that was chosen for the other region
_AT_A_TIME = 2  # windows that are floats at a time
_PATCHES_AT_A_TIME = 32  # patches of them that are


@dataclass(frozen=True, eq=False)
class SampleWindows:
    """Parts of an image at full resolution, S×S pixels each, S = WINDOW. They may be views of the image.

    pixels: N of S×S×3, uint8, uint16 or float32 in nominal [0, 1].
    masks: N of S×S, the foreground.
    alphas: N of S×S, pixels where it is 0 do not count; None = all count.
    """

    pixels: Sequence[Pixels] | Pixels
    masks: Sequence[Mask] | Mask
    alphas: Sequence[Mask] | Mask | None = None

    @classmethod
    def of(cls, pixels: Pixels, mask: Mask, alpha: Mask | None = None) -> SampleWindows:
        """Find evenly spread windows of an image, some in the foreground and some in the background.

        Args:
            pixels: H×W×3, uint8, uint16 or float32, not modified as long as the windows are used.
            mask: H×W, the foreground.
            alpha: H×W, pixels where it is 0 do not count; None = all count.
        """
        corners = window_positions(mask)
        if min(mask.shape) < WINDOW:  # the rest of a window does not count
            alpha = np.ones(mask.shape, np.bool_) if alpha is None else alpha
            pixels, mask, alpha = (_enlarged(each) for each in (pixels, mask, alpha))
        parts = [(slice(y, y + WINDOW), slice(x, x + WINDOW)) for x, y in corners]
        alphas = None if alpha is None else [alpha[part] for part in parts]
        return cls([pixels[part][..., :3] for part in parts], [mask[part] for part in parts], alphas)

    def valid(self, number: int, *, background: bool) -> NDArray[np.bool_]:
        """Return the visible pixels of a window (S, S) that are entirely foreground, or background."""
        mask = self.masks[number]
        inside = mask == 0 if background else mask >= full_scale(mask.dtype)
        return inside if self.alphas is None else inside & (self.alphas[number] > 0)

    def regions(self, color_map: ColorMap | None = None) -> tuple[RegionWindows, RegionWindows]:
        """Return the windows of foreground and background; color_map: applied to the foreground."""
        return RegionWindows(self, False, color_map), RegionWindows(self, True)


@dataclass(frozen=True, eq=False)
class RegionWindows:
    """The windows that show a region, which become 8-bit levels when they are read.

    windows: of the image.
    background: the region is the background.
    color_map: applied first; None = the colors as they are.
    """

    windows: SampleWindows
    background: bool
    color_map: ColorMap | None = None

    @cached_property
    def chosen(self) -> tuple[int, ...]:
        """The numbers of the windows that show the region."""
        least = _MEASURED_SHARE * WINDOW**2
        return tuple(n for n in range(len(self.windows.masks)) if np.count_nonzero(self._valid(n)) > least)

    def parts(self) -> Iterator[tuple[Floats, NDArray[np.bool_]]]:
        """Yield a few windows after another: n×S×S×3 in 8-bit levels, and n×S×S, the pixels of the region."""
        for first in range(0, len(self.chosen), _AT_A_TIME):
            part = self.chosen[first : first + _AT_A_TIME]
            colors = np.stack([self.windows.pixels[number] for number in part])
            yield self._levels(colors), np.stack([self._valid(number) for number in part])

    def patches(self, numbers: NDArray[np.intp]) -> Floats:
        """Return patches (K, 3, PATCH, PATCH) in 8-bit levels by their numbers (K,), window after window, by rows."""
        steps = WINDOW // PATCH
        found = np.empty((len(numbers), 3, PATCH, PATCH), np.float32)
        for first in range(0, len(numbers), _PATCHES_AT_A_TIME):
            part = []
            for number in numbers[first : first + _PATCHES_AT_A_TIME].tolist():
                window, place = divmod(number, steps**2)
                y, x = (PATCH * each for each in divmod(place, steps))
                part.append(self.windows.pixels[self.chosen[window]][y : y + PATCH, x : x + PATCH])
            found[first : first + len(part)] = self._levels(np.stack(part)).transpose(0, 3, 1, 2)
        return found

    def _valid(self, number: int) -> NDArray[np.bool_]:
        return self.windows.valid(number, background=self.background)

    def _levels(self, pixels: Pixels) -> Floats:
        """Return pixels of the windows, of any shape (…, 3), recolored and in 8-bit levels."""
        colors = np.multiply(pixels, np.float32(1 / full_scale(pixels.dtype)), dtype=np.float32)
        if self.color_map is not None:
            colors = self.color_map(colors.reshape(-1, 1, 3)).reshape(colors.shape)
            np.clip(colors, 0, 1, out=colors)
        colors *= np.float32(255)
        return colors


def _enlarged(array: NDArray[Any]) -> NDArray[Any]:
    """Return a copy of an array with at least as many rows and columns as a window; new ones are 0."""
    missing = [(0, max(0, WINDOW - length)) for length in array.shape[:2]]
    return np.pad(array, [*missing, *[(0, 0)] * (array.ndim - 2)])


def window_positions(mask: Mask, size: tuple[int, int] | None = None) -> list[tuple[int, int]]:
    """Return left upper corners (x, y) of windows: up to MAX_WINDOWS in the foreground, and in the background.

    Args:
        mask: h×w, the foreground, possibly reduced.
        size: height and width of the image; None = those of the mask. Windows reach beyond the image's right and lower
            edge only if it is smaller.
    """
    height, width = size or mask.shape
    down, across = mask.shape[0] / height, mask.shape[1] / width
    tops, lefts = (np.arange(0, max(1, length - WINDOW + 1), WINDOW) for length in (height, width))
    # Every eighth row and column is enough to find out what a window shows.
    offsets = np.arange(0, WINDOW, 8)
    rows = _places((tops[:, None] + offsets).ravel(), down, mask.shape[0])
    columns = _places((lefts[:, None] + offsets).ravel(), across, mask.shape[1])
    sampled = mask[np.ix_(rows, columns)] > 0
    shares = sampled.reshape(len(tops), len(offsets), len(lefts), len(offsets)).mean(axis=(1, 3)).ravel()
    chosen: set[int] = set()
    for share in (shares, 1 - shares):
        members = np.flatnonzero(share >= 1)
        if len(members) < MAX_WINDOWS:
            members = np.flatnonzero(share >= _LEAST_SHARE)
        if not len(members):
            members = np.flatnonzero(share == share.max())
        count = min(MAX_WINDOWS, len(members))
        chosen.update(members[np.linspace(0, len(members) - 1, count).astype(np.intp)].tolist())
    corners = [divmod(number, len(lefts)) for number in sorted(chosen)]
    return [(int(lefts[column]), int(tops[row])) for row, column in corners]


def _places(pixels: NDArray[np.intp], scale: float, count: int) -> NDArray[np.intp]:
    """Return the rows or columns of a reduced mask for those of the image."""
    return np.minimum((pixels * scale).astype(np.intp), count - 1)
