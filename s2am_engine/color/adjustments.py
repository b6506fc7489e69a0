# SPDX-License-Identifier: GPL-3.0-or-later
"""The sliders: named, photographic changes that act on a color map and never look at the picture again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2am_common.sliders import SLIDERS, check_sliders
from s2am_engine.color.color_map import ColorMap, Curves, Matrix

_LUMA = np.array([0.2126, 0.7152, 0.0722])  # ITU-R BT.709, of gamma-encoded values
_KNOTS = 129  # of the tone curve: its greatest bend is then within 0.1/255
_BRIGHTER = 2.5  # at +1: the slope at black, and one stop and a bit in the middle grays
_STEEPER = 2.0  # at +1: the slope at mid gray
_WARMER = 0.2  # at ±1: red and blue by e^±0.2, about from daylight to half way to a light bulb's color
_PINKER = 0.12  # at ±1: green against red and blue by e^∓0.24


@dataclass(frozen=True)
class Sliders:
    """Slider values: `strength` from 0 to 1, the others from -1 to 1 with 0 for no change.

    strength: share of the harmonizing map that is applied.
    brightness: towards white (+) or black (-); both points stay.
    contrast: steeper (+) or flatter (-) around mid gray; black and white stay.
    warmth: amber (+) or blue (-); the luma of grays stays.
    tint: magenta (+) or green (-); the luma of grays stays.
    saturation: twice (+1) or no (-1) distance from gray.

    Ranges and defaults are those of `s2am_common.sliders.SLIDERS`. Raises ValueError, naming the slider and its range,
    for a value outside.
    """

    strength: float = SLIDERS["strength"].default
    brightness: float = SLIDERS["brightness"].default
    contrast: float = SLIDERS["contrast"].default
    warmth: float = SLIDERS["warmth"].default
    tint: float = SLIDERS["tint"].default
    saturation: float = SLIDERS["saturation"].default

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_sliders(vars(self))

    @classmethod
    def from_values(cls, values: Mapping[str, float]) -> Sliders:
        """Return sliders from values by name; the others keep their defaults.

        Raises ValueError for an unknown name or a value outside its range.
        """
        return cls(**check_sliders(values))

    def replace(self, **values: float) -> Sliders:
        """Return a copy with other values. Raises ValueError for an unknown name or a value outside its range."""
        return dataclasses.replace(self, **check_sliders(values))


def adjust(color_map: ColorMap, sliders: Sliders) -> ColorMap:
    """The harmonizing map at the given strength, then at most one matrix and one curve for all the other sliders.

    A slider at 0 adds nothing at all. After a map that ends with a matrix the new matrix is multiplied into it.
    """
    result = color_map.blend(sliders.strength)
    if sliders.warmth or sliders.tint or sliders.saturation:
        result = result.then(_balance(sliders))
    if sliders.brightness or sliders.contrast:
        result = result.then(_tone(sliders))
    return result


def _balance(sliders: Sliders) -> Matrix:
    """Warmth and tint as gains of the channels, as a white balance has it, and saturation about the luma."""
    warm, pink = _WARMER * sliders.warmth, _PINKER * sliders.tint
    gains = np.exp([warm + pink, -pink, pink - warm])
    saturation = 1 + sliders.saturation
    mixing = saturation * np.eye(3) + (1 - saturation) * _LUMA
    return Matrix(np.column_stack([mixing * (gains / (_LUMA @ gains)), np.zeros(3)]).astype(np.float32))


def _tone(sliders: Sliders) -> Curves:
    """Brightness, then contrast, as one curve through black and white, the same for all channels."""
    x = _bias(np.linspace(0, 1, _KNOTS), _BRIGHTER**sliders.brightness)
    halves = _bias(1 - np.abs(2 * x - 1), _STEEPER**-sliders.contrast)
    curve = np.where(x < 0.5, halves, 2 - halves) / 2
    return Curves(np.tile(curve, (3, 1)).astype(np.float32))


def _bias(x: NDArray[np.floating[Any]], slope: float) -> NDArray[np.floating[Any]]:
    """The hyperbola from (0,0) to (1,1) with `slope` at 0 and 1/slope at 1 (a gamma curve without its steep foot)."""
    return slope * x / (1 + (slope - 1) * x)
