# SPDX-License-Identifier: GPL-3.0-or-later
"""Blending of layers with the engine's own “over” operator: exported pixels equal those of the engine bit for bit.

The screen uses a faster path, which differs by at most one level of 8 bits where layers are translucent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_editor.document.blend_mode import BlendMode
from s2am_editor.document.layer_tree import GroupNode, Node, layer_tree
from s2am_editor.document.model import Document, Group, Layer
from s2am_editor.render.cast_shadow import ScaledShadow, scaled_shadow, shadow_in
from s2am_editor.render.finish_layer import finished_patch, has_finish, prepared_map
from s2am_editor.render.mixing import mix_colors
from s2am_editor.render.resample import Patch, resample_layer
from s2am_engine.color.apply import apply_color_map
from s2am_engine.image.arrays import full_scale, to_depth, to_unit
from s2am_engine.image.data import ImageData
from s2am_engine.image.paste import Placement, blend_over, paste_layer
from s2am_engine.image.rect import Rect


def visible_nodes(document: Document, zoom: float, rect: Rect) -> tuple[Node, ...]:
    """Return the tree of the layers and groups that can be visible in a part of the canvas, from bottom to top."""
    left, top, right, bottom = (edge / zoom for edge in rect)
    return _prune(layer_tree(document), Rect(int(left) - 1, int(top) - 1, int(right) + 2, int(bottom) + 2))


def _prune(nodes: Sequence[Node], area: Rect) -> tuple[Node, ...]:
    """Return a tree without everything that is not visible in an area of the canvas."""
    visible: list[Node] = []
    for node in nodes:
        if isinstance(node, Layer):
            if node.visible and node.opacity > 0 and not node.reach.intersection(area).is_empty:
                visible.append(node)
        elif node.group.visible and node.group.opacity > 0:
            children = _prune(node.children, area)
            if children:
                visible.append(GroupNode(node.group, children))
    return tuple(visible)


def scaled_canvas(document: Document, zoom: float) -> Rect:
    """Return the canvas in pixels of a zoom."""
    return Rect(0, 0, max(1, round(document.width * zoom)), max(1, round(document.height * zoom)))


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
        harmonized: False = with the patch's own colors: the original ones, or those of `finished_patch`.
        fast: allow a difference of one 8-bit level, as for the screen.

    Returns:
        The blended pixels; the backdrop itself if nothing changes.
    """
    if patch is None:
        return backdrop
    recolored = partial(_apply_harmonization, layer, harmonized=harmonized, fast=fast)
    return _blend_patch(backdrop, patch, rect, _Blending(layer.blend_mode, layer.opacity, fast), recolored)


def blend_shadow(backdrop: ImageData, layer: Layer, shadow: ScaledShadow, zoom: float, rect: Rect) -> ImageData:
    """Multiply a backdrop with the shadow of a layer above it.

    Args:
        backdrop: the pixels of `rect`; not modified.
        layer: its opacity is applied.
        shadow: the rendered shadow.
        zoom: screen pixels per canvas pixel.
        rect: part of the canvas, in pixels of that zoom.
    """
    part = shadow_in(shadow, layer.opacity, zoom, rect)
    if part is None:
        return backdrop
    if backdrop.alpha is None:
        pixels = backdrop.pixels.copy()
        part.darken(pixels)  # with dithering: 8 bits would show bands
        return dataclasses.replace(backdrop, pixels=pixels)
    place = Rect(0, 0, *part.alpha.shape[::-1]).translated(rect.left + part.left, rect.top + part.top)
    colors = np.empty((*part.alpha.shape, 3), np.float32)
    colors[:] = part.color
    patch = Patch(place, to_depth(colors, backdrop.pixels.dtype), part.alpha)
    return _blend_patch(backdrop, patch, rect, _Blending(BlendMode.MULTIPLY))


def blend_group(backdrop: ImageData, group: Group, image: ImageData, rect: Rect, *, fast: bool = False) -> ImageData:
    """Blend a rendered group over a backdrop.

    Args:
        backdrop: the pixels of `rect` without the group; not modified.
        group: its opacity and blend mode are applied.
        image: an isolated group by itself; any other group with its backdrop.
        rect: part of the canvas that both show.
        fast: see `blend_layer`.

    Returns:
        The blended pixels; of a group that is not isolated, the mean of both images weighted by the opacity.
    """
    if group.isolated:
        patch = Patch(rect, image.pixels, image.alpha)
        return _blend_patch(backdrop, patch, rect, _Blending(group.blend_mode, group.opacity, fast))
    return image if group.opacity == 1 else _cross_fade(backdrop, image, group.opacity)


@dataclass(frozen=True)
class _Blending:
    """Blend mode, opacity, and whether a difference of one 8-bit level is allowed."""

    mode: BlendMode
    opacity: float = 1.0
    fast: bool = False


def _original_colors(patch: Patch) -> NDArray[Any]:
    return patch.pixels


