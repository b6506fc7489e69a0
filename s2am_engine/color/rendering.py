# SPDX-License-Identifier: GPL-3.0-or-later
"""Applying a color map to a picture of any size and depth, within its mask, in blocks that fit the processor's cache.

Nothing is allocated at the picture's size but the result. A block of an 8-bit picture goes through one table into
float, through the map's matrices, and is rounded once at the end; what depends on each channel alone (curves, the sRGB
curve) is looked up in tables at both ends instead of being computed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.color.color_kernels import Floats
from s2am_engine.color.color_map import Blend, Chain, ColorMap, Curves, Matrix
from s2am_engine.color.srgb import linear_to_srgb, srgb_to_linear

Progress = Callable[[float], None]
_Block = tuple[slice, slice]

_BLOCK_PIXELS = 1 << 15  # two float copies fit the L2 cache; OpenCV's own functions start threads far above this
_MOST_WORKERS = 8  # beyond this the memory's bandwidth is the limit, and each worker holds a few megabytes
_DEPTHS = {np.dtype(np.uint8): cv2.CV_8U, np.dtype(np.uint16): cv2.CV_16U}


def apply(
    color_map: ColorMap,
    pixels: NDArray[Any],
    mask: NDArray[Any] | None = None,
    *,
    out: NDArray[Any] | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
) -> NDArray[Any]:
    """The picture with the map applied where the mask says.

    pixels: H×W×3, or H×W×4 whose alpha is kept; uint8, uint16, or float32 in nominal [0,1].
    mask: H×W, uint8, uint16, float in [0,1] or bool; None: everywhere. Result: before + mask·(after − before), after
        being the clamped map, all in float and rounded once; bit for bit the input where the mask is 0.
    out: where to put the result, of the shape and dtype of pixels; may be pixels itself. None: a new array.
    progress: called now and then from this thread with the fraction done; what it raises ends the work (then `out` is
        half done).
    workers: how many threads share the work, at least 1; None: one for each processor. A caller that draws many small
        pictures in threads of its own asks for 1.

    Integers are clamped to their range. Floats keep values above 1; a value that was not negative does not become so.
    Raises TypeError for other dtypes and ValueError for shapes that do not belong together.
    """
    _check(pixels, mask, out)
    source, result = _source_and_result(pixels, mask, out)
    blocks = _blocks(pixels.shape[:2] if mask is None else mask)
    if blocks:
        plan = _IntegerPlan(color_map, pixels.dtype) if pixels.dtype.kind == "u" else _FloatPlan(color_map)

        def paint(block: _Block) -> None:
            painted = _painted(plan, np.ascontiguousarray(source[block]), None if mask is None else mask[block])
            if painted is not None:
                result[block] = painted

        _share_out(paint, blocks, progress, workers or min(os.cpu_count() or 1, _MOST_WORKERS))
    if progress:
        progress(1.0)
    return result


def _source_and_result(
    pixels: NDArray[Any], mask: NDArray[Any] | None, out: NDArray[Any] | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Where blocks are read from and written to. They may be one array: no block is read after it was written."""
    if out is None and mask is None:
        return pixels, np.empty(pixels.shape, pixels.dtype)
    if out is None:
        out = np.array(pixels, order="C")
    elif out is not pixels:
        np.copyto(out, pixels)  # also right where the two overlap
    return out, out


def _check(pixels: NDArray[Any], mask: NDArray[Any] | None, out: NDArray[Any] | None) -> None:
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


