# SPDX-License-Identifier: GPL-3.0-or-later
"""The frame around a layer's visible pixels, and transforms about it.

A layer's transform refers to its whole raster; of a cutout, most of that is transparent. Users see and change the
frame of the subject instead.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from s2am_editor.document.geometry import Point, Transform, bounding_rect
from s2am_editor.document.model import Layer
from s2am_engine.image.rect import Rect

Anchor = tuple[float, float]
"""A point of a frame: (-1, -1) is the upper left corner, (0, 0) the center, (1, 1) the lower right corner."""

CENTER: Anchor = (0.0, 0.0)
MIN_SIDE = 2.0  # minimum length of a side in canvas pixels


@dataclass(frozen=True)
class Frame:
    """A rectangle on the canvas.

    Attributes:
        x: horizontal position of its center, in canvas pixels.
        y: vertical position of its center, in canvas pixels.
        width: before rotation, in canvas pixels.
        height: before rotation, in canvas pixels.
        rotation: about the center, in degrees, clockwise on the screen.
    """

    x: float
    y: float
    width: float
    height: float
    rotation: float = 0.0

    @classmethod
    def of(cls, layer: Layer) -> Frame:
        """Return the frame of a layer's visible pixels."""
        transform, content = layer.transform, layer.content
        offset = _content_offset(layer, transform)
        size = content.width * transform.scale_x, content.height * transform.scale_y
        return cls(transform.x + offset[0], transform.y + offset[1], *size, transform.rotation)

    def point(self, anchor: Anchor, beyond: float = 0.0) -> Point:
        """Return the canvas position of an anchor, or of a point that many canvas pixels beyond it."""
        offset = anchor[0] * self.width / 2, anchor[1] * self.height / 2
        if beyond:
            offset = offset[0] + anchor[0] * beyond, offset[1] + anchor[1] * beyond
        x, y = rotate_vector(offset, self.rotation)
        return self.x + x, self.y + y

    def anchor(self, point: Point) -> Anchor:
        """Return the anchor at a point of the canvas; it can lie outside of the frame."""
        x, y = rotate_vector((point[0] - self.x, point[1] - self.y), -self.rotation)
        return 2 * x / self.width, 2 * y / self.height

    @property
    def corners(self) -> list[Point]:
        """Upper left, upper right, lower right and lower left corner, before rotation."""
        return [self.point(anchor) for anchor in ((-1, -1), (1, -1), (1, 1), (-1, 1))]

    @property
    def box(self) -> Rect:
        """Bounding box on the canvas."""
        return bounding_rect(self.corners)

    def contains(self, point: Point) -> bool:
        """Return True if a point of the canvas lies inside."""
        return all(abs(part) <= 1 for part in self.anchor(point))

    def resized(self, width: float, height: float, fixed: Anchor = CENTER) -> Frame:
        """Return the frame with other sides, at least MIN_SIDE; the anchor `fixed` stays in place."""
        x, y = self.point(fixed)
        result = dataclasses.replace(self, width=max(MIN_SIDE, width), height=max(MIN_SIDE, height))
        moved = result.point(fixed)
        return dataclasses.replace(result, x=result.x + x - moved[0], y=result.y + y - moved[1])

    def rotated(self, rotation: float, fixed: Anchor = CENTER) -> Frame:
        """Return the frame with another rotation, in [-180, 180); the anchor `fixed` stays in place."""
        x, y = self.point(fixed)
        result = dataclasses.replace(self, rotation=(rotation + 180) % 360 - 180)
        moved = result.point(fixed)
        return dataclasses.replace(result, x=result.x + x - moved[0], y=result.y + y - moved[1])


def place_in_frame(layer: Layer, frame: Frame) -> Transform:
    """Return the transform with which a layer's visible pixels fill a frame; flips stay."""
    content = layer.content
    transform = dataclasses.replace(
        layer.transform,
        scale_x=frame.width / content.width,
        scale_y=frame.height / content.height,
        rotation=frame.rotation,
    )
    offset = _content_offset(layer, transform)
    return dataclasses.replace(transform, x=frame.x - offset[0], y=frame.y - offset[1])


def flip(layer: Layer, axis: Literal["x", "y"]) -> Transform:
    """Return the transform that mirrors a layer about its frame's center: "x" swaps left and right."""
    now, frame = layer.transform, Frame.of(layer)
    flipped = (
        dataclasses.replace(now, flip_x=not now.flip_x)
        if axis == "x"
        else dataclasses.replace(now, flip_y=not now.flip_y)
    )
    offset = _content_offset(layer, flipped)
    return dataclasses.replace(flipped, x=frame.x - offset[0], y=frame.y - offset[1])


def untransformed(layer: Layer) -> Transform:
    """Return the transform of a layer in original size and orientation, on whole pixels about its frame's center."""
    frame, (width, height) = Frame.of(layer), layer.size
    offset = _content_offset(layer, Transform(0, 0))
    left, top = frame.x - offset[0] - width / 2, frame.y - offset[1] - height / 2
    return Transform.at(round(left), round(top), layer.size)


def rotate_vector(point: Point, degrees: float) -> Point:
    """Rotate a vector clockwise on the screen."""
    if not degrees:
        return point
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return point[0] * cosine - point[1] * sine, point[0] * sine + point[1] * cosine


def _content_offset(layer: Layer, transform: Transform) -> Point:
    """Return the vector from the layer's center to that of its visible pixels, on the canvas."""
    content, (width, height) = layer.content, layer.size
    middle = np.array([(content.left + content.right - width) / 2, (content.top + content.bottom - height) / 2])
    x, y = transform.matrix(layer.size)[:, :2] @ middle
    return float(x), float(y)
