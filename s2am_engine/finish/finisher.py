# SPDX-License-Identifier: GPL-3.0-or-later
"""Applying a finish to recolored pixels of any size and depth, in place, in blocks that overlap by what they need.

Strips of rows are finished in several threads. A block needs pixels around it as they were before: rows next to the
borders of a strip are copied before it or its neighbor is changed, those above and to the left of a block before its
neighbors are. So the result does not depend on strips and blocks, and only these copies and a few blocks of floats are
allocated.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock, local

import cv2
import numpy as np

from s2am_engine.finish.edges import EDGE_REACH, Surroundings, decontaminate, wrap_light
from s2am_engine.finish.grain import AddedGrain, ReducedGrain, grain_stage
from s2am_engine.finish.measurement import FinishMeasurement
from s2am_engine.finish.scratch import Scratch, times
from s2am_engine.finish.shading import Shading
from s2am_engine.finish.sharpness import kernel_reach, soften, unsharp_mask
from s2am_engine.finish.values import Finish
from s2am_engine.image.arrays import bounding_box, full_scale
from s2am_engine.strip_threads import run_in_threads
from s2am_engine.types import Floats, FractionCallback, Mask, Pixels

_Part = tuple[slice, slice]

_STRIP_ROWS = 512
_BLOCK_COLUMNS = 384
_BLOCK_ROWS = 256  # smaller blocks keep two threads waiting for the interpreter lock, larger ones need more memory
_MAX_WORKERS = 8


@dataclass(frozen=True, eq=False)
class Finisher:
    """A finish prepared for one image.

    finish: the values.
    measurement: of the image, which the noise is taken from.
    surroundings: of the foreground, needed by `decontaminate` and `light_wrap`; None = neither is used.
    shading: of the foreground, needed by `light`; None = it is not used.
    seed: of the grain.
    """

    finish: Finish
    measurement: FinishMeasurement
    surroundings: Surroundings | None = None
    shading: Shading | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check that surroundings and shading are given if they are needed."""
        if self.surroundings is None and (self.finish.decontaminate or self.finish.light_wrap):
            raise ValueError("decontaminate and light_wrap need the surroundings")
        if self.shading is None and self.finish.light:
            raise ValueError("light needs the shading")

    @cached_property
    def reach(self) -> int:
        """Pixels to each side of a pixel that its result depends on."""
        return self._reach_of_opaque + (EDGE_REACH if self.finish.decontaminate else 0)

    @cached_property
    def _reach_of_opaque(self) -> int:
        """The same where everything is opaque, so that nothing is decontaminated."""
        radius = abs(self.finish.sharpness)
        return (kernel_reach(radius) if radius else 0) + (
            self._grain.reach if isinstance(self._grain, ReducedGrain) else 0
        )

    def reach_of(self, *, opaque: bool) -> int:
        """Return the pixels to each side that a block depends on, whose surroundings are opaque or not."""
        return self._reach_of_opaque if opaque else self.reach

    @cached_property
    def _light(self) -> Shading | None:
        """The shading, if it changes pixels."""
        return None if self.shading is None or not self.finish.light or self.shading.changes_nothing else self.shading

    @cached_property
    def _grain(self) -> AddedGrain | ReducedGrain | None:
        if not self.finish.grain:
            return None
        return grain_stage(self.finish.grain, self.measurement.softened(self.finish.sharpness), self.seed)

    def apply(
        self,
        pixels: Pixels,
        mask: Mask | None = None,
        *,
        layer_alpha: Mask | None = None,
        origin: tuple[int, int] = (0, 0),
        rows: slice | None = None,
        progress: FractionCallback | None = None,
        workers: int | None = None,
    ) -> None:
        """Finish recolored pixels in place. Where the mask is 0, all bits are kept; elsewhere it weights the change.

        Raises ValueError if neither a mask nor a layer's alpha is given.

        Args:
            pixels: H×W×3, or H×W×4 whose last channel is kept; uint8, uint16, or float32 in nominal [0, 1].
            mask: H×W, uint8, uint16, bool or float in [0, 1]; None = all pixels of a layer that are not transparent.
            layer_alpha: H×W, if the pixels are a layer's own: its transparency, by which its soft edges are mixed with
                the background later. None = the pixels are a composite, and the mask is the foreground's share.
            origin: (x, y) of the upper left pixel in the image that was measured.
            rows: the rows to finish, if the others are only the surroundings of a strip; None = all.
            progress: called occasionally, in the calling thread, with the fraction done; may raise to cancel.
            workers: number of threads, at least 1; None = one per processor.
        """
        shown = layer_alpha if mask is None else mask
        if shown is None:
            raise ValueError("either a mask or the layer's alpha is needed")
        if self.finish.changes_nothing:
            return
        first, last = (0, len(pixels)) if rows is None else (rows.start, rows.stop)
        found = bounding_box(shown[first:last])
        if found is None:
            return
        left, top, right, bottom = found
        box = (left, first + top, right, first + bottom)
        job = _FinishJob(self, pixels, shown, layer_alpha, origin, box, whole=mask is None)
        job.run(progress, workers or min(os.cpu_count() or 1, _MAX_WORKERS))

    def finish_block(
        self,
        colors: Floats,
        alpha: Floats | None,
        place: tuple[int, int],
        inner: _Part,
        scratch: Scratch,
        *,
        layer: bool,
    ) -> Floats:
        """Return the finished colors of the inner part of a block.

        Args:
            colors: h×w×3 in 8-bit levels, `scratch`'s array “colors”; modified.
            alpha: h×w in [0, 1], the foreground's share or the layer's transparency; None = 1 everywhere.
            place: row and column of the block in the image that was measured.
            inner: the part; what is around it, up to `reach`, is only needed for it.
            scratch: memory of the thread.
            layer: whether the colors are a layer's own, see `apply`.
        """
        finish, around = self.finish, self.surroundings
        if self._light is not None:
            self._light.apply(colors, *place, finish.light, scratch)
        if finish.decontaminate and around is not None and alpha is not None:
            decontaminate(colors, alpha, around, place, finish.decontaminate, scratch, layer=layer)
            outer, inner = _surrounded(inner, self._reach_of_opaque, alpha.shape)
            colors, alpha, place = colors[outer], alpha[outer], _moved(place, outer)
        if finish.sharpness:
            change = soften if finish.sharpness < 0 else unsharp_mask
            change(colors, abs(finish.sharpness), alpha if layer else None, scratch)
        colors = self._grain(colors, place, inner) if isinstance(self._grain, ReducedGrain) else colors[inner]
        (top, left), (height, width) = _moved(place, inner), colors.shape[:2]
        if finish.light_wrap and around is not None and around.has_light(top, left, height, width):
            light = scratch.floats("weights", colors.shape)
            around.at(around.spilled_light, top, left, height, width, out=light)
            wrap_light(colors, light, finish.light_wrap, scratch)
        if isinstance(self._grain, AddedGrain):
            self._grain(colors, top, left, scratch)
        return colors

    def uses_alpha(self, *, layer: bool) -> bool:
        """Return whether a block's colors depend on its alpha; layer: see `apply`."""
        return bool(self.finish.decontaminate or (layer and self.finish.sharpness))

    def changes_block(self, top: int, left: int, height: int, width: int, *, opaque: bool) -> bool:
        """Return whether a block can change, whose surroundings are opaque or not."""
        finish, around = self.finish, self.surroundings
        if finish.grain or finish.sharpness or self._light is not None or (finish.decontaminate and not opaque):
            return True
        return bool(finish.light_wrap and around is not None and around.has_light(top, left, height, width))


