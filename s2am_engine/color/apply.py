# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply a color map to an image of any size and bit depth, within a mask, in blocks that fit the processor's cache.

From map to pixels: `_stages` compiles a map to a list of per-channel functions and maps; `_FloatPlan` and
`_IntegerPlan` turn the list into lookup tables and matrix products for one dtype; `apply_color_map` copies the image
strip by strip in several threads, and runs a plan on the blocks of each strip. Only the result is allocated at the
image's size. A block of integers is converted to float by one table, passes through the map's matrices, and is rounded
once at the end; per-channel functions (curves, the sRGB transfer function) are tables at both ends.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.color.map import Blend, Chain, ColorMap, Curves, Matrix
from s2am_engine.color.srgb import linear_to_srgb, srgb_to_linear
from s2am_engine.types import Floats, FractionCallback, Mask, Pixels

_Block = tuple[slice, slice]
_Range = tuple[float, float]  # lowest and highest value

_BLOCK_PIXELS = 1 << 15  # two float copies fit the L2 cache; OpenCV's own functions start threads far above this
_STRIP_ROWS = 128  # a thread's share at a time, which it copies and renders while it is in the cache
_MAX_WORKERS = 8  # beyond this, memory bandwidth is the limit, and each worker holds a few megabytes
_MOST_EDGES = 1 / 8  # share of a strip's pixels that are soft up to which they are mixed apart from the others
_TABULATED = (-1.0, 2.1)  # values between matrices for which functions are tabulated: colors of ProPhoto RGB as sRGB
_MAX_FUSED_STEP = 0.12  # 8-bit levels between the entries of a 16-bit table, whose error is at most half of that
_MAX_TABLE_STEP = 1e-4  # between the entries of a 16-bit table from values to values; of sRGB as linear light: 6e-5
_MAX_RANGE = 1000.0  # of values that 16-bit tables are considered for
_DEPTHS = {np.dtype(np.uint8): cv2.CV_8U, np.dtype(np.uint16): cv2.CV_16U}
_PIECES = 1 << 14  # of those tables: a conversion to another color space and back is 0.03 of an 8-bit level off


class PreparedMap:
    """A color map with its lookup tables, for many calls of `apply_color_map`; may be used by several threads."""

    def __init__(self, color_map: ColorMap) -> None:
        """Store a map; tables are made when they are first needed."""
        self.color_map = color_map
        self._plans: dict[np.dtype[Any], _Plan] = {}

    def plan(self, dtype: np.dtype[Any]) -> _Plan:
        """Return the tables for pixels of a dtype."""
        if dtype not in self._plans:
            is_integer = dtype.kind == "u"
            self._plans[dtype] = _IntegerPlan(self.color_map, dtype) if is_integer else _FloatPlan(self.color_map)
        return self._plans[dtype]


def apply_color_map(
    color_map: ColorMap | PreparedMap,
    pixels: Pixels,
    mask: Mask | None = None,
    *,
    out: Pixels | None = None,
    progress: FractionCallback | None = None,
    workers: int | None = None,
) -> Pixels:
    """Apply a color map to the pixels within a mask.

    The result is before + mask·(after − before), `after` being the clamped map, computed in float and rounded once. It
    equals the input bit for bit where the mask is 0. Integers are clamped to their range; floats keep values above 1,
    and no value becomes negative that was not.

    Args:
        color_map: the map; the pixels are taken for sRGB values. A `PreparedMap` saves time in repeated calls.
        pixels: H×W×3, or H×W×4 whose alpha is kept; uint8, uint16, or float32 in nominal [0, 1].
        mask: H×W, uint8, uint16, bool or float in [0, 1]; None = everywhere.
        out: array for the result, of the shape and dtype of pixels; may be pixels itself. None = a new array.
        progress: called occasionally, in the calling thread, with the fraction done; an exception that it raises
            cancels the work (`out` is then partly written).
        workers: number of threads, at least 1; None = one per processor. Callers that render many small images in
            threads of their own pass 1.

    Raises:
        TypeError: other dtypes.
        ValueError: shapes that do not match.
    """
    _check_arrays(pixels, mask, out)
    source, result, copied = _source_and_result(pixels, mask, out)
    prepared = color_map if isinstance(color_map, PreparedMap) else PreparedMap(color_map)
    plan = prepared.plan(pixels.dtype)

    def render(strip: slice) -> None:
        if not copied:
            result[strip] = source[strip]
        _render_strip(plan, source, result, mask, strip)

    strips = _strips(*pixels.shape[:2])
    run_in_threads(render, strips, progress, workers or min(os.cpu_count() or 1, _MAX_WORKERS))
    if progress:
        progress(1.0)
    return result


