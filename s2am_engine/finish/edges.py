# SPDX-License-Identifier: GPL-3.0-or-later
"""Edges: the colors of soft edges without the old background's, and light of the new one that spills over them.

The foreground color at a soft edge is extrapolated from the opaque pixels nearby (normalized convolution with the
alpha, as in Forte, "Approximate fast foreground colour estimation", ICIP 2021), from a small field where none is near.
No library is used for that: pymatting's solver needs a whole image of doubles, and Numba, which compiles for seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.finish.fringe import estimate_fringe
from s2am_engine.finish.interpolation import interpolate_linearly
from s2am_engine.finish.scratch import Scratch, times
from s2am_engine.image.arrays import bounding_box, subsample, to_uint8
from s2am_engine.image.quarter_turns import turned_array, turned_box
from s2am_engine.types import Bytes, Floats, Mask, Pixels

_NEAR = 8  # radius in pixels of the box in which opaque pixels count as nearby, even

EDGE_REACH = _NEAR + 4
"""Pixels to each side that `decontaminate` depends on: also those from which the reduced colors are interpolated."""

_FIELD_SIDE = 128  # of the surroundings
_SAMPLED = 4  # rows and columns read for each one of the field
_ROWS = 32  # of the image that are floats at a time
_MARGIN = 0.15  # of the foreground's size, to each side
_GLARE = ((0.3, 0.01), (0.2, 0.035))
"""The light wrap at 1 is the glare of a lens that scatters half of the light: shares of the light, and radii of the
Gaussians over which they spread, relative to the square root of the foreground's area. One alone would end in a rim.
"""

_FAINTEST = 1 / 255  # alpha of a visible pixel
_RAMP = 0.25  # alpha below which a correction fades out over the background
_LEAST_WEIGHT = 0.02
_LEAST_SIGMA = 0.3  # samples of a field; below, a Gaussian changes nothing


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Smooth colors around a foreground, as small fields over its bounding box.

    box: left, top, right and bottom in pixels of the image.
    foreground: n×m×3 uint8, the foreground's colors, extrapolated to the whole box.
    background: n×m×3 uint8, those of the background.
    light: n×m uint8, share of the background's light that a light wrap of 1 adds inside the edges, at most 128.
    fringe: evidence of an old background's fringe, see `estimate_fringe`; not in `to_json`, as `FinishMeasurement`
        has it.
    """

    box: tuple[float, float, float, float]
    foreground: Bytes
    background: Bytes
    light: Bytes
    fringe: float = field(default=0.0, kw_only=True)

    @classmethod
    def measure(cls, pixels: Pixels, mask: Mask, alpha: Mask | None = None) -> Surroundings:
        """Reduce an image to the fields around its foreground.

        Args:
            pixels: H×W×3, uint8, uint16 or float32.
            mask: H×W, the foreground, not empty.
            alpha: H×W, pixels where it is 0 do not count; None = all count.
        """
        left, top, right, bottom = box = _box_around(mask)
        part = slice(top, bottom), slice(left, right)
        shown = np.ascontiguousarray(to_uint8(subsample(mask[part], _FIELD_SIDE * _SAMPLED)))
        weights = np.asarray(cv2.blur(shown, (3, 3)), np.uint8)
        colors = subsample(pixels[part], _FIELD_SIDE * _SAMPLED)
        counts = None if alpha is None else subsample(alpha[part], _FIELD_SIDE * _SAMPLED) > 0
        size = (min(_FIELD_SIDE, weights.shape[1]), min(_FIELD_SIDE, weights.shape[0]))
        small, *fields = _smooth_fields(colors, weights, counts, size)
        del weights
        scale = np.array(size) / (right - left, bottom - top)
        across, down = scale * float(np.sqrt(small.sum() / scale.prod()))
        light = np.zeros_like(small)
        for share, radius in _GLARE:
            sigmas = max(_LEAST_SIGMA, radius * across), max(_LEAST_SIGMA, radius * down)
            light += share * cv2.GaussianBlur(1 - small, (0, 0), sigmas[0], sigmaY=sigmas[1])
        light = np.rint(255 * light)
        fringe = estimate_fringe(colors, shown if counts is None else shown * counts, *fields)
        return cls(box, fields[0], fields[1], np.asarray(light, np.uint8), fringe=fringe)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, from which `from_json` restores the fields."""
        stacked = np.dstack([self.foreground, self.background, self.light])
        return {
            "box": [float(each) for each in self.box],
            "shape": list(stacked.shape),
            "fields": stacked.tobytes().hex(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Surroundings:
        """Return the fields that `to_json` describes. Raises KeyError, TypeError or ValueError for anything else."""
        left, top, right, bottom = (float(each) for each in data["box"])
        rows, columns, depth = data["shape"]
        if depth != 7 or not (0 < rows <= _FIELD_SIDE and 0 < columns <= _FIELD_SIDE and left < right and top < bottom):
            raise ValueError("the surroundings have another shape")
        stacked = np.frombuffer(bytes.fromhex(data["fields"]), np.uint8).reshape(rows, columns, depth)
        parts = stacked[..., :3], stacked[..., 3:6], stacked[..., 6]
        return cls((left, top, right, bottom), *(np.ascontiguousarray(each) for each in parts))

    def scaled(self, factor: float) -> Surroundings:
        """Return the fields for an image that is `factor` times as large."""
        left, top, right, bottom = (each * factor for each in self.box)
        return replace(self, box=(left, top, right, bottom))

    def moved(self, right: float, down: float) -> Surroundings:
        """Return the fields for an image in which the foreground lies `right` and `down` pixels from here."""
        left, top, *end = self.box
        return replace(self, box=(left + right, top + down, end[0] + right, end[1] + down))

    def turned(self, turns: int, size: tuple[float, float]) -> Surroundings:
        """Return the fields for an image of `size` (width, height) after quarter turns, clockwise."""
        fields = (turned_array(each, turns) for each in (self.foreground, self.background, self.light))
        return Surroundings(turned_box(self.box, turns, size), *fields, fringe=self.fringe)

    def has_light(self, top: int, left: int, height: int, width: int) -> bool:
        """Return whether the background's light reaches a block of the image."""
        x0, y0, x1, y1 = self.box
        rows = _samples(top - y0, height, self.light.shape[0], y1 - y0)
        columns = _samples(left - x0, width, self.light.shape[1], x1 - x0)
        return bool(self.light[rows, columns].any())

    @cached_property
    def spilled_light(self) -> Floats:
        """The background's light inside the edges, n×m×3, 0 to 255."""
        return np.asarray(self.background * (self.light[..., None] / np.float32(255)), np.float32)

    @cached_property
    def halved(self) -> Surroundings:
        """The fields for an image of half the size."""
        return self.scaled(0.5)

    def at(
        self, field: Bytes | Floats, top: int, left: int, height: int, width: int, out: Floats | None = None
    ) -> Floats:
        """Return a field for a block of the image, interpolated: height×width(×3), 0 to 255, written to `out`."""
        return interpolate_linearly(field, self.box, (top, left, height, width), out)


