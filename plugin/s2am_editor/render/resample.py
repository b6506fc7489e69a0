# SPDX-License-Identifier: GPL-3.0-or-later
"""Resampling of layers onto the canvas: copied where pixels fall on whole pixels, interpolated elsewhere.

Reduced views are drawn from a layer's reduced levels: the cost depends on the visible area, not on the layer's size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_editor.document.geometry import Affine, bounding_rect, concatenate_affine, invert_affine, transform_points
from s2am_editor.document.model import Layer
from s2am_editor.document.raster import MAX_LEVEL, OPENCV_DEPTHS, TiledMask
from s2am_engine.image.arrays import full_scale, to_unit
from s2am_engine.image.rect import Rect


@dataclass(frozen=True)
class Patch:
    """A part of a layer, resampled onto the canvas at some zoom.

    Attributes:
        rect: position, in pixels of that zoom.
        pixels: h×w×3 in the document's depth, in original colors (not harmonized).
        coverage: h×w alpha × mask, of any dtype that masks have; None = full everywhere.
    """

    rect: Rect
    pixels: NDArray[Any]
    coverage: NDArray[Any] | None


@dataclass(frozen=True)
class _Source:
    """The part of a layer's reduced level that a patch is computed from."""

    pixels: NDArray[Any]
    coverages: tuple[NDArray[Any], ...]  # alpha and mask, where they exist
    weights: NDArray[Any] | None  # alpha, by which colors are weighted


