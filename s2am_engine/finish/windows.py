# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows at full resolution, evenly spread over an image, in which foreground and background are measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2am_engine.color.map import ColorMap
from s2am_engine.finish.noise import PATCH
from s2am_engine.image.arrays import full_scale
from s2am_engine.types import Doubles, Floats, Mask, Pixels

WINDOW = 96
"""Side of a window in pixels."""

MAX_WINDOWS = 48
"""Most windows of each region."""

_LEAST_SHARE = 0.5  # of a window that belongs to its region
_MEASURED_SHARE = 1 / 8  # the same, of a window that was chosen for the other region
_AT_A_TIME = 2  # windows that are floats at a time


@dataclass(frozen=True, eq=False)
class RegionWindows:
    """The windows that show a region, which become 8-bit levels when they are read.

    pixels: N×S×S×3, uint8, uint16 or float32 in nominal [0, 1], also of windows that do not show the region.
    valid: N×S×S, the pixels that belong to the region.
    chosen: (n,) numbers of the windows that show it.
    color_map: applied first; None = the colors as they are.
    """

    pixels: Pixels
    valid: NDArray[np.bool_]
    chosen: NDArray[np.intp]
    color_map: ColorMap | None = None

    def parts(self) -> Iterator[tuple[Floats, NDArray[np.bool_]]]:
        """Yield a few windows after another: n×S×S×3 in 8-bit levels, and n×S×S."""
        for first in range(0, len(self.chosen), _AT_A_TIME):
            part = self.chosen[first : first + _AT_A_TIME]
            yield self._levels(self.pixels[part]), self.valid[part]

    def patches(self, numbers: NDArray[np.intp]) -> Floats:
        """Return patches (K, PATCH, PATCH, 3) in 8-bit levels by their numbers (K,), window after window, by rows."""
        steps = self.pixels.shape[1] // PATCH
        window, place = np.divmod(numbers, steps**2)
        row, column = np.divmod(place, steps)
        split = self.pixels.reshape(len(self.pixels), steps, PATCH, steps, PATCH, 3)
        return self._levels(split[self.chosen[window], row, :, column])

    def _levels(self, pixels: Pixels) -> Floats:
        """Return pixels of the windows, of any shape (…, 3), recolored and in 8-bit levels."""
        colors = np.multiply(pixels, np.float32(1 / full_scale(pixels.dtype)), dtype=np.float32)
        if self.color_map is not None:
            colors = self.color_map(colors.reshape(-1, 1, 3)).reshape(colors.shape).clip(0, 1)
        return np.asarray(colors * np.float32(255), np.float32)


@dataclass(frozen=True, eq=False)
class SampleWindows:
    """Parts of an image at full resolution.

    pixels: N×S×S×3, uint8, uint16 or float32 in nominal [0, 1], S = WINDOW.
    foreground: N×S×S, pixels that are entirely foreground.
    background: N×S×S, visible pixels that are entirely background.
    """

    pixels: Pixels
    foreground: NDArray[np.bool_]
    background: NDArray[np.bool_]

    @classmethod
    def of(cls, pixels: Pixels, mask: Mask, alpha: Mask | None = None) -> SampleWindows:
        """Read evenly spread windows of an image, some in the foreground and some in the background.

        Args:
            pixels: H×W×3, uint8, uint16 or float32.
            mask: H×W, the foreground.
            alpha: H×W, pixels where it is 0 do not count; None = all count.
        """
        corners, full = window_positions(mask), full_scale(mask.dtype)
        shape = (len(corners), WINDOW, WINDOW)
        found = cls(np.zeros((*shape, 3), pixels.dtype), np.zeros(shape, np.bool_), np.zeros(shape, np.bool_))
        for number, (x, y) in enumerate(corners):
            part = slice(y, y + WINDOW), slice(x, x + WINDOW)
            weights = mask[part]
            rows, columns = (slice(length) for length in weights.shape)  # less than a window in a small image
            visible = True if alpha is None else alpha[part] > 0
            found.pixels[number, rows, columns] = pixels[part]
            found.foreground[number, rows, columns] = (weights >= full) & visible
            found.background[number, rows, columns] = (weights == 0) & visible
        return found

    def regions(self, color_map: ColorMap | None = None) -> tuple[RegionWindows, RegionWindows]:
        """Return the windows of foreground and background; color_map: applied to the foreground."""
        chosen = [np.flatnonzero(_shares(each) > _MEASURED_SHARE) for each in (self.foreground, self.background)]
        return (
            RegionWindows(self.pixels, self.foreground, chosen[0], color_map),
            RegionWindows(self.pixels, self.background, chosen[1]),
        )


def _shares(valid: NDArray[np.bool_]) -> Doubles:
    return np.count_nonzero(valid, axis=(1, 2)) / valid[0].size


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