@dataclass
class _FinishJob:
    """One call of `Finisher.apply`.

    box: left, top, right, bottom of the pixels to change.
    whole: the change is not weighted by the mask.
    seams: copies of the rows around the borders between strips that are being finished, by the border's row.
    half_used: the borders of which one strip is finished.
    memory: the `Scratch` of each thread.
    """

    finisher: Finisher
    pixels: Pixels
    mask: Mask
    layer_alpha: Mask | None
    origin: tuple[int, int]
    box: tuple[int, int, int, int]
    whole: bool = False
    seams: dict[int, Pixels] = field(default_factory=dict)
    half_used: set[int] = field(default_factory=set)
    lock: Lock = field(default_factory=Lock)
    memory: local = field(default_factory=local)

    def run(self, progress: FractionCallback | None, workers: int) -> None:
        _, top, _, bottom = self.box
        _ = self.finisher.reach  # prepares the grain as well, before the threads need it
        strips = [slice(y, min(y + _STRIP_ROWS, bottom)) for y in range(top, bottom, _STRIP_ROWS)]
        run_in_threads(self._finish_strip, strips, progress, workers)
        if progress:
            progress(1.0)

    def _borders(self, strip: slice) -> list[int]:
        """Return the rows at which a strip borders on another."""
        _, top, _, bottom = self.box
        return [row for row in (strip.start, strip.stop) if top < row < bottom]

    def _keep_seams(self, strip: slice) -> None:
        """Copy the rows around the borders of a strip, unless a neighbor has; neither has been changed before that."""
        if self.finisher.reach:
            with self.lock:
                for row in self._borders(strip):
                    if row not in self.seams:
                        self.seams[row] = self.pixels[self._rows_around(row), self._columns()].copy()

    def _release_seams(self, strip: slice) -> None:
        """Drop the copies that no other strip needs."""
        with self.lock:
            for row in self._borders(strip):
                if row in self.half_used:
                    self.seams.pop(row, None)
                self.half_used.add(row)

    def _rows_around(self, row: int) -> slice:
        reach = self.finisher.reach
        return slice(max(0, row - reach), min(len(self.pixels), row + reach))

    def _columns(self) -> slice:
        """Return the columns of the box and those that it depends on."""
        reach = self.finisher.reach
        return slice(max(0, self.box[0] - reach), min(self.pixels.shape[1], self.box[2] + reach))

    def _finish_strip(self, strip: slice) -> None:
        """Finish a strip in bands of blocks; the rows above a band are kept before they are changed."""
        self._keep_seams(strip)
        reach, columns = self.finisher.reach, self._columns()
        above = self._original_rows(max(0, strip.start - reach), strip.start, strip)
        for top in range(strip.start, strip.stop, _BLOCK_ROWS):
            bottom = min(top + _BLOCK_ROWS, strip.stop)
            below = self._original_rows(bottom, min(len(self.pixels), bottom + reach), strip)
            still_needed = max(0, reach - (bottom - top))  # of the rows above
            lowest = self.pixels[max(top, bottom - reach) : bottom, columns]
            kept = np.concatenate([above[max(0, len(above) - still_needed) :], lowest])
            self._finish_band(above, slice(top, bottom), below)
            above = kept
        self._release_seams(strip)

    def _original_rows(self, first: int, last: int, strip: slice) -> Pixels:
        """Return rows as they were before; those outside the strip may have been changed by another thread."""
        columns = self._columns()
        if first < strip.stop < last:
            inside, beyond = (first, strip.stop), (strip.stop, last)
            return np.concatenate([self._original_rows(start, stop, strip) for start, stop in (inside, beyond)])
        border = strip.start if last <= strip.start else strip.stop
        if (strip.start <= first and last <= strip.stop) or border not in self.seams:
            return self.pixels[first:last, columns]
        kept = self._rows_around(border)
        return self.seams[border][first - kept.start : last - kept.start]

    def _finish_band(self, above: Pixels, rows: slice, below: Pixels) -> None:
        """Finish some rows.

        Args:
            above: the rows above that they depend on, as they were before, and the columns of `_columns`.
            rows: the rows to finish.
            below: the rows below that they depend on.
        """
        every, reach = self._columns(), self.finisher.reach
        before = self.pixels[rows, every.start : self.box[0]]  # the columns before a block, as they were
        for start in range(self.box[0], self.box[2], _BLOCK_COLUMNS):
            block = (rows, slice(start, min(start + _BLOCK_COLUMNS, self.box[2])))
            columns = slice(start - before.shape[1], min(every.stop, block[1].stop + reach))
            seen = slice(columns.start - every.start, columns.stop - every.start)
            around = _Around(above[:, seen], before, self.pixels[rows, start : columns.stop], below[:, seen])
            before = around.columns_before(block[1].stop - start, reach)
            whole = (slice(rows.start - len(above), rows.stop + len(below)), columns)
            self._finish_block(around, whole, block)

    def _finish_block(self, around: _Around, whole: _Part, block: _Part) -> None:
        """Finish one block: `whole` and `block` are places in the pixels, with and without what is around the block."""
        finisher, layer = self.finisher, self.layer_alpha is not None
        mask, target = self.mask[block], self.pixels[block][..., :3]
        shown = (self.mask if self.layer_alpha is None else self.layer_alpha)[whole]
        opaque = _is_full(shown)
        everywhere = (opaque and not layer) or _is_full(mask)
        place = block[0].start + self.origin[1], block[1].start + self.origin[0]
        if not ((everywhere or mask.any()) and finisher.changes_block(*place, *mask.shape, opaque=opaque)):
            return
        outer, inner = _surrounded(around.inner(mask.shape), finisher.reach_of(opaque=opaque), shown.shape)
        scratch = self._scratch()
        colors = scratch.floats("colors", (outer[0].stop - outer[0].start, outer[1].stop - outer[1].start, 3))
        around.read(outer, colors)
        alpha = None if opaque or not finisher.uses_alpha(layer=layer) else _unit(shown[outer])
        place = place[0] - inner[0].start, place[1] - inner[1].start
        finished = finisher.finish_block(colors, alpha, place, inner, scratch, layer=layer)
        if not (everywhere or self.whole):
            before = _to_levels(target, scratch.floats("change", target.shape))
            change = scratch.floats("weights", target.shape)
            cv2.subtract(finished, before, dst=change)
            times(change, _unit(mask), out=change, spare=scratch.floats("other", target.shape))
            finished = np.asarray(cv2.add(change, before, dst=change), np.float32)
        result = _to_depth(finished, target)
        if everywhere:
            target[:] = result
        else:
            target[:] = cv2.copyTo(result, (mask > 0).view(np.uint8), np.ascontiguousarray(target))

    def _scratch(self) -> Scratch:
        """Return the memory of this thread."""
        found: Scratch | None = getattr(self.memory, "scratch", None)
        if found is None:
            found = self.memory.scratch = Scratch()
        return found


