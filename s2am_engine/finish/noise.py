# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise: its level against luma, its correlation, its estimation from flat patches, and its synthesis.

The level is the standard deviation within small cells of the flattest patches of each brightness, as texture only adds
variance (Liu, Szeliski, Kang, Zitnick & Freeman, PAMI 30, 2008; Foi et al., TIP 17, 2008). Patches are chosen by the
variance between their cells, where texture has most of its energy and noise has little; a quadratic surface is removed
before, so that gradients of light do not count. Levels are in 8-bit levels at every depth.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.color.srgb import LUMA
from s2am_engine.types import Doubles, Floats

NOISE_KNOTS = 5
"""Number of levels of a noise model, at lumas evenly spaced from 0 to 255."""

PATCH = 16
"""Side of the patches that noise is measured in, in pixels."""

_LAGS = 3  # pixels to each side over which the spatial correlation is measured
_BINS = 8  # of luma
_FLATTEST = 0.1  # share of the patches of a bin that counts as free of texture
_CELL = 4  # side of the cells of a patch: texture varies more from cell to cell than noise does
_LEAST_PATCHES = 8
_EVEN = 0.4  # standard deviation of the variances of patches with noise, relative to their mean
_TEXTURE_CORRELATION = 0.93  # of the channels; that of noise is lower in photographs,
_GRAY_CORRELATION = 0.9999  # except in gray ones
_CLIPPED = 4.0  # levels next to black and white where noise is cut off
_CLIPPED_DEVIATIONS = 2.5  # the same, in standard deviations
_LARGEST_RATIO = (
    2.25  # between the variances of two bins: noise of photons hardly depends on encoded luma, texture does
)
_TILE_SIDES = (384, 343)  # coprime: the sum of both repeats after 131712 pixels; of small factors: fast transforms
TILE_UNIT = 4096
"""Standard deviation of the sum of the tiles of noise, whose integers take half the memory of floats."""

_LARGEST_IN_TILE = 32767 // len(_TILE_SIDES)  # so that the sum of the tiles does not overflow; 5.6 deviations of a tile
_ROWS = 32  # or columns of a tile or its spectrum, or patches, that are processed at a time
_KNOT_LUMAS = np.linspace(0, 255, NOISE_KNOTS)

NoiseTile = NDArray[np.int16]
"""Periodic noise (n, n, 3)."""


def _quadratic_surfaces() -> Floats:
    """Return an orthonormal basis (PATCH², 6) of the quadratic surfaces on a patch."""
    y, x = np.mgrid[-1 : 1 : PATCH * 1j, -1 : 1 : PATCH * 1j]
    powers = [x**i * y**j for i in range(3) for j in range(3 - i)]
    return np.linalg.qr(np.stack(powers).reshape(len(powers), -1).T)[0].astype(np.float32)


def _cell_means() -> Floats:
    """Return the matrix (PATCH², cells) that averages the cells of a patch."""
    steps = PATCH // _CELL
    number = np.arange(PATCH) // _CELL
    cell = number[:, None] * steps + number
    return np.asarray(np.eye(steps**2)[cell.ravel()] / _CELL**2, np.float32)


_SURFACES = _quadratic_surfaces()
_CELLS = _cell_means()
_PROJECTIONS = np.concatenate([_SURFACES, _CELLS], axis=1)


