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
from threading import Lock
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.finish.edges import EDGE_REACH, Surroundings, decontaminate, times, wrap_light
from s2am_engine.finish.grain import AddedGrain, ReducedGrain, grain_stage
from s2am_engine.finish.measurement import FinishMeasurement
from s2am_engine.finish.shading import Shading
from s2am_engine.finish.sharpness import kernel_reach, soften, unsharp_mask
from s2am_engine.finish.values import Finish
from s2am_engine.image.arrays import bounding_box, full_scale
from s2am_engine.strip_threads import run_in_threads
from s2am_engine.types import Floats, FractionCallback, Mask, Pixels

_STRIP_ROWS = 384
_BLOCK_COLUMNS = 256
_BLOCK_ROWS = 128  # some float copies of a block fit the L2 cache; smaller ones consist of overlap by half
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
        finish = self.finish
        return (
            (EDGE_REACH if finish.decontaminate else 0)
            + (kernel_reach(abs(finish.sharpness)) if finish.sharpness else 0)
            + (self._grain.reach if isinstance(self._grain, ReducedGrain) else 0)
        )

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
        self, colors: Floats, alpha: Floats | None, top: int, left: int, inner: tuple[slice, slice], *, layer: bool
    ) -> Floats:
        """Return the finished colors of the inner part of a block.

        Args:
            colors: h×w×3 in 8-bit levels.
            alpha: h×w in [0, 1], the foreground's share or the layer's transparency; None = 1 everywhere.
            top: first row of the block in the image that was measured.
            left: its first column.
            inner: the part; what is around it, up to `reach`, is only needed for it.
            layer: whether the colors are a layer's own, see `apply`.
        """
        finish, around = self.finish, self.surroundings
        if self._light is not None:
            colors = self._light.apply(colors, top, left, finish.light)
        if finish.decontaminate and around is not None and alpha is not None:
            colors = decontaminate(colors, alpha, around, (top, left), finish.decontaminate, layer=layer)
        if finish.sharpness:
            change = soften if finish.sharpness < 0 else unsharp_mask
            colors = change(colors, abs(finish.sharpness), alpha if layer else None)
        colors = self._grain(colors, (top, left), inner) if isinstance(self._grain, ReducedGrain) else colors[inner]
        top, left = top + inner[0].start, left + inner[1].start
        shape = (top, left, *colors.shape[:2])
        if finish.light_wrap and around is not None and around.has_light(*shape):
            colors = wrap_light(colors, around.at(around.spilled_light, *shape), finish.light_wrap)
        return self._grain(colors, top, left) if isinstance(self._grain, AddedGrain) else colors

    def uses_alpha(self, *, layer: bool) -> bool:
        """Return whether a block's colors depend on its alpha; layer: see `apply`."""
        return bool(self.finish.decontaminate or (layer and self.finish.sharpness))

    def changes_block(self, top: int, left: int, height: int, width: int, *, opaque: bool) -> bool:
        """Return whether a block can change, whose surroundings are opaque or not."""
        finish, around = self.finish, self.surroundings
        everywhere = finish.grain or finish.sharpness or self._light is not None
        at_edges = finish.decontaminate and not opaque
        lit = finish.light_wrap and around is not None and around.has_light(top, left, height, width)
        return bool(everywhere or at_edges or lit)


@dataclass
class _FinishJob:
    """One call of `Finisher.apply`.

    box: left, top, right, bottom of the pixels to change.
    whole: the change is not weighted by the mask.
    seams: copies of the rows around the borders between strips that are being finished, by the border's row.
    half_used: the borders of which one strip is finished.
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
            middle = np.concatenate([before, self.pixels[rows, start : columns.stop]], axis=1)
            width = block[1].stop - columns.start
            before = middle[:, max(0, width - reach) : width]
            if self.mask[block].any():
                seen = slice(columns.start - every.start, columns.stop - every.start)
                part = np.concatenate([above[:, seen], middle, below[:, seen]])[..., :3]
                whole = (slice(rows.start - len(above), rows.stop + len(below)), columns)
                inner = (slice(len(above), len(above) + len(middle)), slice(start - columns.start, width))
                self._finish_block(part, whole, inner, block)

    def _finish_block(
        self, part: Pixels, whole: tuple[slice, slice], inner: tuple[slice, slice], block: tuple[slice, slice]
    ) -> None:
        """Finish one block: `part` are its pixels and those around it, `whole` and `block` places in the pixels."""
        finisher, layer = self.finisher, self.layer_alpha is not None
        mask, target = self.mask[block], self.pixels[block][..., :3]
        shown = (self.mask if self.layer_alpha is None else self.layer_alpha)[whole]
        opaque = bool(shown.min() >= full_scale(shown.dtype))
        top, left = whole[0].start + self.origin[1], whole[1].start + self.origin[0]
        corner = top + inner[0].start, left + inner[1].start
        if not finisher.changes_block(*corner, *mask.shape, opaque=opaque):
            return
        colors = part.astype(np.float32)
        if part.dtype != np.uint8:
            colors *= np.float32(255 / full_scale(part.dtype))
        alpha = None if opaque or not finisher.uses_alpha(layer=layer) else _unit(shown)
        finished = finisher.finish_block(colors, alpha, top, left, inner, layer=layer)
        everywhere = bool(mask.min() >= full_scale(mask.dtype))
        if not (everywhere or self.whole):
            change = times(cv2.subtract(finished, colors[inner]), _unit(mask))
            finished = np.asarray(cv2.add(change, colors[inner], dst=change), np.float32)
        result = _to_depth(finished, target.dtype, colors[inner])
        if everywhere:
            target[:] = result
        else:
            target[:] = cv2.copyTo(result, (mask > 0).view(np.uint8), np.ascontiguousarray(target))


def _unit(mask: Mask) -> Floats:
    """Return a part of a mask in [0, 1]."""
    return np.multiply(mask, np.float32(1 / full_scale(mask.dtype)), dtype=np.float32).clip(0, 1)


def _to_depth(colors: Floats, dtype: np.dtype[Any], before: Floats) -> NDArray[Any]:
    """Convert 8-bit levels to a depth; integers are rounded and clamped, floats do not become negative."""
    if dtype == np.uint8:
        return cv2.addWeighted(colors, 1, colors, 0, 0, dtype=cv2.CV_8U)
    if dtype == np.uint16:
        return cv2.addWeighted(colors, 65535 / 255, colors, 0, 0, dtype=cv2.CV_16U)
    floats: Floats = np.maximum(colors, np.minimum(before, 0)) * np.float32(1 / 255)
    return floats
