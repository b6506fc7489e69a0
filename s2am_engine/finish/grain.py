# SPDX-License-Identifier: GPL-3.0-or-later
"""Grain: adding noise with the statistics of a background, and reducing noise, both by an amount of the finish.

Reduction attenuates the finest bands of a Laplacian pyramid (Burt & Adelson, IEEE Trans. Commun. 31, 1983) where the
local energy is that of noise, and keeps what exceeds it (Lee, PAMI 2, 1980). The energy is that of all channels, so an
edge in one of them protects it in all. Non-local means would take half a minute at 24 megapixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from s2am_engine.finish.bands import band_statistics
from s2am_engine.finish.measurement import FinishMeasurement
from s2am_engine.finish.noise import (
    NOISE_KNOTS,
    TILE_UNIT,
    NoiseCorrelation,
    NoiseModel,
    NoiseTile,
    excess_variance,
    level_table,
    noise_at,
    noise_tiles,
)
from s2am_engine.finish.scratch import Scratch, repeat_channels, times
from s2am_engine.types import Bytes, Doubles, Floats

_MOST_BANDS = 3
_LOCAL = 5  # side of the window of the local energy, in pixels of a band
_LEAST_ENERGY = np.float32(1e-3)  # relative to that of the noise: the divisor is not 0
_LEAST_SHARE = 0.5  # of the remaining variance that coarser bands may have; more, and another band is reduced
_LEAST_REST = 0.01  # of the variance: as much noise may remain in any case
_DETAIL = 1.5  # local energy, relative to that of the noise, from which on it is detail
_LEAST_RATIO = 0.1  # of the noise of two channels: that of a channel without noise is taken for this much


@dataclass(frozen=True)
class AddedGrain:
    """Adds noise.

    table: (1, 256, 3), its level against luma, for noise of `noise_at`. tiles: see `noise_tiles`.
    """

    table: Floats
    tiles: tuple[NoiseTile, ...]

    def __call__(self, colors: Floats, top: int, left: int, scratch: Scratch) -> None:
        """Add noise to colors (h, w, 3) in 8-bit levels of a block at (top, left) of the image, in place."""
        noise, level = (scratch.floats(name, colors.shape) for name in ("weights", "change"))
        # The integers are in the memory of the level, which is written later.
        whole = scratch.array("change", colors.shape, np.int16)
        np.copyto(noise, noise_at(self.tiles, top, left, whole))
        cv2.LUT(repeat_channels(_luma_levels(colors)), self.table, dst=level)
        cv2.multiply(noise, level, dst=noise)
        cv2.add(colors, noise, dst=colors)


@dataclass(frozen=True)
class _Band:
    """The noise of a band of the pyramid.

    weights: (1, 3), of the squared channels; with them, the noise has an energy of 1 in the region's mean.
    threshold: (1, 256, 1), weighted energy against luma from which on it is detail.
    """

    weights: Floats
    threshold: Floats

    def share(self, detail: Floats, luma: Bytes, squares: Floats) -> Floats:
        """Return the share (h, w) of the local energy of a band (h, w, 3) that is noise.

        Args:
            detail: the band.
            luma: (h, w).
            squares: array of the shape of the band, to be overwritten.
        """
        energy = cv2.transform(cv2.multiply(detail, detail, dst=squares), self.weights)
        cv2.blur(energy, (_LOCAL, _LOCAL), dst=energy)
        np.maximum(energy, _LEAST_ENERGY, out=energy)
        cv2.divide(cv2.LUT(luma, self.threshold), energy, dst=energy)
        cv2.threshold(energy, 1, 0, cv2.THRESH_TRUNC, dst=energy)
        return np.asarray(energy, np.float32)


@dataclass(frozen=True)
class ReducedGrain:
    """Reduces noise.

    removed: (1, 256, 3), share of the noise that is taken away from the bands, against luma.
    bands: from fine to coarse.
    """

    removed: Floats
    bands: tuple[_Band, ...]

    @property
    def reach(self) -> int:
        """Pixels to each side that the reduction depends on, with those up to the next pixel of the coarsest level."""
        return _pyramid_reach(len(self.bands)) + 2 ** len(self.bands) - 1

    def __call__(self, colors: Floats, place: tuple[int, int], inner: tuple[slice, slice], scratch: Scratch) -> Floats:
        """Return the inner part of colors (h, w, 3) in 8-bit levels with less noise.

        Args:
            colors: a block with what the inner part depends on; modified.
            place: row and column of the block in the image: levels of the pyramid are the same in all blocks.
            inner: the part.
            scratch: memory of intermediate results.
        """
        pyramid, offsets = _aligned_pyramid(colors, place, inner, len(self.bands))
        noise: Floats | None = None
        for level in range(len(self.bands) - 1, 0, -1):
            coarse, fine = pyramid.pop(), pyramid[-1]
            whole = slice(0, fine.shape[0]), slice(0, fine.shape[1])
            noise, _ = self._noise(level, fine, coarse, whole, noise, scratch)
        finished, reach = colors[inner], _LOCAL // 2
        coarse, fine = pyramid.pop(), pyramid[-1]
        needed = tuple(
            slice(max(0, part.start + offset - reach), part.stop + offset + reach)
            for part, offset in zip(inner, offsets, strict=True)
        )
        found, luma = self._noise(0, fine, coarse, needed, noise, scratch)
        removed = scratch.floats("weights", found.shape)
        cv2.multiply(found, cv2.LUT(repeat_channels(luma), self.removed, dst=removed), dst=found)
        top, left = (part.start + offset - cut.start for part, offset, cut in zip(inner, offsets, needed, strict=True))
        found = found[top : top + finished.shape[0], left : left + finished.shape[1]]
        cv2.subtract(finished, found, dst=finished)
        return finished

    def _noise(
        self,
        level: int,
        fine: Floats,
        coarse: Floats,
        part: tuple[slice, ...],
        coarser: Floats | None,
        scratch: Scratch,
    ) -> tuple[Floats, Bytes]:
        """Return the noise (h, w, 3) in a part of a level of the pyramid, and the luma (h, w) without its band.

        It is the share of the band's local energy that is noise.

        Args:
            level: number of the band.
            fine: the level.
            coarse: the next one.
            part: the part.
            coarser: the noise in the coarser level; None = there is none.
            scratch: memory of intermediate results.
        """
        # Coarser bands are kept until the next one is added; the finest one is the largest.
        found = _expanded(coarse, part, fine.shape, scratch if level == 0 else None, "change")
        luma = _luma_levels(found)
        cv2.subtract(fine[part], found, dst=found)
        spare = scratch.floats("weights", found.shape)
        times(found, self.bands[level].share(found, luma, spare), out=found, spare=spare)
        if coarser is not None:
            cv2.add(found, _expanded(coarser, part, fine.shape, scratch, "weights"), dst=found)
        return found, luma


def _pyramid_reach(count: int) -> int:
    """Return the pixels to each side of an aligned one that depends on `count` bands."""
    radius = 0
    for _ in range(count):
        # Interpolation needs one more pixel of the coarser level, which depends on two more on each side, or on three.
        radius = 2 * max(_LOCAL // 2, radius + 1) + 3
    return radius


def _aligned_pyramid(
    colors: Floats, place: tuple[int, int], inner: tuple[slice, slice], count: int
) -> tuple[list[Floats], tuple[int, int]]:
    """Return a Gaussian pyramid of `count` + 1 levels, whose pixels are at multiples of 2^count in the image.

    Arguments as for `ReducedGrain`. The block is cropped to these, or extended by reflection at the image's border.

    Returns:
        The levels, and the number of rows and columns by which the first one was extended (below 0: cropped).
    """
    unit = 1 << count
    offsets = []
    for at, part in zip(place, inner, strict=True):
        ahead = -at % unit
        offsets.append(-ahead if part.start >= ahead + _pyramid_reach(count) else at % unit)
    down, right = (max(0, -each) for each in offsets)
    levels = [colors[down:, right:]]
    if max(offsets) > 0:
        above, before = (max(0, each) for each in offsets)
        levels = [np.asarray(cv2.copyMakeBorder(levels[0], above, 0, before, 0, cv2.BORDER_REFLECT_101), np.float32)]
    for _ in range(count):
        levels.append(np.asarray(cv2.pyrDown(levels[-1]), np.float32))
    return levels, (offsets[0], offsets[1])


def _expanded(
    coarse: Floats, part: tuple[slice, ...], shape: tuple[int, ...], scratch: Scratch | None, name: str
) -> Floats:
    """Return a part of the next finer level, interpolated from a coarse level.

    Args:
        coarse: the level.
        part: the part.
        shape: (h, w, 3) of the finer level.
        scratch: memory for the result; None = new memory.
        name: of its array.
    """
    cuts, inner = [], []
    for each, length in zip(part, shape, strict=False):
        first, last = max(0, each.start // 2 - 1), min((each.stop + 1) // 2 + 1, (length + 1) // 2)
        cuts.append(slice(first, last))
        inner.append(slice(each.start - 2 * first, min(each.stop, length) - 2 * first))
    cut = coarse[tuple(cuts)]
    out = scratch.floats(name, (2 * cut.shape[0], 2 * cut.shape[1], 3)) if scratch else None
    return np.asarray(cv2.pyrUp(cut, dst=out)[tuple(inner)], np.float32)


def _luma_levels(colors: Floats) -> Bytes:
    """Return the luma (h, w) of colors (h, w, 3) in 8-bit levels, rounded, as an index of tables."""
    return np.asarray(cv2.convertScaleAbs(cv2.cvtColor(colors, cv2.COLOR_RGB2GRAY)), np.uint8)


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
        return AddedGrain(level_table(amount / TILE_UNIT * np.sqrt(shape)), tiles)
    model = foreground or _white(-amount)
    shape = _distribution(model, background, model)
    remaining = np.maximum(model.levels**2 - amount**2 * shape, 0) / np.maximum(model.levels**2, 1e-6)
    levels, gains = _band_gains(model, remaining)
    return ReducedGrain(level_table(1 - gains), tuple(_band(model, level) for level in levels))


def _band(model: NoiseModel, level: Doubles) -> _Band:
    """Return the band of a noise whose level in it is (3,) times that of all of it."""
    variances = (model.levels * level) ** 2
    mean = model.usage @ variances
    weights = 1 / (3 * np.maximum(mean, max(_LEAST_RATIO * mean.max(), 1e-6)))
    expected = _DETAIL * (variances @ weights)
    table = level_table(np.repeat(expected[:, None], 3, axis=1))[..., :1]
    return _Band(weights[None].astype(np.float32), np.ascontiguousarray(table))


def _band_gains(model: NoiseModel, remaining: Doubles) -> tuple[Doubles, Doubles]:
    """Return the levels (B, 3) of noise in as few bands as can be enough, and their gains (NOISE_KNOTS, 3).

    Args:
        model: of the noise.
        remaining: (NOISE_KNOTS, 3), share of the variance that is to remain.
    """
    for count in range(1, _MOST_BANDS + 1):
        found = band_statistics(model, count)
        if (found.rest < np.maximum(_LEAST_SHARE * remaining, _LEAST_REST)).all():
            break
    # The gain g for which g·bands + rest has the remaining variance.
    root = np.sqrt(np.maximum(found.mixed**2 - found.square * (found.rest - remaining), 0))
    gains = ((root - found.mixed) / np.maximum(found.square, 1e-6)).clip(0, 1)
    return found.levels, gains


def _distribution(more: NoiseModel | None, less: NoiseModel | None, region: NoiseModel | None) -> Doubles:
    """Return the distribution of the variance by which a noise exceeds another: (NOISE_KNOTS, 3), mean 1 in a region.

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
