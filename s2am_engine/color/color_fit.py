# SPDX-License-Identifier: GPL-3.0-or-later
"""The least squares behind `ColorMap.fit`: parameters of color maps from colors before and after.

Every fit is a ridge regression of what the map changes (after − before) towards no change at all, around the mean
color: a direction in which the colors do not vary is left alone, so that a flat, gray or tiny foreground gives a
plain shift of colors and never a wild extrapolation.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2am_engine.color.color_kernels import identity_table
from s2am_engine.color.srgb import srgb_slope, srgb_to_linear

Doubles = NDArray[np.floating[Any]]  # float64; numpy's types promise no more of a solution

_MOST_COLORS = 1 << 18  # more samples than this cost time and memory and no longer change a few hundred parameters
# Against the variance of colors in [0,1]: a spread below about one 8-bit level (4e-3) counts as none. Chosen on real
# pairs: ten times more costs 0.3 dB of 50, ten times less gains 0.05.
_RIDGE = 1e-5
_RIDGE_LINEAR = 1e-7  # linear light spreads less
_RIDGE_MIXING = 5e-5  # on what a bright channel may add to a dark one, which shows most
_DARK = 0.05  # linear light below which a change is rather a shift than a gain
_RIDGE_BY_DEGREE = (0.0, 1e-5, 3e-6, 3e-6)
_SLOPE_PENALTY = 1e-5  # on ∫ d'², d = what a curve adds
_BEND_PENALTY = 1e-7  # on ∫ d''²
_ROUNDS = 5  # of alternating least squares


class Samples(NamedTuple):
    """Colors before and after, each (N,3) in units of [0,1], with weights (N,) that sum to one."""

    before: Doubles
    after: Doubles
    weights: Doubles


def samples(before: ArrayLike, after: ArrayLike, weights: ArrayLike | None = None) -> Samples:
    """The colors that weigh something, from pictures H×W×3 or lists N×3 (uint8, uint16, or float in [0,1]).

    `weights`: H×W or N, from 0 to 1. Where nothing weighs anything, one gray that stays as it is: the identity fits.
    Raises ValueError for shapes that do not belong together.
    """
    sources = np.asarray(before), np.asarray(after)
    shape = sources[0].shape
    if sources[1].shape != shape or not shape or shape[-1] != 3:
        raise ValueError(f"before and after must have one shape (…, 3), not {shape} and {sources[1].shape}")
    weight = np.ones(shape[:-1]) if weights is None else np.asarray(weights, np.float64)
    if weight.shape != shape[:-1]:
        raise ValueError(f"weights must have the shape {shape[:-1]}, not {weight.shape}")
    chosen = np.flatnonzero(weight > 0)
    if not len(chosen):
        gray = np.full((1, 3), 0.5)
        return Samples(gray, gray, np.ones(1))
    if len(chosen) > _MOST_COLORS:
        chosen = chosen[np.linspace(0, len(chosen) - 1, _MOST_COLORS).astype(np.intp)]
    picked = weight.reshape(-1)[chosen]
    return Samples(_unit(sources[0], chosen), _unit(sources[1], chosen), picked / picked.sum())


def _unit(colors: NDArray[Any], chosen: NDArray[np.intp]) -> Doubles:
    full = np.iinfo(colors.dtype).max if colors.dtype.kind == "u" else 1
    unit: Doubles = np.divide(colors.reshape(-1, 3)[chosen], full, dtype=np.float64)
    return unit


def _ridge(features: Doubles, target: Doubles, weights: Doubles, penalty: Doubles) -> Doubles:
    """Coefficients (F,C) that minimize Σ w·|features @ c − target|² + Σ penalty·c²."""
    weighted = features * weights[:, None]
    return np.linalg.solve(weighted.T @ features + np.diag(penalty), weighted.T @ target)


def affine(data: Samples) -> Doubles:
    """The matrix (3,4) in the values as they are; what it cannot tell from the colors is a plain shift."""
    center = data.weights @ data.before
    features = np.column_stack([data.before - center, np.ones(len(data.before))])
    change = _ridge(features, data.after - data.before, data.weights, np.array([_RIDGE] * 3 + [0.0])).T
    return np.eye(3, 4) + np.column_stack([change[:, :3], change[:, 3] - change[:, :3] @ center])


def linear_affine(data: Samples) -> Doubles:
    """The matrix (3,4) in linear light, errors weighted by the slope of the sRGB curve: about as the eye sees them.

    What it cannot tell from the colors is a gain, as exposure is: a shift of light that is right for a bright color
    would be far too much for a dark one.
    """
    before, after = (srgb_to_linear(x).astype(np.float64) for x in (data.before, data.after))
    features = np.column_stack([before, np.full(len(before), _DARK)])
    weights = data.weights[:, None] * srgb_slope(after) ** 2
    change = []
    for c in range(3):
        penalty = np.full(4, _RIDGE_LINEAR)
        penalty[[(c + 1) % 3, (c + 2) % 3]] = _RIDGE_MIXING
        change.append(_ridge(features, (after - before)[:, [c]], weights[:, c], penalty * weights[:, c].sum()))
    return np.eye(3, 4) + np.column_stack(change).T * [1, 1, 1, _DARK]


def transform(matrix: Doubles, colors: Doubles) -> Doubles:
    """A matrix (3,4) applied to colors (N,3)."""
    return colors @ matrix[:, :3].T + matrix[:, 3]


def curves(data: Samples, knots: int) -> Doubles:
    """Curves (3, knots), each channel on its own."""
    channels = [_curve(data.before[:, c], data.after[:, c], data.weights, knots) for c in range(3)]
    return np.array(channels)


def _curve(before: Doubles, after: Doubles, weights: Doubles, knots: int) -> Doubles:
    """Values (knots,) of one piecewise linear curve from samples (N,)."""
    index, share = _segment(before, knots)
    upper, diagonal = np.zeros(knots), np.zeros(knots)
    right = np.zeros(knots)
    for offset, part in ((0, 1 - share), (1, share)):
        diagonal += np.bincount(index + offset, weights * part**2, knots)
        right += np.bincount(index + offset, weights * part * (after - before), knots)
    upper += np.bincount(index, weights * share * (1 - share), knots)
    slope = np.diff(np.eye(knots), axis=0)
    bend = np.diff(slope, axis=0)
    normal = np.diag(diagonal + 1e-9) + np.diag(upper[:-1], 1) + np.diag(upper[:-1], -1)
    normal += _SLOPE_PENALTY * (knots - 1) * slope.T @ slope + _BEND_PENALTY * (knots - 1) ** 3 * bend.T @ bend
    return np.linspace(0, 1, knots) + np.linalg.solve(normal, right)


def _segment(x: Doubles, knots: int) -> tuple[NDArray[np.intp], Doubles]:
    """The piece that each value lies in and how far along it (beyond 0 or 1 outside the knots)."""
    index = np.clip(x * (knots - 1), 0, knots - 2).astype(np.intp)
    return index, x * (knots - 1) - index


def bend_channel(values: Doubles, x: Doubles) -> Doubles:
    """One piecewise linear curve (K,) applied to values of any shape."""
    index, share = _segment(x, len(values))
    return values[index] * (1 - share) + values[index + 1] * share


def _bend(values: Doubles, colors: Doubles) -> Doubles:
    return np.column_stack([bend_channel(values[c], colors[:, c]) for c in range(3)])


def curves_then_affine(data: Samples, knots: int) -> tuple[Doubles, Doubles]:
    """Curves (3, knots), then a matrix (3,4): each curve and the matrix in turn, given all the others."""
    before, after, weights = data
    values = curves(data, knots)
    matrix = affine(Samples(_bend(values, before), after, weights))
    for _ in range(_ROUNDS):
        for c in range(3):
            column = matrix[:, c]
            strength = float(column @ column)
            bent = _bend(values, before)
            missing = after - transform(matrix, bent)
            wanted = bent[:, c] + missing @ column / max(strength, 1e-3)
            values[c] = _curve(before[:, c], wanted, weights * strength, knots)
        matrix = affine(Samples(_bend(values, before), after, weights))
    return values, matrix


def affine_then_curves(data: Samples, knots: int) -> tuple[Doubles, Doubles]:
    """A matrix (3,4), then curves (3, knots): curves by least squares, the matrix by Gauss–Newton, in turn."""
    before, after, weights = data
    matrix = affine(data)
    values = curves(Samples(transform(matrix, before), after, weights), knots)
    error = _error(matrix, values, data)
    features = np.column_stack([before - weights @ before, np.ones(len(before))])
    for _ in range(_ROUNDS):
        inner = transform(matrix, before)
        missing = after - _bend(values, inner)
        step = np.empty((3, 4))
        for c in range(3):
            slope = np.diff(values[c])[_segment(inner[:, c], knots)[0]] * (knots - 1)
            step[c] = _ridge(features * slope[:, None], missing[:, [c]], weights, np.full(4, _RIDGE))[:, 0]
        step[:, 3] -= step[:, :3] @ (weights @ before)
        next_values = curves(Samples(transform(matrix + step, before), after, weights), knots)
        next_error = _error(matrix + step, next_values, data)
        if next_error >= error:
            break
        matrix, values, error = matrix + step, next_values, next_error
    return matrix, values


def _error(matrix: Doubles, values: Doubles, data: Samples) -> float:
    rest = data.after - _bend(values, transform(matrix, data.before))
    return float(data.weights @ (rest**2).sum(axis=1))


def exponents(degree: int) -> list[tuple[int, ...]]:
    """The monomials of a polynomial in RGB as channel numbers: (), (0,), (1,), (2,), (0,0), (0,1) and so on."""
    return [m for d in range(degree + 1) for m in combinations_with_replacement(range(3), d)]


def _monomials(colors: Doubles, degree: int) -> Doubles:
    columns = np.ones((comb(degree + 3, 3), len(colors)))
    for column, monomial in zip(columns, exponents(degree), strict=True):
        for channel in monomial:
            column *= colors[:, channel]
    return columns.T


def polynomial(data: Samples, degree: int) -> Doubles:
    """Coefficients (3, terms) in the order of `exponents`."""
    center = data.weights @ data.before
    terms = exponents(degree)
    penalty = np.array([_RIDGE_BY_DEGREE[len(m)] for m in terms])
    centerd = _ridge(_monomials(data.before - center, degree), data.after - data.before, data.weights, penalty)
    # The same polynomial in plain monomials: it is determined by its values on a 4×4×4 grid.
    grid = identity_table(4).reshape(-1, 3)
    values = grid + _monomials(grid - center, degree) @ centerd
    plain = _monomials(grid, degree)
    return np.linalg.solve(plain.T @ plain, plain.T @ values).T


def lattice(data: Samples, size: int) -> Doubles:
    """A table (size, size, size, 3), indexed [r,g,b], for trilinear interpolation.

    A cubic polynomial as the trend, then what it misses, spread over the nearest corners (simultaneous iterative
    reconstruction); corners that no color is near keep the trend.
    """
    before, after, weights = data
    table = _monomials(identity_table(size).reshape(-1, 3), 3) @ polynomial(data, 3).T
    corners = _corners(before, size)
    mass = sum(np.bincount(index, weights * share, size**3) for index, share in corners) + _RIDGE
    for _ in range(4 * _ROUNDS):
        missing = after - sum(table[index] * share[:, None] for index, share in corners)
        for c in range(3):
            pull = sum(np.bincount(i, weights * share * missing[:, c], size**3) for i, share in corners)
            table[:, c] += pull / mass
    return table.reshape(size, size, size, 3)


def _corners(colors: Doubles, size: int) -> list[tuple[NDArray[np.intp], Doubles]]:
    """The eight lattice points around each color: flat index (N,) and trilinear share (N,)."""
    index, share = _segment(np.clip(colors, 0, 1), size)
    base = index @ np.array([size * size, size, 1])
    corners = []
    for corner in np.ndindex(2, 2, 2):
        parts = np.where(corner, share, 1 - share)
        corners.append((base + int(np.dot(corner, (size * size, size, 1))), parts.prod(axis=1)))
    return corners
