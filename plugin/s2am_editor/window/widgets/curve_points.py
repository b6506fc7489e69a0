# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves by a few points: smooth through them, never beyond their neighbors. No widgets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Points = tuple[tuple[float, float], ...]
"""(x, y) in [0, 1], x rising; the first at 0, the last at 1."""

STRAIGHT: Points = ((0.0, 0.0), (1.0, 1.0))
KNOTS = 65  # of the curves that are made of points
CLOSE = 0.0015  # how well points that are found for a curve must describe it
MOST = 12
APART = 0.02  # between points


def through(points: Sequence[tuple[float, float]], at: Floats) -> Floats:
    """The curve through points: monotone between them (Fritsch & Carlson, 1980)."""
    x, y = (np.array(values, np.float64) for values in zip(*points, strict=True))
    if len(x) == 2:
        return np.asarray(np.interp(at, x, y))
    width, rise = np.diff(x), np.diff(y)
    slope = rise / width
    tangent = np.concatenate([[slope[0]], np.zeros(len(x) - 2), [slope[-1]]])
    same = slope[:-1] * slope[1:] > 0
    first, second = 2 * width[1:] + width[:-1], width[1:] + 2 * width[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (first + second) / (first / slope[:-1] + second / slope[1:])
    tangent[1:-1] = np.where(same, mean, 0)
    index = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(width) - 1)
    t = (at - x[index]) / width[index]
    start, end = y[index], y[index + 1]
    leave, arrive = tangent[index] * width[index], tangent[index + 1] * width[index]
    return np.asarray(
        start * (2 * t**3 - 3 * t**2 + 1)
        + leave * (t**3 - 2 * t**2 + t)
        + end * (3 * t**2 - 2 * t**3)
        + arrive * (t**3 - t**2)
    )


def knots(points: Points) -> Floats:
    """The curve's values at KNOTS places from 0 to 1."""
    return through(points, np.linspace(0, 1, KNOTS))


def describe(values: Floats) -> Points:
    """Few points through which a curve, given at even places from 0 to 1, goes closely."""
    x = np.linspace(0, 1, len(values))
    chosen = [0, len(values) - 1]
    while len(chosen) < MOST:
        error = np.abs(through([(x[k], values[k]) for k in chosen], x) - values)
        worst = int(error.argmax())
        if error[worst] <= CLOSE:
            break
        chosen = sorted({*chosen, worst})
    return tuple((float(x[k]), float(np.clip(values[k], 0, 1))) for k in chosen)


def moved(points: Points, index: int, x: float, y: float) -> Points:
    """One point elsewhere, between its neighbors; the ends keep their x."""
    y = min(max(y, 0.0), 1.0)
    if index in (0, len(points) - 1):
        x = points[index][0]
    else:
        x = min(max(x, points[index - 1][0] + APART), points[index + 1][0] - APART)
    return (*points[:index], (x, y), *points[index + 1 :])


def added(points: Points, x: float, y: float) -> tuple[Points, int] | None:
    """A point more, and which one it is; None where others are too close."""
    if not APART < x < 1 - APART or len(points) >= MOST or any(abs(x - px) < APART for px, _ in points):
        return None
    index = sum(px < x for px, _ in points)
    return (*points[:index], (x, min(max(y, 0.0), 1.0)), *points[index:]), index


def removed(points: Points, index: int) -> Points:
    """Without one point; the ends stay."""
    return points if index in (0, len(points) - 1) else points[:index] + points[index + 1 :]
