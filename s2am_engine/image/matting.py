# SPDX-License-Identifier: GPL-3.0-or-later
"""Matting: the opacity of hair, fur, blur and holes in a band along the edge of a mask.

In the band, each pixel is a mixture α·F + (1 − α)·B of a foreground and a background color. F and B are estimated by
weighted means of the colors nearby, α by projection on the line between them (as in Wang & Cohen, “Optimized Color
Sampling for Robust Matting”, CVPR 2007), combined with the mask by inverse variances, which include the error of α at
pixels of known opacity nearby, and smoothed along the image by a guided filter in which reliable pixels weigh more (He,
Sun & Tang, PAMI 35, 2013; as in Gastal & Oliveira, “Shared Sampling for Real-Time Alpha Matting”, 2010). Several rounds
use the α found for better means.

`python -m research.matting` measures it. Closed-form matting (Levin, Lischinski & Weiss, PAMI 30, 2008; pymatting) was
no better on nine composites of known alpha, took six times as long, and needs numba and LLVM: 209 MB, which take 18
seconds to import at first.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.image.arrays import to_depth, to_unit
from s2am_engine.image.edge_tiles import EdgeTile, edge_tiles
from s2am_engine.image.guided_filter import box_mean, guided_coefficients
from s2am_engine.types import Floats, FractionCallback, Mask, Pixels

MATTING_HALO = 6
"""Surroundings that the opacity of a pixel depends on, in widths of the band."""

_TILE_SIDE = 768
_REDUCED_RADIUS = 8  # of the band in the copy in which colors are estimated
_CERTAIN = 0.05  # of the mask: below it background, above 1 minus it foreground
_ROUNDS = 3
_GUIDED_RADIUS = 3  # of the windows of the guided filters of the mask and of the opacity
_PRIOR_VARIANCE = 0.05
_NOISE_VARIANCE = 1e-4  # of the colors
_LEAST_WEIGHT = 0.02
_PURE = 0.9  # α from which a pixel's color counts for the foreground's mean
_FADE = np.float32(1e-3)  # share of a window with weights, below which the next wider window counts more
_SNAPPED = 0.02  # of α, next to 0 and 1


@dataclass(frozen=True)
class _Colors:
    """Local means and variances of foreground and background colors, h×w×3 each."""

    foreground: Floats
    foreground_variance: Floats
    background: Floats
    background_variance: Floats
    error: Floats  # h×w, mean square error of the opacity that follows from them, where it is certain

    @property
    def planes(self) -> tuple[Floats, ...]:
        return self.foreground, self.foreground_variance, self.background, self.background_variance, self.error


def matte_edges(mask: Mask, pixels: Pixels, radius: float, progress: FractionCallback | None = None) -> Mask:
    """Estimate the opacity in a band along a mask's edge from the image.

    Args:
        mask: H×W, see `masks`; its soft parts are in the band, too.
        pixels: H×W×3 of any depth.
        radius: of the band on both sides of the edge, in pixels; hair must lie inside.
        progress: see `FractionCallback`.

    Returns:
        H×W of the mask's depth (uint8 for bool); unchanged beyond the band.
    """
    depth = np.dtype(np.uint8) if mask.dtype == np.bool_ else mask.dtype
    result = to_depth(mask, depth).copy()
    reach = max(1, round(radius))
    for tile in edge_tiles(mask, _TILE_SIDE, MATTING_HALO * reach, progress):
        coverage = to_unit(tile.read(mask))
        foreground, background = _certain(coverage, reach)
        band = tile.core(~(foreground | background))
        if not band.any():
            continue
        opacity = _matte(tile, coverage, to_unit(tile.read(pixels)), foreground, background, reach)
        tile.write(result, np.where(band, to_depth(opacity, depth), tile.core(tile.read(result))))
    return result


def _certain(coverage: Floats, radius: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the pixels that are certainly foreground, and background: farther from the edge than the radius."""
    sides = (coverage > 1 - _CERTAIN, coverage < _CERTAIN)
    foreground, background = (
        cv2.distanceTransform(side.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) > radius if not side.all() else side
        for side in sides
    )
    return np.asarray(foreground), np.asarray(background)


