# SPDX-License-Identifier: GPL-3.0-or-later
"""A layer's pixels as they lie on the canvas: copied where they fall on whole pixels, else resampled.

What is drawn smaller is taken from the layer's halvings, so that the cost goes with what is seen, not with the layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_editor.document.geometry import Affine, Rect, apply, box_of, chained, inverse
from s2am_editor.document.mask import DEEPEST, Mask
from s2am_editor.document.model import Layer
from s2am_editor.document.raster import DEPTHS
from s2am_engine.image.masks import full_scale
from s2am_engine.inference.network_input import to_unit

Pixels = NDArray[Any]


@dataclass(frozen=True)
class Patch:
    """A part of a layer on the canvas at some zoom.

    rect: where it lies, in pixels of that zoom. pixels: h×w×3 in the document's depth, not recolored.
    cover: h×w, alpha times mask, in any mask's dtype; None = full everywhere.
    """

    rect: Rect
    pixels: Pixels
    cover: Pixels | None


@dataclass(frozen=True)
class _Source:
    """The part of a layer's level that a patch is made of."""

    pixels: Pixels
    covers: tuple[Pixels, ...]  # alpha, mask: those that there are
    weights: Pixels | None  # what the colors count by: alpha


def sample(layer: Layer, zoom: float, rect: Rect) -> Patch | None:
    """Draw a part of a layer.

    Args:
        layer: opacity, visibility and harmonization are not looked at.
        zoom: screen pixels a canvas pixel.
        rect: of the canvas, in pixels of that zoom.

    Returns:
        The part of `rect` in which the layer lies; None if that is nothing.
    """
    onto = layer.transform.matrix(layer.size) * zoom
    level = _level(onto)
    side = float(1 << level)
    onto = chained(np.array([[side, 0, 0], [0, side, 0]]), onto)
    width, height = (-(-length // (1 << level)) for length in layer.size)
    whole = Rect(0, 0, width, height)
    if _is_exact(onto):
        return _copied(layer, level, whole, onto, rect)
    return _resampled(layer, level, whole, onto, rect)


def sample_mask(mask: Mask, zoom: float, rect: Rect) -> NDArray[np.uint8]:
    """Draw a part of a mask that lies on the canvas as it is: h×w, 0 beyond its edges."""
    onto = np.array([[zoom, 0, 0], [0, zoom, 0]])
    level = _level(onto)
    onto *= 1 << level
    if _is_exact(onto):
        return mask.read(rect, level)
    part = box_of(apply(inverse(onto), rect.corners)).grown(2)
    matrix = _between_centers(inverse(onto), part, rect)
    return _warped(mask.read(part, level), matrix, rect, cv2.BORDER_CONSTANT)


def _level(onto: Affine) -> int:
    """The halving whose pixels come closest to those of the screen without being coarser."""
    scale = max(math.hypot(onto[0, 0], onto[1, 0]), math.hypot(onto[0, 1], onto[1, 1]))
    return min(DEEPEST, max(0, math.floor(-math.log2(scale) + 1e-9)))


def _is_exact(onto: Affine) -> bool:
    """Whether pixels fall on whole pixels, perhaps mirrored or turned by 90°."""
    linear = onto[:, :2]
    turned = np.isin(linear, (-1, 0, 1)).all() and abs(linear[0, 0]) != abs(linear[0, 1])
    return bool(turned and (onto[:, 2] == np.rint(onto[:, 2])).all())


def _copied(layer: Layer, level: int, whole: Rect, onto: Affine, rect: Rect) -> Patch | None:
    """The patch without any resampling: parts of the layer's own arrays."""
    place = box_of(apply(onto, whole.corners)).within(rect)
    if place.is_empty:
        return None
    source = _source(layer, level, box_of(apply(inverse(onto), place.corners)).within(whole))
    pixels, *covers = (_turned(array, onto) for array in (source.pixels, *source.covers))
    return Patch(place, pixels, _cover(covers))


def _turned(array: Pixels, onto: Affine) -> Pixels:
    """A view of rows and columns as a map by mirroring and quarter turns has them."""
    if onto[0, 0] == 0:
        array = array.swapaxes(0, 1)
    down = -1 if onto[1, 0] + onto[1, 1] < 0 else 1
    across = -1 if onto[0, 0] + onto[0, 1] < 0 else 1
    return array[::down, ::across]


def _resampled(layer: Layer, level: int, whole: Rect, onto: Affine, rect: Rect) -> Patch | None:
    corners = apply(onto, whole.corners)
    upright = onto[0, 1] == onto[1, 0] == 0 or onto[0, 0] == onto[1, 1] == 0
    # An upright layer ends at the nearest whole pixel; the edges of a turned one are smooth.
    box = box_of([(round(x), round(y)) for x, y in corners]) if upright else box_of(corners)
    place = box.within(rect)
    if place.is_empty:
        return None
    back = inverse(onto)
    part = box_of(apply(back, place.corners)).grown(2).within(whole)
    if part.is_empty:
        return None
    source = _source(layer, level, part)
    matrix = _between_centers(back, part, place)
    covers = [_warped(cover, matrix, place, cv2.BORDER_REPLICATE) for cover in source.covers]
    if not upright:
        full = np.full((part.height, part.width), 255, np.uint8)
        covers.append(_warped(full, matrix, place, cv2.BORDER_CONSTANT))
    return Patch(place, _warped_colors(source, matrix, place), _cover(covers))


def _between_centers(back: Affine, part: Rect, place: Rect) -> Affine:
    """From indices of a patch to indices of its source; OpenCV's coordinates are of pixel centers."""
    into = np.array([[1, 0, place.left + 0.5], [0, 1, place.top + 0.5]])
    out = np.array([[1, 0, -part.left - 0.5], [0, 1, -part.top - 0.5]])
    return chained(chained(into, back), out)


def _source(layer: Layer, level: int, part: Rect) -> _Source:
    raster = layer.raster.level(level)
    alpha = None if raster.alpha is None else raster.alpha[part.window]
    covers = [] if alpha is None or _is_full(alpha) else [alpha]
    if layer.mask is not None and not layer.mask.is_full:
        covers.append(layer.mask.read(part, level))
    return _Source(raster.pixels[part.window], tuple(covers), covers[0] if alpha is not None and covers else None)


def _is_full(cover: Pixels) -> bool:
    return bool(cover.min() >= full_scale(cover.dtype))


def _warped_colors(source: _Source, matrix: Affine, place: Rect) -> Pixels:
    """Colors between pixels; what is transparent does not bleed into what is not."""
    pixels, weights = source.pixels, source.weights
    if weights is None or weights.min() == weights.max():
        return _warped(pixels, matrix, place, cv2.BORDER_REPLICATE)
    # OpenCV's own arithmetic: several times as fast as numpy's with a mask that has to be repeated for each channel.
    products = cv2.multiply(pixels, cv2.merge([weights] * 3), dtype=cv2.CV_32F)
    sums = _warped(products, matrix, place, cv2.BORDER_REPLICATE)
    shares = _warped(weights.astype(np.float32), matrix, place, cv2.BORDER_REPLICATE)
    least = np.maximum(shares, np.float32(1e-6 * full_scale(weights.dtype)))
    return cv2.divide(sums, cv2.merge([least] * 3), dtype=DEPTHS[pixels.dtype])  # rounded and clamped


def _warped(array: Pixels, matrix: Affine, place: Rect, border: int) -> Pixels:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(array, matrix, (place.width, place.height), flags=flags, borderMode=border, borderValue=0)


def _cover(covers: list[Pixels]) -> Pixels | None:
    """What several covers come to together; None = full everywhere."""
    if not covers:
        return None
    together = covers[0]
    for cover in covers[1:]:
        if together.dtype == cover.dtype == np.uint8:
            together = cv2.multiply(together, cover, scale=1 / 255)
        else:
            together = to_unit(together) * to_unit(cover)
    return None if _is_full(together) else together