def _blocks(area: tuple[int, ...] | NDArray[Any]) -> list[_Block]:
    """Blocks that cover a whole picture (its height and width) or the bounding box of a mask."""
    left, top, width, height = (0, 0, area[1], area[0]) if isinstance(area, tuple) else _box(area)
    columns = max(1, min(width, _BLOCK_PIXELS))
    rows = max(1, _BLOCK_PIXELS // columns)
    return [
        (slice(y, min(y + rows, top + height)), slice(x, min(x + columns, left + width)))
        for y in range(top, top + height, rows)
        for x in range(left, left + width, columns)
    ]


def _box(mask: NDArray[Any]) -> tuple[int, int, int, int]:
    """Left, top, width and height of where the mask is not 0 (no width if nowhere)."""
    rows = max(1, 8 * _BLOCK_PIXELS // max(1, mask.shape[1]))
    boxes = []
    for top in range(0, mask.shape[0] if mask.size else 0, rows):
        x, y, width, height = cv2.boundingRect((mask[top : top + rows] != 0).view(np.uint8))
        if width:
            boxes.append((x, top + y, x + width, top + y + height))
    if not boxes:
        return 0, 0, 0, 0
    left, top = min(b[0] for b in boxes), boxes[0][1]
    return left, top, max(b[2] for b in boxes) - left, boxes[-1][3] - top


def _share_out(paint: Callable[[_Block], None], blocks: list[_Block], progress: Progress | None, workers: int) -> None:
    """Paint all blocks, in this thread (the only one that reports) and in as many more as it takes to be `workers`."""
    waiting: SimpleQueue[_Block] = SimpleQueue()
    for block in blocks:
        waiting.put(block)
    workers = min(workers, len(blocks))

    def work(report: Progress | None) -> None:
        while (block := _next(waiting)) is not None:
            paint(block)
            if report:
                report(max(0, len(blocks) - waiting.qsize() - workers) / len(blocks))

    if workers == 1:
        work(progress)
        return
    with ThreadPoolExecutor(workers - 1, "render") as pool:
        helpers = [pool.submit(work, None) for _ in range(workers - 1)]
        try:
            work(progress)
        finally:
            while _next(waiting) is not None:  # cancelled: the helpers stop after their present block
                pass
        for helper in helpers:
            helper.result()


def _next(waiting: SimpleQueue[_Block]) -> _Block | None:
    try:
        return waiting.get_nowait()
    except Empty:
        return None


@dataclass(frozen=True)
class _FloatPlan:
    """How to apply a map to blocks (h,w,3) of float32."""

    color_map: ColorMap

    def levels(self, block: Floats) -> Floats:
        """The map of a block."""
        return self.color_map(block)

    def clamped(self, levels: Floats, before: Floats) -> Floats:
        """Levels without negative values that were not there before."""
        return np.maximum(levels, np.minimum(before, 0), out=levels)

    def rounded(self, levels: Floats) -> Floats:
        """Levels as they are."""
        return levels

    def finish(self, block: Floats) -> Floats:
        """The map of a block, clamped."""
        return self.clamped(self.levels(block), block)


@dataclass(frozen=True)
class _Tone:
    """A stage that treats each channel alone, so that a table can stand for it."""

    bend: Callable[[Floats], Floats]

    def __call__(self, colors: Floats) -> Floats:
        return self.bend(colors)


_Stage = _Tone | ColorMap


def _stages(color_map: ColorMap) -> list[_Stage]:
    """A map as stages, with what depends on each channel alone apart."""
    stages: list[_Stage] = []
    for part in Chain((color_map,)).maps:
        if isinstance(part, Curves):
            stages.append(_Tone(part))
        elif isinstance(part, Matrix) and part.linear:
            stages += [_Tone(srgb_to_linear), Matrix(part.matrix), _Tone(linear_to_srgb)]
        else:
            stages.append(part)
    return _joined(stages)


def _joined(stages: list[_Stage]) -> list[_Stage]:
    """The same with neighboring tones, and neighboring matrices, made one."""
    joined: list[_Stage] = []
    for stage in stages:
        last = joined[-1] if joined else None
        if isinstance(stage, _Tone) and isinstance(last, _Tone):
            joined[-1] = _Tone(partial(_one_after_other, last.bend, stage.bend))
        elif isinstance(stage, Matrix) and isinstance(last, Matrix):
            joined[-1] = last.then(stage)
        else:
            joined.append(stage)
    return joined


def _one_after_other(first: Callable[[Floats], Floats], second: Callable[[Floats], Floats], x: Floats) -> Floats:
    return second(first(x))


class _IntegerPlan:
    """How to apply a map to blocks (h,w,3) of uint8 or uint16.

    A table or a conversion to float, then stages, then perhaps a tone in the unit scale. `finish` takes a shorter way
    to rounded integers where there is one.
    """

    def __init__(self, color_map: ColorMap, dtype: np.dtype[Any]) -> None:
        self._depth = _DEPTHS[dtype]
        self._full = float(np.iinfo(dtype).max)
        stages = _stages(color_map)
        self._head: Floats | None = None
        self._mixed = _mixed(stages[0], self._full) if stages else None
        if self._mixed:
            stages.pop(0)
        elif stages and isinstance(stages[0], _Tone):
            self._head = stages.pop(0)(_ramp(0, 1, int(self._full) + 1))
        else:
            stages = _joined([Matrix(_scaling(1 / self._full)), *stages])
        self._last: _Tone | None = None
        if stages and isinstance(stages[-1], _Tone):
            self._last = _Tone(stages.pop())
        else:
            stages = _joined([*stages, Matrix(_scaling(self._full))])
        self._stages = stages
        self._shortcut = self._short_way()

    def levels(self, block: NDArray[Any]) -> Floats:
        """The map of a block, unrounded, in the block's own scale."""
        colors = self._before_last(block)
        return self._last(colors) * np.float32(self._full) if self._last else colors

    def finish(self, block: NDArray[Any]) -> NDArray[Any]:
        """The map of a block, rounded once and clamped."""
        return self._shortcut(block) if self._shortcut else self.rounded(self.levels(block))

    def clamped(self, levels: Floats, before: Floats) -> Floats:  # noqa: ARG002 (a float plan needs it)
        """Levels within the range of the integers."""
        return np.clip(levels, 0, self._full, out=levels)

    def rounded(self, levels: Floats) -> NDArray[Any]:
        """Levels as integers, rounded to the nearest and clamped."""
        return cv2.addWeighted(levels, 1, levels, 0, 0, dtype=self._depth)

    def _before_last(self, block: NDArray[Any]) -> Floats:
        colors: Any
        if self._mixed:
            colors = self._mixed(block)
        else:
            colors = block.astype(np.float32) if self._head is None else cv2.LUT(block, self._head)
        for stage in self._stages:
            colors = stage(colors)
        return colors

    def _short_way(self) -> Callable[[NDArray[Any]], NDArray[Any]] | None:
        """A faster `finish` for 8 bit, where the one stage left is a matrix."""
        if self._depth != cv2.CV_8U or self._mixed or len(self._stages) != 1 or not isinstance(self._stages[0], Matrix):
            return None
        matrix = self._stages[0].matrix
        if self._last is None:
            return partial(_matrix_8bit, matrix) if self._head is None else None
        low, high = _reach(matrix, self._head, self._full)
        if high - low > 4:  # steps of the table that would be too coarse
            return None
        answers = self.rounded(self._last(_ramp(low, high, 65536)) * np.float32(self._full))
        steps = 65535 / max(high - low, 1e-6)

        def way(block: NDArray[Any]) -> NDArray[Any]:
            colors = self._before_last(block)
            return cv2.LUT(cv2.addWeighted(colors, steps, colors, 0, -low * steps, dtype=cv2.CV_16U), answers)

        return way


def _mixed(stage: _Stage, full: float) -> Callable[[NDArray[Any]], Floats] | None:
    """A weakened map whose inner map begins with a tone: from integers to colors in [0, 1], the tone as a table."""
    inner = _stages(stage.map) if isinstance(stage, Blend) else []
    if not isinstance(stage, Blend) or not inner or not isinstance(inner[0], _Tone):
        return None
    table = inner.pop(0)(_ramp(0, 1, int(full) + 1))
    share, rest = stage.strength, (1 - stage.strength) / full

    def way(block: NDArray[Any]) -> Floats:
        colors: Any = cv2.LUT(block, table)
        for step in inner:
            colors = step(colors)
        return cv2.addWeighted(colors, share, block, rest, 0, dtype=cv2.CV_32F)  # type: ignore[return-value]

    return way


def _matrix_8bit(matrix: Floats, block: NDArray[Any]) -> NDArray[Any]:
    """A matrix of levels, rounded rightly: OpenCV's own 8-bit form is off by up to 0.8, its 16-bit form is not."""
    return cv2.convertScaleAbs(cv2.transform(block.astype(np.uint16), matrix))


def _reach(matrix: Floats, head: Floats | None, full: float) -> tuple[float, float]:
    """The lowest and highest value that a matrix can make of what a table holds, or of 0 … full."""
    lowest, highest = (np.zeros(3), np.full(3, full)) if head is None else (head.min((0, 1)), head.max((0, 1)))
    rising, falling = np.maximum(matrix[:, :3], 0), np.minimum(matrix[:, :3], 0)
    low = rising @ lowest + falling @ highest + matrix[:, 3]
    high = rising @ highest + falling @ lowest + matrix[:, 3]
    return float(low.min()), float(high.max())


def _ramp(low: float, high: float, steps: int) -> Floats:
    """Inputs (1, steps, 3) from low to high, all channels alike: what a table of a tone holds the answers for."""
    return np.repeat(np.linspace(low, high, steps, dtype=np.float32), 3).reshape(1, -1, 3)


def _scaling(factor: float) -> Floats:
    return np.eye(3, 4, dtype=np.float32) * np.float32(factor)


_Plan = _FloatPlan | _IntegerPlan


def _painted(plan: _Plan, block: NDArray[Any], mask: NDArray[Any] | None) -> NDArray[Any] | None:
    """A block (h,w,3 or 4) with the map applied where its mask says; None if that is nowhere."""
    if mask is not None and not mask.any():
        return None
    if block.shape[2] == 4:
        colors = _painted(plan, cv2.cvtColor(block, cv2.COLOR_RGBA2RGB), mask)
        if colors is None:
            return None
        return cv2.mixChannels([colors, block], [np.empty_like(block)], [0, 0, 1, 1, 2, 2, 6, 3])[0]
    full = 1 if mask is None or mask.dtype.kind in "bf" else np.iinfo(mask.dtype).max
    if mask is None or mask.min() >= full:
        return plan.finish(block)
    weight = np.clip(mask.astype(np.float32) / full, 0, 1)
    before = block.astype(np.float32)
    mixed = plan.clamped(plan.levels(block), before)
    mixed -= before
    np.multiply(mixed, cv2.merge([weight] * 3), out=mixed)
    mixed += before
    return cv2.copyTo(plan.rounded(mixed), (weight > 0).view(np.uint8), block.copy())
