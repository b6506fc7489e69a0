# SPDX-License-Identifier: GPL-3.0-or-later
"""Sliders: photographic adjustments of a color map, independent of the image that the map was predicted for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from s2am_common.sliders import SLIDERS, check_sliders
from s2am_engine.color.map import ColorMap, Curves, Matrix
from s2am_engine.color.srgb import LUMA
from s2am_engine.types import Doubles

_LUMA = np.array(LUMA)
_KNOTS = 129  # of the tone curve: the error of linear interpolation is then at most 0.1/255
_BRIGHTNESS_SLOPE = 2.5  # slope at black for +1; a little more than one stop at mid gray
_CONTRAST_SLOPE = 2.0  # slope at mid gray for +1
_WARMTH_GAIN = 0.2  # at ±1, red and blue change by e^±0.2: from daylight about half way to incandescent light
_TINT_GAIN = 0.12  # at ±1, green changes by e^∓0.24 relative to red and blue


@dataclass(frozen=True)
class Sliders:
    """Slider values: `strength`, `color` and `tone` from 0 to 1, the others from -1 to 1 with 0 for no change.

    strength: share of the harmonizing map that is applied.
    color: share of the map's change of chroma (the color differences R - Y, G - Y, B - Y) that is applied.
    tone: share of its change of the luma Y that is applied.
    brightness: toward white (+) or black (-); both points stay.
    contrast: steeper (+) or flatter (-) around mid gray; black and white stay.
    warmth: amber (+) or blue (-); the luma of grays stays.
    tint: magenta (+) or green (-); the luma of grays stays.
    saturation: twice (+1) or no (-1) distance from gray.

    Ranges and defaults are those of `s2am_common.sliders.SLIDERS`. Raises ValueError, naming the slider and its range,
    for a value outside.
    """

    strength: float = SLIDERS["strength"].default
    color: float = SLIDERS["color"].default
    tone: float = SLIDERS["tone"].default
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
    """Return the map at the given strengths, followed by at most one matrix and one curve for all other sliders.

    Neutral sliders add nothing; a matrix that follows a matrix is multiplied into it. The order is warmth, tint and
    saturation, then brightness, then contrast.
    """
    result = color_map.separated(sliders.color, sliders.tone).blend(sliders.strength)
    if sliders.warmth or sliders.tint or sliders.saturation:
        result = result.then(_balance(sliders))
    if sliders.brightness or sliders.contrast:
        result = result.then(_tone(sliders))
    return result


def _balance(sliders: Sliders) -> Matrix:
    """Return warmth and tint as channel gains (a white balance) and saturation about the luma, as one matrix."""
    warm, magenta = _WARMTH_GAIN * sliders.warmth, _TINT_GAIN * sliders.tint
    gains = np.exp([warm + magenta, -magenta, magenta - warm])
    saturation = 1 + sliders.saturation
    mixing = saturation * np.eye(3) + (1 - saturation) * _LUMA
    return Matrix(np.column_stack([mixing * (gains / (_LUMA @ gains)), np.zeros(3)]).astype(np.float32))


def _tone(sliders: Sliders) -> Curves:
    """Return brightness followed by contrast as one curve through black and white, the same for all channels."""
    x = _bias(np.linspace(0, 1, _KNOTS), _BRIGHTNESS_SLOPE**sliders.brightness)
    halves = _bias(1 - np.abs(2 * x - 1), _CONTRAST_SLOPE**-sliders.contrast)
    curve = np.where(x < 0.5, halves, 2 - halves) / 2
    return Curves(np.tile(curve, (3, 1)).astype(np.float32))


def _bias(x: Doubles, slope: float) -> Doubles:
    """Evaluate the hyperbola through (0, 0) and (1, 1) with `slope` at 0 and 1/slope at 1.

    It resembles a gamma curve without its infinite slope at 0.
    """
    return slope * x / (1 + (slope - 1) * x)
