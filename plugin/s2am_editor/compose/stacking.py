# SPDX-License-Identifier: GPL-3.0-or-later
"""Laying layers over each other, with the engine's own “over”: what an export holds, the engine itself would have made.

The screen may take a shorter way that is off by one level of 8 bits at most, where layers are half transparent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_editor.compose.sampling import Patch, sample
from s2am_editor.document.geometry import Rect
from s2am_editor.document.model import Document, Layer
from s2am_engine.color.apply import apply_color_map
from s2am_engine.image.compositing import Placement, mix, paste
from s2am_engine.image.io import ImageData
from s2am_engine.image.masks import full_scale
from s2am_engine.inference.network_input import to_unit

Look = Literal["after", "before"]
"""With layers harmonized, or as they were."""

Sampler = Callable[[Layer, float, Rect], Patch | None]


def seen_layers(document: Document, zoom: float, rect: Rect) -> tuple[Layer, ...]:
    """The layers that may be seen in a part of the canvas, the lowest first."""
    left, top, right, bottom = (edge / zoom for edge in rect)
    area = Rect(int(left) - 1, int(top) - 1, int(right) + 2, int(bottom) + 2)
    return tuple(
        layer
        for layer in document.layers
        if layer.visible and layer.opacity > 0 and not layer.box.within(area).is_empty
    )


def nothing(rect: Rect, dtype: np.dtype[Any]) -> ImageData:
    """A transparent picture."""
    size = rect.height, rect.width
    return ImageData(np.zeros((*size, 3), dtype), np.zeros(size, dtype))


def lay_over(
    beneath: ImageData, layer: Layer, patch: Patch | None, rect: Rect, look: Look = "after", *, quick: bool = False
) -> ImageData:
    """Lay a part of a layer over what is beneath it.

    Args:
        beneath: what `rect` looks like without the layer; it is not changed.
        layer: its harmonization and opacity count.
        patch: its pixels, see `sample`; None = it is not in sight.
        rect: the part of the canvas, in pixels of the patch's zoom.
        look: harmonized or as it was.
        quick: whether one level more or less does not matter, as on the screen.
    """
    if patch is None:
        return beneath
    if patch.rect == rect and layer.opacity == 1:
        if patch.cover is None:
            return ImageData(_recolored(layer, patch, look, quick))
        if patch.cover.dtype == patch.pixels.dtype and _is_nothing(beneath):
            # The lowest layer keeps the colors beneath its transparent part.
            return ImageData(_recolored(layer, patch, look, quick), patch.cover)
    patch = _trimmed(patch)
    if patch.rect.is_empty:
        return beneath
    pixels, cover = _recolored(layer, patch, look, quick), _opaque(patch, layer.opacity)
    place = patch.rect.moved(-rect.left, -rect.top)
    if beneath.alpha is not None:
        return paste(Placement(place.top, place.left, pixels, cover), pixels, beneath)
    if quick and pixels.dtype == np.uint8:
        return _quickly_pasted(beneath, pixels, to_unit(cover), place)
    return _pasted(beneath, pixels, cover, place)


def compose(document: Document, zoom: float, rect: Rect, look: Look = "after", sampler: Sampler = sample) -> ImageData:
    """Draw a part of a document exactly.

    Args:
        document: all its visible layers.
        zoom: screen pixels a canvas pixel, up to 1.
        rect: in pixels of that zoom.
        look: harmonized or as it was.
        sampler: where patches come from.

    Returns:
        h×w in the document's depth and profile; alpha None where all of it is opaque.
    """
    picture = nothing(rect, document.dtype)
    for layer in seen_layers(document, zoom, rect):
        picture = lay_over(picture, layer, sampler(layer, zoom, rect), rect, look)
    return dataclasses.replace(picture, profile=document.profile)


def _recolored(layer: Layer, patch: Patch, look: Look, quick: bool) -> NDArray[Any]:
    if look == "before" or layer.harmonization is None:
        return patch.pixels
    # The screen is drawn in tiles, by threads of its own.
    workers = 1 if quick else None
    return apply_color_map(layer.harmonization.color_map, np.ascontiguousarray(patch.pixels), workers=workers)


def _trimmed(patch: Patch) -> Patch:
    """The part of a patch that covers anything: the rest need not be recolored."""
    if patch.cover is None:
        return patch
    x, y, width, height = cv2.boundingRect((patch.cover > 0).view(np.uint8))
    part = Rect(x, y, x + width, y + height)
    return Patch(part.moved(patch.rect.left, patch.rect.top), patch.pixels[part.window], patch.cover[part.window])


def _is_nothing(picture: ImageData) -> bool:
    return picture.alpha is not None and not picture.alpha.any()


def _opaque(patch: Patch, opacity: float) -> NDArray[Any]:
    """A patch's cover times an opacity."""
    if patch.cover is None:
        return np.full(patch.pixels.shape[:2], opacity, np.float32)
    return patch.cover if opacity == 1 else to_unit(patch.cover) * np.float32(opacity)


def _pasted(beneath: ImageData, pixels: NDArray[Any], cover: NDArray[Any], place: Rect) -> ImageData:
    """What the engine's `paste` makes of an opaque picture, bit for bit; blends where the cover is partial alone."""
    result = beneath.pixels.copy()
    window = result[place.window]
    solid = cover >= full_scale(cover.dtype)
    cv2.copyTo(np.ascontiguousarray(pixels), solid.view(np.uint8), window)
    partial = (cover > 0) & ~solid
    window[partial] = mix(pixels[partial], window[partial], to_unit(cover[partial])[:, None])
    return dataclasses.replace(beneath, pixels=result)


def _quickly_pasted(beneath: ImageData, pixels: NDArray[Any], cover: NDArray[np.float32], place: Rect) -> ImageData:
    result = beneath.pixels.copy()
    window = result[place.window]
    window[:] = cv2.blendLinear(np.ascontiguousarray(pixels), np.ascontiguousarray(window), cover, 1 - cover)
    return dataclasses.replace(beneath, pixels=result)
