# SPDX-License-Identifier: GPL-3.0-or-later
"""The guided filter: He, Sun & Tang, PAMI 35 (2013). OpenCV has it in opencv-contrib only, without weights."""

from __future__ import annotations

import cv2
import numpy as np

from s2am_engine.types import Floats

FLAT_VARIANCE = np.float32(1e-4)
"""Variance of colors in [0, 1] below which an area has no edges (ε of the paper)."""


def box_mean(values: Floats, radius: int) -> Floats:
    """Return the means of H×W or H×W×C values in windows of 2·radius + 1 pixels per side."""
    size = (2 * radius + 1,) * 2
    return np.asarray(cv2.blur(values, size, borderType=cv2.BORDER_REFLECT), np.float32)


def guided_coefficients(
    mask: Floats, guide: Floats, radius: int, weights: Floats | None = None
) -> tuple[Floats, Floats]:
    """Return slopes (h×w×3) and offset (h×w) of the local linear model of a mask in its guide's colors (eqs. 14, 15).

    Args:
        mask: h×w.
        guide: h×w×3 in [0, 1].
        radius: of the windows, in pixels.
        weights: h×w, above 0, of the pixels in the regression; None = equal.
    """
    total = None if weights is None else box_mean(weights, radius)

    def mean(values: Floats) -> Floats:
        if weights is None or total is None:
            return box_mean(values, radius)
        factor, divisor = (weights, total) if values.ndim == 2 else (weights[..., None], total[..., None])
        return box_mean(values * factor, radius) / divisor

    color, level = mean(guide), mean(mask)
    shared = mean(guide * mask[..., None]) - color * level[..., None]
    rows, columns = np.triu_indices(3)
    covariance = mean(guide[..., rows] * guide[..., columns]) - color[..., rows] * color[..., columns]
    covariance[..., rows == columns] += FLAT_VARIANCE
    slopes = _solve_symmetric(covariance, shared)
    offset = level - (slopes * color).sum(axis=-1)
    return box_mean(slopes, radius), box_mean(offset, radius)


def _solve_symmetric(upper: Floats, right: Floats) -> Floats:
    """Solve symmetric, positive definite equations with three unknowns by LDL factors.

    A tenth of the time of `numpy.linalg.solve`.

    Args:
        upper: …×6, the upper triangles of the matrices, row by row.
        right: …×3.
    """
    a, b, c, d, e, f = (upper[..., index] for index in range(6))
    first, second = b / a, c / a
    pivot = d - first * b
    mixed = e - first * c
    third = mixed / pivot
    last = f - second * c - third * mixed
    y = right[..., 1] - first * right[..., 0]
    z = (right[..., 2] - second * right[..., 0] - third * y) / last
    y = y / pivot - third * z
    x = right[..., 0] / a - first * y - second * z
    return np.stack([x, y, z], axis=-1)
