# SPDX-License-Identifier: GPL-3.0-or-later
"""The gains of a layer effect, in linear light, which GIMP applies with gegl:channel-mixer."""

from __future__ import annotations

from collections.abc import Sequence

from harmonize_layer.core.host import HostLayer, Matrix3

LARGEST_GAIN = 2.0
"""Largest gain of the effect's operation."""


def effect_gains(layer: HostLayer, matrix: Sequence[float]) -> list[Matrix3]:
    """Return the gains of the effects that together apply a matrix.

    Args:
        layer: the effect computes in its color space.
        matrix: 3×3 row by row, in linear light with sRGB primaries.

    Returns:
        One matrix, or several to apply one after another if its gains exceed the range of the operation.
    """
    gains: Matrix3 = [matrix[start : start + 3] for start in (0, 3, 6)]
    spaces = layer.color_matrices()
    if spaces is not None:
        from_srgb, to_srgb = spaces
        gains = multiply_matrices(multiply_matrices(from_srgb, gains), to_srgb)
    effects: list[Matrix3] = []
    while max(abs(gain) for row in gains for gain in row) > LARGEST_GAIN:
        effects.append([[LARGEST_GAIN if row == column else 0.0 for column in range(3)] for row in range(3)])
        gains = [[gain / LARGEST_GAIN for gain in row] for row in gains]
    return [*effects, gains]


def multiply_matrices(first: Matrix3, second: Matrix3) -> list[list[float]]:
    """Return the product of two matrices."""
    return [
        [sum(a * b for a, b in zip(row, column, strict=True)) for column in zip(*second, strict=True)] for row in first
    ]
