# SPDX-License-Identifier: GPL-3.0-or-later
"""Handles of a frame: the frame after dragging one, rotating, or moving with snapping. No widgets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from s2am_editor.document.frame import Anchor, Frame, rotate_vector
from s2am_editor.document.geometry import Point, Transform
from s2am_engine.image.rect import Rect

HANDLES: tuple[Anchor, ...] = ((-1, -1), (0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0))
ROTATION_STEP = 15.0  # degrees, with Shift
ROTATION_SNAP = 1.5  # degrees from a quarter turn within which rotation snaps to it
MIN_FACTOR = 0.01  # of a handle that is dragged to the fixed point


@dataclass(frozen=True)
class Guides:
    """Lines that a move snapped to: x of vertical ones, y of horizontal ones."""

    xs: tuple[float, ...] = ()
    ys: tuple[float, ...] = ()


def translate(transform: Transform, x: float, y: float) -> Transform:
    """Translate by whole pixels, so a transform without resampling stays one."""
    return transform.moved(round(x), round(y))


def scale_by_handle(frame: Frame, handle: Anchor, drag: Point, *, keep_shape: bool, fixed: Anchor) -> Frame:
    """Scale by dragging a handle.

    Args:
        frame: at the start of the drag.
        handle: the dragged handle.
        drag: its displacement in canvas pixels.
        keep_shape: corners keep the proportions.
        fixed: the point that stays in place, such as the opposite handle.
    """
    along = rotate_vector(drag, -frame.rotation)
    width = _dragged_side(frame.width, handle[0], along[0], fixed[0])
    height = _dragged_side(frame.height, handle[1], along[1], fixed[1])
    if keep_shape and handle[0] and handle[1]:
        # The corner follows the projection of the pointer onto the diagonal.
        factor = (width * frame.width + height * frame.height) / (frame.width**2 + frame.height**2)
        factor = max(factor, MIN_FACTOR)
        width, height = frame.width * factor, frame.height * factor
    return frame.resized(width, height, fixed)


def _dragged_side(length: float, handle: float, drag: float, fixed: float) -> float:
    """Return the length of a side after dragging a handle along it; coordinates as in `Anchor`."""
    if not handle or handle == fixed:
        return length
    return length + 2 * drag / (handle - fixed)


def rotate_between(frame: Frame, start: Point, point: Point, *, steps: bool, fixed: Anchor) -> Frame:
    """Rotate by the angle between two points about a fixed point, in steps or snapping near quarter turns."""
    x, y = frame.point(fixed)
    degrees = math.degrees(math.atan2(point[1] - y, point[0] - x) - math.atan2(start[1] - y, start[0] - x))
    angle = frame.rotation + degrees
    if steps:
        angle = round(angle / ROTATION_STEP) * ROTATION_STEP
    elif abs(angle - round(angle / 90) * 90) < ROTATION_SNAP and degrees:
        angle = round(angle / 90) * 90
    return frame.rotated(angle, fixed)


def snap(frame: Frame, drag: Point, others: Sequence[Rect], reach: float) -> tuple[Point, Guides]:
    """Return the displacement, in whole pixels, of a frame that snaps to other rectangles' edges and centers.

    Args:
        frame: at the start of the drag.
        drag: displacement in canvas pixels.
        others: the canvas and the bounding boxes of other layers.
        reach: snapping distance in canvas pixels; 0 = no snapping.
    """
    free = round(drag[0]), round(drag[1])
    if reach <= 0:
        return free, Guides()
    box = frame.box.translated(*free)
    x, xs = _nearest((box.left, (box.left + box.right) / 2, box.right), _lines(others, across=True), reach)
    y, ys = _nearest((box.top, (box.top + box.bottom) / 2, box.bottom), _lines(others, across=False), reach)
    return (free[0] + round(x), free[1] + round(y)), Guides(xs, ys)


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
