# SPDX-License-Identifier: GPL-3.0-or-later
"""Least-squares fits of color maps to colors before and after.

Every fit is a ridge regression of the change (after − before) toward no change, around the mean color: directions in
which the colors do not vary are left alone, so a flat, gray or tiny foreground gives a plain shift of colors instead of
a wild extrapolation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2am_engine.color.map import Chain, Curves, Matrix
from s2am_engine.color.srgb import srgb_slope, srgb_to_linear
from s2am_engine.types import Doubles

_KNOTS = 33  # of each curve
_MAX_COLORS = 1 << 18  # more samples cost time and memory and no longer change a few hundred parameters
# Relative to the variance of colors in [0, 1]: a spread below about one 8-bit level (4e-3) counts as none. Chosen on
# real pairs: ten times more costs 0.3 dB of 50, ten times less gains 0.05.
_RIDGE = 1e-5
_RIDGE_LINEAR = 1e-7  # linear light spreads less
_RIDGE_CROSS_CHANNEL = 5e-5  # penalty on crosstalk from bright to dark channels, where it is most visible
_SLOPE_PENALTY = 1e-5  # penalty on ∫ d'², d = deviation of a curve from the identity
_BEND_PENALTY = 1e-7  # on ∫ d''²
_ROUNDS = 5  # of alternating least squares


class _Samples(NamedTuple):
    """Colors before and after, each (N, 3) in [0, 1], with weights (N,) that sum to one."""

    before: Doubles
    after: Doubles
    weights: Doubles


def fit_color_map(before: ArrayLike, after: ArrayLike, weights: ArrayLike | None = None) -> Chain:
    """Fit curves followed by a matrix that take the colors `before` to the colors `after`.

    Curves and matrix are fitted in turn (alternating least squares); colors that do not occur change moderately.

    Args:
        before: (…, 3), uint8, uint16, or float in [0, 1].
        after: the same shape.
        weights: (…), 0 to 1; None = all alike. If all are zero, the result is the identity.

    Raises:
        ValueError: shapes that do not match.
    """
    values, matrix = _curves_then_affine(_samples(before, after, weights), _KNOTS)
    return Chain((Curves(values.astype(np.float32)), Matrix(matrix.astype(np.float32))))


def fit_linear_matrix(before: ArrayLike, after: ArrayLike, weights: ArrayLike | None = None) -> Matrix:
    """Fit a matrix in linear light, with errors weighted by the slope of the sRGB curve (approximately perceptual).

    It has gains only: an offset of light that is right for a bright color would be far too much for a dark one.
    Arguments and errors as for `fit_color_map`.
    """
    data = _samples(before, after, weights)
    start, goal = (srgb_to_linear(x).astype(np.float64) for x in (data.before, data.after))
    importance = data.weights[:, None] * srgb_slope(goal) ** 2
    change = []
    for c in range(3):
        penalty = np.full(3, _RIDGE_LINEAR)
        penalty[[(c + 1) % 3, (c + 2) % 3]] = _RIDGE_CROSS_CHANNEL
        change.append(_ridge(start, (goal - start)[:, [c]], importance[:, c], penalty * importance[:, c].sum()))
    gains = np.eye(3) + np.column_stack(change).T
    return Matrix(np.column_stack([gains, np.zeros(3)]).astype(np.float32), linear=True)


def _samples(before: ArrayLike, after: ArrayLike, weights: ArrayLike | None) -> _Samples:
    """Collect the colors with a positive weight; a single unchanged gray if there are none."""
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
        return _Samples(gray, gray, np.ones(1))
    if len(chosen) > _MAX_COLORS:
        chosen = chosen[np.linspace(0, len(chosen) - 1, _MAX_COLORS).astype(np.intp)]
    picked = weight.reshape(-1)[chosen]
    return _Samples(_unit(sources[0], chosen), _unit(sources[1], chosen), picked / picked.sum())


def _unit(colors: NDArray[Any], chosen: NDArray[np.intp]) -> Doubles:
    full = np.iinfo(colors.dtype).max if colors.dtype.kind == "u" else 1
    unit: Doubles = np.divide(colors.reshape(-1, 3)[chosen], full, dtype=np.float64)
    return unit


def _ridge(features: Doubles, target: Doubles, weights: Doubles, penalty: Doubles) -> Doubles:
    """Return the coefficients (F, C) that minimize Σ w·|features @ c − target|² + Σ penalty·c²."""
    weighted = features * weights[:, None]
    return np.linalg.solve(weighted.T @ features + np.diag(penalty), weighted.T @ target)


def _affine(data: _Samples) -> Doubles:
    """Fit a matrix (3, 4) on encoded values; components that the colors do not determine are modeled as an offset."""
    center = data.weights @ data.before
    features = np.column_stack([data.before - center, np.ones(len(data.before))])
    change = _ridge(features, data.after - data.before, data.weights, np.array([_RIDGE] * 3 + [0.0])).T
    return np.eye(3, 4) + np.column_stack([change[:, :3], change[:, 3] - change[:, :3] @ center])


def _transform(matrix: Doubles, colors: Doubles) -> Doubles:
    """Apply a matrix (3, 4) to colors (N, 3)."""
    return colors @ matrix[:, :3].T + matrix[:, 3]


def _fit_curve(before: Doubles, after: Doubles, weights: Doubles, knots: int) -> Doubles:
    """Fit the values (knots,) of one piecewise linear curve to samples (N,)."""
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
    """Return the piece of each value and the position along it (beyond 0 or 1 outside the knots)."""
    index = np.clip(x * (knots - 1), 0, knots - 2).astype(np.intp)
    return index, x * (knots - 1) - index


def _apply_curves(values: Doubles, colors: Doubles) -> Doubles:
    """Apply curves (3, K) to colors (N, 3)."""
    index, share = _segment(colors, values.shape[1])
    channel = np.arange(3)
    return values[channel, index] * (1 - share) + values[channel, index + 1] * share


def _curves_then_affine(data: _Samples, knots: int) -> tuple[Doubles, Doubles]:
    """Fit curves (3, knots) and a matrix (3, 4): each curve and the matrix in turn, given all the others."""
    before, after, weights = data
    values = np.array([_fit_curve(before[:, c], after[:, c], weights, knots) for c in range(3)])
    matrix = _affine(_Samples(_apply_curves(values, before), after, weights))
    for _ in range(_ROUNDS):
        for c in range(3):
            column = matrix[:, c]
            strength = float(column @ column)
            curved = _apply_curves(values, before)
            residual = after - _transform(matrix, curved)
            wanted = curved[:, c] + residual @ column / max(strength, 1e-3)
            values[c] = _fit_curve(before[:, c], wanted, weights * strength, knots)
        matrix = _affine(_Samples(_apply_curves(values, before), after, weights))
    return values, matrix
