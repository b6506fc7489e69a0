# SPDX-License-Identifier: GPL-3.0-or-later
"""Edge decontamination: where a cut-out is half transparent, the color of what was behind it is taken out.

Foreground and background colors are spread into the edge by weighted means, then made to agree with what is seen
(Forte, “Approximate Fast Foreground Color Estimation”, ICIP 2021). Alpha stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_editor.document.geometry import Rect
from s2am_editor.document.model import Layer
from s2am_editor.document.raster import Raster
from s2am_engine.errors import EngineError
from s2am_engine.image.compositing import to_depth
from s2am_engine.inference.network_input import to_unit

Floats = NDArray[np.float32]
Progress = Callable[[float], None]

_TILE = 512
_SPREADS = (40, 6)  # pixels: from further away first, then from close by


def decontaminated(layer: Layer, progress: Progress | None = None) -> Raster:
    """A layer's pixels with the colors of its half transparent edge cleaned; all others stay bit for bit.

    Args:
        layer: by its alpha and its mask; opacity does not count.
        progress: called with the share done; what it raises ends the work.

    Raises:
        EngineError: nothing of the layer is half transparent.
    """
    pixels = layer.raster.pixels.copy()
    width, height = layer.size
    whole, changed = Rect(0, 0, width, height), False
    for top in range(0, height, _TILE):
        if progress:
            progress(top / height)
        for left in range(0, width, _TILE):
            tile = Rect(left, top, left + _TILE, top + _TILE).within(whole)
            cover = layer_cover(layer, tile)
            edge = (cover > 0) & (cover < 1)
            if not edge.any():
                continue
            changed = True
            around = tile.grown(sum(_SPREADS)).within(whole)
            cleaned = _foreground(to_unit(layer.raster.pixels[around.window]), layer_cover(layer, around))
            inner = cleaned[tile.moved(-around.left, -around.top).window]
            pixels[tile.window][edge] = to_depth(inner[edge], pixels.dtype)
    if not changed:
        raise EngineError(f"“{layer.name}” has no soft edge to clean: cut it out first, or feather its mask.")
    return Raster(pixels, layer.raster.alpha)


def layer_cover(layer: Layer, rect: Rect) -> Floats:
    """Alpha times mask of a part of a layer's own pixels, h×w in [0, 1]."""
    cover = np.ones((rect.height, rect.width), np.float32)
    if layer.raster.alpha is not None:
        cover *= to_unit(layer.raster.alpha[rect.window])
    if layer.mask is not None:
        cover *= to_unit(layer.mask.read(rect))
    return cover


def _foreground(colors: Floats, cover: Floats) -> Floats:
    """The foreground's colors h×w×3 alone, given what is seen of them mixed with the background's."""
    ahead, behind = colors, colors
    alpha = cover[..., None]
    for spread in _SPREADS:
        ahead = _mean(ahead, cover, spread)
        behind = _mean(behind, 1 - cover, spread)
        # What is seen and not explained by the two is the foreground's own detail, as far as it is opaque.
        ahead = ahead + alpha * (colors - alpha * ahead - (1 - alpha) * behind)
        ahead = np.clip(ahead, 0, 1)
    return ahead


def _mean(colors: Floats, weights: Floats, spread: int) -> Floats:
    """Means around each pixel by weight; the pixel's own color where nothing around it counts."""
    size = (2 * spread + 1,) * 2
    shares = np.asarray(cv2.blur(weights, size), np.float32)[..., None]
    sums = np.asarray(cv2.blur(colors * weights[..., None], size), np.float32)
    return np.where(shares > 1e-5, sums / np.maximum(shares, np.float32(1e-5)), colors)
