# SPDX-License-Identifier: GPL-3.0-or-later
"""Zoom and pan of an image on the screen: plain arithmetic in device pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from s2am_editor.document.geometry import Rect

STEPS = (0.01, 0.02, 0.05, 0.1, 0.167, 0.25, 0.333, 0.5, 0.667, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32)
CRISP = 2.0  # from this scale on, pixels are shown as squares
GRID = 8.0  # from this scale on, a line parts them


@dataclass
class Viewport:
    """A picture of `width` × `height` pixels, seen through a window of `view_width` × `view_height` device pixels.

    The picture's corner lies on a whole device pixel, so that panning moves what is drawn already.
    """

    width: int = 0
    height: int = 0
    view_width: int = 1
    view_height: int = 1
    scale: float = 1.0  # device pixels for each of the picture's
    left: int = 0
    top: int = 0
    fitted: bool = True  # stays fitted when the window's size changes

    def set_picture(self, width: int, height: int) -> None:
        """Show another picture, whole."""
        self.width, self.height = width, height
        self.fit()

    def resize(self, view_width: int, view_height: int) -> None:
        """Take another window size; what was in the middle stays there."""
        middle = self.to_picture(self.view_width / 2, self.view_height / 2)
        self.view_width, self.view_height = max(1, view_width), max(1, view_height)
        if self.fitted:
            self.fit()
        else:
            self._hold(middle, self.view_width / 2, self.view_height / 2)

    def fit(self) -> None:
        """Show all of the picture with a little room around it, no larger than its own pixels."""
        self.fitted = True
        if not (self.width and self.height):
            return
        margin = min(48, self.view_width // 10, self.view_height // 10)
        wide, high = self.view_width - 2 * margin, self.view_height - 2 * margin
        self.scale = max(STEPS[0], min(1.0, wide / self.width, high / self.height))
        self.left = round((self.view_width - self.width * self.scale) / 2)
        self.top = round((self.view_height - self.height * self.scale) / 2)

    def zoom(self, scale: float, x: float | None = None, y: float | None = None) -> None:
        """Zoom about a point on the screen (None: the middle), which stays where it is."""
        x = self.view_width / 2 if x is None else x
        y = self.view_height / 2 if y is None else y
        point = self.to_picture(x, y)
        self.scale = min(max(scale, STEPS[0]), STEPS[-1])
        self.fitted = False
        self._hold(point, x, y)

    def step(self, up: bool) -> float:
        """The next larger or smaller of the usual scales."""
        if up:
            return next((step for step in STEPS if step > self.scale * 1.01), STEPS[-1])
        return next((step for step in reversed(STEPS) if step < self.scale * 0.99), STEPS[0])

    def pan(self, x: int, y: int) -> tuple[int, int]:
        """Move the picture by device pixels, some of it always left in sight; returns how far it went."""
        before = self.left, self.top
        self.left += x
        self.top += y
        self._keep_in_sight()
        moved = self.left - before[0], self.top - before[1]
        if moved != (0, 0):
            self.fitted = False
        return moved

    @property
    def level(self) -> int:
        """The level of the picture's pyramid (each half the size of the one before) that is fine enough."""
        return max(0, min(6, math.floor(math.log2(1 / self.scale) + 1e-6))) if self.scale < 1 else 0

    @property
    def crisp(self) -> bool:
        """Whether pixels are shown as squares."""
        return self.scale >= CRISP

    @property
    def grid(self) -> bool:
        """Whether lines part the pixels."""
        return self.scale >= GRID

    def to_picture(self, x: float, y: float) -> tuple[float, float]:
        """A point of the picture under a device pixel."""
        return (x - self.left) / self.scale, (y - self.top) / self.scale

    def to_view(self, x: float, y: float) -> tuple[float, float]:
        """The device pixel of a point of the picture."""
        return self.left + x * self.scale, self.top + y * self.scale

    def picture_on_view(self) -> Rect:
        """The device pixels that the picture covers."""
        return self.rect_on_view(Rect(0, 0, self.width, self.height))

    def rect_on_view(self, rect: Rect) -> Rect:
        """The device pixels of a part of the picture: neighbors meet without gap or overlap."""
        return Rect(
            self.left + round(rect.left * self.scale),
            self.top + round(rect.top * self.scale),
            self.left + round(rect.right * self.scale),
            self.top + round(rect.bottom * self.scale),
        )

    def part_in_view(self, view: Rect) -> Rect:
        """The picture's pixels that show in a part of the window."""
        left, top = self.to_picture(view.left, view.top)
        right, bottom = self.to_picture(view.right, view.bottom)
        found = Rect(math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom))
        return found.within(Rect(0, 0, self.width, self.height))

    def _hold(self, point: tuple[float, float], x: float, y: float) -> None:
        self.left = round(x - point[0] * self.scale)
        self.top = round(y - point[1] * self.scale)
        self._keep_in_sight()

    def _keep_in_sight(self) -> None:
        for side, edge, view, size in (
            ("left", self.left, self.view_width, self.width),
            ("top", self.top, self.view_height, self.height),
        ):
            room = min(64, view // 4)
            setattr(self, side, max(room - round(size * self.scale), min(edge, view - room)))
