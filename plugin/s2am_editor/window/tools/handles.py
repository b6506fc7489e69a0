# SPDX-License-Identifier: GPL-3.0-or-later
"""Geometry of the transform frame: handle positions, and the transform after dragging one. No widgets."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from s2am_editor.document.geometry import Rect, Transform

Point = tuple[float, float]
Handle = tuple[int, int]
"""-1, 0 or 1 across and down, along the layer's own sides."""

HANDLES: tuple[Handle, ...] = ((-1, -1), (0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0))
SMALLEST = 2.0  # pixels of the canvas that a side keeps
STEP = 15.0  # degrees, with Shift
CATCH = 1.5  # degrees from a quarter turn that snap to it


@dataclass(frozen=True)
class Guides:
    """The lines that a move snapped to: x of upright ones, y of level ones."""

    xs: tuple[float, ...] = ()
    ys: tuple[float, ...] = ()


def turn(point: Point, degrees: float) -> Point:
    """A vector rotated clockwise as seen."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return point[0] * cosine - point[1] * sine, point[0] * sine + point[1] * cosine


def extent(transform: Transform, size: tuple[int, int]) -> Point:
    """Width and height on the canvas, before rotation."""
    return size[0] * transform.scale_x, size[1] * transform.scale_y


def place_of(transform: Transform, size: tuple[int, int], handle: Handle, beyond: float = 0.0) -> Point:
    """Where a handle lies on the canvas, or `beyond` it, outwards."""
    width, height = extent(transform, size)
    offset = turn((handle[0] * (width / 2 + beyond), handle[1] * (height / 2 + beyond)), transform.rotation)
    return transform.x + offset[0], transform.y + offset[1]


def moved(transform: Transform, x: float, y: float) -> Transform:
    """The transform moved; by whole pixels, so that one that needs no resampling needs none afterwards."""
    return replace(transform, x=transform.x + round(x), y=transform.y + round(y))


def scaled(
    transform: Transform, size: tuple[int, int], handle: Handle, drag: Point, *, keep_shape: bool, about_center: bool
) -> Transform:
    """Scale by a handle.

    Args:
        transform: at the beginning of the drag.
        size: of the layer, width and height.
        handle: which one.
        drag: how far it was dragged, in pixels of the canvas.
        keep_shape: corners keep the proportions.
        about_center: the center stays where it is, rather than the opposite side.
    """
    along = turn(drag, -transform.rotation)
    width, height = extent(transform, size)
    times = 2 if about_center else 1
    wanted = width + times * handle[0] * along[0], height + times * handle[1] * along[1]
    if keep_shape and handle[0] and handle[1]:
        factor = (wanted[0] * width + wanted[1] * height) / (width * width + height * height)
        factor = max(factor, SMALLEST / min(width, height))
        wanted = width * factor, height * factor
    wanted = max(SMALLEST, wanted[0]), max(SMALLEST, wanted[1])
    result = replace(transform, scale_x=wanted[0] / size[0], scale_y=wanted[1] / size[1])
    if about_center:
        return result
    shift = turn((handle[0] * (wanted[0] - width) / 2, handle[1] * (wanted[1] - height) / 2), transform.rotation)
    return replace(result, x=transform.x + shift[0], y=transform.y + shift[1])


def rotated(transform: Transform, start: Point, point: Point, *, steps: bool) -> Transform:
    """Rotate from where a drag started to where it is; in steps of STEP degrees, or near quarter turns to these."""
    before = math.atan2(start[1] - transform.y, start[0] - transform.x)
    now = math.atan2(point[1] - transform.y, point[0] - transform.x)
    return turned(transform, math.degrees(now - before), steps=steps)


def turned(transform: Transform, degrees: float, *, steps: bool = False) -> Transform:
    """Rotate further; the result lies from -180 to 180."""
    angle = transform.rotation + degrees
    if steps:
        angle = round(angle / STEP) * STEP
    elif abs(angle - round(angle / 90) * 90) < CATCH and degrees:
        angle = round(angle / 90) * 90
    return replace(transform, rotation=(angle + 180) % 360 - 180)


def snapped(
    transform: Transform, size: tuple[int, int], drag: Point, others: Sequence[Rect], reach: float
) -> tuple[Transform, Guides]:
    """Move, and let the frame's edges and middle lock to those of other rectangles.

    Args:
        transform: at the beginning of the drag.
        size: of the layer.
        drag: how far it was dragged.
        others: the canvas and other layers' boxes.
        reach: how near is near, in pixels of the canvas; 0 = no snapping.
    """
    free = moved(transform, *drag)
    if reach <= 0:
        return free, Guides()
    box = free.box(size)
    x, xs = _nearest((box.left, free.x, box.right), _lines(others, across=True), reach)
    y, ys = _nearest((box.top, free.y, box.bottom), _lines(others, across=False), reach)
    return dataclasses.replace(free, x=free.x + x, y=free.y + y), Guides(xs, ys)


def _lines(rects: Iterable[Rect], *, across: bool) -> list[float]:
    found: list[float] = []
    for rect in rects:
        low, high = (rect.left, rect.right) if across else (rect.top, rect.bottom)
        found += [low, (low + high) / 2, high]
    return found


def _nearest(own: Sequence[float], lines: Sequence[float], reach: float) -> tuple[float, tuple[float, ...]]:
    """How far to move to the nearest line, and that line."""
    pairs = [(line - mine, line) for mine in own for line in lines if abs(line - mine) <= reach]
    if not pairs:
        return 0.0, ()
    shift, line = min(pairs, key=lambda pair: abs(pair[0]))
    return shift, (line,)
