# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulation of Lightroom's color settings as a look-up table.

Adobe does not publish the formulas. The simulation has the direction and about the size of each setting, and keeps what
matters for training: which settings retouchers combine. Local settings (clarity, texture, noise) are left out.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from s2am_engine.color.srgb import LUMA, linear_to_srgb, srgb_to_linear
from s2am_engine.types import Floats

HUES = {"Red": 0, "Orange": 30, "Yellow": 60, "Green": 120, "Aqua": 180, "Blue": 240, "Purple": 275, "Magenta": 310}
"""Centers of the eight ranges of hues, in degrees."""
HUE_TURN = 30.0  # degrees at 100
TINT = 0.12  # of a fully saturated split tone
CURVES = ("ToneCurvePV2012Red", "ToneCurvePV2012Green", "ToneCurvePV2012Blue")

LUMA_WEIGHTS = np.array(LUMA, np.float32)

PresetSettings = Mapping[str, str]


def preset_table(settings: PresetSettings, side: int) -> Floats:
    """Return the look-up table of a preset.

    Args:
        settings: Lightroom's names (`Exposure2012`, `SaturationAdjustmentRed` …) and values; missing or empty ones are
            neutral.
        side: nodes per axis.

    Returns:
        (side, side, side, 3) float32 sRGB in [0, 1], indexed [red, green, blue].

    Raises:
        ValueError: a value is not a number, or a curve not a list of points.
    """
    axis = np.linspace(0, 1, side, dtype=np.float32)
    colors = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    linear = srgb_to_linear(colors) * np.float32(2.0 ** number(settings, "Exposure2012"))
    colors = linear_to_srgb(compress_highlights(linear))
    colors = apply_tones(colors, settings)
    colors = change_hues(colors, settings)
    colors = change_saturation(colors, settings)
    colors = tint(colors, settings)
    return colors.clip(0, 1).astype(np.float32).reshape(side, side, side, 3)


def number(settings: PresetSettings, name: str) -> float:
    """Return a setting as a number; 0 if it is missing or empty."""
    return float(settings.get(name) or 0)


def compress_highlights(linear: Floats, start: float = 0.7) -> Floats:
    """Compress light above `start` to at most 1."""
    room = 1 - start
    rolled: Floats = np.where(linear > start, start + room * np.tanh((linear - start) / room), linear)
    return rolled


def apply_tones(colors: Floats, settings: PresetSettings) -> Floats:
    """Apply contrast, highlights, shadows, whites, blacks, parametric and point curves to (N, 3) sRGB values."""
    amount = {name: number(settings, name) / 100 for name in TONE_SETTINGS}
    x = colors.clip(0, 1)
    shift = sum(
        (amount[name] * size * shape(x) for name, (size, shape) in TONE_SETTINGS.items()), start=np.zeros_like(x)
    )
    out = (x + shift).clip(0, 1)
    out = curve(settings.get("ToneCurvePV2012"), out)
    each = [curve(settings.get(name), out[:, channel]) for channel, name in enumerate(CURVES)]
    return np.stack(each, axis=1).astype(np.float32)


def _bump(center: float, width: float, x: Floats) -> Floats:
    """Return a smooth bump that vanishes at black and white."""
    bump: Floats = np.exp(-(((x - center) / width) ** 2)) * 4 * x * (1 - x)
    return bump


ToneShape = Callable[[Floats], Floats]

TONE_SETTINGS: dict[str, tuple[float, ToneShape]] = {
    "Contrast2012": (0.15, lambda x: -np.sin(2 * np.pi * x) * 0.9),
    "Highlights2012": (0.15, lambda x: _bump(0.75, 0.25, x)),
    "Shadows2012": (0.15, lambda x: _bump(0.25, 0.25, x)),
    "Whites2012": (0.12, lambda x: x**3),
    "Blacks2012": (0.12, lambda x: (1 - x) ** 3),
    "ParametricShadows": (0.12, lambda x: _bump(0.15, 0.2, x)),
    "ParametricDarks": (0.12, lambda x: _bump(0.35, 0.2, x)),
    "ParametricLights": (0.12, lambda x: _bump(0.65, 0.2, x)),
    "ParametricHighlights": (0.12, lambda x: _bump(0.85, 0.2, x)),
}
"""Size of the change of tones at 100, and its form over the image values."""


