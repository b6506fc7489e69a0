# SPDX-License-Identifier: GPL-3.0-or-later
"""Color maps compiled for one dtype: the stages of `map_stages` as lookup tables and matrix products for blocks.

A block of integers is converted to float by one table, passes through the map's matrices, and is rounded once at the
end; per-channel functions (curves, the sRGB transfer function) are tables at both ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.color.map import Blend, ColorMap, Matrix
from s2am_engine.color.map_stages import (
    MapStage,
    PerChannel,
    ResultTable,
    ValueRange,
    merge_adjacent,
    range_of,
    run_stages,
    split_stages,
    tabulate_stages,
)
from s2am_engine.types import Floats, Pixels

_MAX_FUSED_STEP = 0.12  # 8-bit levels between the entries of a 16-bit table, whose error is at most half of that
_DEPTHS = {np.dtype(np.uint8): cv2.CV_8U, np.dtype(np.uint16): cv2.CV_16U}


class PreparedMap:
    """A color map with its lookup tables, for many calls of `apply_color_map`; may be used by several threads."""

    def __init__(self, color_map: ColorMap) -> None:
        """Store a map; tables are made when they are first needed."""
        self.color_map = color_map
        self._plans: dict[np.dtype[Any], MapPlan] = {}

    def plan(self, dtype: np.dtype[Any]) -> MapPlan:
        """Return the tables for pixels of a dtype."""
        if dtype not in self._plans:
            is_integer = dtype.kind == "u"
            self._plans[dtype] = IntegerPlan(self.color_map, dtype) if is_integer else FloatPlan(self.color_map)
        return self._plans[dtype]


@dataclass(frozen=True)
class FloatPlan:
    """A color map prepared for blocks (h, w, 3) of float32."""

    color_map: ColorMap

    def levels(self, block: Floats) -> Floats:
        """Return the map of a block."""
        return self.color_map(block)

    def clamped(self, levels: Floats, before: Floats) -> Floats:
        """Clamp values that became negative to 0, in place."""
        return np.maximum(levels, np.minimum(before, 0), out=levels)

    def rounded(self, levels: Floats) -> Floats:
        """Return the levels unchanged."""
        return levels

    def finish(self, block: Floats) -> Floats:
        """Return the map of a block, clamped."""
        return self.clamped(self.levels(block), block)


class IntegerPlan:
    """A color map prepared for blocks (h, w, 3) of uint8 or uint16.

    An input table (or a conversion to float), then stages, then possibly a per-channel output stage in [0, 1]. `finish`
    uses a fused implementation for 8 bits if the stages allow one.
    """

    def __init__(self, color_map: ColorMap, dtype: np.dtype[Any]) -> None:
        """Make the tables of a map for uint8 or uint16."""
        self._depth = _DEPTHS[dtype]
        self._full = float(np.iinfo(dtype).max)
        stages = split_stages(color_map)
        self._input_lut: Floats | None = None
        self._blended_input = _BlendedInput.of(stages, self._depth, self._full)
        if self._blended_input:
            stages.pop(0)
        elif stages and isinstance(first := stages[0], PerChannel):
            stages.pop(0)
            self._input_lut = first.table(0, 1, int(self._full) + 1)
        else:
            stages = merge_adjacent([Matrix(_scaling(1 / self._full)), *stages])
        self._output: MapStage | None = None
        if stages and isinstance(stages[-1], PerChannel):
            self._output = stages.pop()
        elif stages or not self._blended_input:
            stages = merge_adjacent([*stages, Matrix(_scaling(self._full))])
        self._stages, self._range = tabulate_stages(stages, self._input_range(), self._depth)
        self._fused = self._fused_blend() or self._fused_matrix() or self._fused_output()
        if self._output and not self._fused:
            self._output = tabulate_stages([self._output], self._range, self._depth)[0][0]

    def levels(self, block: NDArray[Any]) -> Floats:
        """Return the map of a block, unrounded, in the block's own scale."""
        colors = self._before_output(block)
        return self._output(colors) * np.float32(self._full) if self._output else colors

    def finish(self, block: NDArray[Any]) -> NDArray[Any]:
        """Return the map of a block, rounded once and clamped."""
        return self._fused(block) if self._fused else self.rounded(self.levels(block))

    def clamped(self, levels: Floats, before: Floats) -> Floats:  # noqa: ARG002 (a float plan needs it)
        """Clamp levels to the range of the integers, in place."""
        return np.clip(levels, 0, self._full, out=levels)

    def rounded(self, levels: Floats) -> NDArray[Any]:
        """Return levels as integers, rounded to nearest and clamped."""
        return cv2.addWeighted(levels, 1, levels, 0, 0, dtype=self._depth)

    def _before_output(self, block: NDArray[Any]) -> Floats:
        colors: Any
        if self._blended_input:
            colors = self._blended_input(block)
        else:
            colors = block.astype(np.float32) if self._input_lut is None else cv2.LUT(block, self._input_lut)
        return run_stages(self._stages, colors)

    def _input_range(self) -> ValueRange | None:
        if self._blended_input:
            return self._blended_input.range
        return (0.0, self._full) if self._input_lut is None else range_of(self._input_lut)

    def _fused_blend(self) -> Callable[[Pixels], Pixels] | None:
        """Return a faster `finish` if a Blend is all that there is, else None."""
        if self._blended_input and not self._stages and not self._output:
            return partial(self._blended_input, depth=self._depth)
        return None

    def _fused_matrix(self) -> Callable[[Pixels], Pixels] | None:
        """Return a faster `finish` for 8 bits if a matrix is all that there is, else None."""
        if self._depth != cv2.CV_8U or self._output or self._blended_input or self._input_lut is not None:
            return None
        stage = self._stages[0] if len(self._stages) == 1 else None
        return partial(_matrix_8bit, stage.matrix) if isinstance(stage, Matrix) else None

    def _fused_output(self) -> Callable[[Pixels], Pixels] | None:
        """Return a faster `finish` for 8 bits if there is an output stage, else None.

        It is then one table of rounded results, indexed by 16-bit values over the range of the stages before it. An
        output stage so steep that the steps of the table would be too coarse is not fused.
        """
        output = self._output
        if self._depth != cv2.CV_8U or not isinstance(output, PerChannel) or self._range is None:
            return None
        levels = output.table(*self._range, 65536) * np.float32(self._full)
        if np.abs(np.diff(levels.clip(0, self._full), axis=1)).max() > _MAX_FUSED_STEP:
            return None
        table = ResultTable(self.rounded(levels), self._range)
        return lambda block: table(self._before_output(block))


