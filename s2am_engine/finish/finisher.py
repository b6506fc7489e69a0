# SPDX-License-Identifier: GPL-3.0-or-later
"""Applying a finish to recolored pixels of any size and depth, in place, in blocks that overlap by what they need.

A block needs pixels around it as they were before: the pixels that later blocks need are copied before a block is
changed. So the result does not depend on blocks, and only these copies and a few blocks of floats are allocated.

One thread finishes all blocks. Two of them take as long on two cores, where they wait for the interpreter lock after
each operation on a block, and twice the memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from s2am_engine.finish.blocks import (
    BlockPart,
    BlockSurroundings,
    OriginalPixels,
    shape_of,
    to_levels,
    with_surroundings,
    within,
)
from s2am_engine.finish.edges import EDGE_REACH, Surroundings, decontaminate, wrap_light
from s2am_engine.finish.grain import AddedGrain, ReducedGrain, grain_stage
from s2am_engine.finish.measurement import FinishMeasurement
from s2am_engine.finish.scratch import Scratch, times
from s2am_engine.finish.shading import Shading
from s2am_engine.finish.sharpness import kernel_reach, soften, unsharp_mask
from s2am_engine.finish.values import Finish
from s2am_engine.image.arrays import bounding_box, full_scale
from s2am_engine.types import Floats, FractionCallback, Mask, Pixels

_BLOCK_ROWS, _BLOCK_COLUMNS = 128, 192  # smaller blocks take more time, larger ones more memory
_UNDIVIDED = 160_000  # pixels that are one block: such as tiles of the editor, which several threads finish


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
        needed = self._reach_of_opaque + (EDGE_REACH if self.finish.decontaminate else 0)
        return needed + needed % 2  # edges are computed from pairs of pixels, which blocks should not divide

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
            progress: called occasionally with the fraction done; may raise to cancel.
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
        left -= left and (left + origin[0]) % 2  # see `reach`
        top -= top and (first + top + origin[1]) % 2
        box = (left, first + top, right, first + bottom)
        _FinishJob(self, pixels, shown, layer_alpha, origin, box, whole=mask is None).run(progress)

    def finish_block(
        self,
        colors: Floats,
        alpha: Floats | None,
        place: tuple[int, int],
        inner: BlockPart,
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
            scratch: memory of intermediate results.
            layer: whether the colors are a layer's own, see `apply`.
        """
        finish, around = self.finish, self.surroundings
        if self._light is not None:
            self._light.apply(colors, *place, finish.light, scratch)
        if finish.decontaminate and around is not None and alpha is not None:
            decontaminate(colors, alpha, around, place, finish.decontaminate, scratch, layer=layer)
            outer = with_surroundings(inner, self._reach_of_opaque, alpha.shape)
            inner = within(inner, outer)
            colors, alpha, place = colors[outer], alpha[outer], _moved(place, outer)
        if finish.sharpness:
            change = soften if finish.sharpness < 0 else unsharp_mask
            change(colors, abs(finish.sharpness), alpha if layer else None, scratch)
        colors = self._grain(colors, place, inner, scratch) if isinstance(self._grain, ReducedGrain) else colors[inner]
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


@dataclass(frozen=True, eq=False)
class _FinishJob:
    """One call of `Finisher.apply`.

    box: left, top, right, bottom of the pixels to change.
    whole: the change is not weighted by the mask.
    """

    finisher: Finisher
    pixels: Pixels
    mask: Mask
    layer_alpha: Mask | None
    origin: tuple[int, int]
    box: tuple[int, int, int, int]
    whole: bool = False

    def run(self, progress: FractionCallback | None) -> None:
        """Finish all blocks."""
        originals = OriginalPixels(self.pixels, self.box, self.finisher.reach)
        scratch, blocks = Scratch(), list(self._blocks())
        for number, block in enumerate(blocks):
            if progress:
                progress(number / len(blocks))
            self._finish(block, originals.enter(block), scratch)
        if progress:
            progress(1.0)

    @property
    def shown(self) -> Mask:
        """The foreground's share, or the layer's transparency."""
        return self.mask if self.layer_alpha is None else self.layer_alpha

    def _blocks(self) -> Iterator[BlockPart]:
        """Yield the blocks, row after row."""
        left, top, right, bottom = self.box
        if (bottom - top) * (right - left) <= _UNDIVIDED:
            yield slice(top, bottom), slice(left, right)
            return
        height, width = (max(side, self.finisher.reach) for side in (_BLOCK_ROWS, _BLOCK_COLUMNS))
        for row in range(top, bottom, height):
            for column in range(left, right, width):
                yield slice(row, min(row + height, bottom)), slice(column, min(column + width, right))

    def _place(self, part: BlockPart) -> tuple[int, int]:
        """Return the row and column of a part of the pixels in the image that was measured."""
        return part[0].start + self.origin[1], part[1].start + self.origin[0]

    def _finish(self, block: BlockPart, around: BlockSurroundings, scratch: Scratch) -> None:
        """Finish a block, if that changes it."""
        finisher, layer, mask = self.finisher, self.layer_alpha is not None, self.mask[block]
        widest = with_surroundings(block, finisher.reach, self.mask.shape)
        opaque = _is_full(self.shown[widest])  # there are no soft edges in the block and around it
        everywhere = (opaque and not layer) or _is_full(mask)  # all of its pixels are changed completely
        changes = finisher.changes_block(*self._place(block), *mask.shape, opaque=opaque)
        if not (changes and (everywhere or mask.any())):
            return
        outer = with_surroundings(block, finisher.reach_of(opaque=opaque), self.mask.shape)
        colors = scratch.floats("colors", (*shape_of(outer), 3))
        around.read(within(outer, widest), colors)
        alpha = None if opaque or not finisher.uses_alpha(layer=layer) else _unit(self.shown[outer])
        finished = finisher.finish_block(colors, alpha, self._place(outer), within(block, outer), scratch, layer=layer)
        target = self.pixels[block][..., :3]
        if not (everywhere or self.whole):
            before = to_levels(target, scratch.floats("change", target.shape))
            cv2.subtract(finished, before, dst=finished)
            times(finished, _unit(mask), out=finished, spare=scratch.floats("weights", target.shape))
            cv2.add(finished, before, dst=finished)
        result = _to_depth(finished, target)
        if everywhere:
            target[:] = result
        else:
            target[:] = cv2.copyTo(result, (mask > 0).view(np.uint8), np.ascontiguousarray(target))


def _is_full(mask: Mask) -> bool:
    """Return whether a part of a mask is 1 everywhere."""
    return bool(mask.min() >= full_scale(mask.dtype))


def _moved(place: tuple[int, int], part: BlockPart) -> tuple[int, int]:
    """Return the row and column of a part of a block at a place."""
    return place[0] + part[0].start, place[1] + part[1].start


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
