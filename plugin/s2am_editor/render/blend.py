# SPDX-License-Identifier: GPL-3.0-or-later
"""Blending of layers with the engine's own “over” operator: exported pixels equal those of the engine bit for bit.

The screen uses a faster path, which differs by at most one level of 8 bits where layers are translucent.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_editor.document.blend_mode import BlendMode
from s2am_editor.document.geometry import Rect
from s2am_editor.document.model import Document, Layer
from s2am_editor.render.mixing import mix_colors
from s2am_editor.render.resample import Patch, resample_layer
from s2am_engine.color.apply import apply_color_map
from s2am_engine.image.arrays import full_scale, to_depth, to_unit
from s2am_engine.image.io import ImageData
from s2am_engine.image.paste import Placement, blend_over, paste_layer


def visible_layers(document: Document, zoom: float, rect: Rect) -> tuple[Layer, ...]:
    """Return the layers that can be visible in a part of the canvas, from bottom to top."""
    left, top, right, bottom = (edge / zoom for edge in rect)
    area = Rect(int(left) - 1, int(top) - 1, int(right) + 2, int(bottom) + 2)
    return tuple(
        layer
        for layer in document.layers
        if layer.visible and layer.opacity > 0 and not layer.box.intersection(area).is_empty
    )


def transparent_image(rect: Rect, dtype: np.dtype[Any]) -> ImageData:
    """Return a fully transparent image of a rectangle's size."""
    size = rect.height, rect.width
    return ImageData(np.zeros((*size, 3), dtype), np.zeros(size, dtype))


def blend_layer(
    backdrop: ImageData,
    layer: Layer,
    patch: Patch | None,
    rect: Rect,
    *,
    harmonized: bool = True,
    fast: bool = False,
) -> ImageData:
    """Blend a part of a layer over a backdrop.

    Args:
        backdrop: the pixels of `rect` without the layer; not modified.
        layer: its harmonization and opacity are applied.
        patch: its resampled pixels, see `resample_layer`; None = the layer does not cover `rect`.
        rect: part of the canvas, in pixels of the patch's zoom.
        harmonized: False = with the layer's original colors.
        fast: allow a difference of one 8-bit level, as for the screen.

    Returns:
        The blended pixels; the backdrop itself if nothing changes.
    """
    if patch is None:
        return backdrop
    mixes = layer.blend_mode is not BlendMode.NORMAL and not _is_transparent(backdrop)
    if patch.rect == rect and layer.opacity == 1 and not mixes:
        if patch.coverage is None:
            return ImageData(_apply_harmonization(layer, patch, harmonized, fast))
        if patch.coverage.dtype == patch.pixels.dtype and _is_transparent(backdrop):
            # The lowest layer keeps the colors of its transparent pixels.
            return ImageData(_apply_harmonization(layer, patch, harmonized, fast), patch.coverage)
    patch = _crop_to_coverage(patch)
    if patch.rect.is_empty:
        return backdrop
    pixels, coverage = _apply_harmonization(layer, patch, harmonized, fast), _apply_opacity(patch, layer.opacity)
    target = patch.rect.translated(-rect.left, -rect.top)
    if mixes:
        pixels = _mix_with_backdrop(layer.blend_mode, pixels, backdrop, target)
    if backdrop.alpha is not None:
        return paste_layer(Placement(target.top, target.left, pixels, coverage), pixels, backdrop)
    if fast and pixels.dtype == np.uint8:
        return _paste_fast(backdrop, pixels, to_unit(coverage), target)
    return _paste_on_opaque(backdrop, pixels, coverage, target)


def _mix_with_backdrop(mode: BlendMode, pixels: NDArray[Any], backdrop: ImageData, target: Rect) -> NDArray[Any]:
    """Return a layer's colors mixed with those of its backdrop, in proportion to the backdrop's opacity."""
    source = to_unit(pixels)
    mixed = mix_colors(mode, to_unit(backdrop.pixels[target.slices]), source)
    if backdrop.alpha is not None:
        mixed = source + to_unit(backdrop.alpha[target.slices])[..., None] * (mixed - source)
    return to_depth(mixed, pixels.dtype)


def render_exactly(document: Document, zoom: float, rect: Rect, *, harmonized: bool = True) -> ImageData:
    """Render all visible layers in a part of the canvas, without the fast path of the screen.

    Args:
        document: the document.
        zoom: screen pixels per canvas pixel, at most 1.
        rect: part of the canvas, in pixels of that zoom.
        harmonized: False = with the layers' original colors.

    Returns:
        h×w in the document's depth and profile; alpha is None where everything is opaque.
    """
    image = transparent_image(rect, document.dtype)
    for layer in visible_layers(document, zoom, rect):
        image = blend_layer(image, layer, resample_layer(layer, zoom, rect), rect, harmonized=harmonized)
    return dataclasses.replace(image, profile=document.profile)


def _apply_harmonization(layer: Layer, patch: Patch, harmonized: bool, fast: bool) -> NDArray[Any]:
    if not harmonized or layer.harmonization is None:
        return patch.pixels
    # Tiles for the screen are already rendered by several threads.
    workers = 1 if fast else None
    return apply_color_map(layer.harmonization.color_map, np.ascontiguousarray(patch.pixels), workers=workers)


def _crop_to_coverage(patch: Patch) -> Patch:
    """Crop a patch to its covered part: the rest does not have to be harmonized."""
    if patch.coverage is None:
        return patch
    x, y, width, height = cv2.boundingRect((patch.coverage > 0).view(np.uint8))
    part = Rect(x, y, x + width, y + height)
    position = part.translated(patch.rect.left, patch.rect.top)
    return Patch(position, patch.pixels[part.slices], patch.coverage[part.slices])


def _is_transparent(image: ImageData) -> bool:
    return image.alpha is not None and not image.alpha.any()


def _apply_opacity(patch: Patch, opacity: float) -> NDArray[Any]:
    """Return a patch's coverage times an opacity."""
    if patch.coverage is None:
        return np.full(patch.pixels.shape[:2], opacity, np.float32)
    return patch.coverage if opacity == 1 else to_unit(patch.coverage) * np.float32(opacity)


def _paste_on_opaque(backdrop: ImageData, pixels: NDArray[Any], coverage: NDArray[Any], target: Rect) -> ImageData:
    """Return the same as the engine's `paste` on an opaque image, bit for bit, blending only translucent pixels."""
    result = backdrop.pixels.copy()
    window = result[target.slices]
    is_solid = coverage >= full_scale(coverage.dtype)
    cv2.copyTo(np.ascontiguousarray(pixels), is_solid.view(np.uint8), window)
    is_partial = (coverage > 0) & ~is_solid
    window[is_partial] = blend_over(pixels[is_partial], window[is_partial], to_unit(coverage[is_partial])[:, None])
    return dataclasses.replace(backdrop, pixels=result)


def _paste_fast(backdrop: ImageData, pixels: NDArray[Any], coverage: NDArray[np.float32], target: Rect) -> ImageData:
    result = backdrop.pixels.copy()
    window = result[target.slices]
    window[:] = cv2.blendLinear(np.ascontiguousarray(pixels), np.ascontiguousarray(window), coverage, 1 - coverage)
    return dataclasses.replace(backdrop, pixels=result)
