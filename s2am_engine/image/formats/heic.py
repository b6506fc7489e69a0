# SPDX-License-Identifier: GPL-3.0-or-later
"""HEIC through the optional package pi-heif (libheif without encoders): 8, 10 and 12 bits. Only read."""

from __future__ import annotations

import numpy as np

from s2am_common.image_formats import HEIC
from s2am_engine.image.formats.avif import read_avif
from s2am_engine.image.formats.common import (
    Decoded,
    ImageFormat,
    check_image_size,
    import_package,
    straight_alpha,
    widened,
)
from s2am_engine.image.formats.gain_map import GAIN_MAP_NOTE
from s2am_engine.image.formats.isobmff import boxes, check_texts, color_space, image_properties
from s2am_engine.image.formats.pillow import metadata_of

_GAIN_MAP = "hdrgainmap"  # in the type of an auxiliary image
_PREMULTIPLIED = "a"  # last letter of the mode


def read_heic(data: bytes) -> Decoded:
    """Decode the primary image of a HEIC file. Raises UnsupportedFileError; ValueError, OSError if it is damaged."""
    brands = next((body for kind, body in boxes(data) if kind == b"ftyp"), b"")
    if b"avif" in (brands[at : at + 4] for at in range(8, len(brands), 4)):
        return read_avif(data)  # its major brand is that of any image in this container
    library = import_package(HEIC)
    check_texts(image_properties(data))
    file = library.open_heif(data, convert_hdr_to_8bit=False)
    image = file[file.primary_index]
    check_image_size(*image.size)
    info = image.info
    metadata, _ = metadata_of(info)  # libheif applies the orientation of the container; that of EXIF does not count
    samples = np.atleast_3d(np.array(image))
    if samples.dtype == np.uint16:  # the bits are the upper ones
        samples = widened(samples >> (16 - info["bit_depth"]), info["bit_depth"])
    named, notes = color_space(image_properties(data), samples.shape[2] < 3)
    profile = info.get("icc_profile") or None
    if profile is not None:
        notes = ()
    if any(_GAIN_MAP in kind for kind in info.get("aux", ())):
        notes += (GAIN_MAP_NOTE,)
    if len(file) > 1:
        notes += (f"contains {len(file)} images, of which the primary one is used",)
    premultiplied = image.mode.split(";")[0].endswith(_PREMULTIPLIED)
    return Decoded(straight_alpha(samples) if premultiplied else samples, 1, profile or named, metadata, notes=notes)


HEIC_FORMAT = ImageFormat(HEIC, read_heic)