class _BlendedInput:
    """A `Blend` whose inner map begins with a per-channel stage, which becomes a table: from integers to floats."""

    def __init__(self, inner: list[MapStage], strength: float, depth: int, full: float, scale: float) -> None:
        """Prepare tables.

        Args:
            inner: stages of the inner map.
            strength: of the blend.
            depth: of the integers, in OpenCV's terms.
            full: the integer that stands for 1.0.
            scale: the result that stands for 1.0.
        """
        assert isinstance(inner[0], PerChannel)
        self._table = inner[0].table(0, 1, int(full) + 1)
        self._stages, values = tabulate_stages(inner[1:], range_of(self._table), depth)
        share, rest = strength * scale, (1 - strength) * scale
        self._shares = share, rest / full
        self.range = values and (share * values[0], share * values[1] + rest)

    @classmethod
    def of(cls, stages: list[MapStage], depth: int, full: float) -> _BlendedInput | None:
        """Return the first of a map's stages, scaled to the integers' own range if it is the only one.

        None if it is another stage than such a Blend.
        """
        first = stages[0] if stages else None
        inner = split_stages(first.map) if isinstance(first, Blend) else []
        if not isinstance(first, Blend) or not inner or not isinstance(inner[0], PerChannel):
            return None
        return cls(inner, first.strength, depth, full, full if len(stages) == 1 else 1)

    def __call__(self, block: NDArray[Any], depth: int = cv2.CV_32F) -> Any:
        """Return the map of a block, float32 or rounded to another depth of OpenCV."""
        colors = run_stages(self._stages, cv2.LUT(block, self._table))
        share, rest = self._shares
        return cv2.addWeighted(colors, share, block, rest, 0, dtype=depth)


def _matrix_8bit(matrix: Floats, block: NDArray[Any]) -> NDArray[Any]:
    """Apply a matrix to 8-bit levels in 16 bits: OpenCV's own 8-bit version is off by up to 0.8 levels."""
    return cv2.convertScaleAbs(cv2.transform(block.astype(np.uint16), matrix))


def _scaling(factor: float) -> Floats:
    return np.eye(3, 4, dtype=np.float32) * np.float32(factor)


MapPlan = FloatPlan | IntegerPlan
"""The tables and matrices that `apply_color_map` applies to the blocks of an image."""
