# SPDX-License-Identifier: GPL-3.0-or-later
"""Refinement of the edge of a mask: matting, smoothing, growing and shrinking, feathering, hardening."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from s2am_common.edge_sliders import EDGE_SLIDERS
from s2am_common.sliders import check_sliders
from s2am_engine.image.arrays import to_depth, to_unit
from s2am_engine.image.matting import MATTING_HALO, matte_edges
from s2am_engine.types import Floats, FractionCallback, Mask, Pixels

AUTOMATIC = -1.0
"""Value of `EdgeSettings.refine_edges` that stands for `matting_radius` of the image's size."""

_MATTING_SHARE = 0.9  # of the time
_DISC_RADIUS = 5  # of the discs of which a larger one is composed: time is linear in the radius, not quadratic
_REDUCED_SIGMA = 8.0  # pixels; a wider Gaussian is computed in a reduced copy
_HARDEST = 1e-3


@dataclass(frozen=True)
class EdgeSettings:
    """Changes of a mask's edge, in the order in which they are applied; lengths are in pixels of the image.

    refine_edges: distance from the edge within which opacity is estimated from the image, see `matte_edges`;
        `AUTOMATIC` = by the size of the image.
    smooth: radius of bays and spikes that are removed.
    grow: distance by which the edge moves outward; negative = inward.
    feather: width on both sides of the edge over which the mask fades.
    harden: 0 = unchanged, 1 = a hard edge.

    Ranges and defaults are those of `s2am_common.edge_sliders.EDGE_SLIDERS`. Raises ValueError, naming the slider and
    its range, for a value outside.
    """

    refine_edges: float = EDGE_SLIDERS["refine_edges"].default
    smooth: float = EDGE_SLIDERS["smooth"].default
    grow: float = EDGE_SLIDERS["grow"].default
    feather: float = EDGE_SLIDERS["feather"].default
    harden: float = EDGE_SLIDERS["harden"].default

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check(vars(self))

    @classmethod
    def from_values(cls, values: Mapping[str, float]) -> EdgeSettings:
        """Create settings from values by slider name. Raises ValueError for an unknown name or a value out of range."""
        _check(values)
        return cls(**values)

    @property
    def is_neutral(self) -> bool:
        """True if nothing changes."""
        return self == EdgeSettings()

    @property
    def reach(self) -> int:
        """Pixels beyond the mask that can change, or on which the change depends."""
        matting = MATTING_HALO * max(0.0, self.refine_edges)
        return int(matting + 3 * self.smooth + max(0.0, self.grow) + 2 * self.feather) + 2


def _check(values: Mapping[str, float]) -> None:
    numbers = {name: value for name, value in values.items() if (name, value) != ("refine_edges", AUTOMATIC)}
    check_sliders(numbers, EDGE_SLIDERS)


def matting_radius(height: int, width: int) -> int:
    """Return the automatic distance from the edge for matting, in pixels: half a percent of the image's diagonal."""
    return max(4, round(0.005 * float(np.hypot(height, width))))


def refine_edges(
    mask: Mask, settings: EdgeSettings, pixels: Pixels | None = None, progress: FractionCallback | None = None
) -> Mask:
    """Change the edge of a mask.

    Args:
        mask: H×W bool, uint8, uint16 or float32; full scale = foreground.
        settings: the changes.
        pixels: H×W×3 of any depth, which `settings.refine_edges` needs.
        progress: see `FractionCallback`.

    Returns:
        H×W of the mask's depth (uint8 for bool); the same array if nothing changes.

    Raises:
        ValueError: `settings.refine_edges` without `pixels`.
    """
    if settings.is_neutral or not mask.any():
        return mask
    depth = np.dtype(np.uint8) if mask.dtype == np.bool_ else mask.dtype
    changed = to_depth(mask, depth)
    if settings.refine_edges:
        if pixels is None:
            raise ValueError("matting needs the pixels of the image")
        height, width = mask.shape
        radius = matting_radius(height, width) if settings.refine_edges == AUTOMATIC else settings.refine_edges
        report = progress and (lambda done: progress(_MATTING_SHARE * done))
        changed = matte_edges(changed, pixels, radius, report)
    geometric = replace(settings, refine_edges=0)
    if geometric.is_neutral or not changed.any():
        return changed
    area = _area(changed, geometric.reach)
    result = changed.copy()
    result[area] = to_depth(_shaped(to_unit(changed[area]), geometric, progress), depth)
    return result


def _area(mask: Mask, reach: int) -> tuple[slice, slice]:
    """Return rows and columns of the foreground and its surroundings."""
    area = []
    for length, axis in zip(mask.shape, (1, 0), strict=True):
        used = np.flatnonzero(mask.any(axis=axis))
        area.append(slice(max(0, int(used[0]) - reach), min(length, int(used[-1]) + 1 + reach)))
    return area[0], area[1]


def _shaped(values: Floats, settings: EdgeSettings, progress: FractionCallback | None) -> Floats:
    """Smooth, grow, feather and harden h×w weights in [0, 1]."""

    def report(step: int) -> None:
        if progress:
            progress(_MATTING_SHARE + (1 - _MATTING_SHARE) * step / 4)

    report(0)
    if settings.smooth > 0:
        # A straight edge keeps its place and becomes one pixel wide again: its slope is 1 / (σ √2π).
        steepness = max(1.0, settings.smooth * np.sqrt(2 * np.pi))
        values = _steepened(_blurred(values, settings.smooth), steepness)
    report(1)
    values = _grown(values, round(settings.grow))
    report(2)
    if settings.feather > 0:
        values = _blurred(values, settings.feather / 2)
    report(3)
    if settings.harden > 0:
        values = _steepened(values, 1 / max(_HARDEST, 1 - settings.harden))
    return values


def _steepened(values: Floats, factor: float) -> Floats:
    return np.asarray(np.clip((values - 0.5) * np.float32(factor) + 0.5, 0, 1), np.float32)


def _grown(values: Floats, radius: int) -> Floats:
    """Dilate by a disc, or erode by it if the radius is negative."""
    move = cv2.dilate if radius > 0 else cv2.erode
    remaining = abs(radius)
    while remaining:
        step = min(remaining, _DISC_RADIUS)
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * step + 1,) * 2)
        # Nothing beyond the border: a foreground that touches it is not eroded there.
        values = np.asarray(move(values, kernel, borderType=cv2.BORDER_REPLICATE), np.float32)
        remaining -= step
    return values


def _blurred(values: Floats, sigma: float) -> Floats:
    """Return a Gaussian blur."""
    factor = max(1, int(sigma / _REDUCED_SIGMA * 2))
    height, width = values.shape
    size = (max(1, width // factor), max(1, height // factor))
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA) if factor > 1 else values
    soft = cv2.GaussianBlur(small, (0, 0), sigma / factor, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