def _blend_patch(
    backdrop: ImageData,
    patch: Patch,
    rect: Rect,
    blending: _Blending,
    recolored: Callable[[Patch], NDArray[Any]] = _original_colors,
) -> ImageData:
    """Blend pixels over a backdrop, of `rect`; `recolored`: returns the colors of a patch; see `blend_layer`."""
    mixes = blending.mode is not BlendMode.NORMAL and not _is_transparent(backdrop)
    if patch.rect == rect and blending.opacity == 1 and not mixes:
        if patch.coverage is None:
            return ImageData(recolored(patch))
        if patch.coverage.dtype == patch.pixels.dtype and _is_transparent(backdrop):
            # The lowest layer keeps the colors of its transparent pixels.
            return ImageData(recolored(patch), patch.coverage)
    patch = _crop_to_coverage(patch)
    if patch.rect.is_empty:
        return backdrop
    pixels, coverage = recolored(patch), _apply_opacity(patch, blending.opacity)
    target = patch.rect.translated(-rect.left, -rect.top)
    if mixes:
        pixels = _mix_with_backdrop(blending.mode, pixels, backdrop, target)
    if backdrop.alpha is not None:
        return paste_layer(Placement(target.top, target.left, pixels, coverage), pixels, backdrop)
    if blending.fast and pixels.dtype == np.uint8:
        return _paste_fast(backdrop, pixels, to_unit(coverage), target)
    return _paste_on_opaque(backdrop, pixels, coverage, target)


def _mix_with_backdrop(mode: BlendMode, pixels: NDArray[Any], backdrop: ImageData, target: Rect) -> NDArray[Any]:
    """Return a layer's colors mixed with those of its backdrop, in proportion to the backdrop's opacity."""
    source = to_unit(pixels)
    mixed = mix_colors(mode, to_unit(backdrop.pixels[target.slices]), source)
    if backdrop.alpha is not None:
        mixed = source + to_unit(backdrop.alpha[target.slices])[..., None] * (mixed - source)
    return to_depth(mixed, pixels.dtype)


def exact_shadows(document: Document) -> dict[int, ScaledShadow]:
    """Render the shadows of all visible layers at full size, by the layers' ids."""
    size = document.width, document.height
    casting = (layer for layer in document.layers if layer.shadow is not None and document.shows(layer))
    return {layer.id: scaled_shadow(layer, size) for layer in casting}


def render_exactly(
    document: Document, zoom: float, rect: Rect, *, shadows: Mapping[int, ScaledShadow] | None = None
) -> ImageData:
    """Blend all visible layers in a part of the canvas, without the fast path of the screen.

    The adjustment of the whole image is left to `adjust_image`.

    Args:
        document: the document.
        zoom: screen pixels per canvas pixel, at most 1.
        rect: part of the canvas, in pixels of that zoom.
        shadows: those of `exact_shadows`, to render several parts; None = they are rendered for this part.

    Returns:
        h×w in the document's depth and profile; alpha is None where everything is opaque.
    """
    canvas = scaled_canvas(document, zoom)
    known = exact_shadows(document) if shadows is None else shadows

    def blend(backdrop: ImageData, nodes: Sequence[Node]) -> ImageData:
        image = backdrop
        for node in nodes:
            if isinstance(node, Layer):
                if node.id in known:
                    image = blend_shadow(image, node, known[node.id], zoom, rect)
                if has_finish(node):
                    image = blend_layer(image, node, finished_patch(node, zoom, rect, canvas), rect, harmonized=False)
                else:
                    image = blend_layer(image, node, resample_layer(node, zoom, rect), rect)
            else:
                below = transparent_image(rect, document.dtype) if node.group.isolated else image
                image = blend_group(image, node.group, blend(below, node.children), rect)
        return image

    image = blend(transparent_image(rect, document.dtype), visible_nodes(document, zoom, rect))
    return dataclasses.replace(image, profile=document.profile)


def adjust_image(document: Document, image: ImageData, *, workers: int | None = None) -> ImageData:
    """Apply the document's adjustment of the whole image to a blended part of it; see `apply_color_map`."""
    if document.adjustment is None:
        return image
    pixels = np.ascontiguousarray(image.pixels)
    prepared = prepared_map(document.adjustment)
    return dataclasses.replace(image, pixels=apply_color_map(prepared, pixels, workers=workers))


def _cross_fade(first: ImageData, second: ImageData, share: float) -> ImageData:
    """Return the mean of two images of equal size, with `share` of the second; colors are weighted by alpha."""
    weights = []
    for image, part in ((first, 1 - share), (second, share)):
        alpha = 1.0 if image.alpha is None else to_unit(image.alpha)[..., None]
        weights.append(np.float32(part) * np.broadcast_to(alpha, (*image.pixels.shape[:2], 1)).astype(np.float32))
    total = weights[0] + weights[1]
    sums = to_unit(first.pixels) * weights[0] + to_unit(second.pixels) * weights[1]
    dtype = first.pixels.dtype
    pixels = to_depth(sums / np.maximum(total, np.float32(1e-6)), dtype)
    is_opaque = first.alpha is None and second.alpha is None
    return dataclasses.replace(second, pixels=pixels, alpha=None if is_opaque else to_depth(total[..., 0], dtype))


def _apply_harmonization(layer: Layer, patch: Patch, *, harmonized: bool, fast: bool) -> NDArray[Any]:
    if not harmonized or layer.harmonization is None:
        return patch.pixels
    # Tiles for the screen are already rendered by several threads.
    workers = 1 if fast else None
    return apply_color_map(prepared_map(layer.harmonization), np.ascontiguousarray(patch.pixels), workers=workers)


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
