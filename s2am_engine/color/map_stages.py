# SPDX-License-Identifier: GPL-3.0-or-later
"""A color map as a list of stages: per-channel functions, which become lookup tables, and other maps."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.color.map import Chain, ColorMap, Curves, Matrix
from s2am_engine.color.srgb import linear_to_srgb, srgb_to_linear
from s2am_engine.types import Floats

ValueRange = tuple[float, float]
"""Lowest and highest value."""

_TABULATED = (-1.0, 2.1)  # values between matrices for which functions are tabulated: colors of ProPhoto RGB as sRGB
_MAX_TABLE_STEP = 1e-4  # between the entries of a 16-bit table from values to values; of sRGB as linear light: 6e-5
_MAX_RANGE = 1000.0  # of values that 16-bit tables are considered for
_PIECES = 1 << 14  # of those tables: a conversion to another color space and back is 0.03 of an 8-bit level off


@dataclass(frozen=True)
class PerChannel:
    """A stage that treats each channel on its own, so it can be replaced by a lookup table: functions in turn."""

    functions: tuple[Callable[[Floats], Floats], ...]

    def __call__(self, colors: Floats) -> Floats:
        """Return the results for colors, h×w×3."""
        for function in self.functions:
            colors = function(colors)
        return colors

    def table(self, low: float, high: float, steps: int) -> Floats:
        """Return the results for arguments from low to high: (1, steps, 3), or one column if all channels are alike."""
        values = np.linspace(low, high, steps, dtype=np.float32).reshape(1, -1, 1)
        for function in self.functions:
            values = _results(function, values)
        return values

    def interpolated(self, values: ValueRange | None) -> PerChannel:
        """Return the stage with interpolated tables for its functions, except for arguments that they do not cover.

        `values`: the range of the arguments; None = not known.
        """
        arguments = None if values is None else np.linspace(*values, _PIECES + 1, dtype=np.float32).reshape(1, -1, 1)
        functions = []
        for function in self.functions:
            is_covered = arguments is None or (arguments.min() >= _TABULATED[0] and arguments.max() <= _TABULATED[1])
            functions.append(_table(function) if is_covered and not isinstance(function, Curves) else function)
            arguments = None if arguments is None else _results(function, arguments)
        return PerChannel(tuple(functions))


def _results(function: Callable[[Floats], Floats], column: Floats) -> Floats:
    """Return the results of a per-channel function for (1, N, 1 or 3) arguments, in one column if they are alike."""
    if isinstance(function, Curves):
        return _compact(function(np.broadcast_to(column, (1, column.shape[1], 3))))
    return function(column)


class ResultTable:
    """A per-channel function as 65,536 results for arguments of a range; beyond it, it is constant."""

    def __init__(self, results: NDArray[Any], values: ValueRange) -> None:
        """Store results (1, 65536, 1 or 3) for arguments from the lowest to the highest value."""
        low, high = values
        self._results, self._steps = results, 65535 / max(high - low, 1e-6)
        self._offset = -low * self._steps

    def __call__(self, colors: Floats) -> NDArray[Any]:
        """Return the results for colors, h×w×3, in the dtype of the stored ones."""
        indices = cv2.addWeighted(colors, self._steps, colors, 0, self._offset, dtype=cv2.CV_16U)
        return cv2.LUT(indices, self._results)


MapStage = PerChannel | ResultTable | ColorMap
"""A step of a map, applied to colors h×w×3."""


def run_stages(stages: Sequence[MapStage], colors: Any) -> Any:
    """Return the results of stages, run one after the other, for colors, h×w×3, which they may modify."""
    for stage in stages:
        if isinstance(stage, Matrix) and not stage.linear:
            colors = cv2.transform(colors, stage.matrix, dst=colors)
        else:
            colors = stage(colors)
    return colors


def split_stages(color_map: ColorMap) -> list[MapStage]:
    """Split a map into per-channel stages and others, adjacent ones merged."""
    stages: list[MapStage] = []
    for part in Chain((color_map,)).maps:
        if isinstance(part, Curves):
            stages.append(PerChannel((part,)))
        elif isinstance(part, Matrix) and part.linear:
            stages += [PerChannel((srgb_to_linear,)), Matrix(part.matrix), PerChannel((linear_to_srgb,))]
        else:
            stages.append(part)
    return merge_adjacent(stages)


def merge_adjacent(stages: list[MapStage]) -> list[MapStage]:
    """Merge adjacent per-channel stages and adjacent matrices."""
    merged: list[MapStage] = []
    for stage in stages:
        last = merged[-1] if merged else None
        if isinstance(stage, PerChannel) and isinstance(last, PerChannel):
            merged[-1] = PerChannel(last.functions + stage.functions)
        elif isinstance(stage, Matrix) and isinstance(last, Matrix):
            merged[-1] = last.then(stage)
        else:
            merged.append(stage)
    return merged


def tabulate_stages(
    stages: Sequence[MapStage], values: ValueRange | None, depth: int
) -> tuple[list[MapStage], ValueRange | None]:
    """Return stages for 8 bits with tables in place of functions, which are faster, and the range of the results.

    Other stages are returned unchanged, and so are those for 16 bits, for which the tables would be too coarse.

    The functions of a stage get one table of results if the range of their arguments is known and the steps of the
    table are small enough. Otherwise each gets its own table, which is interpolated: together they may be too steep.
    A function whose arguments go beyond these tables remains.

    Args:
        stages: run one after the other.
        values: the lowest and highest argument of the first stage; None = not known.
        depth: of the integers, in OpenCV's terms.
    """
    if depth != cv2.CV_8U:
        return list(stages), None
    found: list[MapStage] = []
    for stage in stages:
        results = stage.table(*values, 65536) if isinstance(stage, PerChannel) and values else None
        if values and results is not None and np.abs(np.diff(results, axis=1)).max() <= _MAX_TABLE_STEP:
            found.append(ResultTable(results, values))
        elif isinstance(stage, PerChannel):
            found.append(stage.interpolated(values))
        else:
            found.append(stage)
        if results is not None:
            values = range_of(results)
        else:
            values = _range_after(stage, values) if isinstance(stage, Matrix) and values else None
    return found, values


@functools.cache
def _table(function: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    low, high = _TABULATED
    table, scale = Curves(function(_ramp(low, high, _PIECES + 1))[0].T), 1 / (high - low)
    return lambda colors: table(cv2.addWeighted(colors, scale, colors, 0, -low * scale))


def range_of(values: Floats) -> ValueRange | None:
    """Return the lowest and the highest value; None = they are too far apart for tables."""
    low, high = float(values.min()), float(values.max())
    return (low, high) if low >= -_MAX_RANGE and high <= _MAX_RANGE else None


def _range_after(matrix: Matrix, values: ValueRange) -> ValueRange | None:
    """Return the lowest and highest result of a matrix for values of a range; None = very wide."""
    low, high = values
    rising, falling = (
        part.sum(1) for part in (np.maximum(matrix.matrix[:, :3], 0), np.minimum(matrix.matrix[:, :3], 0))
    )
    lowest, highest = rising * low + falling * high, rising * high + falling * low
    offset = matrix.matrix[:, 3]
    return range_of(np.stack([lowest + offset, highest + offset]))


def _compact(table: NDArray[Any]) -> NDArray[Any]:
    """Return a table (1, N, 3) with one column if all channels are alike, which is faster."""
    first = table[..., :1]
    return np.ascontiguousarray(first) if (table == first).all() else table


def _ramp(low: float, high: float, steps: int) -> Floats:
    """Return grays (1, steps, 3) from low to high: the inputs of a per-channel lookup table."""
    return np.repeat(np.linspace(low, high, steps, dtype=np.float32), 3).reshape(1, -1, 3)
