# SPDX-License-Identifier: GPL-3.0-or-later
"""Image file formats, one module each.

To add a format, add its row to `s2am_common.image_formats` and a module here.
"""

from __future__ import annotations

from s2am_engine.image.formats.avif import AVIF_FORMAT
from s2am_engine.image.formats.bitmap import BMP_FORMAT, GIF_FORMAT
from s2am_engine.image.formats.camera_raw import CAMERA_RAW_FORMAT
from s2am_engine.image.formats.common import ImageFormat
from s2am_engine.image.formats.heic import HEIC_FORMAT
from s2am_engine.image.formats.jpeg import JPEG_FORMAT
from s2am_engine.image.formats.jpeg_xl import JPEG_XL_FORMAT
from s2am_engine.image.formats.png import PNG_FORMAT
from s2am_engine.image.formats.tiff import TIFF_FORMAT
from s2am_engine.image.formats.webp import WEBP_FORMAT

FORMATS: tuple[ImageFormat, ...] = (
    PNG_FORMAT,
    JPEG_FORMAT,
    CAMERA_RAW_FORMAT,
    TIFF_FORMAT,
    WEBP_FORMAT,
    AVIF_FORMAT,
    HEIC_FORMAT,
    JPEG_XL_FORMAT,
    BMP_FORMAT,
    GIF_FORMAT,
)
"""Readers and writers of all formats."""
