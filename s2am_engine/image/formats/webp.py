# SPDX-License-Identifier: GPL-3.0-or-later
"""WebP through Pillow: 8 bits, written lossless."""

from __future__ import annotations

import dataclasses
import io
from typing import BinaryIO

from PIL.WebPImagePlugin import WebPImageFile

from s2am_common.image_formats import WEBP
from s2am_engine.image.data import ImageData
from s2am_engine.image.formats.common import (
    CONVERT_FIRST,
    Decoded,
    ImageFormat,
    UnsupportedFileError,
    check_image_size,
    check_storable,
    ignore_progress,
    omitted_contents,
)
from s2am_engine.image.formats.exif import exif_resolution, exif_with_resolution
from s2am_engine.image.formats.pillow import decode_samples, encode_at_once, metadata_of, save_options
from s2am_engine.types import FractionCallback

_MAX_SIDE = 16383


def read_webp(data: bytes) -> Decoded:
    """Decode a WebP file. Raises UnsupportedFileError for animations; OSError, SyntaxError if it is damaged."""
    with WebPImageFile(io.BytesIO(data)) as image:
        check_image_size(*image.size)
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            advice = CONVERT_FIRST.replace("it", "one frame")
            raise UnsupportedFileError(f"is an animation of {frames} frames: {advice}")
        metadata, orientation = metadata_of(image.info)
        return Decoded(decode_samples(image), orientation, image.info.get("icc_profile") or None, metadata)


def write_webp(
    file: BinaryIO, image: ImageData, _quality: int = 100, progress: FractionCallback = ignore_progress
) -> tuple[str, ...]:
    """Write a lossless WebP file; gray becomes RGB, as WebP has no gray. Raises UnsupportedFileError.

    The resolution is stored in the EXIF data, as WebP has no field for it. See `ImageFormat`.
    """
    check_storable(WEBP, image, _MAX_SIDE)
    if image.gray and image.profile and image.profile[16:20] == b"GRAY":
        raise UnsupportedFileError(
            "cannot be written: WebP cannot store a gray image with its profile; choose PNG, JPEG or TIFF"
        )
    colored = ImageData(image.pixels, image.alpha)
    # Method 0 is several times faster than the default, for files that are a fifth larger.
    effort = {"lossless": True, "exact": True, "method": 0, "quality": 50}
    exif = exif_with_resolution(image.metadata.exif, image.metadata.dpi)
    metadata = dataclasses.replace(image.metadata, exif=exif)
    options = save_options(dataclasses.replace(image, metadata=metadata))
    encode_at_once(file, colored.samples(), "WEBP", effort | options, progress)
    return omitted_contents(image, {"exif", "xmp"} | ({"dpi"} if exif_resolution(exif) else set()))


WEBP_FORMAT = ImageFormat(WEBP, read_webp, write_webp)