@dataclass(frozen=True, eq=False)
class _Around:
    """Pixels of a block and around it, as they were before.

    above: the rows above. before: the columns before, in the block's rows. after: the block and the columns after it.
    below: the rows below.
    """

    above: Pixels
    before: Pixels
    after: Pixels
    below: Pixels

    def inner(self, shape: tuple[int, ...]) -> _Part:
        """Return the place of the block, of a shape (h, w)."""
        top, left = len(self.above), self.before.shape[1]
        return slice(top, top + shape[0]), slice(left, left + shape[1])

    def columns_before(self, width: int, reach: int) -> Pixels:
        """Return a copy of the last columns, at most `reach`, up to the end of the block of a width."""
        last = self.after[:, max(0, width - reach) : width]
        missing = min(reach - last.shape[1], self.before.shape[1])
        return np.concatenate([self.before[:, self.before.shape[1] - missing :], last], axis=1)

    def read(self, part: _Part, out: Floats) -> None:
        """Write a part to `out`, in 8-bit levels."""
        middle, right = len(self.above), self.before.shape[1]
        bottom = middle + len(self.after)
        pieces = (self.above, 0, 0), (self.before, middle, 0), (self.after, middle, right), (self.below, bottom, 0)
        rows, columns = part
        for pixels, top, left in pieces:
            y0, y1 = max(rows.start, top), min(rows.stop, top + pixels.shape[0])
            x0, x1 = max(columns.start, left), min(columns.stop, left + pixels.shape[1])
            if y0 < y1 and x0 < x1:
                piece = pixels[y0 - top : y1 - top, x0 - left : x1 - left, :3]
                _to_levels(piece, out[y0 - rows.start : y1 - rows.start, x0 - columns.start : x1 - columns.start])