def resample_layer(layer: Layer, zoom: float, rect: Rect) -> Patch | None:
    """Resample a part of a layer; opacity, visibility and harmonization are ignored.

    Args:
        layer: the layer.
        zoom: screen pixels per canvas pixel.
        rect: part of the canvas, in pixels of that zoom.

    Returns:
        The part of `rect` that the layer covers; None if there is none.
    """
    onto = layer.transform.matrix(layer.size) * zoom
    level = _reduced_level(onto)
    side = float(1 << level)
    onto = concatenate_affine(np.array([[side, 0, 0], [0, side, 0]]), onto)
    width, height = (-(-length // (1 << level)) for length in layer.size)
    bounds = Rect(0, 0, width, height)
    if _maps_pixels_to_pixels(onto):
        return _copy(layer, level, bounds, onto, rect)
    return _interpolate(layer, level, bounds, onto, rect)


def resample_mask(mask: TiledMask, zoom: float, rect: Rect) -> NDArray[np.uint8]:
    """Resample a part of a mask of the canvas's size: h×w, 0 beyond its edges."""
    onto = np.array([[zoom, 0, 0], [0, zoom, 0]])
    level = _reduced_level(onto)
    onto *= 1 << level
    if _maps_pixels_to_pixels(onto):
        return mask.read(rect, level)
    part = bounding_rect(transform_points(invert_affine(onto), rect.corners)).expanded(2)
    matrix = _index_matrix(invert_affine(onto), part, rect)
    return _warp(mask.read(part, level), matrix, rect, cv2.BORDER_CONSTANT)


def _reduced_level(onto: Affine) -> int:
    """Return the level whose resolution is closest to the screen's without being coarser."""
    scale = max(math.hypot(onto[0, 0], onto[1, 0]), math.hypot(onto[0, 1], onto[1, 1]))
    return min(MAX_LEVEL, max(0, math.floor(-math.log2(scale) + 1e-9)))


def _maps_pixels_to_pixels(onto: Affine) -> bool:
    """Return True for translations by whole pixels, with or without mirroring and quarter turns."""
    linear = onto[:, :2]
    is_right_angled = np.isin(linear, (-1, 0, 1)).all() and abs(linear[0, 0]) != abs(linear[0, 1])
    return bool(is_right_angled and (onto[:, 2] == np.rint(onto[:, 2])).all())


def _copy(layer: Layer, level: int, bounds: Rect, onto: Affine, rect: Rect) -> Patch | None:
    """Return the patch without interpolation, as views of the layer's arrays."""
    target = bounding_rect(transform_points(onto, bounds.corners)).intersection(rect)
    if target.is_empty:
        return None
    part = bounding_rect(transform_points(invert_affine(onto), target.corners)).intersection(bounds)
    source = _read_source(layer, level, part)
    pixels, *coverages = (_mirror_and_turn(array, onto) for array in (source.pixels, *source.coverages))
    return Patch(target, pixels, _multiply(coverages))


def _mirror_and_turn(array: NDArray[Any], onto: Affine) -> NDArray[Any]:
    """Return a view with rows and columns in the order of a matrix of mirroring and quarter turns."""
    if onto[0, 0] == 0:
        array = array.swapaxes(0, 1)
    down = -1 if onto[1, 0] + onto[1, 1] < 0 else 1
    across = -1 if onto[0, 0] + onto[0, 1] < 0 else 1
    return array[::down, ::across]


def _interpolate(layer: Layer, level: int, bounds: Rect, onto: Affine, rect: Rect) -> Patch | None:
    corners = transform_points(onto, bounds.corners)
    is_upright = onto[0, 1] == onto[1, 0] == 0 or onto[0, 0] == onto[1, 1] == 0
    # The edges of an upright layer are rounded to whole pixels; those of a rotated one are antialiased.
    box = bounding_rect([(round(x), round(y)) for x, y in corners]) if is_upright else bounding_rect(corners)
    target = box.intersection(rect)
    if target.is_empty:
        return None
    back = invert_affine(onto)
    part = bounding_rect(transform_points(back, target.corners)).expanded(2).intersection(bounds)
    if part.is_empty:
        return None
    source = _read_source(layer, level, part)
    matrix = _index_matrix(back, part, target)
    coverages = [_warp(coverage, matrix, target, cv2.BORDER_REPLICATE) for coverage in source.coverages]
    if not is_upright:
        full = np.full((part.height, part.width), 255, np.uint8)
        coverages.append(_warp(full, matrix, target, cv2.BORDER_CONSTANT))
    return Patch(target, _warp_colors(source, matrix, target), _multiply(coverages))


def _index_matrix(back: Affine, part: Rect, target: Rect) -> Affine:
    """Return the matrix from indices of a patch to indices of its source (OpenCV indexes pixel centers)."""
    to_canvas = np.array([[1, 0, target.left + 0.5], [0, 1, target.top + 0.5]])
    to_indices = np.array([[1, 0, -part.left - 0.5], [0, 1, -part.top - 0.5]])
    return concatenate_affine(concatenate_affine(to_canvas, back), to_indices)


def _read_source(layer: Layer, level: int, part: Rect) -> _Source:
    raster = layer.raster.level(level)
    alpha = None if raster.alpha is None else raster.alpha[part.slices]
    coverages = [] if alpha is None or _is_full(alpha) else [alpha]
    weights = coverages[0] if coverages else None
    if layer.mask is not None and not layer.mask.is_full:
        coverages.append(layer.mask.read(part, level))
    return _Source(raster.pixels[part.slices], tuple(coverages), weights)


def _is_full(coverage: NDArray[Any]) -> bool:
    return bool(coverage.min() >= full_scale(coverage.dtype))


def _warp_colors(source: _Source, matrix: Affine, target: Rect) -> NDArray[Any]:
    """Interpolate colors weighted by alpha: colors of transparent pixels do not bleed into opaque ones."""
    pixels, weights = source.pixels, source.weights
    if weights is None or weights.min() == weights.max():
        return _warp(pixels, matrix, target, cv2.BORDER_REPLICATE)
    # OpenCV is several times as fast here as NumPy with a mask repeated for each channel.
    products = cv2.multiply(pixels, cv2.merge([weights] * 3), dtype=cv2.CV_32F)
    sums = _warp(products, matrix, target, cv2.BORDER_REPLICATE)
    divisor = _warp(weights.astype(np.float32), matrix, target, cv2.BORDER_REPLICATE)
    divisor = np.maximum(divisor, np.float32(1e-6 * full_scale(weights.dtype)))
    return cv2.divide(sums, cv2.merge([divisor] * 3), dtype=OPENCV_DEPTHS[pixels.dtype])  # rounded and clamped


def _warp(array: NDArray[Any], matrix: Affine, target: Rect, border: int) -> NDArray[Any]:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(array, matrix, (target.width, target.height), flags=flags, borderMode=border, borderValue=0)


def _multiply(coverages: list[NDArray[Any]]) -> NDArray[Any] | None:
    """Multiply coverages; None = full everywhere."""
    if not coverages:
        return None
    product = coverages[0]
    for coverage in coverages[1:]:
        if product.dtype == coverage.dtype == np.uint8:
            product = cv2.multiply(product, coverage, scale=1 / 255)
        else:
            product = to_unit(product) * to_unit(coverage)
    return None if _is_full(product) else product
