# SPDX-License-Identifier: GPL-3.0-or-later
"""Shadows of layers: rendered from their coverage by the engine, and estimated from the layers below.

A layer stores only the values of its shadow, which therefore follows every change of the layer. On the screen, the
shadow of a large layer is rendered at reduced size.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from s2am_editor.document.model import Layer
from s2am_editor.render.resample import resample_layer
from s2am_engine.image.rect import Rect
from s2am_engine.shadow.layer import ShadowLayer, Silhouette
from s2am_engine.shadow.render import render_shadow

_MAX_SIDE = 1536  # pixels of a layer's longer side from which on its shadow on the screen is reduced


@dataclass(frozen=True, eq=False)
class ScaledShadow:
    """A rendered shadow and its pixels per canvas pixel."""

    layer: ShadowLayer
    scale: float


def silhouette_of(layer: Layer, scale: float) -> Silhouette | None:
    """Return the coverage of a layer without its opacity, including its part outside of the canvas; None if empty."""
    rect = Rect(*(round(edge * scale) for edge in layer.box)).expanded(1)
    patch = resample_layer(layer, scale, rect)
    if patch is None:
        return None
    height, width = patch.pixels.shape[:2]
    alpha = np.full((height, width), 255, np.uint8) if patch.coverage is None else patch.coverage
    return Silhouette(np.ascontiguousarray(alpha), patch.rect.left, patch.rect.top)


def screen_scale(layer: Layer, zoom: float) -> float:
    """Return the pixels per canvas pixel with which the shadow of a layer is rendered for the screen."""
    return min(zoom, 1.0, _MAX_SIDE / max(1, layer.box.width, layer.box.height))


def scaled_shadow(layer: Layer, size: tuple[int, int], scale: float = 1.0) -> ScaledShadow:
    """Render the shadow of a layer that has one.

    Args:
        layer: opacity, visibility and colors are ignored.
        size: width and height of the canvas.
        scale: pixels per canvas pixel, at most 1.
    """
    if layer.shadow is None:
        raise ValueError(f"“{layer.name}” has no shadow")
    width, height = (max(1, round(length * scale)) for length in size)
    silhouette = silhouette_of(layer, scale) or Silhouette(np.zeros((1, 1), np.uint8))
    return ScaledShadow(render_shadow(layer.shadow, silhouette, height, width), scale)


def shadow_in(shadow: ScaledShadow, opacity: float, zoom: float, rect: Rect) -> ShadowLayer | None:
    """Return the part of a shadow in a rectangle; None if there is none.

    Args:
        shadow: the rendered shadow.
        opacity: of its layer.
        zoom: screen pixels per canvas pixel.
        rect: part of the canvas, in pixels of that zoom.

    Returns:
        A layer whose position refers to the rectangle.
    """
    layer, factor = shadow.layer, zoom / shadow.scale
    height, width = layer.alpha.shape
    left, top = layer.left * factor, layer.top * factor
    box = Rect(int(left) - 1, int(top) - 1, int(left + width * factor) + 2, int(top + height * factor) + 2)
    target = box.intersection(rect)
    if target.is_empty or not layer.alpha.size:
        return None
    # Pixel centers; at the same scale, the pixels are copied.
    offset_x = (target.left + 0.5) / factor - 0.5 - layer.left
    offset_y = (target.top + 0.5) / factor - 0.5 - layer.top
    matrix = np.array([[1 / factor, 0, offset_x], [0, 1 / factor, offset_y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = target.width, target.height
    alpha = cv2.warpAffine(layer.alpha, matrix, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    if not alpha.any():
        return None
    alpha = alpha if opacity == 1 else np.rint(alpha * np.float32(opacity)).astype(np.uint16)
    return ShadowLayer(target.left - rect.left, target.top - rect.top, np.asarray(alpha, np.uint16), layer.color)
