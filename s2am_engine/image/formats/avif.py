# SPDX-License-Identifier: GPL-3.0-or-later
"""AVIF: metadata through Pillow, pixels through imagecodecs, as Pillow reduces 10 and 12 bits to 8. Only read."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
from PIL.AvifImagePlugin import AvifImageFile

from s2am_common.image_formats import AVIF
from s2am_engine.image.formats.common import (
    CONVERT_FIRST,
    Decoded,
    ImageFormat,
    UnsupportedFileError,
    check_image_size,
    widened,
)
from s2am_engine.image.formats.isobmff import av1_bits, color_space, image_properties
from s2am_engine.image.formats.pillow import metadata_of


def read_avif(data: bytes) -> Decoded:
    """Decode an AVIF file. Raises UnsupportedFileError for animations; others of `Decoded` if it is damaged."""
    with AvifImageFile(io.BytesIO(data)) as image:
        check_image_size(*image.size)
        if image.n_frames > 1:
            advice = CONVERT_FIRST.replace("it", "one frame")
            raise UnsupportedFileError(f"is an animation of {image.n_frames} frames: {advice}")
        metadata, orientation = metadata_of(image.info)
        profile, size = image.info.get("icc_profile") or None, image.size
    properties = image_properties(data)
    samples = np.atleast_3d(imagecodecs.avif_decode(data, numthreads=1))
    if samples.shape[1::-1] != size:
        raise ValueError("AVIF has another size")
    if samples.dtype == np.uint16:
        samples = widened(samples, av1_bits(properties))
    named, notes = color_space(properties, samples.shape[2] < 3)
    return Decoded(samples, orientation, profile or named, metadata, notes=notes if profile is None else ())


AVIF_FORMAT = ImageFormat(AVIF, read_avif)