def _matte(
    tile: EdgeTile,
    coverage: Floats,
    colors: Floats,
    foreground: NDArray[np.bool_],
    background: NDArray[np.bool_],
    radius: int,
) -> Floats:
    """Return the opacity of the pixels of a tile; the other arguments, h×w, include its surroundings.

    Colors are estimated in a reduced copy with all surroundings, opacity with a few pixels of them.
    """
    height, width = coverage.shape
    factor = max(1, radius // _REDUCED_RADIUS)
    size = (max(1, width // factor), max(1, height // factor))

    def reduced(values: NDArray[np.generic]) -> Floats:
        return np.asarray(cv2.resize(values.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)

    small_colors = reduced(colors)
    small_prior = _guided(reduced(coverage), small_colors, _GUIDED_RADIUS)
    found = _estimate_colors(
        small_colors, small_prior, reduced(foreground) == 1, reduced(background) == 1, radius / factor
    )
    near = tile.narrowed(2 * _GUIDED_RADIUS)

    def enlarged(values: Floats) -> Floats:
        large = cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(tile.cut(large, near), np.float32)

    known = _Colors(*(enlarged(plane) for plane in found.planes))
    guide, *sides = (np.ascontiguousarray(tile.cut(each, near)) for each in (colors, foreground, background))
    prior = 0.5 * (enlarged(small_prior) + tile.cut(coverage, near))
    opacity, weights = _unmix(guide, known, prior, *sides)
    smooth = near.core(_guided(opacity, guide, _GUIDED_RADIUS, weights))
    return np.asarray(np.clip((smooth - _SNAPPED) / (1 - 2 * _SNAPPED), 0, 1), np.float32)


def _estimate_colors(
    colors: Floats, prior: Floats, foreground: NDArray[np.bool_], background: NDArray[np.bool_], radius: float
) -> _Colors:
    """Estimate the colors of foreground and background, from the certain pixels first, then also from the band."""
    radii = [max(1, round(radius * share)) for share in (4, 2, 1, 0.5)]
    weights = foreground.astype(np.float32), background.astype(np.float32)
    for round_number in range(_ROUNDS):
        used = radii if round_number else radii[:-1]
        means = *_moments(colors, weights[0], used), *_moments(colors, weights[1], used)
        found = _Colors(*means, _certain_error(colors, means[0], means[2], foreground, background, radii[2]))
        opacity, reliability = _unmix(colors, found, prior, foreground, background)
        weights = (
            np.where(opacity > _PURE, opacity, 0) * reliability,
            np.where(opacity < 1 - _PURE, 1 - opacity, 0) * reliability,
        )
    return found


def _moments(colors: Floats, weights: Floats, radii: list[int]) -> tuple[Floats, Floats]:
    """Return weighted local means and variances of colors: of the narrowest window in which there are weights."""
    values = np.concatenate([colors, colors * colors], axis=-1)
    total = weights.sum()
    found = (values * weights[..., None]).sum(axis=(0, 1)) / total if total > 0 else values.mean(axis=(0, 1))
    for radius in radii:
        share = box_mean(weights, radius)[..., None]
        found = (box_mean(values * weights[..., None], radius) + _FADE * found) / (share + _FADE)
    mean = np.asarray(found[..., :3], np.float32)
    return mean, np.asarray(np.maximum(found[..., 3:] - mean * mean, 0), np.float32)


def _certain_error(
    colors: Floats,
    of_foreground: Floats,
    of_background: Floats,
    foreground: NDArray[np.bool_],
    background: NDArray[np.bool_],
    radius: int,
) -> Floats:
    """Return the local mean square error (h×w) of the opacity that colors give to the certain pixels nearby."""
    errors = (_projected(colors, of_foreground, of_background)[0] - foreground) ** 2
    certain = (foreground | background).astype(np.float32)
    return np.asarray(box_mean(errors * certain, radius) / (box_mean(certain, radius) + _FADE), np.float32)


def _projected(colors: Floats, foreground: Floats, background: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the opacity of each pixel by projection on the line between two colors, that line, and its length²."""
    line = foreground - background
    length = (line * line).sum(axis=-1) + np.float32(1e-6)
    return np.clip(((colors - background) * line).sum(axis=-1) / length, 0, 1), line, length


def _unmix(
    colors: Floats, known: _Colors, prior: Floats, foreground: NDArray[np.bool_], background: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Return the opacity of each pixel, and its reliability, 0 to 1."""
    opacity, line, length = _projected(colors, known.foreground, known.background)
    share = opacity[..., None]
    spread = share**2 * known.foreground_variance + (1 - share) ** 2 * known.background_variance + _NOISE_VARIANCE
    misfit = ((colors - known.background - share * line) ** 2 / spread).sum(axis=-1)
    variance = (line * line * spread).sum(axis=-1) / (length * length) * (1 + misfit) + known.error + _NOISE_VARIANCE
    weight = _PRIOR_VARIANCE / (_PRIOR_VARIANCE + variance)
    mixed = np.where(foreground, 1, np.where(background, 0, weight * opacity + (1 - weight) * prior))
    reliability = np.where(foreground | background, 1, np.maximum(weight, _LEAST_WEIGHT))
    return mixed.astype(np.float32), reliability.astype(np.float32)


def _guided(mask: Floats, colors: Floats, radius: int, weights: Floats | None = None) -> Floats:
    slopes, offset = guided_coefficients(mask, colors, radius, weights)
    return np.asarray(np.clip((slopes * colors).sum(axis=-1) + offset, 0, 1), np.float32)
