# SPDX-License-Identifier: GPL-3.0-or-later
"""Tone curves through points, stored as the user drew them: one for all channels, and one each for red, green, blue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from s2am_engine.color.map import Curves

Points = tuple[tuple[float, float], ...]
"""(x, y) in [0, 1], x rising; the first at 0, the last at 1."""

STRAIGHT_LINE: Points = ((0.0, 0.0), (1.0, 1.0))
ALL, RED, GREEN, BLUE = range(4)
"""Indices of `ToneCurves.lines`."""

CURVE_SAMPLES = 65  # samples of a curve that is stored in a color map
FIT_TOLERANCE = 0.0015  # maximum error of the points fitted to a curve
MAX_POINTS = 12
MIN_DISTANCE = 0.02  # minimum distance between points


@dataclass(frozen=True)
class ToneCurves:
    """Curves that a user drew.

    Attributes:
        lines: the points of the curves for all channels, red, green and blue; the first is applied last.
        samples: the curves of a project of version 0.1, which has no points; `lines` approximates them then.
    """

    lines: tuple[Points, Points, Points, Points] = (STRAIGHT_LINE,) * 4
    samples: Curves | None = None

    @classmethod
    def from_samples(cls, samples: Curves) -> ToneCurves:
        """Return curves that equal samples exactly, with points that approximate them."""
        red, green, blue = (fit_points(line) for line in np.asarray(samples.values, np.float64))
        if red == green == blue:
            return cls((red, *(STRAIGHT_LINE,) * 3), samples)
        return cls((STRAIGHT_LINE, red, green, blue), samples)

    @cached_property
    def curves(self) -> Curves:
        """The curves as a color map."""
        if self.samples is not None:
            return self.samples
        master, *channels = self.lines
        values = [np.clip(interpolate_points(master, np.clip(sample_curve(one), 0, 1)), 0, 1) for one in channels]
        return Curves(np.stack(values).astype(np.float32))

    def with_line(self, index: int, points: Points) -> ToneCurves:
        """Return the curves with the points of one line replaced."""
        master, red, green, blue = (points if k == index else line for k, line in enumerate(self.lines))
        return ToneCurves((master, red, green, blue))


def interpolate_points(points: Sequence[tuple[float, float]], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate points with a monotone cubic (Fritsch & Butland's tangents, secants at both ends)."""
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


def sample_curve(points: Points) -> NDArray[np.float64]:
    """Sample the curve at CURVE_SAMPLES places from 0 to 1."""
    return interpolate_points(points, np.linspace(0, 1, CURVE_SAMPLES))


def fit_points(values: NDArray[np.float64]) -> Points:
    """Choose few points whose curve approximates values at even places from 0 to 1."""
    x = np.linspace(0, 1, len(values))
    chosen = [0, len(values) - 1]
    while len(chosen) < MAX_POINTS:
        error = np.abs(interpolate_points([(x[k], values[k]) for k in chosen], x) - values)
        worst = int(error.argmax())
        if error[worst] <= FIT_TOLERANCE:
            break
        chosen = sorted({*chosen, worst})
    return tuple((float(x[k]), float(np.clip(values[k], 0, 1))) for k in chosen)


def move_point(points: Points, index: int, x: float, y: float) -> Points:
    """Move one point, between its neighbors; the end points keep their x."""
    y = min(max(y, 0.0), 1.0)
    if index in (0, len(points) - 1):
        x = points[index][0]
    else:
        x = min(max(x, points[index - 1][0] + MIN_DISTANCE), points[index + 1][0] - MIN_DISTANCE)
    return (*points[:index], (x, y), *points[index + 1 :])


def insert_point(points: Points, x: float, y: float) -> tuple[Points, int] | None:
    """Insert a point. Return the points and its index; None if it is too close to another."""
    if (
        not MIN_DISTANCE < x < 1 - MIN_DISTANCE
        or len(points) >= MAX_POINTS
        or any(abs(x - px) < MIN_DISTANCE for px, _ in points)
    ):
        return None
    index = sum(px < x for px, _ in points)
    return (*points[:index], (x, min(max(y, 0.0), 1.0)), *points[index:]), index


def remove_point(points: Points, index: int) -> Points:
    """Remove a point; the end points stay."""
    return points if index in (0, len(points) - 1) else points[:index] + points[index + 1 :]
