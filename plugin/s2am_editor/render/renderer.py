# SPDX-License-Identifier: GPL-3.0-or-later
"""`RenderSession`: documents on the screen, in tiles and with a cache; `export.flatten` is its exact counterpart.

Moving a slider leaves the layer's resampled pixels and everything below it in the cache: a redraw then costs one
color map and one blend of the visible pixels, regardless of the image's size.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_editor.document.changes import changed_area
from s2am_editor.document.geometry import Transform
from s2am_editor.document.layer_tree import GroupNode, Node
from s2am_editor.document.model import Document, Layer
from s2am_editor.document.raster import TiledMask
from s2am_editor.render.blend import (
    adjust_image,
    blend_group,
    blend_layer,
    blend_shadow,
    scaled_canvas,
    transparent_image,
    visible_nodes,
)
from s2am_editor.render.cast_shadow import ScaledShadow, scaled_shadow, screen_scale
from s2am_editor.render.finish_layer import finished_patch, has_finish
from s2am_editor.render.resample import Patch, resample_layer, resample_mask
from s2am_engine.image import icc
from s2am_engine.image.arrays import to_uint8
from s2am_engine.image.data import ImageData
from s2am_engine.image.rect import Rect

TILE_SIZE = 384
"""Side of the tiles in which the screen is drawn, in pixels."""

MAX_CACHE_BYTES = 64 << 20
MAGNIFIED_ZOOM = 2.0
"""From this zoom on, canvas pixels are drawn as squares."""

_T = TypeVar("_T", bound=Patch | ImageData | ScaledShadow | None)
_View = tuple[np.dtype[Any], float, Rect, Rect, bool]
# depth, zoom, canvas and a part of it in pixels of that zoom, harmonized


class RenderSession:
    """Renders a document and its successive states for the screen.

        session = RenderSession(document)
        session.tile(rect, zoom)                # BGRA pixels for the screen
        dirty = session.update(next_document)   # the part of the canvas to draw again

    All methods can be called from any thread. A call works on the state at its start, even if another thread updates
    the session meanwhile.
    """

    def __init__(self, document: Document, max_cache_bytes: int = MAX_CACHE_BYTES) -> None:
        """Start with a document and an empty cache of at most `max_cache_bytes`."""
        self._document = document
        self._cache: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._max_cache_bytes, self._cache_bytes = max_cache_bytes, 0
        self._lock, self._shadow_lock = threading.Lock(), threading.Lock()

    @property
    def document(self) -> Document:
        """The state that is rendered."""
        return self._document

    def update(self, document: Document) -> Rect:
        """Render another state from now on.

        Returns:
            The part of the canvas that can differ from the previous state; empty if none does. If the canvas has
            another size, it covers the old and the new canvas.
        """
        previous, self._document = self._document, document
        return changed_area(previous, document)

    def tile(self, rect: Rect, zoom: float, *, harmonized: bool = True) -> NDArray[np.uint8]:
        """Render a part of the canvas for the screen.

        Args:
            rect: the part, in screen pixels from the canvas's upper left corner; transparent beyond the canvas.
            zoom: screen pixels per canvas pixel, above 0; from MAGNIFIED_ZOOM on, canvas pixels become squares.
            harmonized: False = with the layers' original colors.

        Returns:
            h×w×4 uint8, contiguous, sRGB, in the order blue, green, red, alpha, with premultiplied alpha: Qt's
            ARGB32_Premultiplied on a little-endian machine.
        """
        return self._render(self._document, rect, zoom, harmonized)

    def layer_coverage(self, layer: Layer, rect: Rect, zoom: float) -> NDArray[np.uint8]:
        """Render the coverage of a layer, without its opacity, to show its cutout: h×w, 0 to 255."""
        if zoom >= MAGNIFIED_ZOOM:
            source = _canvas_rect(rect, zoom)
            return _magnify(self.layer_coverage(layer, source, 1.0), source, zoom, rect)
        return _coverage(self._patch(layer, zoom, rect), rect)

    def canvas_mask(self, mask: TiledMask, rect: Rect, zoom: float) -> NDArray[np.uint8]:
        """Render a mask of the canvas's size, such as the reference area: h×w, 0 to 255."""
        if zoom >= MAGNIFIED_ZOOM:
            source = _canvas_rect(rect, zoom)
            return _magnify(mask.read(source), source, zoom, rect)
        return resample_mask(mask, zoom, rect)

    def _render(self, document: Document, rect: Rect, zoom: float, harmonized: bool) -> NDArray[np.uint8]:
        if zoom >= MAGNIFIED_ZOOM:
            source = _canvas_rect(rect, zoom)
            return _magnify(self._render(document, source, 1.0, harmonized), source, zoom, rect)
        inside = rect.intersection(scaled_canvas(document, zoom))
        if inside.is_empty:
            return np.zeros((rect.height, rect.width, 4), np.uint8)
        pixels = to_screen(self._blend_layers(document, zoom, inside, harmonized))
        if inside == rect:
            return pixels
        frame = np.zeros((rect.height, rect.width, 4), np.uint8)
        frame[inside.translated(-rect.left, -rect.top).slices] = pixels
        return frame

    def _blend_layers(self, document: Document, zoom: float, rect: Rect, harmonized: bool) -> ImageData:
        key = (document.dtype, zoom, scaled_canvas(document, zoom), rect, harmonized)
        nodes = visible_nodes(document, zoom, rect)
        blend = partial(self._blend_nodes, transparent_image(rect, document.dtype), nodes, key, key)
        if harmonized and document.adjustment is not None:
            # Cached, because a slider of the whole image changes none of the layers.
            blended = self._cached((*key, *map(_appearance_key, nodes)), blend)
            image = adjust_image(document, blended, workers=1)
        else:
            image = blend()
        return ImageData(image.pixels, image.alpha, document.profile)

    def _blend_nodes(
        self, image: ImageData, nodes: Sequence[Node], view: _View, key: tuple[Hashable, ...]
    ) -> ImageData:
        """Blend layers and groups over an image, which `key` identifies; cache all results below the topmost node."""
        for node in nodes[:-1]:
            below, key = key, (*key, _appearance_key(node))
            image = self._cached(key, partial(self._blend, image, node, view, below))
        # The caller keeps the final result itself.
        return self._blend(image, nodes[-1], view, key) if nodes else image

    def _blend(self, backdrop: ImageData, node: Node, view: _View, key: tuple[Hashable, ...]) -> ImageData:
        dtype, zoom, canvas, rect, harmonized = view
        if isinstance(node, Layer):
            if harmonized and node.shadow is not None:
                backdrop = blend_shadow(backdrop, node, self._shadow(node, zoom), zoom, rect)
            if harmonized and has_finish(node):
                finished = self._finished(node, zoom, rect, canvas)
                return blend_layer(backdrop, node, finished, rect, harmonized=False, fast=True)
            return blend_layer(backdrop, node, self._patch(node, zoom, rect), rect, harmonized=harmonized, fast=True)
        if node.group.isolated:
            rendered = self._blend_nodes(transparent_image(rect, dtype), node.children, view, view)
        else:
            rendered = self._blend_nodes(backdrop, node.children, view, key)
        return blend_group(backdrop, node.group, rendered, rect, fast=True)

    def _shadow(self, layer: Layer, zoom: float) -> ScaledShadow:
        scale, size = screen_scale(layer, zoom), (self._document.width, self._document.height)
        key = (layer.raster, layer.mask, layer.transform, layer.shadow, size, scale)
        with self._shadow_lock:  # every tile needs the same one
            return self._cached(key, lambda: scaled_shadow(layer, size, scale))

    def _patch(self, layer: Layer, zoom: float, rect: Rect) -> Patch | None:
        key = (layer.raster, layer.mask, layer.transform, zoom, rect)
        return self._cached(key, lambda: resample_layer(layer, zoom, rect))

    def _finished(self, layer: Layer, zoom: float, rect: Rect, canvas: Rect) -> Patch | None:
        key = (layer.raster, layer.mask, layer.transform, layer.harmonization, layer.finish, zoom, rect, canvas)
        return self._cached(key, lambda: finished_patch(layer, zoom, rect, canvas, workers=1))

    def _cached(self, key: Hashable, compute: Callable[[], _T]) -> _T:
        """Return a cached result, or compute and cache it."""
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key][0]
        result = compute()
        size = _owned_bytes(result)
        with self._lock:
            if key not in self._cache:
                self._cache[key] = result, size
                self._cache_bytes += size
            while self._cache_bytes > self._max_cache_bytes and len(self._cache) > 1:
                self._cache_bytes -= self._cache.popitem(last=False)[1][1]
        return result


