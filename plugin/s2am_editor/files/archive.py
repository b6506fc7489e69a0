# SPDX-License-Identifier: GPL-3.0-or-later
"""The zip archives that OpenRaster files are: their entries as pixels, masks and text."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2am_common.image_formats import PNG
from s2am_editor.document.mask import Mask
from s2am_editor.document.raster import Raster
from s2am_engine.image.data import MAX_PIXELS, ImageData
from s2am_engine.image.formats import png
from s2am_engine.image.formats.common import Decoded, check_image_size

DAMAGE = (
    *(ValueError, TypeError, KeyError, IndexError, ArithmeticError, SyntaxError, EOFError, OSError, RuntimeError),
    *(NotImplementedError, zipfile.BadZipFile, struct.error, zlib.error, AttributeError),
)
"""What reading a damaged archive may raise."""

_MOST_TEXT = 64 << 20
_MOST_PIXELS = 16 * MAX_PIXELS  # bytes of the largest picture that is read anywhere


def text(archive: zipfile.ZipFile, name: str) -> bytes:
    """An entry of text. Raises what DAMAGE says."""
    return _read(archive, name, _MOST_TEXT)


def read_png(archive: zipfile.ZipFile, name: str) -> Decoded:
    """An entry of PNG. Raises UnsupportedFileError, and what DAMAGE says."""
    data = _read(archive, name, _MOST_PIXELS)
    if not PNG.matches(data):
        raise ValueError(f"{name} is no PNG")
    return png.read_png(data)


def _read(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    if archive.getinfo(name).file_size > limit:  # a few kilobytes can claim to unpack to any size
        raise ValueError(f"{name} is too large")
    return archive.read(name)


def raster_of(samples: NDArray[Any]) -> Raster:
    """Samples H×W×C as a file holds them, gray or color, with alpha or without, as a layer's pixels."""
    channels = samples.shape[2]
    color = samples[..., :3] if channels > 2 else np.repeat(samples[..., :1], 3, axis=2)
    alpha = np.ascontiguousarray(samples[..., -1]) if channels in (2, 4) else None
    return Raster(np.ascontiguousarray(color), alpha)


def write_png(
    archive: zipfile.ZipFile, name: str, pixels: NDArray[Any], alpha: NDArray[Any] | None, profile: bytes | None = None
) -> None:
    """Put H×W×3 pixels, uint8 or uint16, into an archive."""
    encoded = io.BytesIO()
    png.write_png(encoded, ImageData(pixels, alpha, profile))
    archive.writestr(name, encoded.getbuffer())


class Members:
    """Pixels and masks of a document as entries of an archive: PNG, or numpy's own format for floats."""

    def __init__(self, archive: zipfile.ZipFile, known: dict[int, str] | None = None) -> None:
        """Begin with what is in the archive already: names by the id of their raster."""
        self._archive = archive
        self._names: dict[int, str] = dict(known or {})

    def put_raster(self, raster: Raster) -> str:
        """Write a layer's pixels, unless they are there already."""
        if id(raster) in self._names:
            return self._names[id(raster)]
        name = f"s2am/pixels{len(self._names)}"
        if raster.pixels.dtype == np.float32:
            name += ".npy"
            whole = raster.pixels if raster.alpha is None else np.dstack([raster.pixels, raster.alpha])
            with self._archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, whole, allow_pickle=False)
        else:
            name += ".png"
            write_png(self._archive, name, raster.pixels, raster.alpha)
        self._names[id(raster)] = name
        return name

    def put_mask(self, mask: Mask) -> str:
        """Write a mask, unless it is there already."""
        if id(mask) not in self._names:
            name = f"s2am/mask{len(self._names)}.png"
            encoded = io.BytesIO()
            values = mask.to_array()
            png.write_png(encoded, ImageData(np.broadcast_to(values[..., None], (*values.shape, 3)), gray=True))
            self._archive.writestr(name, encoded.getbuffer())
            self._names[id(mask)] = name
        return self._names[id(mask)]

    def raster(self, name: str) -> Raster:
        """Read a layer's pixels. Raises UnsupportedFileError, and what DAMAGE says."""
        if not name.endswith(".npy"):
            return raster_of(read_png(self._archive, name).samples)
        with io.BytesIO(_read(self._archive, name, _MOST_PIXELS)) as entry:
            samples = np.lib.format.read_array(entry, allow_pickle=False)
        check_image_size(samples.shape[1], samples.shape[0])
        if samples.dtype != np.float32 or samples.ndim != 3 or samples.shape[2] not in (3, 4):
            raise ValueError(f"{name} holds no pixels")
        if not np.isfinite(samples).all():
            raise ValueError(f"{name} holds no numbers")
        return raster_of(samples)

    def mask(self, name: str) -> Mask:
        """Read a mask. Raises UnsupportedFileError, and what DAMAGE says."""
        samples = read_png(self._archive, name).samples
        if samples.dtype != np.uint8 or samples.shape[2] != 1:
            raise ValueError(f"{name} is no mask")
        return Mask.from_array(np.ascontiguousarray(samples[..., 0]))


def begins(path: Path, mark: bytes) -> bool:
    """Whether a file can be read and begins with some bytes."""
    try:
        with path.open("rb") as file:
            return file.read(len(mark)) == mark
    except (OSError, ValueError):
        return False
