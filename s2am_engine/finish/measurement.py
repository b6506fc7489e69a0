# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurement of foreground and background in small windows at full resolution, and the finish that matches them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from s2am_common.sliders import FINISH_SLIDERS
from s2am_engine.color.map import ColorMap
from s2am_engine.finish.noise import NoiseModel, estimate_noise, excess_variance, noise_limit, softened_share
from s2am_engine.finish.sharpness import estimate_blur, gaussian_weights
from s2am_engine.finish.values import Finish
from s2am_engine.image.arrays import full_scale
from s2am_engine.types import Floats, Mask, Pixels

AUTO: Literal["auto"] = "auto"
"""Stands for the automatic value of a slider."""

WINDOW = 96
"""Side of a window in pixels."""

MAX_WINDOWS = 48
"""Most windows of each region."""

_LEAST_SHARE = 0.5  # of a window that belongs to its region
_LEAST_GRAIN = 0.3  # 8-bit levels; less is not visible
_MOST_GRAIN = FINISH_SLIDERS["grain"].high
_ALIKE = 0.15  # relative difference of two noise levels that counts as none
_SHARP = 0.55  # pixels of blur below which an edge counts as sharp: cameras and scaling blur as much
_LEAST_SOFTENING = 0.5  # pixels
_MOST_SOFTENING = 2.0  # pixels; a background that is blurred more is out of focus, which its foreground need not be

NOTES = {
    ("foreground", "grain"): "The foreground has no even area to measure its grain in: compare it by eye.",
    ("background", "grain"): "The background has no even area to measure its grain in: compare it by eye.",
    ("foreground", "sharpness"): "The foreground has no clear edges to measure its sharpness by: compare it by eye.",
    ("background", "sharpness"): "The background has no clear edges to measure its sharpness by: compare it by eye.",
}
"""Notes on failed measurements, by region and slider."""


@dataclass(frozen=True, eq=False)
class SampleWindows:
    """Parts of an image at full resolution.

    colors: N×S×S×3 in 8-bit levels, S = WINDOW.
    foreground: N×S×S, pixels that are entirely foreground.
    background: N×S×S, visible pixels that are entirely background.
    """

    colors: Floats
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
        parts = [(slice(y, y + WINDOW), slice(x, x + WINDOW)) for x, y in window_positions(mask)]
        masks = np.stack([_framed(mask[part]) for part in parts])
        visible = np.stack([_framed(np.ones(mask[part].shape) if alpha is None else alpha[part]) for part in parts]) > 0
        colors = np.stack([_framed(pixels[part]) for part in parts]).astype(np.float32)
        colors *= np.float32(255 / full_scale(pixels.dtype))
        return cls(colors, visible & (masks >= full_scale(mask.dtype)), visible & (masks == 0))


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


def _framed(part: NDArray[Any]) -> NDArray[Any]:
    """Return a part of an image with zeros below and to the right, if it is smaller than a window."""
    missing = [(0, WINDOW - length) for length in part.shape[:2]]
    return np.pad(part, [*missing, *[(0, 0)] * (part.ndim - 2)]) if any(np.ravel(missing)) else part


@dataclass(frozen=True, eq=False)
class RegionMeasurement:
    """Measurements of a foreground or background.

    noise: None = not enough even areas.
    limit: level that the noise does not exceed, in 8-bit levels, if only that is known; else None.
    blur: variance in square pixels, see `estimate_blur`; None = not enough edges.
    """

    noise: NoiseModel | None
    blur: float | None
    limit: float | None = None

    @property
    def radius(self) -> float | None:
        """Blur radius (sigma) in pixels, 0 for a sharpened image; None = not enough edges."""
        return None if self.blur is None else float(np.sqrt(max(0.0, self.blur)))

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"noise": self.noise.to_json() if self.noise else None, "blur": self.blur, "limit": self.limit}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RegionMeasurement:
        """Return the region that `to_json` describes. Raises KeyError, TypeError or ValueError for anything else."""
        noise = None if data["noise"] is None else NoiseModel.from_json(data["noise"])
        blur, limit = (None if data[name] is None else float(data[name]) for name in ("blur", "limit"))
        return cls(noise, blur, limit)