def layer_coverage(layer: Layer, rect: Rect, zoom: float) -> NDArray[np.uint8]:
    """Render the coverage of a layer without its opacity: h×w, 0 to 255; see `RenderSession.layer_coverage`."""
    return _coverage(resample_layer(layer, zoom, rect), rect)


def _coverage(patch: Patch | None, rect: Rect) -> NDArray[np.uint8]:
    coverage = np.zeros((rect.height, rect.width), np.uint8)
    if patch is not None:
        target = patch.rect.translated(-rect.left, -rect.top).slices
        coverage[target] = 255 if patch.coverage is None else to_uint8(patch.coverage)
    return coverage


def layer_thumbnail(layer: Layer, side: int, profile: bytes | None = None) -> NDArray[np.uint8]:
    """Render one layer, without transform and opacity, with a longer side of at most `side` screen pixels.

    Args:
        layer: rendered with its mask and harmonization, even if it is hidden.
        side: screen pixels.
        profile: ICC profile of the document.

    Returns:
        Format as `RenderSession.tile`.
    """
    zoom = min(1.0, side / max(layer.size))
    rect = Rect(0, 0, *(max(1, round(length * zoom)) for length in layer.size))
    upright = dataclasses.replace(layer, transform=Transform.at(0, 0, layer.size), opacity=1.0)
    patch = resample_layer(upright, zoom, rect)
    image = blend_layer(transparent_image(rect, layer.raster.pixels.dtype), upright, patch, rect)
    return to_screen(dataclasses.replace(image, profile=profile))


