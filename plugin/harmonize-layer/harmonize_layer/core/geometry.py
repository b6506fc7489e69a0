# SPDX-License-Identifier: GPL-3.0-or-later
"""Areas of images: the window that the engine gets, and the crop that the preview shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

INPUT_SIDE = 1024
"""Largest side of the reduced composite; the network input is smaller still."""

_MIN_LAYER_SIDE = 8
"""Minimum size of a layer in the reduced composite; a smaller one is shown at full size with its surroundings."""

PREVIEW_SHAPE = (372, 300)
"""Width and height of the part that the preview shows at first, up to a factor."""

_SCALES = (0.1, 32.0)
"""Smallest and largest scale of the preview."""

_FITTED_SCALE = 8.0
"""Largest scale of a foreground that is fitted to the preview."""

_PREVIEW_MARGIN = 0.3  # of the foreground's longer side


@dataclass(frozen=True)
class PixelArea:
    """A rectangle."""

    x: int
    y: int
    width: int
    height: int

    def within(self, canvas: tuple[int, int]) -> PixelArea:
        """Return the part that lies on a canvas (width, height); its sizes are 0 where none does."""
        left, top = min(max(0, self.x), canvas[0]), min(max(0, self.y), canvas[1])
        right, bottom = min(self.x + self.width, canvas[0]), min(self.y + self.height, canvas[1])
        return PixelArea(left, top, max(0, right - left), max(0, bottom - top))


@dataclass(frozen=True)
class Window:
    """An area of the image, in its pixels, and the scale at which it is read."""

    area: PixelArea
    scale: float

    @property
    def columns(self) -> int:
        """Width at this scale."""
        return max(1, int(self.area.width * self.scale + 1e-6))

    @property
    def rows(self) -> int:
        """Height at this scale."""
        return max(1, int(self.area.height * self.scale + 1e-6))

    def relative_to(self, position: tuple[int, int]) -> PixelArea:
        """Return the scaled area in the coordinates of a drawable at a position of the image."""
        x, y = round((self.area.x - position[0]) * self.scale), round((self.area.y - position[1]) * self.scale)
        return PixelArea(x, y, self.columns, self.rows)


def crop_plane(plane: bytes, window: Window, wanted: Window) -> bytes:
    """Return the part of a window's plane that another window of the same scale covers; outside it is 0."""
    columns, scale = window.columns, window.scale
    left = round((wanted.area.x - window.area.x) * scale)
    top = round((wanted.area.y - window.area.y) * scale)
    start, end = max(0, left), min(columns, left + wanted.columns)
    empty = bytes(wanted.columns)
    if end <= start:
        return empty * wanted.rows
    before, after = bytes(start - left), bytes(left + wanted.columns - end)
    lines = (
        before + plane[columns * row + start : columns * row + end] + after if 0 <= row < window.rows else empty
        for row in range(top, top + wanted.rows)
    )
    return b"".join(lines)


def reduced_scale(size: tuple[int, int]) -> float:
    """Return the scale at which a width and height are read: 1, 1/2, 1/4 …, the sizes that GEGL caches."""
    scale = 1.0
    while max(size) * scale > INPUT_SIDE:
        scale /= 2
    return scale


