# SPDX-License-Identifier: GPL-3.0-or-later
"""The color map as a non-destructive layer effect: a matrix in linear light, which GIMP's gegl:svg-matrix applies."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from gi.repository import Babl, Gegl, Gimp

OPERATION = "gegl:svg-matrix"
NAME = "Harmonize"
"""Of the effect, as the Layers dialog shows it."""

NOTICEABLE = 2.0
"""8-bit levels by which the matrix may differ from the full map before the dialog mentions it."""

Matrix = Sequence[Sequence[float]]


def ours(layer: Gimp.Layer) -> list[Gimp.DrawableFilter]:
    """The effects on a layer that an earlier harmonizing left there."""
    return [
        found for found in layer.get_filters() if found.get_operation_name() == OPERATION and found.get_name() == NAME
    ]


def append(layer: Gimp.Layer, values: str) -> None:
    """Put the effect on a layer, above its other effects. A selection limits it for good."""
    added = Gimp.DrawableFilter.new(layer, OPERATION, NAME)
    added.get_config().set_property("values", values)
    layer.append_filter(added)


def values_for(layer: Gimp.Layer, matrix: Sequence[float]) -> str:
    """The text of the operation's property for a matrix.

    Args:
        layer: in whose color space the operation will compute.
        matrix: 3×4 row by row, in linear light with sRGB's primaries.
    """
    rows = [list(matrix[start : start + 4]) for start in (0, 4, 8)]
    if not layer.is_gray():
        there, back = _to_own_primaries(layer), _to_srgb_primaries(layer)
        mixing = _product(_product(there, [row[:3] for row in rows]), back)
        offsets = _product(there, [[row[3]] for row in rows])
        rows = [[*mix, *offset] for mix, offset in zip(mixing, offsets, strict=True)]
    # The operation takes colors premultiplied by alpha, so an offset of the color itself is a share of alpha: in the
    # fifth column, the constant, it would grow beyond measure at soft edges.
    numbers = [value for row in rows for value in (*row, 0.0)]
    # One space between numbers: with any more the operation silently does nothing.
    return " ".join(f"{number:.7f}" for number in (*numbers, 0.0, 0.0, 0.0, 1.0, 0.0))


def _to_own_primaries(layer: Gimp.Layer) -> Matrix:
    """The matrix from linear sRGB to linear light in the layer's own color space."""
    return _between("RGB float", _linear_format(layer))


def _to_srgb_primaries(layer: Gimp.Layer) -> Matrix:
    return _between(_linear_format(layer), "RGB float")


def _linear_format(layer: Gimp.Layer) -> str:
    name: str = Babl.get_name(Babl.format_with_space("RGB float", layer.get_format()))
    return name


def _between(before: str, after: str) -> Matrix:
    """The matrix between two linear formats, found by converting the three primaries."""
    area = Gegl.Rectangle.new(0, 0, 3, 1)
    swatch = Gegl.Buffer.new(before, 0, 0, 3, 1)
    swatch.set(area, before, struct.pack("9f", 1, 0, 0, 0, 1, 0, 0, 0, 1))
    columns = struct.unpack("9f", swatch.get(area, 1.0, after, Gegl.AbyssPolicy.NONE))
    return [[columns[3 * column + row] for column in range(3)] for row in range(3)]


def _product(first: Matrix, second: Matrix) -> Matrix:
    return [
        [sum(a * b for a, b in zip(row, column, strict=True)) for column in zip(*second, strict=True)] for row in first
    ]
