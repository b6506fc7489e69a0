# SPDX-License-Identifier: GPL-3.0-or-later
"""The layer effect: a color matrix in linear light, which GIMP applies with gegl:svg-matrix."""

from __future__ import annotations

from collections.abc import Sequence

from harmonize_layer.core.host import HostLayer, Matrix3

OPERATION = "gegl:svg-matrix"

EFFECT_NAME = "Harmonize"
"""Name of the effect in the Layers dialog."""

NOTICEABLE_RMSE = 2.0
"""Difference between effect and color map, in 8-bit levels, above which the dialog mentions it."""


def effect_values(layer: HostLayer, matrix: Sequence[float]) -> str:
    """Return the value of the operation's property for a matrix.

    Args:
        layer: the operation computes in its color space.
        matrix: 3×4 row by row, in linear light with sRGB primaries.
    """
    rows = [list(matrix[start : start + 4]) for start in (0, 4, 8)]
    spaces = layer.color_matrices()
    if spaces is not None:
        from_srgb, to_srgb = spaces
        mixing = multiply(multiply(from_srgb, [row[:3] for row in rows]), to_srgb)
        offsets = multiply(from_srgb, [[row[3]] for row in rows])
        rows = [[*mix, *offset] for mix, offset in zip(mixing, offsets, strict=True)]
    # The operation computes with colors premultiplied by alpha. The offset of a color is therefore a share of alpha,
    # the fourth column; in the fifth, the constant, it would dominate at soft edges.
    numbers = [value for row in rows for value in (*row, 0.0)]
    # With more than one space between numbers the operation silently does nothing.
    return " ".join(f"{number:.7f}" for number in (*numbers, 0.0, 0.0, 0.0, 1.0, 0.0))


def multiply(first: Matrix3, second: Matrix3) -> list[list[float]]:
    """Return the product of two matrices."""
    return [
        [sum(a * b for a, b in zip(row, column, strict=True)) for column in zip(*second, strict=True)] for row in first
    ]
