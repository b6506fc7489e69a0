# SPDX-License-Identifier: GPL-3.0-or-later
"""Which part of the picture the engine looks at, and how much smaller."""

from __future__ import annotations

from dataclasses import dataclass

from gi.repository import Gegl

LOOK_SIDE = 1024
"""Pixels a side at most that the engine is shown: it looks at no more than 512 of them."""

_LEAST = 8
"""Pixels a side that a layer should have in what is looked at: of a smaller one only its surroundings are shown."""


@dataclass(frozen=True)
class Window:
    """An area of the picture, in its pixels, and the scale at which it is read."""

    x: int
    y: int
    width: int
    height: int
    scale: float

    @property
    def columns(self) -> int:
        """The width at which it is read."""
        return max(1, int(self.width * self.scale + 1e-6))

    @property
    def rows(self) -> int:
        """The height at which it is read."""
        return max(1, int(self.height * self.scale + 1e-6))

    def within(self, left: int, top: int) -> Gegl.Rectangle:
        """The window as a scaled rectangle in the coordinates of a drawable at (left, top) of the picture."""
        x, y = round((self.x - left) * self.scale), round((self.y - top) * self.scale)
        return Gegl.Rectangle.new(x, y, self.columns, self.rows)


def choose(canvas: tuple[int, int], layer: tuple[int, int, int, int]) -> Window:
    """The whole canvas (width, height), or, where a layer (x, y, width, height) is tiny in it, its surroundings."""
    width, height = canvas
    scale = 1.0  # then a half, a quarter …: the sizes that GEGL keeps
    while max(width, height) * scale > LOOK_SIDE:
        scale /= 2
    left, top, layer_width, layer_height = layer
    if scale == 1 or max(layer_width, layer_height) * scale >= _LEAST:
        return Window(0, 0, width, height, scale)
    near_width, near_height = min(width, LOOK_SIDE), min(height, LOOK_SIDE)
    x = min(max(0, left + layer_width // 2 - near_width // 2), width - near_width)
    y = min(max(0, top + layer_height // 2 - near_height // 2), height - near_height)
    return Window(x, y, near_width, near_height, 1.0)
