# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera raw files through the optional package rawpy (LibRaw): developed to 16-bit sRGB. Only read."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from s2am_common.image_formats import CAMERA_RAW
from s2am_engine.image.data import Metadata
from s2am_engine.image.formats.common import (
    CONVERT_FIRST,
    Decoded,
    ImageFormat,
    UnsupportedFileError,
    check_image_size,
    import_package,
)
from s2am_engine.image.formats.exif import TiffBytes, exif_of_tiff, normalize_exif

_SRGB_GAMMA = (2.4, 12.92)
_NOTE = "is a camera raw file: it is developed with the white balance of the camera and without further adjustments"


def read_camera_raw(data: bytes) -> Decoded:
    """Develop a camera raw file. Raises UnsupportedFileError if it is of an unknown camera, ValueError if damaged."""
    rawpy = import_package(CAMERA_RAW)
    try:
        with _quiet(), rawpy.imread(io.BytesIO(data)) as raw:
            check_image_size(raw.sizes.width, raw.sizes.height)
            samples = raw.postprocess(
                use_camera_wb=True, output_bps=16, gamma=_SRGB_GAMMA, output_color=rawpy.ColorSpace.sRGB
            )
    except (rawpy.LibRawFileUnsupportedError, rawpy.LibRawNotImplementedError) as error:
        raise UnsupportedFileError(
            f"is a camera raw file of a kind that is not supported: develop it and {CONVERT_FIRST}"
        ) from error
    except rawpy.LibRawError as error:
        raise ValueError(str(error)) from error
    return Decoded(np.ascontiguousarray(samples), 1, None, Metadata(exif=_exif(data)), notes=(_NOTE,))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Discard LibRaw's output on stderr about damaged files, which rawpy cannot turn off."""
    try:
        saved = os.dup(2)
    except OSError:  # a program without a console
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _exif(data: bytes) -> bytes | None:
    """Return the EXIF data of a raw file that has the structure of a TIFF file, as most have."""
    try:
        tiff = TiffBytes(data)
        return normalize_exif(exif_of_tiff(tiff, tiff.directory(tiff.first)))[0]
    except ValueError:
        return None


CAMERA_RAW_FORMAT = ImageFormat(CAMERA_RAW, read_camera_raw)
