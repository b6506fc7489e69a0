# SPDX-License-Identifier: GPL-3.0-or-later
"""Grain: adding noise with the statistics of a background, and reducing noise, both by an amount of the finish.

Reduction attenuates the finest bands of an à trous wavelet (Starck & Murtagh, 1994) where the local energy is
that of noise, and keeps what exceeds it (Lee, PAMI 2, 1980). Non-local means would take half a minute at 24 megapixels.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from s2am_engine.finish.measurement import FinishMeasurement
from s2am_engine.finish.noise import (
    NOISE_KNOTS,
    NoiseCorrelation,
    NoiseModel,
    excess_variance,
    level_table,
    noise_at,
    noise_tiles,
)
from s2am_engine.types import Bytes, Doubles, Floats

_SPLINE = np.array([1, 4, 6, 4, 1], np.float32) / 16
_STEPS = (1, 2, 4)  # pixels between the taps of the spline, for each band
_LOCAL = (5, 5)  # window of the local energy
_LEAST_ENERGY = np.float32(1e-3)  # squared 8-bit levels: the divisor is not 0
_LEAST_SHARE = 0.5  # of the remaining variance that coarser bands may have; more, and another band is reduced
_DETAIL = 2.4  # local energy, relative to that of the noise, from which on it is detail


@dataclass(frozen=True)
class AddedGrain:
    """Adds noise.

    table: (1, 256, 3), its level against luma. tiles: see `noise_tiles`.
    """

    table: Floats
    tiles: tuple[Floats, ...]

    def __call__(self, colors: Floats, top: int, left: int) -> Floats:
        """Return colors (h, w, 3) in 8-bit levels of a block at (top, left) of the image with noise."""
        noise = noise_at(self.tiles, top, left, *colors.shape[:2])
        noise *= cv2.LUT(_luma_levels(colors), self.table)
        noise += colors
        return noise


@dataclass(frozen=True)
class ReducedGrain:
    """Reduces noise.

    table: (1, 256, 3), level of the noise against luma.
    gains: (1, 256, 3), share of it that remains in the bands.
    bands: (B, 3), level of the noise in each band, relative to `table`.
    """

    table: Floats
    gains: Floats
    bands: Doubles

    @property
    def reach(self) -> int:
        """Pixels to each side that the reduction depends on."""
        return 2 * sum(_STEPS[: len(self.bands)]) + _LOCAL[0] // 2

    def __call__(self, colors: Floats) -> Floats:
        """Return colors (h, w, 3) in 8-bit levels of a block with less noise."""
        # The share of a band's local energy that is noise keeps the gain, the rest of the band stays as it is: the
        # result is the input without (1 - gain) times the noise of all bands.
        smooth = _smoothed(colors, _STEPS[0])
        luma, detail = _luma_levels(smooth), cv2.subtract(colors, smooth)
        noise = np.zeros_like(colors)
        for number, band in enumerate(self.bands):
            if number:
                coarser = _smoothed(smooth, _STEPS[number])
                detail, smooth = cv2.subtract(smooth, coarser), coarser
            energy = cv2.blur(cv2.multiply(detail, detail), _LOCAL)
            np.maximum(energy, _LEAST_ENERGY, out=energy)
            threshold = cv2.LUT(luma, np.float32(_DETAIL) * np.square(self.table * band).astype(np.float32))
            share = cv2.divide(threshold, energy, dst=energy)
            cv2.threshold(share, 1, 0, cv2.THRESH_TRUNC, dst=share)
            cv2.multiply(share, detail, dst=share)
            cv2.add(noise, share, dst=noise)
        cv2.multiply(noise, cv2.LUT(luma, 1 - self.gains), dst=noise)
        return np.asarray(cv2.subtract(colors, noise, dst=noise), np.float32)


def _smoothed(colors: Floats, step: int) -> Floats:
    kernel = np.zeros(4 * step + 1, np.float32)
    kernel[::step] = _SPLINE
    return np.asarray(cv2.sepFilter2D(colors, -1, kernel, kernel), np.float32)


def _luma_levels(colors: Floats) -> Bytes:
    """Return the luma of colors (h, w, 3) in 8-bit levels, rounded, three times: as an index of tables."""
    luma = cv2.convertScaleAbs(cv2.cvtColor(colors, cv2.COLOR_RGB2GRAY))
    return np.asarray(cv2.merge([luma] * 3), np.uint8)


def grain_stage(amount: float, measurement: FinishMeasurement, seed: int = 0) -> AddedGrain | ReducedGrain:
    """Return the stage for an amount of grain.

    Args:
        amount: above 0, noise of this standard deviation in 8-bit levels is added, distributed over channels and luma
            as the background's noise exceeds the foreground's; below 0, noise is removed: its variance decreases by
            amount². Without a measurement, the noise is the same in all channels and at all lumas.
        measurement: of the foreground as it is before this stage, and of the background.
        seed: of the noise.
    """
    foreground, background = measurement.foreground.noise, measurement.background.noise
    if amount > 0:
        shape = _distribution(background, foreground, foreground or background)
        tiles = noise_tiles(NoiseCorrelation.of(background), seed)
        return AddedGrain(level_table(amount * np.sqrt(shape)), tiles)
    model = foreground or _white(-amount)
    shape = _distribution(model, background, model)
    remaining = np.maximum(model.levels**2 - amount**2 * shape, 0) / np.maximum(model.levels**2, 1e-6)
    levels, gains = _band_gains(NoiseCorrelation.of(model), seed, remaining)
    return ReducedGrain(level_table(model.levels), level_table(gains), levels)


def _band_gains(correlation: NoiseCorrelation, seed: int, remaining: Doubles) -> tuple[Doubles, Doubles]:
    """Return the levels (B, 3) of noise in as few bands as can be enough, and their gains (NOISE_KNOTS, 3).

    Args:
        correlation: of the noise.
        seed: of a sample of it.
        remaining: (NOISE_KNOTS, 3), share of the variance that is to remain.
    """
    for count in range(1, len(_STEPS) + 1):
        levels, square, mixed, rest = _band_statistics(correlation, seed, count)
        if (rest < _LEAST_SHARE * remaining).all():
            break
    # The gain g for which g·bands + rest has the remaining variance.
    root = np.sqrt(np.maximum(mixed**2 - square * (rest - remaining), 0))
    gains = ((root - mixed) / np.maximum(square, 1e-6)).clip(0, 1)
    return levels, gains


@functools.lru_cache(2 * len(_STEPS))
def _band_statistics(correlation: NoiseCorrelation, seed: int, count: int) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """Split noise of standard deviation 1 into bands.

    Returns:
        The level (B, 3) in each band; per channel (3,), the mean square of the sum of the bands, its mean product with
        the rest, and the mean square of the rest.
    """
    tile = noise_tiles(correlation, seed)[0]
    bands, rest = _split_bands(tile / tile.std(axis=(0, 1)), count)
    detail = np.asarray(np.sum(bands, axis=0), np.float32)
    levels = np.sqrt(np.stack([_mean(band, band) for band in bands]))
    return levels, _mean(detail, detail), _mean(detail, rest), _mean(rest, rest)


def _distribution(more: NoiseModel | None, less: NoiseModel | None, region: NoiseModel | None) -> Doubles:
    """Return how the variance by which one noise exceeds another is distributed: (NOISE_KNOTS, 3), mean 1 in a region.

    Where the amount was chosen by hand, though nothing exceeds, it is that of the first noise; without one, even.
    """
    if more is None or region is None:
        return np.ones((NOISE_KNOTS, 3))
    shape = more.levels**2 if less is None else excess_variance(more, less)
    if region.mean(shape) < 1e-6:
        shape = more.levels**2
    mean = region.mean(shape)
    return shape / mean if mean > 1e-6 else np.ones((NOISE_KNOTS, 3))


def _white(level: float) -> NoiseModel:
    spatial = np.zeros((3, 7, 7))
    spatial[:, 3, 3] = 1
    return NoiseModel(np.full((NOISE_KNOTS, 3), level), np.full(NOISE_KNOTS, 1 / NOISE_KNOTS), np.eye(3), spatial)


def _split_bands(colors: Floats, count: int) -> tuple[list[Floats], Floats]:
    """Return the finest bands of an à trous wavelet, and the rest; their sum is the input."""
    bands, smooth = [], colors
    for step in _STEPS[:count]:
        coarser = _smoothed(smooth, step)
        bands.append(np.asarray(cv2.subtract(smooth, coarser), np.float32))
        smooth = coarser
    return bands, smooth


def _mean(first: Floats, second: Floats) -> Doubles:
    """Return the mean product (3,) of two tiles."""
    return np.asarray((first * second).mean(axis=(0, 1)), np.float64)
