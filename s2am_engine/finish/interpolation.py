# SPDX-License-Identifier: GPL-3.0-or-later
"""Interpolation of small fields for blocks of an image: linear, and by cubic B-splines.

Both are separable: the block is rows of weights × samples × columns of weights.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2am_engine.types import Doubles, Floats

_SMALL_PRODUCT = 1 << 18  # multiplications in a product of matrices for which BLAS starts no threads of its own
_WEIGHT_BITS = 25
_CELL_BITS = 22
_ROW_BITS = 24  # of rows of samples that are interpolated along the other axis


def interpolate_linearly(
    field: NDArray[Any],
    box: tuple[float, float, float, float],
    block: tuple[int, int, int, int],
    out: Floats | None = None,
) -> Floats:
    """Return a field of samples, interpolated linearly: height×width(×C) float32.

    Args:
        field: n×m(×C) samples at the centers of equal cells; the outermost ones continue beyond.
        box: left, top, right and bottom of the field in pixels.
        block: top, left, height and width in pixels.
        out: contiguous array for the result; None = a new one.
    """
    x0, y0, x1, y1 = box
    top, left, height, width = block
    rows, down = _linear_weights(top - y0, height, field.shape[0], y1 - y0)
    columns, across = _linear_weights(left - x0, width, field.shape[1], x1 - x0)
    part = field[rows, columns].astype(np.float32)
    stretched = part @ across.T if field.ndim == 2 else across @ part
    flat = stretched.reshape(len(part), -1)
    result = np.empty((height, *stretched.shape[1:]), np.float32) if out is None else out
    _multiply(down, flat, result.reshape(height, -1))
    return result


def interpolate_by_splines(
    cells: Floats, box: tuple[float, float, float, float], block: tuple[int, int, int, int]
) -> Floats:
    """Return a field of samples, interpolated by uniform cubic B-splines: height×width float32.

    They are smooth up to the second derivative. Samples and weights are rounded so that products and sums of them are
    exact: the bits of a pixel do not depend on the block, whatever order BLAS adds in.

    Args:
        cells: n×m samples from -8 to 8, see `interpolate_linearly`.
        box: see there.
        block: see there.
    """
    x0, y0, x1, y1 = box
    top, left, height, width = block
    rows, down = _spline_weights(top, height, len(cells), y0, y1)
    columns, across = _spline_weights(left, width, cells.shape[1], x0, x1)
    stretched = _rounded(_rounded(cells[rows, columns].astype(np.float64), _CELL_BITS) @ across.T, _ROW_BITS)
    result = np.empty((height, width), np.float64)
    _multiply(down, stretched, result)
    return result.astype(np.float32)


def _multiply(weights: NDArray[Any], rows: NDArray[Any], out: NDArray[Any]) -> None:
    """Write the product of matrices (h, n) and (n, w) to `out` (h, w), some rows after another."""
    count = max(1, _SMALL_PRODUCT // rows.size)
    for first in range(0, len(weights), count):
        np.matmul(weights[first : first + count], rows, out=out[first : first + count])


def _rounded(values: Doubles, bits: int) -> Doubles:
    """Return values rounded to multiples of 2^-bits."""
    return np.asarray(np.rint(values * 2.0**bits) * 2.0**-bits, np.float64)


@functools.lru_cache(32)
def _linear_weights(start: float, count: int, samples: int, length: float) -> tuple[slice, Floats]:
    """Return the samples of an axis that some pixels need, and the weights (count, S) that interpolate them linearly.

    They are cached, as blocks above one another have the same ones; they must not be modified.

    Args:
        start: the first pixel, relative to the beginning of the axis.
        count: number of pixels.
        samples: number of samples on the axis, at the centers of equal parts.
        length: of the axis in pixels.
    """
    places = (np.arange(count, dtype=np.float32) + np.float32(start + 0.5)) * np.float32(samples / length) - 0.5
    places = places.clip(0, samples - 1)
    needed = slice(int(places[0]), min(samples, int(places[-1]) + 2))
    distances = np.abs(places[:, None] - np.arange(needed.start, needed.stop, dtype=np.float32))
    return needed, np.asarray(np.maximum(0, 1 - distances), np.float32)


@functools.lru_cache(64)
def _spline_weights(start: int, count: int, samples: int, first: float, last: float) -> tuple[slice, Doubles]:
    """Return the samples of an axis from `first` to `last` that `count` pixels need, and their weights (count, S).

    They are cached, see `_linear_weights`. The centers of the pixels are exact before the subtraction, so that the bits
    do not depend on the block.
    """
    nodes, weights = spline_nodes(np.arange(start, start + count) + 0.5 - first, samples, last - first)
    needed = slice(int(nodes.min()), int(nodes.max()) + 1)
    dense = np.zeros((count, needed.stop - needed.start))
    for node, weight in zip(nodes - needed.start, _rounded(weights, _WEIGHT_BITS), strict=True):
        dense[np.arange(count), node] += weight
    return needed, dense


def spline_nodes(places: NDArray[Any], samples: int, length: float) -> tuple[NDArray[np.intp], Doubles]:
    """Return the four samples (4, count) of a uniform cubic B-spline at each position, and their weights (4, count).

    Args:
        places: (count,) positions on an axis.
        samples: number of samples on the axis, at the centers of equal parts; the outermost ones continue beyond.
        length: of the axis.
    """
    at = np.clip(places * (samples / length) - 0.5, -2, samples + 1)
    nodes = np.floor(at) + np.arange(-1, 3)[:, None]
    distances = np.abs(at - nodes)
    near, far = 2 / 3 - distances**2 + distances**3 / 2, np.maximum(2 - distances, 0) ** 3 / 6
    return nodes.clip(0, samples - 1).astype(np.intp), np.where(distances < 1, near, far)
