# SPDX-License-Identifier: GPL-3.0-or-later
"""Automatic values of a shadow: the direction of the light, the ambient color, and the ground line."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from s2am_common.errors import ImageError
from s2am_engine.color.srgb import LUMA, linear_to_srgb, srgb_to_linear
from s2am_engine.image.arrays import SAMPLED_SIDE, subsample, to_unit
from s2am_engine.shadow.layer import Silhouette
from s2am_engine.shadow.projection import OUTLINE, Foreground, lower_edge
from s2am_engine.shadow.settings import Color, Shadow
from s2am_engine.types import Bytes, Doubles, Floats, Mask, Pixels

Evidence = Literal["light-source", "brighter-side", "none"]
"""Evidence for the direction of a shadow."""

_SIDE = 96  # pixels: light is estimated on a small copy
_OUTLINE_SIDE = 512  # pixels: the ground line is estimated on a small copy
_DARKEST = 0.004  # linear light below which noise decides

_SOURCE_BRIGHTNESS = 0.9  # encoded value that a light source has at least
_SOURCE_AREA = 0.06  # share of the background that it covers at most
_SOURCE_CONTRAST = 3.0  # its linear light in relation to the median, at least
_SOURCE_SPREAD = 0.12  # its standard deviation, in the longer side of the image, at most

_BANDS = 6  # horizontal bands, which have the same brighter side if light comes from there
_AGREEING = 5
_LEAST_STOPS = 0.5  # change of brightness from side to side

_WIDEST_FEET = 0.4  # share of the foreground's width; on 30 composites: 0.22 and 0.31 of feet, 0.5 to 1 of bodies
_STEEPEST = 20.0  # degrees: steeper lines between lowest points are no ground lines
_AMBIENT_LIGHT = 0.03  # luminance of the shadow's color
_AMBIENT_CHROMA = 0.6  # exponent: surfaces are more colorful than the light that they reflect on average

# Values of the shadow for each kind of evidence. From the side, shadows fall slightly toward the viewer, where there is
# ground in any photograph.
_FROM_SOURCE = Shadow(length=0.8, softness=0.35, opacity=0.5)
_FROM_SIDE = Shadow(direction=105, length=0.5, softness=0.5, opacity=0.4)
_FROM_ABOVE = Shadow(length=0, contact=0.8)
_NONE = Shadow(length=0, contact=0)


@dataclass(frozen=True)
class ShadowEstimate:
    """Automatic values of a shadow.

    shadow: the values.
    evidence: what in the background its direction was estimated from; `none` = the light is assumed to come from above.
    notes: what should be known about it, one sentence each; the first one is about the direction.
    """

    shadow: Shadow
    evidence: Evidence
    notes: tuple[str, ...]

    def with_values(self, values: Mapping[str, float]) -> ShadowEstimate:
        """Return the estimate with given values of sliders instead of automatic ones.

        With a given direction, the notes about the automatic one are left out, and a cast shadow of automatic length 0
        gets a length. Raises ValueError for a value outside its range.
        """
        given = dict(values)
        notes = self.notes
        if "direction" in given:
            notes = notes[1:]
            if self.shadow.length == 0:
                given = {"length": _FROM_SIDE.length, **given}
        return ShadowEstimate(self.shadow.replace(**given), self.evidence, notes)


def estimate_shadow(background: Pixels, silhouette: Silhouette, visible: Mask | None = None) -> ShadowEstimate:
    """Estimate the shadow that a foreground would cast on its background.

    A visible light source, such as a low sun, determines the direction; else the side on which the background is
    brighter at all heights; else the light is assumed to come from above. The ground line passes through the lowest
    points of the foreground on both sides of its center. A foreground such as a sky, from the left to the right border
    and up to the upper one, casts no shadow, nor does one that the lower border cuts off: its ground is not visible.

    Args:
        background: H×W×3, uint8, uint16 or float32, encoded (sRGB or similar).
        silhouette: the foreground.
        visible: H×W, any depth; pixels where it is 0 do not belong to the background. None = all do.

    Raises:
        ImageError: nothing of the foreground is opaque.
    """
    foreground = Foreground.of(silhouette)
    if foreground is None:
        raise ImageError("The foreground is transparent everywhere.", code="image.transparent")
    height, width = background.shape[:2]
    ground, slope = _ground(foreground)
    colors, weights = _reduced(background, visible)
    luminance = np.asarray(colors @ np.array(LUMA, np.float32), np.float32)
    box = foreground.box
    foot = ((box.left + box.right) / 2 / width, (box.bottom - ground * box.height) / height)
    evidence: Evidence = "none"
    shadow, note = (
        _FROM_ABOVE,
        "The background shows no direction of light: light from above casts only a contact shadow.",
    )
    cut_off = _is_cut_off(foreground, height)
    if box.left <= 0 and box.top <= 0 and box.right >= width and box.bottom < height:
        shadow, note = _NONE, "The foreground covers the image above, as a sky does: it casts no shadow."
    elif cut_off:
        shadow, note = _NONE, "The lower border cuts off the foreground above the ground: it casts no visible shadow."
    elif (source := _light_source(luminance, weights)) and source[1] < foot[1]:
        right, down = (foot[0] - source[0]) * width, (foot[1] - source[1]) * height
        shadow = _FROM_SOURCE.replace(direction=math.degrees(math.atan2(right, -down)))
        evidence, note = "light-source", "The shadow falls away from the light source in the background."
    elif side := _brighter_side(luminance, weights):
        shadow = _FROM_SIDE.replace(direction=-side * _FROM_SIDE.direction)
        name = "right" if side > 0 else "left"
        evidence, note = "brighter-side", f"The shadow falls away from the {name}, where the background is brighter."
    notes = [note]
    if box.bottom >= height and not cut_off:
        notes.append("The foreground reaches the lower border, so it casts no contact shadow there.")
    shadow = shadow.replace(ground=ground, slope=slope, color=_ambient_color(colors, weights))
    return ShadowEstimate(shadow, evidence, tuple(notes))


def _is_cut_off(foreground: Foreground, height: int) -> bool:
    """Return whether the lower border of a canvas cuts a body, as that of a half-length portrait, rather than feet."""
    box = foreground.box
    if box.bottom < height or box.top >= height:
        return False
    lowest = foreground.alpha[height - 1 - box.top]
    return bool(np.count_nonzero(lowest >= OUTLINE * 255) > _WIDEST_FEET * box.width)


def _reduced(background: Pixels, visible: Mask | None) -> tuple[Floats, Floats]:
    """Return a small copy of the background in linear light, h×w×3, and the weights of its pixels, h×w."""
    height, width = background.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    sample = to_unit(subsample(background, SAMPLED_SIDE))
    linear = srgb_to_linear(sample.reshape(-1, 3)).reshape(sample.shape)
    if visible is None:
        small = np.asarray(cv2.resize(linear, size, interpolation=cv2.INTER_AREA), np.float32)
        return small, np.ones(size[::-1], np.float32)
    counted = (subsample(visible, SAMPLED_SIDE) > 0).astype(np.float32)
    weights = np.asarray(cv2.resize(counted, size, interpolation=cv2.INTER_AREA), np.float32)
    sums = np.asarray(cv2.resize(linear * counted[..., None], size, interpolation=cv2.INTER_AREA), np.float32)
    return np.asarray(sums / np.maximum(weights, 1e-6)[..., None], np.float32), weights


def _light_source(luminance: Floats, weights: Floats) -> tuple[float, float] | None:
    """Return the center (x, y) of a small, bright and compact light source, as shares of the sides; None = no such."""
    height, width = luminance.shape
    counted = weights > 0.5
    if not counted.any():
        return None
    smooth = np.asarray(cv2.GaussianBlur(np.where(counted, luminance, 0), (0, 0), 1.0), np.float32)
    peak = float(smooth.max())
    if peak < float(srgb_to_linear(np.array([_SOURCE_BRIGHTNESS]))[0]):
        return None
    bright = smooth > 0.8 * peak
    if bright.mean() > _SOURCE_AREA or peak < _SOURCE_CONTRAST * float(np.median(luminance[counted])):
        return None
    ys, xs = np.nonzero(bright)
    if math.hypot(xs.std(), ys.std()) > _SOURCE_SPREAD * max(height, width):
        return None
    return (float(xs.mean()) + 0.5) / width, (float(ys.mean()) + 0.5) / height


def _brighter_side(luminance: Floats, weights: Floats) -> int:
    """Return 1 if nearly all heights of the background are brighter on the right, -1 if on the left, else 0."""
    stops = np.log2(np.maximum(luminance, _DARKEST))
    x = np.linspace(-0.5, 0.5, luminance.shape[1])
    changes = []
    for band, counts in zip(np.array_split(stops, _BANDS), np.array_split(weights, _BANDS), strict=True):
        total = counts.sum()
        if total < 0.25 * counts.size or not total:
            continue
        center = (counts * x).sum() / total
        spread = (counts * (x - center) ** 2).sum()
        changes.append(float((counts * (x - center) * band).sum() / max(float(spread), 1e-9)))
    mean = float(np.mean(changes)) if changes else 0.0
    agreeing = sum(change * mean > 0 for change in changes)
    return int(np.sign(mean)) if abs(mean) >= _LEAST_STOPS and agreeing >= _AGREEING else 0


def _ambient_color(colors: Floats, weights: Floats) -> Color:
    """Return the encoded color of a shadow that the upper half of the background, such as the sky, still lights."""
    upper = slice(0, max(1, len(colors) // 2))
    counts = weights[upper] if weights[upper].any() else np.ones_like(weights[upper])
    ambient = (colors[upper] * counts[..., None]).sum(axis=(0, 1)) / counts.sum()
    relative = np.maximum(ambient, _DARKEST) / max(float(ambient @ np.array(LUMA)), _DARKEST)
    encoded = linear_to_srgb(_AMBIENT_LIGHT * relative**_AMBIENT_CHROMA).clip(0, 1)
    red, green, blue = (round(float(value), 4) for value in encoded)
    return red, green, blue


def _ground(foreground: Foreground) -> tuple[float, float]:
    """Return height and slope of the ground line, see `Shadow`.

    It is the side of the lower convex hull below the center of gravity, on which a body would stand: the line between
    two feet, or two wheels.
    """
    box = foreground.box
    scale = min(1.0, _OUTLINE_SIDE / max(box.width, box.height))
    size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
    small: Bytes = np.asarray(cv2.resize(foreground.alpha, size, interpolation=cv2.INTER_AREA), np.uint8)
    edge = lower_edge(small)
    xs = np.flatnonzero(np.isfinite(edge))
    if not len(xs):
        return 0.0, 0.0
    ys = edge[xs]
    lowest = float(ys.max())
    center = float((small.sum(axis=0, dtype=np.float64) * np.arange(size[0])).sum() / small.sum(dtype=np.float64))
    (x1, y1), (x2, y2) = _hull_side(xs.astype(np.float64), ys, center)
    slope = (
        math.degrees(math.atan2((y2 - y1) / size[1] * box.height, (x2 - x1) / size[0] * box.width)) if x2 > x1 else 0.0
    )
    if abs(slope) > _STEEPEST or x2 <= x1:
        return 1 - lowest / size[1], 0.0
    middle = y1 + (y2 - y1) * ((size[0] - 1) / 2 - x1) / (x2 - x1)
    return float(np.clip(1 - middle / size[1], -0.5, 1)), slope


def _hull_side(xs: Doubles, ys: Doubles, center: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the ends of the side of the lower convex hull (y points down) above or below which a center lies.

    Andrew's monotone chain (1979).
    """
    hull: list[tuple[float, float]] = []
    for point in zip(xs.tolist(), ys.tolist(), strict=True):
        while len(hull) > 1 and _turn(hull[-2], hull[-1], point) >= 0:
            hull.pop()
        hull.append(point)
    for first, second in itertools.pairwise(hull):
        if first[0] <= center <= second[0]:
            return first, second
    return hull[-1], hull[-1]


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    """Return a value at least 0 if b lies on or above the line from a to c, y pointing down."""
    return (c[1] - a[1]) * (b[0] - a[0]) - (b[1] - a[1]) * (c[0] - a[0])