@dataclass(frozen=True, eq=False)
class FinishMeasurement:
    """Measurements of an image's recolored foreground and of its background."""

    foreground: RegionMeasurement
    background: RegionMeasurement

    @classmethod
    def of(cls, windows: SampleWindows, color_map: ColorMap | None = None) -> FinishMeasurement:
        """Measure windows.

        Args:
            windows: see `SampleWindows`.
            color_map: applied to the foreground first, as it changes its noise; None = the colors as they are.
        """
        colors = windows.colors
        regions = []
        for valid, found in ((windows.foreground, color_map), (windows.background, None)):
            used = valid.reshape(len(valid), -1).mean(axis=1) > 1 / 8
            part = colors[used]
            if found is not None and len(part):
                part = (found(part / np.float32(255)) * np.float32(255)).clip(0, 255)
            noise = estimate_noise(part, valid[used])
            blur = estimate_blur(part, valid[used], noise.level if noise else 0.0)
            limit = None if noise else noise_limit(part, valid[used])
            regions.append(RegionMeasurement(noise, blur, limit))
        return cls(*regions)

    def automatic(self) -> Finish:
        """Return the values that match grain and sharpness of the foreground to the background; 0 = no evidence."""
        sharpness = self.automatic_sharpness()
        return Finish(grain=self.automatic_grain(sharpness), sharpness=sharpness)

    def resolve(self, values: Mapping[str, float | Literal["auto"]]) -> Finish:
        """Return the finish of values by name, with `automatic` ones instead of “auto”.

        Raises ValueError for an unknown name, a name without automatic values, or a value outside its range.
        """
        for name, value in values.items():
            if value == AUTO and not (name in FINISH_SLIDERS and FINISH_SLIDERS[name].automatic):
                raise ValueError(f"{name} has no automatic value: give a number")
        given = dict(values)
        if given.get("sharpness") == AUTO:
            given["sharpness"] = self.automatic_sharpness()
        if given.get("grain") == AUTO:
            given["grain"] = self.automatic_grain(float(given.get("sharpness", 0)))
        return Finish.from_values({name: float(value) for name, value in given.items()})

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on failed measurements, one sentence each."""
        return self.notes_on(("grain", "sharpness"))

    def notes_on(self, names: Collection[str]) -> tuple[str, ...]:
        """Return what could not be measured for some sliders, one sentence each."""
        found = []
        for name, region in (("foreground", self.foreground), ("background", self.background)):
            for slider, measured in (("grain", region.noise), ("sharpness", region.blur)):
                if measured is None and slider in names:
                    found.append(NOTES[name, slider])
        return tuple(found)

    def automatic_sharpness(self) -> float:
        """Return the sharpness that softens the foreground to the background, at most 0."""
        if self.foreground.blur is None or self.background.blur is None:
            return 0.0
        own, other = (max(each, _SHARP**2) for each in (self.foreground.blur, self.background.blur))
        sigma = float(np.sqrt(max(0.0, other - own)))
        return -round(min(sigma, _MOST_SOFTENING), 2) if sigma >= _LEAST_SOFTENING else 0.0

    def automatic_grain(self, sharpness: float = 0.0) -> float:
        """Return the grain that matches the foreground, after a change of its sharpness, to the background."""
        foreground, background = self.softened(sharpness).foreground.noise, self.background.noise
        if foreground is None or background is None:
            return self._grain_beyond_limit()
        own, other = (float(np.sqrt(foreground.mean(each.levels**2))) for each in (foreground, background))
        if abs(other - own) < _ALIKE * other:
            return 0.0
        more, less = (background, foreground) if other > own else (foreground, background)
        grain = float(np.sqrt(foreground.mean(excess_variance(more, less))))
        return round(float(np.copysign(min(grain, _MOST_GRAIN), other - own)), 2) if grain >= _LEAST_GRAIN else 0.0

    def _grain_beyond_limit(self) -> float:
        """Return the grain that even a textured foreground lacks: what exceeds the most that it can have."""
        noise, limit = self.background.noise, self.foreground.limit
        if noise is None or limit is None or noise.level <= (1 + _ALIKE) * limit:
            return 0.0
        grain = min(float(np.sqrt(noise.level**2 - limit**2)), _MOST_GRAIN)
        return round(grain, 2) if grain >= _LEAST_GRAIN else 0.0

    def softened(self, sharpness: float) -> FinishMeasurement:
        """Return the measurement with the noise that the foreground has after softening."""
        noise = self.foreground.noise
        if noise is None or sharpness >= 0:
            return self
        factor = softened_share(noise, gaussian_weights(-sharpness))
        return replace(self, foreground=replace(self.foreground, noise=replace(noise, levels=noise.levels * factor)))

    def to_json(self) -> dict[str, Any]:
        """Return plain values, from which `from_json` restores the measurement."""
        return {"foreground": self.foreground.to_json(), "background": self.background.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FinishMeasurement:
        """Return what `to_json` describes. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(RegionMeasurement.from_json(data["foreground"]), RegionMeasurement.from_json(data["background"]))
