# SPDX-License-Identifier: GPL-3.0-or-later
"""Small synthetic documents for the tests."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from s2am_editor.document.model import Document, Layer
from s2am_engine.image.arrays import full_scale
from s2am_engine.image.data import ImageData


def scene(width: int = 300, height: int = 200, seed: int = 0, dtype: DTypeLike = np.uint8) -> NDArray[Any]:
    """Return H×W×3 pixels: a smooth, colored gradient with grain."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.random((5, 7, 3), np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    unit = np.clip(coarse * 0.8 + 0.1 + rng.normal(0, 0.01, coarse.shape), 0, 1)
    full = full_scale(np.dtype(dtype))
    return (np.rint(unit * full) if full > 1 else unit).astype(dtype)


def disc(width: int, height: int, dtype: DTypeLike = np.uint8) -> NDArray[Any]:
    """Return an H×W alpha: an ellipse with a soft edge, opaque in the center and 0 in the corners."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    unit = np.clip((0.9 - np.hypot(x, y)) * 8, 0, 1)
    full = full_scale(np.dtype(dtype))
    return (np.rint(unit * full) if full > 1 else unit).astype(dtype)


def cutout(width: int = 80, height: int = 60, seed: int = 1, dtype: DTypeLike = np.uint8) -> ImageData:
    """Return an image with transparency."""
    return ImageData(scene(width, height, seed, dtype), disc(width, height, dtype))


def two_layers(dtype: DTypeLike = np.uint8) -> tuple[Document, Layer]:
    """Return a document with a 300×200 background and an 80×60 cutout in its center, and the cutout's layer."""
    document = Document.from_image(ImageData(scene(dtype=dtype)), "beach")
    layer = document.new_layer(cutout(dtype=dtype), "person")
    return Document(**{**vars(document), "layers": (*document.layers, layer), "active": layer.id}), layer