def _source_and_result(pixels: Pixels, mask: Mask | None, out: Pixels | None) -> tuple[Pixels, Pixels, bool]:
    """Return the arrays to read from and to write to, and whether pixels outside the mask are already in the latter.

    Both may be the same, as each block is read before it is written.
    """
    if out is None:
        return pixels, np.empty(pixels.shape, pixels.dtype), mask is None
    if out is pixels or not np.may_share_memory(out, pixels):
        return pixels, out, out is pixels or mask is None
    np.copyto(out, pixels)  # correct for arrays that overlap, too
    return out, out, True


def _check_arrays(pixels: Pixels, mask: Mask | None, out: Pixels | None) -> None:
    if pixels.dtype not in (np.uint8, np.uint16, np.float32):
        raise TypeError(f"pixels must be uint8, uint16 or float32, not {pixels.dtype}")
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
        raise ValueError(f"pixels must have the shape (H, W, 3) or (H, W, 4), not {pixels.shape}")
    if mask is not None and mask.shape != pixels.shape[:2]:
        raise ValueError(f"the mask must have the shape {pixels.shape[:2]}, not {mask.shape}")
    if mask is not None and mask.dtype not in (np.uint8, np.uint16, np.bool_, np.float32, np.float64):
        raise TypeError(f"the mask must be uint8, uint16, bool or float, not {mask.dtype}")
    if out is not None and (out.shape != pixels.shape or out.dtype != pixels.dtype):
        raise ValueError(f"out must be {pixels.shape} {pixels.dtype}, not {out.shape} {out.dtype}")


