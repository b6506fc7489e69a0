# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply a color map to an image of any size and bit depth, within a mask, in blocks that fit the processor's cache.

From map to pixels: `map_stages` compiles a map to a list of per-channel functions and maps; `map_plans` turns the list
into lookup tables and matrix products for one dtype; `apply_color_map` copies the image strip by strip in several
threads, and runs a plan on the blocks of each strip. Only the result is allocated at the image's size.
"""

from __future__ import annotations

import os

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.color.map import ColorMap
from s2am_engine.color.map_plans import MapPlan, PreparedMap
from s2am_engine.strip_threads import run_in_threads
from s2am_engine.types import FractionCallback, Mask, Pixels

_Block = tuple[slice, slice]

_BLOCK_PIXELS = 1 << 15  # two float copies fit the L2 cache; OpenCV's own functions start threads far above this
_STRIP_ROWS = 128  # a thread's share at a time, which it copies and renders while it is in the cache
_MAX_WORKERS = 8  # beyond this, memory bandwidth is the limit, and each worker holds a few megabytes
_MOST_EDGES = 1 / 8  # share of a strip's pixels that are soft up to which they are mixed apart from the others


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


def _render_strip(plan: MapPlan, source: Pixels, result: Pixels, mask: Mask | None, strip: slice) -> None:
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


def _recolored(plan: MapPlan, block: Pixels, mask: Mask | None = None) -> Pixels:
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


def _mixed(plan: MapPlan, block: Pixels, mask: Mask) -> Pixels:
    """Return before + mask·(after − before) for a block (h, w, 3)."""
    weight = np.clip(mask.astype(np.float32) / _full_weight(mask), 0, 1)
    before = block.astype(np.float32)
    mixed = plan.clamped(plan.levels(block), before)
    mixed -= before
    np.multiply(mixed, cv2.merge([weight] * 3), out=mixed)
    mixed += before
    return plan.rounded(mixed)
