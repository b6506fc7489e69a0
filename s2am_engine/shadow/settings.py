# SPDX-License-Identifier: GPL-3.0-or-later
"""The values that describe a shadow, independent of the size and the position of its foreground."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from s2am_common.shadow_sliders import SHADOW_SLIDERS
from s2am_common.sliders import check_sliders

Color = tuple[float, float, float]
"""Red, green and blue in [0, 1], in the encoding of the background."""

GROUND_DEPTH = 0.15
"""Least depth of a cast shadow across the ground line, as a share of its length: the ground is seen from above."""


@dataclass(frozen=True)
class Shadow:
    """A contact shadow and a cast shadow. Lengths are in heights of the foreground, so a shadow fits any size of it.

    direction: angle in degrees in the image plane at which the shadow falls, clockwise from up: 0 = behind the
        foreground, 90 = to the right, ±180 = toward the viewer, -90 = to the left.
    length: of the cast shadow, 0 to 3; 0 = none.
    softness: growth of the blur with the distance from the ground line, 0 to 1; 0 = sharp everywhere.
    opacity: of the cast shadow, 0 to 1.
    contact: opacity of the contact shadow, 0 to 1.
    tint: share of `color` in the shadow's color, 0 = black to 1.
    ground: height of the ground line above the lowest point of the foreground, -0.5 to 1, at its horizontal center.
    slope: angle of the ground line in degrees, -45 to 45; positive = it falls to the right.
    color: color that is multiplied with the background in a shadow of opacity 1: the ambient light.
    turns: quarter turns of the image, 0 to 3, clockwise, after which the ground is no longer below the foreground, but
        to its left (1), above it (2) or to its right (3); ground and slope refer to the image before.

    Ranges and defaults are those of `s2am_common.shadow_sliders.SHADOW_SLIDERS`. Raises ValueError, naming the slider
    and its range, for a value outside.
    """

    direction: float = SHADOW_SLIDERS["direction"].default
    length: float = SHADOW_SLIDERS["length"].default
    softness: float = SHADOW_SLIDERS["softness"].default
    opacity: float = SHADOW_SLIDERS["opacity"].default
    contact: float = SHADOW_SLIDERS["contact"].default
    tint: float = SHADOW_SLIDERS["tint"].default
    ground: float = SHADOW_SLIDERS["ground"].default
    slope: float = SHADOW_SLIDERS["slope"].default
    color: Color = (0.0, 0.0, 0.0)
    turns: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_sliders(self.values, SHADOW_SLIDERS)
        if len(self.color) != 3 or not all(0 <= value <= 1 for value in self.color):
            raise ValueError(f"color must be three numbers from 0 to 1, not {self.color}")
        if not isinstance(self.turns, int) or self.turns not in range(4):
            raise ValueError(f"turns must be from 0 to 3, not {self.turns}")

    @property
    def values(self) -> dict[str, float]:
        """The values of the sliders by name."""
        return {name: getattr(self, name) for name in SHADOW_SLIDERS}

    @property
    def multiplier(self) -> Color:
        """The color by which the background is multiplied where the shadow's opacity is 1."""
        red, green, blue = self.color
        return self.tint * red, self.tint * green, self.tint * blue

    @property
    def vector(self) -> tuple[float, float]:
        """Position (right, down) of the shadow of the highest point, from its foot on the ground line, in heights.

        The shadow is nowhere flatter than `GROUND_DEPTH` of its length, as the ground is seen from above, not edge-on.
        """
        angle, fall = math.radians(self.direction), math.tan(math.radians(self.slope))
        right, down = self.length * math.sin(angle), -self.length * math.cos(angle)
        across = down - fall * right  # the distance from the ground line
        return right, fall * right + math.copysign(max(abs(across), GROUND_DEPTH * self.length), across)

    def turned(self, turns: int) -> Shadow:
        """Return the shadow in the image after quarter turns, clockwise; negative ones are counterclockwise."""
        if turns % 4 == 0:
            return self
        direction = 180 - (180 - self.direction - 90 * turns) % 360
        return self.replace(direction=direction, turns=(self.turns + turns) % 4)

    def replace(self, **values: Any) -> Shadow:
        """Return a copy with other values. Raises ValueError for a value outside its range."""
        return dataclasses.replace(self, **values)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, see `from_json`."""
        turns = {"turns": self.turns} if self.turns else {}  # versions before know no turns
        return {**self.values, "color": list(self.color), **turns}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Shadow:
        """Return the shadow of JSON values; missing ones keep their defaults.

        Raises:
            ValueError: an unknown name, or a value of another type or outside its range.
        """
        rest = dict(data)
        color, turns = rest.pop("color", (0.0, 0.0, 0.0)), rest.pop("turns", 0)
        try:
            numbers = {name: float(value) for name, value in rest.items()}
            red, green, blue = (float(value) for value in color)
        except TypeError as error:
            raise ValueError(f"a shadow consists of numbers ({error})") from error
        return cls(**check_sliders(numbers, SHADOW_SLIDERS), color=(red, green, blue), turns=turns)