def to_screen(image: ImageData) -> NDArray[np.uint8]:
    """Convert an image to the screen's format; see `RenderSession.tile`."""
    colors = icc.to_srgb(to_uint8(image.pixels), image.profile)
    pixels = np.asarray(cv2.cvtColor(colors, cv2.COLOR_RGB2BGRA), np.uint8)
    if image.alpha is None:
        return pixels
    alpha = to_uint8(image.alpha)
    pixels = np.asarray(cv2.multiply(pixels, cv2.merge([alpha] * 4), scale=1 / 255), np.uint8)
    pixels[..., 3] = alpha
    return pixels


def _appearance_key(node: Node) -> Hashable:
    """Return everything that affects the appearance of a visible layer or group."""
    if isinstance(node, GroupNode):
        group = node.group
        return group.opacity, group.blend_mode, group.isolated, *(_appearance_key(child) for child in node.children)
    layer = node
    pixels = layer.raster, layer.mask, layer.transform, layer.harmonization, layer.finish
    return *pixels, layer.opacity, layer.blend_mode, layer.shadow


def _owned_bytes(result: Patch | ImageData | ScaledShadow | None) -> int:
    """Return the bytes that only the cache holds: views of a document's arrays are free."""
    if result is None:
        return 0
    if isinstance(result, ScaledShadow):
        return result.layer.alpha.nbytes
    arrays = (result.pixels, result.coverage if isinstance(result, Patch) else result.alpha)
    return sum(array.nbytes for array in arrays if array is not None and array.base is None)


def _canvas_rect(rect: Rect, zoom: float) -> Rect:
    """Return the canvas pixels that a rectangle of a magnified canvas shows."""
    left, top = int(np.floor(rect.left / zoom)), int(np.floor(rect.top / zoom))
    return Rect(left, top, int(np.ceil(rect.right / zoom)), int(np.ceil(rect.bottom / zoom)))


def _magnify(pixels: NDArray[np.uint8], source: Rect, zoom: float, rect: Rect) -> NDArray[np.uint8]:
    """Draw canvas pixels as squares: each screen pixel shows the canvas pixel that contains its center."""
    columns = np.floor((np.arange(rect.left, rect.right) + 0.5) / zoom).astype(np.intp) - source.left
    rows = np.floor((np.arange(rect.top, rect.bottom) + 0.5) / zoom).astype(np.intp) - source.top
    return np.ascontiguousarray(pixels[rows][:, columns])