def choose_window(canvas: tuple[int, int], layer: PixelArea) -> Window:
    """Return the whole canvas (width, height), or the surroundings of a layer that would be tiny in it."""
    width, height = canvas
    scale = reduced_scale(canvas)
    if scale == 1 or max(layer.width, layer.height) * scale >= _MIN_LAYER_SIDE:
        return Window(PixelArea(0, 0, width, height), scale)
    near_width, near_height = min(width, INPUT_SIDE), min(height, INPUT_SIDE)
    x = min(max(0, layer.x + layer.width // 2 - near_width // 2), width - near_width)
    y = min(max(0, layer.y + layer.height // 2 - near_height // 2), height - near_height)
    return Window(PixelArea(x, y, near_width, near_height), 1.0)


def preview_crop(window: Window, mask: bytes) -> PixelArea:
    """Return the part of a reduced composite that the preview shows: the foreground with a margin.

    Args:
        window: the composite's window.
        mask: a plane of its size.
    """
    columns, rows = window.columns, window.rows
    lines = [mask[columns * row : columns * (row + 1)] for row in range(rows)]
    filled = [row for row, line in enumerate(lines) if any(line)]
    if not filled:
        return PixelArea(0, 0, columns, rows)
    left = min(columns - len(lines[row].lstrip(b"\0")) for row in filled)
    right = max(len(lines[row].rstrip(b"\0")) for row in filled)
    top, bottom = filled[0], filled[-1] + 1
    margin = 2 * max(4, int(_PREVIEW_MARGIN * max(right - left, bottom - top)))
    # Use the preview's shape where the image allows, and less margin at the image's edges.
    shape_width, shape_height = PREVIEW_SHAPE
    width, height = right - left + margin, bottom - top + margin
    width, height = max(width, height * shape_width // shape_height), max(height, width * shape_height // shape_width)
    width = min(width, columns, max(right - left, min(height, rows) * shape_width // shape_height))
    height = min(height, rows, max(bottom - top, width * shape_height // shape_width))
    x, y = _centered(left, right, width, columns), _centered(top, bottom, height, rows)
    return PixelArea(x, y, width, height)


@dataclass(frozen=True)
class View:
    """The point of an image in the middle of a widget, in its pixels, and the scale at which it is shown."""

    x: float
    y: float
    scale: float


def fit_view(crop: PixelArea, size: tuple[int, int]) -> View:
    """Return the view that shows a part of an image as large as possible in a widget of a width and height."""
    scale = min(size[0] / crop.width, size[1] / crop.height, _FITTED_SCALE)
    return View(crop.x + crop.width / 2, crop.y + crop.height / 2, scale)


def zoomed(view: View, factor: float, at: tuple[float, float]) -> View:
    """Return a view with another scale that shows the same at a position relative to the middle."""
    scale = min(max(view.scale * factor, _SCALES[0]), _SCALES[1])
    shift = 1 / view.scale - 1 / scale
    return View(view.x + at[0] * shift, view.y + at[1] * shift, scale)


def panned(view: View, right: float, down: float) -> View:
    """Return a view after its image was dragged."""
    return View(view.x - right / view.scale, view.y - down / view.scale, view.scale)


def true_pixels(view: View, window: Window) -> View:
    """Return a view of a window's composite that shows each pixel of the image as one pixel."""
    return View(view.x, view.y, 1 / window.scale)


def detail_window(window: Window, view: View, size: tuple[int, int]) -> Window | None:
    """Return the part of the image that a view shows, at the scale at which it is shown.

    Args:
        window: that of the composite.
        view: of the composite.
        size: width and height of the widget.

    Returns:
        The part, with its edges at whole pixels of its scale; None if the composite itself has enough pixels.
    """
    scale = window.scale
    while scale < min(1.0, window.scale * view.scale):
        scale *= 2  # the sizes that GEGL caches
    if scale == window.scale:
        return None
    step, area = round(1 / scale), window.area
    left, right = _interval(view.x, size[0] / view.scale, window.scale, step, area.width)
    top, bottom = _interval(view.y, size[1] / view.scale, window.scale, step, area.height)
    if right <= left or bottom <= top:
        return None
    return Window(PixelArea(area.x + left, area.y + top, right - left, bottom - top), scale)


def view_of_detail(view: View, window: Window, detail: Window) -> View:
    """Return the view of a detail that shows the same as a view of the composite."""
    ratio = window.scale / detail.scale
    x, y = (detail.area.x - window.area.x) * window.scale, (detail.area.y - window.area.y) * window.scale
    return View((view.x - x) / ratio, (view.y - y) / ratio, view.scale * ratio)


def _interval(middle: float, length: float, scale: float, step: int, limit: int) -> tuple[int, int]:
    """Return an interval of a composite in pixels of the image, widened to multiples of `step`, within 0 … limit."""
    start, end = (middle - length / 2) / scale, (middle + length / 2) / scale
    return max(0, math.floor(start / step) * step), min(limit, math.ceil(end / step) * step)


def _centered(start: int, end: int, length: int, limit: int) -> int:
    """Return the start of an interval of a length around another, moved into 0 … limit."""
    return min(max(0, (start + end - length) // 2), limit - length)
