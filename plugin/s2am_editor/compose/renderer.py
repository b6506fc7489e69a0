# SPDX-License-Identifier: GPL-3.0-or-later
"""Drawing any part of a document at any zoom for the screen, and keeping what the next drawing can use.

A slider leaves a layer's place alone, so its resampled pixels and all that lies beneath it are there already: what is
left is one color map and one blend of the pixels on the screen, whatever the size of the picture.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_editor.compose.sampling import Patch, sample, sample_mask
from s2am_editor.compose.stacking import Look, lay_over, nothing, seen_layers
from s2am_editor.document.geometry import Rect, Transform
from s2am_editor.document.mask import Mask
from s2am_editor.document.model import Document, Layer
from s2am_engine.image import profiles
from s2am_engine.image.io import ImageData
from s2am_engine.inference.network_input import to_bytes

Bytes = NDArray[np.uint8]
_T = TypeVar("_T", bound=Patch | ImageData | None)

MEMORY = 64 << 20
MAGNIFIED = 2.0  # from this zoom on, the pixels of the canvas are shown as squares


class Renderer:
    """Draws documents; may be called from several threads at once."""

    def __init__(self, memory: int = MEMORY) -> None:
        """Begin with nothing kept; at most `memory` bytes ever are."""
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._memory, self._used = memory, 0
        self._lock = threading.Lock()

    def render(self, document: Document, zoom: float, rect: Rect, look: Look = "after") -> Bytes:
        """Draw a part of a document.

        Args:
            document: it is not changed, and may be an older or newer one than that of the last call.
            zoom: screen pixels a canvas pixel, above 0; from 2 on pixels are squares.
            rect: what to draw, in screen pixels from the canvas's upper left corner; beyond the canvas is transparent.
            look: with layers harmonized, or as they were.

        Returns:
            h×w×4 uint8 in sRGB, in the order blue, green, red, alpha, colors multiplied with alpha, contiguous: what
            Qt calls ARGB32_Premultiplied on a little-endian machine.
        """
        if zoom >= MAGNIFIED:
            small = _shrunk(rect, zoom)
            return _magnified(self.render(document, 1.0, small, look), small, zoom, rect)
        edge = Rect(0, 0, max(1, round(document.width * zoom)), max(1, round(document.height * zoom)))
        inside = rect.within(edge)
        frame = np.zeros((rect.height, rect.width, 4), np.uint8)
        if inside.is_empty:
            return frame
        drawn = for_screen(self._picture(document, zoom, inside, look))
        if inside == rect:
            return drawn
        frame[inside.moved(-rect.left, -rect.top).window] = drawn
        return frame

    def cover(self, layer: Layer, zoom: float, rect: Rect) -> Bytes:
        """How much of a layer is seen in each pixel (h×w, 0 to 255), whatever its opacity: to show its cut-out."""
        whole = np.zeros((rect.height, rect.width), np.uint8)
        if zoom >= MAGNIFIED:
            small = _shrunk(rect, zoom)
            return _magnified(self.cover(layer, 1.0, small), small, zoom, rect)
        patch = self._patch(layer, zoom, rect)
        if patch is not None:
            place = patch.rect.moved(-rect.left, -rect.top).window
            whole[place] = 255 if patch.cover is None else to_bytes(patch.cover)
        return whole

    def mask(self, mask: Mask, zoom: float, rect: Rect) -> Bytes:
        """How a mask of the canvas's size lies on the screen (h×w, 0 to 255): a proposal, a painted reference."""
        if zoom >= MAGNIFIED:
            small = _shrunk(rect, zoom)
            return _magnified(mask.read(small), small, zoom, rect)
        return sample_mask(mask, zoom, rect)

    def thumbnail(self, document: Document, side: int, look: Look = "after") -> Bytes:
        """A whole document, its longer side `side` pixels; as `render`."""
        zoom = min(1.0, side / max(document.width, document.height))
        size = max(1, round(document.width * zoom)), max(1, round(document.height * zoom))
        return self.render(document, zoom, Rect(0, 0, *size), look)

    def forget(self) -> None:
        """Keep nothing; for when a document is closed."""
        with self._lock:
            self._kept.clear()
            self._used = 0

    def _picture(self, document: Document, zoom: float, rect: Rect, look: Look) -> ImageData:
        layers = seen_layers(document, zoom, rect)
        picture = nothing(rect, document.dtype)
        key: tuple[Hashable, ...] = (document.dtype, zoom, rect, look)
        for layer in layers[:-1]:
            key = (*key, _looks(layer))
            picture = self._keep(key, partial(self._laid_over, picture, layer, zoom, rect, look))
        if layers:  # the result itself is kept by whoever asked for it
            picture = self._laid_over(picture, layers[-1], zoom, rect, look)
        return ImageData(picture.pixels, picture.alpha, document.profile)

    def _laid_over(self, beneath: ImageData, layer: Layer, zoom: float, rect: Rect, look: Look) -> ImageData:
        return lay_over(beneath, layer, self._patch(layer, zoom, rect), rect, look, quick=True)

    def _patch(self, layer: Layer, zoom: float, rect: Rect) -> Patch | None:
        key = (layer.raster, layer.mask, layer.transform, zoom, rect)
        return self._keep(key, lambda: sample(layer, zoom, rect))

    def _keep(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """What was made before with this key, or is made now."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
        made = make()
        size = _owned(made)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made, size
                self._used += size
            while self._used > self._memory and len(self._kept) > 1:
                self._used -= self._kept.popitem(last=False)[1][1]
        return made


def layer_thumbnail(layer: Layer, side: int, profile: bytes | None = None) -> Bytes:
    """One layer alone, not transformed, its longer side at most `side` pixels; as `Renderer.render`.

    Args:
        layer: its cut-out and its harmonization are shown, its opacity and visibility are not.
        side: screen pixels.
        profile: the document's.
    """
    zoom = min(1.0, side / max(layer.size))
    rect = Rect(0, 0, *(max(1, round(length * zoom)) for length in layer.size))
    upright = dataclasses.replace(layer, transform=Transform.at(0, 0, layer.size), opacity=1.0)
    patch = sample(upright, zoom, rect)
    drawn = lay_over(nothing(rect, layer.raster.pixels.dtype), upright, patch, rect)
    return for_screen(dataclasses.replace(drawn, profile=profile))


def _looks(layer: Layer) -> Hashable:
    """All that a layer's look depends on."""
    return layer.raster, layer.mask, layer.transform, layer.opacity, layer.harmonization


def _owned(made: Patch | ImageData | None) -> int:
    """Bytes that are held for it alone: views of a document's own arrays cost nothing."""
    if made is None:
        return 0
    arrays = (made.pixels, made.cover if isinstance(made, Patch) else made.alpha)
    return sum(array.nbytes for array in arrays if array is not None and array.base is None)


def for_screen(picture: ImageData) -> Bytes:
    """A picture as the screen wants it; see `Renderer.render`."""
    colors = profiles.to_srgb(to_bytes(picture.pixels), picture.profile)
    drawn = np.asarray(cv2.cvtColor(colors, cv2.COLOR_RGB2BGRA), np.uint8)
    if picture.alpha is None:
        return drawn
    alpha = to_bytes(picture.alpha)
    drawn = np.asarray(cv2.multiply(drawn, cv2.merge([alpha] * 4), scale=1 / 255), np.uint8)
    drawn[..., 3] = alpha
    return drawn


def _shrunk(rect: Rect, zoom: float) -> Rect:
    """The canvas pixels that a part of a magnified canvas shows."""
    left, top = int(np.floor(rect.left / zoom)), int(np.floor(rect.top / zoom))
    return Rect(left, top, int(np.ceil(rect.right / zoom)), int(np.ceil(rect.bottom / zoom)))


def _magnified(small: Bytes, place: Rect, zoom: float, rect: Rect) -> Bytes:
    """Canvas pixels as squares; each screen pixel shows the canvas pixel that its middle lies in."""
    columns = np.floor((np.arange(rect.left, rect.right) + 0.5) / zoom).astype(np.intp) - place.left
    rows = np.floor((np.arange(rect.top, rect.bottom) + 0.5) / zoom).astype(np.intp) - place.top
    return np.ascontiguousarray(small[rows][:, columns])
