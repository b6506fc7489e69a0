# SPDX-License-Identifier: GPL-3.0-or-later
"""Image file formats, one module each.

To add a format, add its row to `s2am_common.image_formats` and a module here.
"""

from __future__ import annotations

from s2am_engine.image.formats.common import ImageFormat
from s2am_engine.image.formats.jpeg import JPEG_FORMAT
from s2am_engine.image.formats.png import PNG_FORMAT
from s2am_engine.image.formats.tiff import TIFF_FORMAT
from s2am_engine.image.formats.webp import WEBP_FORMAT

FORMATS: tuple[ImageFormat, ...] = (PNG_FORMAT, JPEG_FORMAT, TIFF_FORMAT, WEBP_FORMAT)
"""Readers and writers of all formats."""