def _samples(start: float, count: int, samples: int, length: float) -> slice:
    """Return the samples that `count` pixels from `start` on are interpolated from; see `interpolate_linearly`."""
    first, last = int(start * samples / length - 1), int((start + count) * samples / length + 2)
    return slice(min(max(first, 0), samples - 1), max(last, 1))


def _box_around(mask: Mask) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the foreground with a margin, within the image."""
    found = bounding_box(mask)
    assert found is not None  # the foreground is not empty
    left, top, right, bottom = found
    margin = int(_MARGIN * max(right - left - 1, bottom - top - 1)) + _NEAR
    height, width = mask.shape
    return max(0, left - margin), max(0, top - margin), min(width, right + margin), min(height, bottom + margin)


def _smooth_fields(
    colors: Pixels, weights: Bytes, counts: NDArray[np.bool_] | None, size: tuple[int, int]
) -> tuple[Floats, Bytes, Bytes]:
    """Return the reduced mask (n, m), and the colors (n, m, 3) of foreground and background.

    Args:
        colors: h×w×3; a view is enough, as a few rows are copied at a time.
        weights: h×w, the foreground's share.
        counts: h×w, the pixels that count; None = all.
        size: m and n.
    """
    levels = np.linspace(0, 1, 256, dtype=np.float32)
    tables = [_opacity_weight(each) for each in (levels, 1 - levels)]
    small, *shares = (np.zeros(size[::-1], np.float32) for _ in range(3))
    sums = [np.zeros((*size[::-1], 3), np.float32) for _ in tables]
    for first in range(0, len(weights), _ROWS):
        rows = slice(first, first + _ROWS)
        part = to_uint8(colors[rows]).astype(np.float32)
        _add_rows(small, cv2.LUT(weights[rows], levels), first, len(weights))
        for total, share, table in zip(sums, shares, tables, strict=True):
            counted = np.asarray(cv2.LUT(weights[rows], table), np.float32)
            if counts is not None:
                counted *= counts[rows]
            _add_rows(total, times(part, counted), first, len(weights))
            _add_rows(share, counted, first, len(weights))
    del part, counted
    foreground, background = (_extrapolated(*each) for each in zip(sums, shares, strict=True))
    return small, foreground, background


def _add_rows(total: Floats, values: NDArray[Any], first: int, length: int) -> None:
    """Add some rows of an image to its reduction by the mean of areas.

    Args:
        total: n×m(×3), the reduction; modified.
        values: h×w(×3), the rows.
        first: the first of them.
        length: number of all rows, at least n.
    """
    across = cv2.resize(values, (total.shape[1], len(values)), interpolation=cv2.INTER_AREA)
    places = np.arange(first, first + len(values) + 1) * (len(total) / length)  # of the rows' borders
    samples = slice(int(places[0]), min(len(total), int(np.ceil(places[-1]))))
    numbers = np.arange(samples.start, samples.stop)[:, None]
    shares = np.minimum(numbers + 1, places[1:]) - np.maximum(numbers, places[:-1])
    products = shares.clip(0).astype(np.float32) @ across.reshape(len(values), -1)
    total[samples] += products.reshape(-1, *total.shape[1:])


def _reduced(values: Floats, size: tuple[int, int]) -> Floats:
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)


def _extrapolated(sums: Floats, weights: Floats) -> Bytes:
    """Return sums / weights, in which places without weight have the mean color of larger and larger areas around."""
    levels = [(sums, weights)]
    while min(levels[-1][1].shape) > 1:
        sums, weights = levels[-1]
        half = (max(1, weights.shape[1] // 2), max(1, weights.shape[0] // 2))
        levels.append((_reduced(sums, half), _reduced(weights, half)))
    colors = np.asarray(levels[-1][0] / np.maximum(levels[-1][1], 1e-6)[..., None], np.float32)
    least = np.float32(_LEAST_WEIGHT)
    for sums, weights in reversed(levels[:-1]):
        enlarged = cv2.resize(colors, weights.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        colors = np.asarray(enlarged, np.float32).reshape(sums.shape)
        colors *= least
        colors += sums
        colors /= (weights + least)[..., None]
    np.rint(colors.clip(0, 255, out=colors), out=colors)
    return np.asarray(colors, np.uint8)


def decontaminate(
    colors: Floats,
    alpha: Floats,
    around: Surroundings,
    corner: tuple[int, int],
    strength: float,
    scratch: Scratch,
    *,
    layer: bool,
) -> None:
    """Replace the colors of soft edges by those of the foreground nearby, in proportion to their transparency.

    Args:
        colors: h×w×3 in 8-bit levels; modified.
        alpha: h×w in [0, 1].
        around: has the colors where no opaque pixel is near.
        corner: row and column of the upper left pixel in the image that was measured.
        strength: 0 to 1.
        scratch: memory of intermediate results; the colors are its array “colors”.
        layer: whether the colors are a layer's own; else they are those of a composite.
    """
    box = bounding_box(alpha < 1 if layer else (alpha > 0) & (alpha < 1))
    if box is None:
        return
    part = (
        _even_part(box[1], box[3], corner[0], alpha.shape[0]),
        _even_part(box[0], box[2], corner[1], alpha.shape[1]),
    )
    colors, shown = colors[part], alpha[part]
    half = _HalfResolution((corner[0] + part[0].start, corner[1] + part[1].start), shown.shape)
    share = strength * (1 - cv2.pow(shown, 4))
    share[shown >= 1] = 0
    near = half.nearby(colors, _opacity_weight(shown), around, around.foreground, scratch)
    wanted = near
    if not layer:
        wanted = half.nearby(colors, _opacity_weight(1 - shown), around, around.background, scratch)
        # `Finisher` multiplies the change by alpha.
        share *= np.minimum(1 / _RAMP, 1 / np.maximum(shown, _FAINTEST))
        cv2.subtract(near, wanted, dst=near)
    change = half.enlarged(wanted, scratch)
    spare = scratch.floats("weights", colors.shape)
    cv2.subtract(change, colors, dst=change)
    cv2.add(colors, times(change, share, out=change, spare=spare), dst=colors)
    if not layer:  # the foreground's share of the wanted colors
        change = half.enlarged(near, scratch)
        share *= shown
        cv2.add(colors, times(change, share, out=change, spare=spare), dst=colors)


def _even_part(first: int, last: int, corner: int, length: int) -> slice:
    """Return the part of an axis that pixels depend on, from an even pixel of the image to another if possible.

    Args:
        first: the first pixel.
        last: the last one + 1.
        corner: place in the image of the axis' first pixel.
        length: of the axis.
    """
    start, stop = first - EDGE_REACH, last + EDGE_REACH
    return slice(max(0, start - (corner + start) % 2), min(length, stop + (corner + stop) % 2))


def _opacity_weight(alpha: Floats) -> Floats:
    """Return the weight of pixels as samples of the foreground's color: alpha⁸, as translucent ones are mixed."""
    return np.asarray(cv2.pow(alpha, 8), np.float32)


