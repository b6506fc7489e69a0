# SPDX-License-Identifier: GPL-3.0-or-later
"""BMP, and GIF without animation, through Pillow. Only read."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile

from s2am_common.image_formats import BMP, GIF
from s2am_engine.image.data import IndexedColors
from s2am_engine.image.formats.common import (
    CONVERT_FIRST,
    Decoded,
    ImageFormat,
    UnsupportedFileError,
    check_image_size,
)
from s2am_engine.image.formats.pillow import decode_samples, metadata_of

_GRAY = ("1", "L")


def read_bmp(data: bytes) -> Decoded:
    """Decode a BMP file; errors of `Decoded` if it is damaged."""
    with BmpImageFile(io.BytesIO(data)) as image:
        return _decoded(image)


def read_gif(data: bytes) -> Decoded:
    """Decode a GIF file. Raises UnsupportedFileError for animations; others of `Decoded` if it is damaged."""
    with GifImageFile(io.BytesIO(data)) as image:
        if image.n_frames > 1:
            advice = CONVERT_FIRST.replace("it", "one frame")
            raise UnsupportedFileError(f"is an animation of {image.n_frames} frames: {advice}")
        return _decoded(image)


def _decoded(image: Image.Image) -> Decoded:
    check_image_size(*image.size)
    metadata, orientation = metadata_of(image.info, image.info.get("dpi"))
    indexed = None
    if image.mode == "P":
        colors = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        indices = np.array(image)
        missing = max(0, int(indices.max()) + 1 - len(colors))
        indexed = IndexedColors(indices, np.pad(colors, ((0, missing), (0, 0))))
    is_transparent = image.mode == "RGBA" or "transparency" in image.info
    mode = "RGBA" if is_transparent else "L" if image.mode in _GRAY else "RGB"
    samples = decode_samples(image.convert(mode))
    if image.mode == "RGBA" and not samples[..., 3].any():  # many programs declare an alpha channel and leave it 0
        samples = samples[..., :3]
    return Decoded(samples, orientation, None, metadata, indexed=indexed)


BMP_FORMAT = ImageFormat(BMP, read_bmp)
GIF_FORMAT = ImageFormat(GIF, read_gif)