def _surrounded(inner: _Part, reach: int, shape: tuple[int, ...]) -> tuple[_Part, _Part]:
    """Return a part of a block with what is around it up to a reach, and the place of the part in that."""
    (y, bottom), (x, right) = ((each.start, each.stop) for each in inner)
    top, left = max(0, y - reach), max(0, x - reach)
    outer = slice(top, min(shape[0], bottom + reach)), slice(left, min(shape[1], right + reach))
    return outer, (slice(y - top, bottom - top), slice(x - left, right - left))


def _is_full(mask: Mask) -> bool:
    """Return whether a part of a mask is 1 everywhere."""
    return bool(mask.min() >= full_scale(mask.dtype))


def _moved(place: tuple[int, int], part: _Part) -> tuple[int, int]:
    """Return the row and column of a part of a block at a place."""
    return place[0] + part[0].start, place[1] + part[1].start


def _to_levels(pixels: Pixels, out: Floats) -> Floats:
    """Convert pixels to 8-bit levels."""
    if pixels.dtype == np.uint8:
        np.copyto(out, pixels)
        return out
    return np.multiply(pixels, np.float32(255 / full_scale(pixels.dtype)), out=out)


def _unit(mask: Mask) -> Floats:
    """Return a part of a mask in [0, 1]."""
    unit = np.multiply(mask, np.float32(1 / full_scale(mask.dtype)), dtype=np.float32)
    return unit.clip(0, 1) if mask.dtype.kind == "f" else unit


def _to_depth(colors: Floats, before: Pixels) -> Pixels:
    """Convert 8-bit levels to the depth of the pixels as they were before.

    Integers are rounded and clamped, and no float becomes negative that was not.
    """
    if before.dtype == np.uint8:
        return cv2.addWeighted(colors, 1, colors, 0, 0, dtype=cv2.CV_8U)
    if before.dtype == np.uint16:
        return cv2.addWeighted(colors, 65535 / 255, colors, 0, 0, dtype=cv2.CV_16U)
    return np.maximum(colors * np.float32(1 / 255), np.minimum(before, 0))
