# SPDX-License-Identifier: GPL-3.0-or-later
"""Zoom and pan of an image on the screen: plain arithmetic in device pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from s2am_engine.image.rect import Rect

ZOOM_STEPS = (0.01, 0.02, 0.05, 0.1, 0.167, 0.25, 0.333, 0.5, 0.667, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32)
CRISP_ZOOM = 2.0  # from this scale on, pixels are shown as squares
GRID_ZOOM = 8.0  # from this scale on, lines separate the pixels


@dataclass
class Viewport:
    """An image of `width` × `height` pixels in a view of `view_width` × `view_height` device pixels.

    The image's corner lies on a whole device pixel, so panning only moves painted pixels.
    """

    width: int = 0
    height: int = 0
    view_width: int = 1
    view_height: int = 1
    scale: float = 1.0  # device pixels per image pixel
    left: int = 0
    top: int = 0
    fitted: bool = True  # stay fitted when the view is resized

    def set_image(self, width: int, height: int) -> None:
        """Fit another image into the view."""
        self.width, self.height = width, height
        self.fit()

    def resize(self, view_width: int, view_height: int) -> None:
        """Change the view's size and keep the point at its center."""
        middle = self.to_image(self.view_width / 2, self.view_height / 2)
        self.view_width, self.view_height = max(1, view_width), max(1, view_height)
        if self.fitted:
            self.fit()
        else:
            self._hold(middle, self.view_width / 2, self.view_height / 2)

    def fit(self) -> None:
        """Show the whole image with a margin, at most at 100%."""
        self.fitted = True
        if not (self.width and self.height):
            return
        margin = min(48, self.view_width // 10, self.view_height // 10)
        wide, high = self.view_width - 2 * margin, self.view_height - 2 * margin
        self.scale = max(ZOOM_STEPS[0], min(1.0, wide / self.width, high / self.height))
        self.left = round((self.view_width - self.width * self.scale) / 2)
        self.top = round((self.view_height - self.height * self.scale) / 2)

    def zoom(self, scale: float, x: float | None = None, y: float | None = None) -> None:
        """Zoom about a point of the view (None: its center), which stays in place."""
        x = self.view_width / 2 if x is None else x
        y = self.view_height / 2 if y is None else y
        point = self.to_image(x, y)
        self.scale = min(max(scale, ZOOM_STEPS[0]), ZOOM_STEPS[-1])
        self.fitted = False
        self._hold(point, x, y)

    def step(self, up: bool) -> float:
        """Return the next larger or smaller of the usual scales."""
        if up:
            return next((step for step in ZOOM_STEPS if step > self.scale * 1.01), ZOOM_STEPS[-1])
        return next((step for step in reversed(ZOOM_STEPS) if step < self.scale * 0.99), ZOOM_STEPS[0])

    def pan(self, x: int, y: int) -> tuple[int, int]:
        """Move the image by device pixels, keeping some of it visible. Return the distance moved."""
        before = self.left, self.top
        self.left += x
        self.top += y
        self._keep_visible()
        moved = self.left - before[0], self.top - before[1]
        if moved != (0, 0):
            self.fitted = False
        return moved

    @property
    def level(self) -> int:
        """The coarsest pyramid level (each half the size of the previous one) with enough detail for this scale."""
        return max(0, min(6, math.floor(math.log2(1 / self.scale) + 1e-6))) if self.scale < 1 else 0

    @property
    def crisp(self) -> bool:
        """True if pixels are shown as squares."""
        return self.scale >= CRISP_ZOOM

    @property
    def grid(self) -> bool:
        """True if lines separate the pixels."""
        return self.scale >= GRID_ZOOM

    def to_image(self, x: float, y: float) -> tuple[float, float]:
        """Return the image point at a device pixel."""
        return (x - self.left) / self.scale, (y - self.top) / self.scale

    def to_view(self, x: float, y: float) -> tuple[float, float]:
        """Return the device pixel of an image point."""
        return self.left + x * self.scale, self.top + y * self.scale

    def rect_on_view(self, rect: Rect) -> Rect:
        """Return the device pixels of a part of the image; neighboring parts meet without gap or overlap."""
        return Rect(
            self.left + round(rect.left * self.scale),
            self.top + round(rect.top * self.scale),
            self.left + round(rect.right * self.scale),
            self.top + round(rect.bottom * self.scale),
        )

    def part_in_view(self, view: Rect) -> Rect:
        """Return the image pixels that are visible in a part of the view."""
        left, top = self.to_image(view.left, view.top)
        right, bottom = self.to_image(view.right, view.bottom)
        found = Rect(math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom))
        return found.intersection(Rect(0, 0, self.width, self.height))

    def _hold(self, point: tuple[float, float], x: float, y: float) -> None:
        self.left = round(x - point[0] * self.scale)
        self.top = round(y - point[1] * self.scale)
        self._keep_visible()

    def _keep_visible(self) -> None:
        for side, edge, view, size in (
            ("left", self.left, self.view_width, self.width),
            ("top", self.top, self.view_height, self.height),
        ):
            margin = min(64, view // 4)
            setattr(self, side, max(margin - round(size * self.scale), min(edge, view - margin)))