def _strips(height: int, width: int) -> list[slice]:
    """Return the rows of strips that cover an image."""
    rows = max(_STRIP_ROWS, _BLOCK_PIXELS // max(1, width))
    return [slice(y, min(y + rows, height)) for y in range(0, height, rows)]


def _bounding_box(strip: slice, mask: Mask) -> _Block:
    """Return the bounding box of the part of a strip where the mask is not 0; it may be empty."""
    part = mask[strip] if mask.dtype in (np.uint8, np.bool_) else mask[strip] != 0
    left, y, width, height = cv2.boundingRect(part.view(np.uint8))
    return slice(strip.start + y, strip.start + y + height), slice(left, left + width)


def _blocks(height: int, width: int) -> list[_Block]:
    """Return blocks that cover a box."""
    columns = max(1, min(width, _BLOCK_PIXELS))
    rows = max(1, _BLOCK_PIXELS // columns)
    return [
        (slice(y, min(y + rows, height)), slice(x, min(x + columns, width)))
        for y in range(0, height, rows)
        for x in range(0, width, columns)
    ]


def run_in_threads(
    render: Callable[[slice], None], strips: list[slice], progress: FractionCallback | None, workers: int
) -> None:
    """Render all strips in this thread, the only one that reports progress, and in `workers` − 1 others."""
    waiting: SimpleQueue[slice] = SimpleQueue()
    for strip in strips:
        waiting.put(strip)
    workers = min(workers, len(strips))

    def work(report: FractionCallback | None) -> None:
        while (strip := _next(waiting)) is not None:
            render(strip)
            if report:
                report(max(0, len(strips) - waiting.qsize() - workers) / len(strips))

    if workers <= 1:
        work(progress)
        return
    with ThreadPoolExecutor(workers - 1, "render") as pool:
        helpers = [pool.submit(work, None) for _ in range(workers - 1)]
        try:
            work(progress)
        finally:
            while _next(waiting) is not None:  # canceled: the helpers stop after their current strip
                pass
        for helper in helpers:
            helper.result()


def _next(waiting: SimpleQueue[slice]) -> slice | None:
    try:
        return waiting.get_nowait()
    except Empty:
        return None


@dataclass(frozen=True)
class _FloatPlan:
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


@dataclass(frozen=True)
class _PerChannel:
    """A stage that treats each channel on its own, so it can be replaced by a lookup table: functions in turn."""

    functions: tuple[Callable[[Floats], Floats], ...]

    def __call__(self, colors: Floats) -> Floats:
        for function in self.functions:
            colors = function(colors)
        return colors

    def table(self, low: float, high: float, steps: int) -> Floats:
        """Return the results for arguments from low to high: (1, steps, 3), or one column if all channels are alike."""
        values = np.linspace(low, high, steps, dtype=np.float32).reshape(1, -1, 1)
        for function in self.functions:
            values = _results(function, values)
        return values

    def interpolated(self, values: _Range | None) -> _PerChannel:
        """Return the stage with interpolated tables for its functions, except for arguments that they do not cover.

        `values`: the range of the arguments; None = not known.
        """
        arguments = None if values is None else np.linspace(*values, _PIECES + 1, dtype=np.float32).reshape(1, -1, 1)
        functions = []
        for function in self.functions:
            is_covered = arguments is None or (arguments.min() >= _TABULATED[0] and arguments.max() <= _TABULATED[1])
            functions.append(_table(function) if is_covered and not isinstance(function, Curves) else function)
            arguments = None if arguments is None else _results(function, arguments)
        return _PerChannel(tuple(functions))


def _results(function: Callable[[Floats], Floats], column: Floats) -> Floats:
    """Return the results of a per-channel function for (1, N, 1 or 3) arguments, in one column if they are alike."""
    if isinstance(function, Curves):
        return _compact(function(np.broadcast_to(column, (1, column.shape[1], 3))))
    return function(column)


class _Table:
    """A per-channel function as 65,536 results for arguments of a range; beyond it, it is constant."""

    def __init__(self, results: NDArray[Any], values: _Range) -> None:
        """Store results (1, 65536, 1 or 3) for arguments from the lowest to the highest value."""
        low, high = values
        self._results, self._steps = results, 65535 / max(high - low, 1e-6)
        self._offset = -low * self._steps

    def __call__(self, colors: Floats) -> NDArray[Any]:
        indices = cv2.addWeighted(colors, self._steps, colors, 0, self._offset, dtype=cv2.CV_16U)
        return cv2.LUT(indices, self._results)


_Stage = _PerChannel | _Table | ColorMap


def _stages(color_map: ColorMap) -> list[_Stage]:
    """Split a map into per-channel stages and others, adjacent ones merged."""
    stages: list[_Stage] = []
    for part in Chain((color_map,)).maps:
        if isinstance(part, Curves):
            stages.append(_PerChannel((part,)))
        elif isinstance(part, Matrix) and part.linear:
            stages += [_PerChannel((srgb_to_linear,)), Matrix(part.matrix), _PerChannel((linear_to_srgb,))]
        else:
            stages.append(part)
    return _merge_adjacent(stages)


def _merge_adjacent(stages: list[_Stage]) -> list[_Stage]:
    """Merge adjacent per-channel stages and adjacent matrices."""
    merged: list[_Stage] = []
    for stage in stages:
        last = merged[-1] if merged else None
        if isinstance(stage, _PerChannel) and isinstance(last, _PerChannel):
            merged[-1] = _PerChannel(last.functions + stage.functions)
        elif isinstance(stage, Matrix) and isinstance(last, Matrix):
            merged[-1] = last.then(stage)
        else:
            merged.append(stage)
    return merged


class _IntegerPlan:
    """A color map prepared for blocks (h, w, 3) of uint8 or uint16.

    An input table (or a conversion to float), then stages, then possibly a per-channel output stage in [0, 1]. `finish`
    uses a fused implementation for 8 bits if the stages allow one.
    """

    def __init__(self, color_map: ColorMap, dtype: np.dtype[Any]) -> None:
        self._depth = _DEPTHS[dtype]
        self._full = float(np.iinfo(dtype).max)
        stages = _stages(color_map)
        self._input_lut: Floats | None = None
        self._blended_input = _BlendedInput.of(stages, self._depth, self._full)
        if self._blended_input:
            stages.pop(0)
        elif stages and isinstance(first := stages[0], _PerChannel):
            stages.pop(0)
            self._input_lut = first.table(0, 1, int(self._full) + 1)
        else:
            stages = _merge_adjacent([Matrix(_scaling(1 / self._full)), *stages])
        self._output: _Stage | None = None
        if stages and isinstance(stages[-1], _PerChannel):
            self._output = stages.pop()
        elif stages or not self._blended_input:
            stages = _merge_adjacent([*stages, Matrix(_scaling(self._full))])
        self._stages, self._range = _tabulated(stages, self._input_range(), self._depth)
        self._fused = self._fused_blend() or self._fused_matrix() or self._fused_output()
        if self._output and not self._fused:
            self._output = _tabulated([self._output], self._range, self._depth)[0][0]

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
        for stage in self._stages:
            colors = stage(colors)
        return colors

    def _input_range(self) -> _Range | None:
        if self._blended_input:
            return self._blended_input.range
        return (0.0, self._full) if self._input_lut is None else _range_of(self._input_lut)

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
        if self._depth != cv2.CV_8U or not isinstance(output, _PerChannel) or self._range is None:
            return None
        levels = output.table(*self._range, 65536) * np.float32(self._full)
        if np.abs(np.diff(levels.clip(0, self._full), axis=1)).max() > _MAX_FUSED_STEP:
            return None
        table = _Table(self.rounded(levels), self._range)
        return lambda block: table(self._before_output(block))


def _tabulated(stages: Sequence[_Stage], values: _Range | None, depth: int) -> tuple[list[_Stage], _Range | None]:
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
    found: list[_Stage] = []
    for stage in stages:
        results = stage.table(*values, 65536) if isinstance(stage, _PerChannel) and values else None
        if values and results is not None and np.abs(np.diff(results, axis=1)).max() <= _MAX_TABLE_STEP:
            found.append(_Table(results, values))
        elif isinstance(stage, _PerChannel):
            found.append(stage.interpolated(values))
        else:
            found.append(stage)
        if results is not None:
            values = _range_of(results)
        else:
            values = _range_after(stage, values) if isinstance(stage, Matrix) and values else None
    return found, values


@functools.cache
def _table(function: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    low, high = _TABULATED
    table, scale = Curves(function(_ramp(low, high, _PIECES + 1))[0].T), 1 / (high - low)
    return lambda colors: table(cv2.addWeighted(colors, scale, colors, 0, -low * scale))


class _BlendedInput:
    """A `Blend` whose inner map begins with a per-channel stage, which becomes a table: from integers to floats."""

    def __init__(self, inner: list[_Stage], strength: float, depth: int, full: float, scale: float) -> None:
        """Prepare tables.

        Args:
            inner: stages of the inner map.
            strength: of the blend.
            depth: of the integers, in OpenCV's terms.
            full: the integer that stands for 1.0.
            scale: the result that stands for 1.0.
        """
        assert isinstance(inner[0], _PerChannel)
        self._table = inner[0].table(0, 1, int(full) + 1)
        self._stages, values = _tabulated(inner[1:], _range_of(self._table), depth)
        share, rest = strength * scale, (1 - strength) * scale
        self._shares = share, rest / full
        self.range = values and (share * values[0], share * values[1] + rest)

    @classmethod
    def of(cls, stages: list[_Stage], depth: int, full: float) -> _BlendedInput | None:
        """Return the first of a map's stages, scaled to the integers' own range if it is the only one.

        None if it is another stage than such a Blend.
        """
        first = stages[0] if stages else None
        inner = _stages(first.map) if isinstance(first, Blend) else []
        if not isinstance(first, Blend) or not inner or not isinstance(inner[0], _PerChannel):
            return None
        return cls(inner, first.strength, depth, full, full if len(stages) == 1 else 1)

    def __call__(self, block: NDArray[Any], depth: int = cv2.CV_32F) -> Any:
        """Return the map of a block, float32 or rounded to another depth of OpenCV."""
        colors: Any = cv2.LUT(block, self._table)
        for stage in self._stages:
            colors = stage(colors)
        share, rest = self._shares
        return cv2.addWeighted(colors, share, block, rest, 0, dtype=depth)


def _matrix_8bit(matrix: Floats, block: NDArray[Any]) -> NDArray[Any]:
    """Apply a matrix to 8-bit levels in 16 bits: OpenCV's own 8-bit version is off by up to 0.8 levels."""
    return cv2.convertScaleAbs(cv2.transform(block.astype(np.uint16), matrix))


def _range_of(values: Floats) -> _Range | None:
    """Return the lowest and the highest value; None = they are too far apart for tables."""
    low, high = float(values.min()), float(values.max())
    return (low, high) if low >= -_MAX_RANGE and high <= _MAX_RANGE else None


def _range_after(matrix: Matrix, values: _Range) -> _Range | None:
    """Return the lowest and highest result of a matrix for values of a range; None = very wide."""
    low, high = values
    rising, falling = (
        part.sum(1) for part in (np.maximum(matrix.matrix[:, :3], 0), np.minimum(matrix.matrix[:, :3], 0))
    )
    lowest, highest = rising * low + falling * high, rising * high + falling * low
    offset = matrix.matrix[:, 3]
    return _range_of(np.stack([lowest + offset, highest + offset]))


def _compact(table: NDArray[Any]) -> NDArray[Any]:
    """Return a table (1, N, 3) with one column if all channels are alike, which is faster."""
    first = table[..., :1]
    return np.ascontiguousarray(first) if (table == first).all() else table


def _ramp(low: float, high: float, steps: int) -> Floats:
    """Return grays (1, steps, 3) from low to high: the inputs of a per-channel lookup table."""
    return np.repeat(np.linspace(low, high, steps, dtype=np.float32), 3).reshape(1, -1, 3)


def _scaling(factor: float) -> Floats:
    return np.eye(3, 4, dtype=np.float32) * np.float32(factor)


_Plan = _FloatPlan | _IntegerPlan


def _render_strip(plan: _Plan, source: Pixels, result: Pixels, mask: Mask | None, strip: slice) -> None:
    """Apply a map to the pixels of a strip within the mask; source and result may be the same array."""
    if mask is None:
        source, result = source[strip], result[strip]
        for block in _blocks(*source.shape[:2]):
            result[block] = _recolored(plan, np.ascontiguousarray(source[block]))
        return
    box = _bounding_box(strip, mask)
    source, result, mask = source[box], result[box], mask[box]
    soft = _soft_pixels(mask)
    mostly_soft = np.count_nonzero(soft) > _MOST_EDGES * soft.size
    if not mostly_soft:  # calls of OpenCV and NumPy for the few soft pixels of each block would take longer
        y, x = np.divmod(np.flatnonzero(soft), max(1, soft.shape[1]))
        colors = source[y, x, :3]  # read before the blocks are written
    for block in _blocks(*mask.shape):
        weights = mask[block]
        if weights.any():
            before = np.ascontiguousarray(source[block])
            dense = mostly_soft and bool(soft[block].any())
            _write_inside(_recolored(plan, before, weights if dense else None), weights, result[block])
    if not mostly_soft:
        for start in range(0, len(y), _BLOCK_PIXELS):
            part = slice(start, start + _BLOCK_PIXELS)
            result[y[part], x[part], :3] = _mixed(plan, colors[None, part], mask[y[part], x[part]][None])[0]


def _recolored(plan: _Plan, block: Pixels, mask: Mask | None = None) -> Pixels:
    """Return the map of a block (h, w, 3 or 4), whose alpha is kept, mixed by a mask (h, w); None = entirely."""
    if block.shape[2] == 4:
        after = _recolored(plan, cv2.cvtColor(block, cv2.COLOR_RGBA2RGB), mask)
        return cv2.mixChannels([after], [block.copy()], [0, 0, 1, 1, 2, 2])[0]
    return plan.finish(block) if mask is None else _mixed(plan, block, mask)


def _write_inside(block: Pixels, mask: Mask, result: Pixels) -> None:
    """Write a block to an array where the mask is not 0."""
    inside = mask if mask.dtype == np.uint8 else (mask > 0).view(np.uint8)
    rows, *pixel = result.strides
    if pixel == [*block.strides[1:]] and rows >= block.strides[0]:
        cv2.copyTo(block, inside, result)
    else:  # OpenCV writes only to arrays of contiguous rows
        result[:] = cv2.copyTo(block, inside, result.copy())


def _soft_pixels(mask: Mask) -> NDArray[np.bool_]:
    """Return where a mask is neither 0 nor at its full scale."""
    if mask.dtype == np.uint8 and mask.size:
        return cv2.inRange(mask, 1, 254).view(np.bool_)
    return (mask > 0) & (mask < mask.dtype.type(_full_weight(mask)))


def _full_weight(mask: Mask) -> int:
    return 1 if mask.dtype.kind in "bf" else int(np.iinfo(mask.dtype).max)


def _mixed(plan: _Plan, block: Pixels, mask: Mask) -> Pixels:
    """Return before + mask·(after − before) for a block (h, w, 3)."""
    weight = np.clip(mask.astype(np.float32) / _full_weight(mask), 0, 1)
    before = block.astype(np.float32)
    mixed = plan.clamped(plan.levels(block), before)
    mixed -= before
    np.multiply(mixed, cv2.merge([weight] * 3), out=mixed)
    mixed += before
    return plan.rounded(mixed)