@dataclass(frozen=True, eq=False)
class NoiseModel:
    """Noise of a region.

    levels: (NOISE_KNOTS, 3) standard deviation of R, G and B at lumas from 0 to 255, in 8-bit levels.
    usage: (NOISE_KNOTS,) share of the region's pixels around each knot; the sum is 1.
    channels: (3, 3) correlation of the noise of R, G and B.
    spatial: (3, 7, 7) correlation of each channel's noise at distances of up to 3 pixels.
    """

    levels: Doubles
    usage: Doubles
    channels: Doubles
    spatial: Doubles

    @property
    def level(self) -> float:
        """Root mean square of the levels over channels and pixels of the region, in 8-bit levels."""
        return float(np.sqrt(self.mean(self.levels**2)))

    def mean(self, values: Doubles) -> float:
        """Return the mean of values (NOISE_KNOTS, 3) over channels and pixels of the region."""
        return float(self.usage @ values.mean(axis=1))

    def to_json(self) -> dict[str, Any]:
        """Return plain lists, from which `from_json` restores the model."""
        return {name: np.round(value, 5).tolist() for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> NoiseModel:
        """Return the model that `to_json` describes. Raises KeyError, TypeError or ValueError for anything else."""
        side = 2 * _LAGS + 1
        shapes = {"levels": (NOISE_KNOTS, 3), "usage": (NOISE_KNOTS,), "channels": (3, 3), "spatial": (3, side, side)}
        arrays = {name: np.array(data[name], np.float64).reshape(shape) for name, shape in shapes.items()}
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("a noise model must be finite numbers")
        return cls(**arrays)


def excess_variance(more: NoiseModel, less: NoiseModel) -> Doubles:
    """Return the variance (NOISE_KNOTS, 3) by which one noise exceeds another; 0 where it does not."""
    return np.maximum(more.levels**2 - less.levels**2, 0)


@dataclass(frozen=True, eq=False)
class PatchStatistics:
    """Statistics for estimating noise, of the patches (P) of windows that lie entirely in a region.

    valid: (M,) which of all patches of the windows, window after window, by rows, these are.
    means: (P, 3), in 8-bit levels.
    coarse: (P, 3) variance between cells of a patch, without a quadratic surface.
    fine: (P, 3) variance within its cells, without the surface; unbiased.
    rough: (P, 3) variance within its cells, with the surface.
    """

    valid: NDArray[np.bool_]
    means: Floats
    coarse: Floats
    fine: Floats
    rough: Floats

    @classmethod
    def of(cls, windows: Floats, valid: NDArray[np.bool_]) -> PatchStatistics:
        """Return those of windows.

        Args:
            windows: N×S×S×3 parts of the image in 8-bit levels, S a multiple of PATCH.
            valid: N×S×S, the pixels that belong to the region.
        """
        count, side, _ = valid.shape
        steps = side // PATCH
        inside = valid.reshape(count, steps, PATCH, steps, PATCH).all(axis=(2, 4)).ravel()
        split = windows.reshape(count, steps, PATCH, steps, PATCH, 3).transpose(0, 1, 3, 5, 2, 4)
        patches = split.reshape(-1, 3, PATCH * PATCH)
        if not inside.all():
            patches = patches[inside]
        means = patches.mean(axis=2)
        patches -= means[..., None]
        projected = patches @ _PROJECTIONS
        surface, cells = projected[..., : _SURFACES.shape[1]], projected[..., _SURFACES.shape[1] :]
        smooth = cells - surface @ (_SURFACES.T @ _CELLS)
        energy = np.einsum("pcx,pcx->pc", patches, patches)
        within = _CELL**2 * (PATCH // _CELL) ** 2  # pixels of the cells, of which each takes a degree of freedom
        free = within - (PATCH // _CELL) ** 2
        fine, rough = (
            (total - _CELL**2 * np.square(each).sum(axis=2)) / free
            for total, each in ((energy - np.square(surface).sum(axis=2), smooth), (energy, cells))
        )
        return cls(inside, means, np.square(smooth).mean(axis=2), np.maximum(fine, 0), np.maximum(rough, 0))

    @classmethod
    def joined(cls, parts: Sequence[PatchStatistics]) -> PatchStatistics:
        """Return those of all parts of the windows."""
        if not parts:
            none = np.zeros((0, 3), np.float32)
            return cls(np.zeros(0, np.bool_), none, none, none, none)
        return cls(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls)))


def estimate_noise(found: PatchStatistics, read: Callable[[NDArray[np.intp]], Floats]) -> NoiseModel | None:
    """Estimate the noise of a region.

    Args:
        found: statistics of the region's patches.
        read: returns the patches of some numbers, (K, 3, PATCH, PATCH) in 8-bit levels.

    Returns:
        The model, or None if the region has no even patches: they are clipped or textured.
    """
    luma = found.means @ np.array(LUMA, np.float32)
    middle = np.flatnonzero((luma > _CLIPPED) & (luma < 255 - _CLIPPED))
    if len(middle) < _LEAST_PATCHES:
        return None
    means, luma, coarse, fine = found.means[middle], luma[middle], found.coarse[middle], found.fine[middle]
    bins = _even_bins(_flattest(coarse.mean(axis=1), luma), fine.mean(axis=1), luma)
    if sum(len(each) for each in bins) < _LEAST_PATCHES:
        return None
    chosen = np.concatenate(bins)
    flat = _without_surface(read(np.flatnonzero(found.valid)[middle[chosen]]))
    spatial, channels = _spatial_correlation(flat), _channel_correlation(flat)
    if _is_texture(channels):
        return None
    variances = fine[chosen] / _share_within_cells(spatial)
    levels = np.sqrt(_variances_at_knots(variances, luma[chosen], means[chosen]))
    usage = np.stack([np.interp(luma, _KNOT_LUMAS, row) for row in np.eye(NOISE_KNOTS)]).sum(axis=1)
    return NoiseModel(levels, usage / usage.sum(), channels, spatial)


def noise_limit(found: PatchStatistics) -> float | None:
    """Return a level that the noise of a textured region does not exceed: texture only adds to it.

    None = there are no patches.
    """
    if len(found.rough) < _LEAST_PATCHES:
        return None
    return float(np.sqrt(np.quantile(found.rough.mean(axis=1), _FLATTEST)))


def _without_surface(patches: Floats) -> Floats:
    """Return patches (K, 3, PATCH, PATCH), modified, without their means and quadratic surfaces."""
    for part in _slices(len(patches)):
        pixels = patches[part].reshape(-1, 3, PATCH**2)
        pixels -= pixels.mean(axis=2, keepdims=True)
        pixels -= (pixels @ _SURFACES) @ _SURFACES.T
    return patches


def _share_within_cells(spatial: Doubles) -> Doubles:
    """Return the expected variance within cells, relative to that of the noise, from its correlation (3, 7, 7)."""
    pairs = np.convolve(np.ones(_CELL), np.ones(_CELL)) / _CELL**2  # share of the pairs of pixels at each distance
    mean = np.einsum("cyx,y,x->c", spatial, pairs, pairs)
    share: Doubles = (1 - mean).clip(0.1) * (_CELL**2 / (_CELL**2 - 1))
    return share


def _even_bins(bins: list[NDArray[np.intp]], variances: Floats, luma: Floats) -> list[NDArray[np.intp]]:
    """Return the bins whose patches contain noise alone.

    The variance of noise differs little from patch to patch of a bin, and is not much lower in any other bin.
    """
    cut = _CLIPPED_DEVIATIONS * np.sqrt(variances)
    whole = (luma > cut) & (luma < 255 - cut)
    lowest = min(
        (float(variances[each].min()) for each in (found[whole[found]] for found in bins) if len(each)), default=0
    )
    found = []
    for each in bins:
        mean = float(variances[each].mean())
        if variances[each].std() <= _EVEN * mean and mean <= max(_LARGEST_RATIO**2 * lowest, 1):
            found.append(each)
    return found


def _is_texture(channels: Doubles) -> bool:
    """Return whether residuals are texture: it is almost the same in all channels of a color image."""
    alike = channels[np.triu_indices(3, 1)]
    return bool(alike.max() > _TEXTURE_CORRELATION and alike.min() < _GRAY_CORRELATION)


def _flattest(energy: Floats, luma: Floats) -> list[NDArray[np.intp]]:
    """Return the patches with the lowest energy of each bin of luma."""
    bins = np.minimum((luma * (_BINS / 256)).astype(np.intp), _BINS - 1)
    chosen = []
    for number in range(_BINS):
        members = np.flatnonzero(bins == number)
        if len(members) >= _LEAST_PATCHES or (len(members) > 0 and len(energy) < _BINS * _LEAST_PATCHES):
            count = max(min(4, len(members)), round(_FLATTEST * len(members)))
            chosen.append(members[np.argsort(energy[members])[:count]])
    return chosen


def _spatial_correlation(flat: Floats) -> Doubles:
    """Return the mean correlation of residuals (P, 3, PATCH, PATCH) at all lags, (3, 7, 7)."""
    side = 2 * _LAGS + 1
    found = np.zeros((3, side, side))
    width = PATCH - 2 * _LAGS
    for channel in range(3):
        middle = flat[:, channel, _LAGS:-_LAGS, _LAGS:-_LAGS]
        columns = np.ascontiguousarray(middle).reshape(-1, width).T
        energy = max(float(np.square(columns).sum()), 1e-12)
        for y in range(side):
            shifted = np.ascontiguousarray(flat[:, channel, y : y + width]).reshape(-1, PATCH)
            products = columns @ shifted  # of each column of the middle and each one of these rows
            found[channel, y] = [np.trace(products[:, x : x + width]) / energy for x in range(side)]
    found = (found + found[:, ::-1, ::-1]) / 2
    # The surfaces that were removed, and the choice of patches, took noise of low frequencies away: all correlations
    # are too low by the same amount, which makes those at the greatest distance negative.
    distant = np.ones((side, side), bool)
    distant[1:-1, 1:-1] = False
    missing = np.minimum(found[:, distant].mean(axis=1), 0)[:, None, None]
    found = (found - missing) / (1 - missing)
    # Below the standard error of the estimate it is no correlation.
    found[np.abs(found) < 3 / np.sqrt(len(flat) * width**2)] = 0
    found[:, _LAGS, _LAGS] = 1
    return found


def _channel_correlation(flat: Floats) -> Doubles:
    """Return the correlation (3, 3) of the channels of residuals (P, 3, PATCH, PATCH)."""
    products, count = np.zeros((3, 3)), len(flat) * PATCH**2
    for part in _slices(len(flat)):
        values = flat[part].reshape(-1, 3, PATCH**2)
        products += (values @ values.transpose(0, 2, 1)).sum(axis=0, dtype=np.float64)
    scale = np.sqrt(np.diag(products) / count) + 1e-9
    correlation: Doubles = products / count / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1)
    return correlation


