# SPDX-License-Identifier: GPL-3.0-or-later
"""Geometry of the transform frame: handle positions, and the transform after dragging one. No widgets."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from s2am_editor.document.geometry import Rect, Transform
from s2am_editor.window.tools.tool import Point

Handle = tuple[int, int]
"""-1, 0 or 1 across and down, along the layer's own sides."""

HANDLES: tuple[Handle, ...] = ((-1, -1), (0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0))
MIN_SIDE = 2.0  # minimum length of a side in image pixels
ROTATION_STEP = 15.0  # degrees, with Shift
ROTATION_SNAP = 1.5  # degrees from a quarter turn within which rotation snaps to it


@dataclass(frozen=True)
class Guides:
    """Lines that a move snapped to: x of vertical ones, y of horizontal ones."""

    xs: tuple[float, ...] = ()
    ys: tuple[float, ...] = ()


def rotate_vector(point: Point, degrees: float) -> Point:
    """Rotate a vector clockwise on the screen."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return point[0] * cosine - point[1] * sine, point[0] * sine + point[1] * cosine


def unrotated_size(transform: Transform, size: tuple[int, int]) -> Point:
    """Return width and height on the canvas before rotation."""
    return size[0] * transform.scale_x, size[1] * transform.scale_y


def handle_position(transform: Transform, size: tuple[int, int], handle: Handle, beyond: float = 0.0) -> Point:
    """Return the position of a handle on the canvas, or of a point `beyond` it."""
    width, height = unrotated_size(transform, size)
    offset = rotate_vector((handle[0] * (width / 2 + beyond), handle[1] * (height / 2 + beyond)), transform.rotation)
    return transform.x + offset[0], transform.y + offset[1]


def translate(transform: Transform, x: float, y: float) -> Transform:
    """Translate by whole pixels, so a transform without resampling stays one."""
    return replace(transform, x=transform.x + round(x), y=transform.y + round(y))


def scale_by_handle(
    transform: Transform, size: tuple[int, int], handle: Handle, drag: Point, *, keep_shape: bool, about_center: bool
) -> Transform:
    """Scale by dragging a handle.

    Args:
        transform: at the start of the drag.
        size: the layer's width and height.
        handle: the dragged handle.
        drag: its displacement in canvas pixels.
        keep_shape: corners keep the proportions.
        about_center: keep the center in place instead of the opposite side.
    """
    along = rotate_vector(drag, -transform.rotation)
    width, height = unrotated_size(transform, size)
    times = 2 if about_center else 1
    wanted = width + times * handle[0] * along[0], height + times * handle[1] * along[1]
    if keep_shape and handle[0] and handle[1]:
        factor = (wanted[0] * width + wanted[1] * height) / (width * width + height * height)
        factor = max(factor, MIN_SIDE / min(width, height))
        wanted = width * factor, height * factor
    wanted = max(MIN_SIDE, wanted[0]), max(MIN_SIDE, wanted[1])
    result = replace(transform, scale_x=wanted[0] / size[0], scale_y=wanted[1] / size[1])
    if about_center:
        return result
    shift = rotate_vector(
        (handle[0] * (wanted[0] - width) / 2, handle[1] * (wanted[1] - height) / 2), transform.rotation
    )
    return replace(result, x=transform.x + shift[0], y=transform.y + shift[1])


def rotate_between(transform: Transform, start: Point, point: Point, *, steps: bool) -> Transform:
    """Rotate by the angle between two points about the center, in steps or snapping near quarter turns."""
    before = math.atan2(start[1] - transform.y, start[0] - transform.x)
    now = math.atan2(point[1] - transform.y, point[0] - transform.x)
    return rotate_by(transform, math.degrees(now - before), steps=steps)


def rotate_by(transform: Transform, degrees: float, *, steps: bool = False) -> Transform:
    """Rotate by an angle; the result lies in [-180, 180)."""
    angle = transform.rotation + degrees
    if steps:
        angle = round(angle / ROTATION_STEP) * ROTATION_STEP
    elif abs(angle - round(angle / 90) * 90) < ROTATION_SNAP and degrees:
        angle = round(angle / 90) * 90
    return replace(transform, rotation=(angle + 180) % 360 - 180)


def snap(
    transform: Transform, size: tuple[int, int], drag: Point, others: Sequence[Rect], reach: float
) -> tuple[Transform, Guides]:
    """Translate, and snap the frame's edges and center to those of other rectangles.

    Args:
        transform: at the start of the drag.
        size: the layer's width and height.
        drag: displacement in canvas pixels.
        others: the canvas and the bounding boxes of other layers.
        reach: snapping distance in canvas pixels; 0 = no snapping.
    """
    free = translate(transform, *drag)
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
    """Return the displacement to the nearest line, and that line."""
    pairs = [(line - mine, line) for mine in own for line in lines if abs(line - mine) <= reach]
    if not pairs:
        return 0.0, ()
    shift, line = min(pairs, key=lambda pair: abs(pair[0]))
    return shift, (line,)