class _HalfResolution:
    """Smooth colors of a block at half its resolution. The pairs of pixels are the same in all blocks."""

    def __init__(self, place: tuple[int, int], shape: tuple[int, ...]) -> None:
        """Take the row and column of the block in the image, and its shape (h, w)."""
        self._shape = shape
        top, left = (each % 2 for each in place)
        bottom, right = (shape[0] + top) % 2, (shape[1] + left) % 2
        self._beyond = top, bottom, left, right
        self._place = (place[0] - top) // 2, (place[1] - left) // 2
        self._size = (left + shape[1] + right) // 2, (top + shape[0] + bottom) // 2

    def nearby(self, colors: Floats, weight: Floats, around: Surroundings, beyond: Bytes, scratch: Scratch) -> Floats:
        """Return the weighted mean of the colors nearby, and of the surroundings where there is little weight.

        Args:
            colors: h×w×3.
            weight: h×w.
            around: the surroundings.
            beyond: one of their fields.
            scratch: memory of intermediate results, whose array “change” is overwritten.
        """
        sums = self._mean(times(colors, weight, out=scratch.floats("change", colors.shape)))
        weights = self._mean(weight)
        field = around.halved.at(beyond, *self._place, *self._size[::-1])
        cv2.scaleAdd(field, _LEAST_WEIGHT, sums, dst=sums)
        np.add(weights, np.float32(_LEAST_WEIGHT), out=weights)
        return times(sums, np.reciprocal(weights, out=weights), out=sums, spare=field)

    def _mean(self, values: Floats) -> Floats:
        """Return the mean of values of the block nearby."""
        if any(self._beyond):
            values = np.asarray(cv2.copyMakeBorder(values, *self._beyond, cv2.BORDER_CONSTANT, value=0), np.float32)
        halved = cv2.resize(values, self._size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.blur(halved, (_NEAR + 1, _NEAR + 1), dst=halved), np.float32)

    def enlarged(self, colors: Floats, scratch: Scratch) -> Floats:
        """Return colors at the resolution of the block, in the array “change” of `scratch`."""
        width, height = 2 * self._size[0], 2 * self._size[1]
        full = scratch.floats("change", (height, width, 3))
        cv2.resize(colors, (width, height), dst=full, interpolation=cv2.INTER_LINEAR)
        top, _, left, _ = self._beyond
        return np.asarray(full[top : top + self._shape[0], left : left + self._shape[1]], np.float32)


def wrap_light(colors: Floats, light: Floats, strength: float, scratch: Scratch) -> None:
    """Add the background's light by the blend mode screen: 255 - (255 - colors)·(1 - strength·light / 255).

    Args:
        colors: h×w×3 in 8-bit levels; modified.
        light: h×w×3, see `Surroundings.spilled_light`; modified.
        strength: 0 to 1.
        scratch: memory of intermediate results.
    """
    dark = np.minimum(colors, 255, out=scratch.floats("change", colors.shape))
    cv2.addWeighted(dark, -strength / 255, dark, 0, strength, dst=dark)
    cv2.multiply(light, dark, dst=light)
    cv2.add(colors, light, dst=colors)