def _variances_at_knots(variances: Doubles, luma: Floats, means: Floats) -> Doubles:
    """Return the variances (NOISE_KNOTS, 3) at the lumas of the knots, from those of flat patches (P, 3)."""
    result = np.zeros((NOISE_KNOTS, 3))
    for c in range(3):
        cut = np.maximum(_CLIPPED, _CLIPPED_DEVIATIONS * np.sqrt(variances[:, c]))
        use = (means[:, c] > cut) & (means[:, c] < 255 - cut)
        if not use.any():
            use[:] = True
        bins = np.minimum((luma[use] * (_BINS / 256)).astype(np.intp), _BINS - 1)
        count = np.bincount(bins, minlength=_BINS)
        filled = np.flatnonzero(count)
        level = np.bincount(bins, variances[use, c], _BINS)[filled] / count[filled]
        level = np.minimum(level, max(_LARGEST_RATIO * level.min(), 1e-3))
        place = np.bincount(bins, luma[use], _BINS)[filled] / count[filled]
        result[:, c] = np.interp(_KNOT_LUMAS, place, level)
    return result


def softened_share(model: NoiseModel, weights: Doubles) -> Doubles:
    """Return the share (3,) of the level of each channel's noise that remains after a symmetric, separable filter.

    Args:
        model: of the noise.
        weights: (K,) of the filter along an axis.
    """
    overlap = np.convolve(weights, weights)  # the filter's weight of each distance
    middle = len(overlap) // 2
    pairs = np.pad(overlap, _LAGS)[middle : middle + 2 * _LAGS + 1]
    share: Doubles = np.sqrt(np.einsum("cyx,y,x->c", model.spatial, pairs, pairs).clip(0))
    return share


