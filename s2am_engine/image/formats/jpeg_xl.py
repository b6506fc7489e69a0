# SPDX-License-Identifier: GPL-3.0-or-later
"""JPEG XL: profile and metadata through the optional package pillow-jxl-plugin (libjxl), pixels through imagecodecs.

The plugin reduces pixels to 8 bits, and imagecodecs reads neither profiles nor metadata. Only read. Source: ISO/IEC
18181-1, section 9 (size), and 18181-2 (boxes).
"""

from __future__ import annotations

import imagecodecs
import numpy as np

from s2am_common.image_formats import JPEG_XL
from s2am_engine.image.formats.common import (
    CONVERT_FIRST,
    Decoded,
    ImageFormat,
    UnsupportedFileError,
    check_image_size,
    import_package,
)
from s2am_engine.image.formats.isobmff import boxes
from s2am_engine.image.formats.jpeg import read_jpeg
from s2am_engine.image.formats.pillow import metadata_of

_BARE = b"\xff\x0a"
_HEADER = 12  # bytes of the codestream that certainly contain the size
_SIDE_BITS = (9, 13, 18, 30)
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def read_jpeg_xl(data: bytes) -> Decoded:
    """Decode a JPEG XL file. Raises UnsupportedFileError; ValueError, RuntimeError if it is damaged."""
    decoder = import_package(JPEG_XL).Decoder(num_threads=1)
    width, height = _size(data)
    check_image_size(width, height)
    is_jpeg, _, content, profile, _ = decoder(data)
    if is_jpeg:  # a JPEG file, packed without loss
        return read_jpeg(bytes(content))
    samples = np.asarray(imagecodecs.jpegxl_decode(data, numthreads=1))
    if samples.shape[:2] not in ((height, width), (width, height)):
        advice = CONVERT_FIRST.replace("it", "one frame")
        raise UnsupportedFileError(f"is an animation of {len(samples)} frames: {advice}")
    samples = np.atleast_3d(samples)
    if samples.dtype == np.float16:
        samples = samples.astype(np.float32)
    info: dict[str | tuple[int, int], bytes] = {}
    for kind, body in boxes(data):
        if kind == b"Exif" and len(body) > 4:
            info["exif"] = body[4:] if body[4:6] in (b"II", b"MM") else body
        elif kind == b"xml ":
            info["xmp"] = body
    metadata, _ = metadata_of(info)  # libjxl applies the orientation of the image; that of EXIF does not count
    return Decoded(samples, 1, bytes(profile) or None, metadata)


def _size(data: bytes) -> tuple[int, int]:
    """Return width and height from the header of the codestream; raises ValueError if it is missing."""
    code = data[:_HEADER]
    if not data.startswith(_BARE):
        parts = (body[4:] if kind == b"jxlp" else body for kind, body in boxes(data) if kind in (b"jxlc", b"jxlp"))
        code = b"".join(part[:_HEADER] for part in parts)
    if not code.startswith(_BARE) or len(code) < _HEADER:
        raise ValueError("JPEG XL has no header")
    bits, at = int.from_bytes(code[2:_HEADER], "little"), 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        return bits >> (at - count) & ((1 << count) - 1)

    def side(*, small: bool) -> int:
        return (take(5) + 1) * 8 if small else take(_SIDE_BITS[take(2)]) + 1

    small = bool(take(1))
    height = side(small=small)
    ratio = take(3)
    if ratio == 0:
        return side(small=small), height
    across, down = _RATIOS[ratio]
    return height * across // down, height


JPEG_XL_FORMAT = ImageFormat(JPEG_XL, read_jpeg_xl)