def curve(points: str | None, values: Floats) -> Floats:
    """Apply a curve "0,20;64,55;…" of points in 0 to 255 to values in [0, 1]; none or empty = unchanged."""
    if not points:
        return values
    pairs = [point.split(",") for point in points.split(";")]
    at, shown = (np.array([float(pair[k]) / 255 for pair in pairs]) for k in range(2))
    return np.interp(values, at, shown).astype(np.float32)


def change_hues(colors: Floats, settings: PresetSettings) -> Floats:
    """Change hue, saturation and lightness of the eight ranges of hues of (N, 3) sRGB values."""
    low, high = colors.min(axis=1), colors.max(axis=1)
    chroma = high - low
    red, green, blue = colors.T
    angle = np.degrees(np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue)) % 360
    turn, saturate, lighten = (np.zeros_like(low) for _ in range(3))
    for name, near in hue_weights(angle).items():
        turn += near * number(settings, f"HueAdjustment{name}") / 100 * HUE_TURN
        saturate += near * number(settings, f"SaturationAdjustment{name}") / 100
        lighten += near * number(settings, f"LuminanceAdjustment{name}") / 100
    luma = colors @ LUMA_WEIGHTS
    difference = rotate(colors - luma[:, None], np.radians(turn)) * (1 + saturate)[:, None]
    return (luma + 0.3 * lighten * chroma)[:, None] + difference


def hue_weights(angle: Floats) -> dict[str, Floats]:
    """Return the weights, summing to 1, of the two nearest ranges of hues for angles in degrees."""
    names = list(HUES)
    centers = np.array([*HUES.values(), 360.0])
    return {
        name: np.interp(angle, centers, np.eye(len(names), dtype=np.float32)[index][[*range(len(names)), 0]])
        for index, name in enumerate(names)
    }


def rotate(difference: Floats, angle: Floats) -> Floats:
    """Rotate color differences (N, 3) about the gray axis by (N) radians (Rodrigues' formula)."""
    turned = (np.roll(difference, 1, axis=1) - np.roll(difference, -1, axis=1)) / np.sqrt(3)
    along = difference.mean(axis=1, keepdims=True)
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return np.asarray(difference * cosine + turned * sine + along * (1 - cosine), np.float32)


def change_saturation(colors: Floats, settings: PresetSettings) -> Floats:
    """Apply saturation, and vibrance, which spares saturated colors."""
    luma = (colors @ LUMA_WEIGHTS)[:, None]
    chroma = (colors.max(axis=1) - colors.min(axis=1))[:, None]
    vibrance = number(settings, "Vibrance") / 100 * (1 - chroma.clip(0, 1))
    factor = (1 + number(settings, "Saturation") / 100) * (1 + 0.7 * vibrance)
    return luma + (colors - luma) * factor


def tint(colors: Floats, settings: PresetSettings) -> Floats:
    """Tint shadows, midtones and highlights (split toning and color grading)."""
    luma = (colors @ LUMA_WEIGHTS)[:, None].clip(0, 1)
    places = {"Shadow": (1 - luma) ** 2, "Midtone": 4 * luma * (1 - luma), "Highlight": luma**2}
    out = colors
    for place, near in places.items():
        for hue, saturation in (
            (f"ColorGrade{place}Hue", f"ColorGrade{place}Sat"),
            (f"SplitToning{place}Hue", f"SplitToning{place}Saturation"),
        ):
            amount = number(settings, saturation) / 100
            color: NDArray[np.float64] = np.array(colorsys.hsv_to_rgb(number(settings, hue) / 360 % 1, 1, 1))
            out = out + TINT * amount * near * (color - color @ LUMA_WEIGHTS).astype(np.float32)
    return out