def _filter(noise: Floats, spatial: Doubles) -> None:
    """Give white noise (n, n) a correlation (7, 7), in place.

    The transforms are NumPy's rfft2 and irfft2, some rows and columns at a time, which takes a third of the memory.
    """
    side, reach = len(noise), np.arange(-_LAGS, _LAGS + 1)
    spectrum = np.empty((side, side // 2 + 1), np.complex64)
    across = np.exp(-2j * np.pi / side * np.outer(reach, np.arange(spectrum.shape[1])))
    for rows in _slices(side):
        spectrum[rows] = np.fft.rfft(noise[rows])
    for columns in _slices(spectrum.shape[1]):
        spectrum[:, columns] = np.fft.fft(spectrum[:, columns], axis=0)
    for rows in _slices(side):
        down = np.exp(-2j * np.pi / side * np.outer(np.arange(side)[rows], reach))
        spectrum[rows] *= np.sqrt((down @ spatial @ across).real.clip(0)).astype(np.float32)
    for columns in _slices(spectrum.shape[1]):
        spectrum[:, columns] = np.fft.ifft(spectrum[:, columns], axis=0)
    for rows in _slices(side):
        noise[rows] = np.fft.irfft(spectrum[rows], side)


def _slices(length: int) -> Iterator[slice]:
    """Yield the parts of an axis that are processed at a time."""
    return (slice(first, first + _ROWS) for first in range(0, length, _ROWS))


@dataclass(frozen=True)
class NoiseCorrelation:
    """Correlation of noise between channels and neighbors, as a key of caches: bytes of doubles; empty: none.

    channels: 3×3. spatial: 3×n×n, see `NoiseModel`.
    """

    channels: bytes = b""
    spatial: bytes = b""

    @classmethod
    def of(cls, model: NoiseModel | None) -> NoiseCorrelation:
        """Return that of a model; None = independent pixels, the same in all channels."""
        if model is None:
            return cls()
        return cls(*(np.asarray(part, np.float64).tobytes() for part in (model.channels, model.spatial)))


@functools.lru_cache(4)
def noise_tiles(correlation: NoiseCorrelation, seed: int) -> tuple[NoiseTile, ...]:
    """Return periodic tiles (n, n, 3) of noise with a correlation; their sum has standard deviation TILE_UNIT.

    The sides are coprime: the sum of the tiles, each repeated, is stationary noise without visible repetition. The
    tiles are cached, because those of all values of a slider are the same; they must not be modified.

    Args:
        correlation: of the noise.
        seed: of the random generator.
    """
    return tuple(_tile(correlation, side, np.random.default_rng((seed, side))) for side in _TILE_SIDES)


def _tile(correlation: NoiseCorrelation, side: int, rng: np.random.Generator) -> NoiseTile:
    """Return one of the tiles. Its channels are computed one after another, as transforms take a lot of memory."""
    if not correlation.channels:
        return np.repeat(_as_tile(rng.standard_normal((side, side, 1), np.float32)), 3, axis=2)
    values, vectors = np.linalg.eigh(np.frombuffer(correlation.channels).reshape(3, 3))
    root = ((vectors * np.sqrt(values.clip(0))) @ vectors.T).astype(np.float32)
    spatial = np.frombuffer(correlation.spatial).reshape(3, 2 * _LAGS + 1, 2 * _LAGS + 1)
    channels = [rng.standard_normal((side, side), np.float32) for _ in range(3)]
    _mix(channels, root)
    done: list[NoiseTile] = []
    while channels:
        noise = channels.pop(0)
        _filter(noise, spatial[len(done)])
        noise /= noise.std() + np.float32(1e-9)
        done.append(_as_tile(noise))
    return np.dstack(done)


def _mix(channels: list[Floats], shares: Floats) -> None:
    """Replace three channels (h, w) by sums of them, whose shares are the rows of a matrix 3×3."""
    for rows in _slices(len(channels[0])):
        parts = [channel[rows].copy() for channel in channels]
        for channel, row in zip(channels, shares, strict=True):
            mixed = np.multiply(parts[0], row[0], out=channel[rows])
            for part, share in zip(parts[1:], row[1:], strict=True):
                cv2.scaleAdd(part, float(share), mixed, dst=mixed)


def _as_tile(noise: Floats) -> NoiseTile:
    """Return noise of standard deviation 1, which is modified, as integers of one of the tiles."""
    noise *= np.float32(TILE_UNIT / np.sqrt(len(_TILE_SIDES)))
    return noise.clip(-_LARGEST_IN_TILE, _LARGEST_IN_TILE, out=noise).astype(np.int16)


def noise_at(tiles: tuple[NoiseTile, ...], top: int, left: int, out: NoiseTile) -> NoiseTile:
    """Write the part of endless noise at a position to `out`, height×width×3, of standard deviation TILE_UNIT."""
    height, width, _ = out.shape
    for number, tile in enumerate(tiles):
        side = len(tile)
        for rows, from_rows in _periods(top, height, side):
            for columns, from_columns in _periods(left, width, side):
                if number:
                    out[rows, columns] += tile[from_rows, from_columns]
                else:
                    out[rows, columns] = tile[from_rows, from_columns]
    return out


@functools.lru_cache(256)
def _periods(start: int, count: int, side: int) -> tuple[tuple[slice, slice], ...]:
    """Split an axis where a tile repeats: pairs of places in the result and in the tile."""
    parts, done = [], 0
    while done < count:
        place = (start + done) % side
        length = min(count - done, side - place)
        parts.append((slice(done, done + length), slice(place, place + length)))
        done += length
    return tuple(parts)


def level_table(levels: Doubles) -> Floats:
    """Return levels (NOISE_KNOTS, 3) as a lookup table (1, 256, 3) of luma."""
    table = np.stack([np.interp(np.arange(256), _KNOT_LUMAS, levels[:, c]) for c in range(3)], axis=1)
    return table[None].astype(np.float32)
