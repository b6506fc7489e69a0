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
from s2am_engine.image.arrays import bounding_box, full_scale
from s2am_engine.strip_threads import run_in_threads
from s2am_engine.types import FractionCallback, Mask, Pixels

_Block = tuple[slice, slice]

_BLOCK_PIXELS = 1 << 16  # a float copy fits the L2 cache; OpenCV's own functions start threads far above this
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
        before, after = source[strip], result[strip]
        if mask is None:
            _render_everywhere(plan, before, after)
        elif before.flags.c_contiguous and after.flags.c_contiguous:
            if not copied:
                after[:] = before
            _render_inside(plan, before, after, mask[strip])
        else:
            work = before.copy()
            _render_inside(plan, work, work, mask[strip])
            after[:] = work

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


def _bounding_box(mask: Mask) -> _Block:
    """Return the bounding box of the part of a mask that is not 0; it may be empty."""
    left, top, right, bottom = bounding_box(mask) or (0, 0, 0, 0)
    return slice(top, bottom), slice(left, right)


def _blocks(height: int, width: int) -> list[_Block]:
    """Return blocks that cover a box."""
    columns = max(1, min(width, _BLOCK_PIXELS))
    rows = max(1, _BLOCK_PIXELS // columns)
    return [
        (slice(y, min(y + rows, height)), slice(x, min(x + columns, width)))
        for y in range(0, height, rows)
        for x in range(0, width, columns)
    ]


def _render_everywhere(plan: MapPlan, source: Pixels, result: Pixels) -> None:
    """Apply a map to all pixels of a strip; source and result may be the same array."""
    for block in _blocks(*source.shape[:2]):
        result[block] = _recolored(plan, np.ascontiguousarray(source[block]))


def _render_inside(plan: MapPlan, source: Pixels, result: Pixels, mask: Mask) -> None:
    """Apply a map to the pixels of a contiguous strip within the mask; source and result may be the same array."""
    box = _bounding_box(mask)
    soft = _soft_pixels(mask[box])
    if np.count_nonzero(soft) > _MOST_EDGES * soft.size:
        _render_box(plan, source[box], result[box], mask[box], soft)
        return
    # Calls of OpenCV for the few soft pixels of each block would take longer than reading them all first.
    places = _indices(soft, box, mask.shape[1])
    colors, weights = (each.reshape(mask.size, *each.shape[2:]).take(places, axis=0)[None] for each in (source, mask))
    _render_box(plan, source[box], result[box], mask[box])
    pixels = _whole_pixels(result)
    for start in range(0, len(places), _BLOCK_PIXELS):
        part = slice(start, start + _BLOCK_PIXELS)
        pixels[places[part]] = _whole_pixels(_recolored(plan, colors[:, part], weights[:, part]))


def _indices(inside: NDArray[np.bool_], box: _Block, width: int) -> NDArray[np.intp]:
    """Return the flat indices, in a strip of a width, of the pixels inside a part of a box."""
    found = np.flatnonzero(inside)
    found += found // max(1, inside.shape[1]) * (width - inside.shape[1]) + (box[0].start * width + box[1].start)
    return found


def _whole_pixels(pixels: Pixels) -> NDArray[np.void]:
    """Return a view of contiguous pixels (h, w, C) as items (h·w,), which NumPy writes three times as fast by index."""
    return pixels.reshape(-1).view(np.dtype((np.void, pixels.shape[2] * pixels.itemsize)))


def _render_box(
    plan: MapPlan, source: Pixels, result: Pixels, mask: Mask, soft: NDArray[np.bool_] | None = None
) -> None:
    """Apply a map block by block where the mask is not 0: mixed by the mask if `soft`, its soft pixels, is given."""
    for block in _blocks(*mask.shape):
        inside = _bounding_box(mask[block])
        weights = mask[block][inside]
        if weights.size:
            mixing = weights if soft is not None and soft[block][inside].any() else None
            recolored = _recolored(plan, source[block][inside], mixing)
            written = weights if weights.dtype == np.uint8 else (weights > 0).view(np.uint8)
            cv2.copyTo(recolored, written, result[block][inside])


def _recolored(plan: MapPlan, block: Pixels, mask: Mask | None = None) -> Pixels:
    """Return the map of a block (h, w, 3 or 4), whose alpha is kept, mixed by a mask (h, w); None = entirely."""
    if block.shape[2] == 4:
        after = _recolored(plan, cv2.cvtColor(block, cv2.COLOR_RGBA2RGB), mask)
        return cv2.mixChannels([after], [block.copy()], [0, 0, 1, 1, 2, 2])[0]
    return plan.finish(block) if mask is None else _mixed(plan, block, mask)


def _soft_pixels(mask: Mask) -> NDArray[np.bool_]:
    """Return H×W, True where a mask is neither 0 nor at its full scale."""
    if mask.dtype == np.uint8 and mask.size:
        return cv2.inRange(mask, 1, 254).view(np.bool_)
    return (mask > 0) & (mask < mask.dtype.type(full_scale(mask.dtype)))


def _mixed(plan: MapPlan, block: Pixels, mask: Mask) -> Pixels:
    """Return before + mask·(after − before) for a block (h, w, 3)."""
    weight = np.clip(mask.astype(np.float32) / full_scale(mask.dtype), 0, 1)
    before = block.astype(np.float32)
    mixed = plan.clamped(plan.levels(block), before)
    mixed -= before
    np.multiply(mixed, cv2.merge([weight] * 3), out=mixed)
    mixed += before
    return plan.rounded(mixed)
