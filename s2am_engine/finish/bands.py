# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics of noise in the bands of a Laplacian pyramid, computed from its correlation."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from s2am_engine.finish.noise import NoiseModel
from s2am_engine.types import Doubles

_PERIOD = 64  # pixels of an axis, a multiple of the finest pixels in one of the coarsest level
_FROM = np.arange(_PERIOD)[:, None]
_TO = (_FROM + np.arange(_PERIOD)) % _PERIOD


class BandStatistics(NamedTuple):
    """Means over the pixels of noise of variance 1 that is split into bands and a rest, per channel.

    levels: (B, 3), standard deviation in each band.
    square: (3,), variance of the sum of the bands.
    mixed: (3,), covariance of this sum and the rest.
    rest: (3,), variance of the rest.
    """

    levels: Doubles
    square: Doubles
    mixed: Doubles
    rest: Doubles


def band_statistics(model: NoiseModel, count: int) -> BandStatistics:
    """Compute the statistics of `count` bands of a Laplacian pyramid from the correlation of the noise.

    The filters and the sampling of a pyramid are linear and separable. The mean product of two filters' results is thus
    a sum over the distances of two pixels: their correlation, times the filters' weights of this distance along each
    axis.
    """
    correlation = _periodic_correlation(model.spatial)

    def mean_product(first: Doubles, second: Doubles) -> Doubles:
        """Return (3,) for filters (n, _PERIOD) along both axes."""
        pairs = (first.T @ second)[_FROM, _TO].sum(axis=0) / len(first)
        return np.asarray(np.einsum("cyx,y,x->c", correlation, pairs, pairs), np.float64)

    def variance_of_difference(first: Doubles, second: Doubles) -> Doubles:
        """Return (3,) for the same."""
        product = mean_product(first, second)
        return np.maximum(mean_product(first, first) - 2 * product + mean_product(second, second), 0)

    whole = np.eye(_PERIOD)
    fine, smooth, levels = whole, [], []
    for _ in range(count):
        reduce = _reduction(len(fine))
        smooth.append(2 * reduce.T)
        coarse = reduce @ fine
        levels.append(np.sqrt(variance_of_difference(fine, smooth[-1] @ coarse)))
        fine = coarse
    rest = functools.reduce(lambda found, expand: expand @ found, reversed(smooth), fine)
    remaining = mean_product(rest, rest)
    return BandStatistics(
        np.stack(levels), variance_of_difference(whole, rest), mean_product(whole, rest) - remaining, remaining
    )


def _reduction(length: int) -> Doubles:
    """Return the matrix (length / 2, length) by which OpenCV's `pyrDown` filters and samples a periodic axis."""
    rows = np.arange(length // 2)[:, None]
    reduce = np.zeros((length // 2, length))
    reduce[rows, (2 * rows + np.arange(-2, 3)) % length] = np.array([1, 4, 6, 4, 1]) / 16
    return reduce


def _periodic_correlation(spatial: Doubles) -> Doubles:
    """Return a correlation (3, 7, 7) at all distances of a period, (3, _PERIOD, _PERIOD).

    Its spectrum is not negative, as that of an estimate may be.
    """
    lags = spatial.shape[1] // 2
    found = np.zeros((len(spatial), _PERIOD, _PERIOD))
    places = np.arange(-lags, lags + 1) % _PERIOD
    found[:, places[:, None], places] = spatial
    found = np.fft.ifft2(np.fft.fft2(found).real.clip(0)).real
    return np.asarray(found / found[:, :1, :1], np.float64)
