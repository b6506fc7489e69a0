# SPDX-License-Identifier: GPL-3.0-or-later
"""The sliders: named, photographic changes that act on a color map and never look at the picture again."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2am_engine.color.color_map import ColorMap, Curves, Matrix

_LUMA = np.array([0.2126, 0.7152, 0.0722])  # ITU-R BT.709, of gamma-encoded values
_KNOTS = 129  # of the tone curve: its greatest bend is then within 0.1/255
_BRIGHTER = 2.5  # at +1: the slope at black, and one stop and a bit in the middle grays
_STEEPER = 2.0  # at +1: the slope at mid gray
_WARMER = 0.2  # at ±1: red and blue by e^±0.2, about from daylight to half way to a light bulb's color
_PINKER = 0.12  # at ±1: green against red and blue by e^∓0.24


@dataclass(frozen=True)
class Adjustments:
    """What the sliders say: `strength` of the harmonizing map from 0 to 1, the others from -1 to 1 with 0 for nothing.

    Raises ValueError, naming the field and its range, for anything else.
    """

    strength: float = 1.0
    brightness: float = 0.0  # towards white (+) or black (-); both points stay
    contrast: float = 0.0  # steeper (+) or flatter (-) around mid gray; black and white stay
    warmth: float = 0.0  # amber (+) or blue (-); the luma of grays stays
    tint: float = 0.0  # magenta (+) or green (-); the luma of grays stays
    saturation: float = 0.0  # twice (+1) or no (-1) distance from gray

    def __post_init__(self) -> None:
        """Take fields in their ranges, or raise ValueError."""
        for field in fields(self):
            lowest = 0 if field.name == "strength" else -1
            value = getattr(self, field.name)
            if not lowest <= value <= 1:
                raise ValueError(f"{field.name} must be from {lowest} to 1, not {value}")

    @property
    def is_neutral(self) -> bool:
        """Whether the harmonizing map stays exactly as it is."""
        return self == Adjustments()


def adjust(color_map: ColorMap, adjustments: Adjustments) -> ColorMap:
    """The harmonizing map at the given strength, then at most one matrix and one curve for all the other sliders.

    A slider at 0 adds nothing at all. After a map that ends with a matrix the new matrix is multiplied into it.
    """
    result = color_map.blend(adjustments.strength)
    if adjustments.warmth or adjustments.tint or adjustments.saturation:
        result = result.then(_balance(adjustments))
    if adjustments.brightness or adjustments.contrast:
        result = result.then(_tone(adjustments))
    return result


def _balance(adjustments: Adjustments) -> Matrix:
    """Warmth and tint as gains of the channels, as a white balance has it, and saturation about the luma."""
    warm, pink = _WARMER * adjustments.warmth, _PINKER * adjustments.tint
    gains = np.exp([warm + pink, -pink, pink - warm])
    saturation = 1 + adjustments.saturation
    mixing = saturation * np.eye(3) + (1 - saturation) * _LUMA
    return Matrix(np.column_stack([mixing * (gains / (_LUMA @ gains)), np.zeros(3)]).astype(np.float32))


def _tone(adjustments: Adjustments) -> Curves:
    """Brightness, then contrast, as one curve through black and white, the same for all channels."""
    x = _bias(np.linspace(0, 1, _KNOTS), _BRIGHTER**adjustments.brightness)
    halves = _bias(1 - np.abs(2 * x - 1), _STEEPER**-adjustments.contrast)
    curve = np.where(x < 0.5, halves, 2 - halves) / 2
    return Curves(np.tile(curve, (3, 1)).astype(np.float32))


def _bias(x: NDArray[np.floating[Any]], slope: float) -> NDArray[np.floating[Any]]:
    """The hyperbola from (0,0) to (1,1) with `slope` at 0 and 1/slope at 1 (a gamma curve without its steep foot)."""
    return slope * x / (1 + (slope - 1) * x)
