# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole document as one picture, as it is exported and as a model sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2am_editor.compose.sampling import sample
from s2am_editor.compose.stacking import Look, compose
from s2am_editor.document.geometry import Rect
from s2am_editor.document.model import Document, Layer
from s2am_engine.image.compositing import to_depth
from s2am_engine.image.io import ImageData
from s2am_engine.image.masks import full_scale

Progress = Callable[[float], None]
"""Called now and then with the share done in [0, 1]; what it raises ends the work."""

_STRIP_PIXELS = 1 << 20


def flatten(document: Document, look: Look = "after", progress: Progress | None = None) -> ImageData:
    """Lay all visible layers over each other, at full size and depth.

    Where no layer changes anything, the pixels come out bit for bit; elsewhere they are what the engine makes of them.
    Profile and metadata are the document's; a picture that was gray and has no color anywhere stays gray.

    Args:
        document: at least one layer should be visible, else all of it is transparent.
        look: with layers harmonized, or as they were.
        progress: see `Progress`.
    """
    pixels = np.empty((document.height, document.width, 3), document.dtype)
    alpha: NDArray[Any] | None = None
    for strip in strips(document):
        part = compose(document, 1.0, strip, look)
        pixels[strip.window] = part.pixels
        if part.alpha is not None:
            if alpha is None:
                alpha = np.full(pixels.shape[:2], full_scale(document.dtype), document.dtype)
            alpha[strip.window] = part.alpha
        if progress:
            progress(strip.bottom / document.height)
    gray = document.gray and _is_gray(pixels)
    return ImageData(pixels, alpha, document.profile, gray, document.metadata)


def whole_cover(document: Document, layer: Layer) -> NDArray[Any]:
    """What of the canvas a layer covers, whatever its opacity: H×W of the document's dtype, the mask of the engine."""
    cover: NDArray[Any] = np.zeros((document.height, document.width), document.dtype)
    full = full_scale(document.dtype)
    for strip in strips(document):
        patch = sample(layer, 1.0, strip)
        if patch is None:
            continue
        window = cover[patch.rect.window]
        if patch.cover is None:
            window[:] = full
        else:
            window[:] = to_depth(patch.cover, document.dtype)
    return cover


def strips(document: Document) -> list[Rect]:
    """The canvas in strips of whole rows, from the top."""
    rows = max(1, _STRIP_PIXELS // document.width)
    return [Rect(0, top, document.width, min(top + rows, document.height)) for top in range(0, document.height, rows)]


def _is_gray(pixels: NDArray[Any]) -> bool:
    first = pixels[..., 0]
    return all(np.array_equal(first, pixels[..., channel]) for channel in (1, 2))
