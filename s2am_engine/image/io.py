# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures from and to files: PNG, JPEG, TIFF and WebP, 8-bit, 16-bit and floating-point, nothing lost on the way.

>>> picture = load_image("beach.tif")
>>> save_image("beach-2.tif", dataclasses.replace(picture, pixels=better))
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import DecompressionBombError
from tifffile import TiffFileError

from s2am_common.atomic import atomic_write
from s2am_engine.errors import EngineError
from s2am_engine.image.formats import photo, png, tiff
from s2am_engine.image.formats.raster import ELSEWHERE, MAX_PIXELS, Decoded, Metadata, RefusedError, Samples

__all__ = ["IMAGE_SUFFIXES", "MAX_PIXELS", "ImageData", "Metadata", "load_image", "save_image"]

_FORMAT_OF = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WebP",
}
IMAGE_SUFFIXES = tuple(_FORMAT_OF)
"""The suffixes (lower case, with their dot) of the files that are read and written."""

_FOREIGN = {  # the first bytes of files that people take for pictures this program might read
    b"GIF8": "a GIF file",
    b"BM": "a BMP file",
    b"8BPS": "a Photoshop document",
    b"gimp xcf": "a GIMP document",
    b"%PDF": "a PDF document",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 file",
    b"\0\0\0\x0cJXL ": "a JPEG XL file",
    b"\xff\x0a": "a JPEG XL file",
    b"v/1\x01": "an OpenEXR file",
    b"<svg": "an SVG drawing",
}
_DAMAGE = (
    *(ValueError, TypeError, KeyError, IndexError, ArithmeticError, SyntaxError, EOFError, OSError, RuntimeError),
    *(struct.error, TiffFileError),
)


@dataclass(frozen=True)
class ImageData:
    """A picture as people see it (EXIF orientation applied), in the colors of its own profile.

    pixels: H×W×3 RGB, contiguous, uint8, uint16 or float32 (nominally in [0, 1]).
    alpha: H×W of the same type and scale (colors are not multiplied by it), or None where the file has none.
    profile: the ICC profile of the pixels, byte for byte; None means sRGB.
    gray: the file has one channel: pixels has three equal ones, and save_image writes one again.
    metadata: what else the file said.
    """

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None = None
    profile: bytes | None = None
    gray: bool = False
    metadata: Metadata = field(default_factory=Metadata)


def load_image(path: str | Path) -> ImageData:
    """Read a picture file whole.

    The format is told by the content, not by the name. Palette and 1-bit pictures come as 8-bit, float16 and float64 as
    float32, colors premultiplied with alpha divided by it.

    Raises:
        EngineError: no such file, not a picture, damaged or incomplete, CMYK or Lab, several pages or frames, NaN,
            more than MAX_PIXELS pixels, out of memory.
    """
    data = _file_bytes(path)
    try:
        decoded = _decoder(data)(data)
        picture = _upright(decoded)
        _refuse_nan(picture)
    except RefusedError as refusal:
        raise EngineError(f"{path} {refusal}.") from refusal
    except DecompressionBombError as error:
        raise EngineError(f"{path} has too many pixels for its format: scale it down first.") from error
    except MemoryError as error:
        raise EngineError(f"{path} is too large for this computer's memory: scale it down first.") from error
    except _DAMAGE as error:
        raise EngineError(f"{path} is damaged or incomplete: copy or download it again.") from error
    return picture


def _file_bytes(path: str | Path) -> bytes:
    file = Path(path)
    try:
        if file.is_dir():
            raise EngineError(f"{path} is a folder: give the name of a picture file.")
        if file.exists() and not file.is_file():
            raise EngineError(f"{path} is not an ordinary file: give the name of a picture file.")
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise EngineError(f"{path} does not exist: check the name and the folder.") from error
    except PermissionError as error:
        raise EngineError(f"{path} may not be read: ask its owner for permission or copy it elsewhere.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise EngineError(f"{path!s} cannot be read ({reason}): check the name and the disk.") from error
    except MemoryError as error:
        raise EngineError(f"{path} is too large for this computer's memory: scale it down first.") from error
    if not data:
        raise EngineError(f"{path} is empty (0 bytes): copy or download it again.")
    return data


def _decoder(data: bytes) -> Callable[[bytes], Decoded]:
    if data.startswith(png.SIGNATURE):
        return png.read
    if data.startswith(b"\xff\xd8\xff"):
        return photo.read_jpeg
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return tiff.read
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return photo.read_webp
    for mark, name in _FOREIGN.items():
        if data.startswith(mark):
            raise RefusedError(f"is {name}: {ELSEWHERE}")
    if data[4:8] == b"ftyp":
        raise RefusedError(f"is a HEIC, AVIF or video file: {ELSEWHERE}")
    if any(mark.startswith(data) for mark in (png.SIGNATURE, b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"RIFF")):
        raise ValueError("ends within the signature")
    raise RefusedError("is not a picture that can be read: give a PNG, JPEG, TIFF or WebP file")


def _upright(decoded: Decoded) -> ImageData:
    """Turn the samples as EXIF asks and part them into pixels and alpha; no copy where they are what is wanted."""
    samples = _turned(decoded.samples, decoded.orientation)
    channels = samples.shape[2]
    pixels, alpha = samples, None
    if channels in (2, 4):
        alpha = np.ascontiguousarray(samples[..., -1])
    if channels != 3:
        pixels = np.empty((*samples.shape[:2], 3), samples.dtype)
        pixels[:] = samples[..., :1] if channels < 3 else samples[..., :3]
    return ImageData(np.ascontiguousarray(pixels), alpha, decoded.profile, channels < 3, decoded.metadata)


def _turned(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """A view of H×W×C samples with an EXIF orientation applied (EXIF 2.32, section 4.6.4, tag 274)."""
    if orientation > 4:
        samples = samples.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return samples


def _refuse_nan(picture: ImageData) -> None:
    if picture.pixels.dtype != np.float32:
        return
    for row, *more in zip(picture.pixels, *([picture.alpha] if picture.alpha is not None else []), strict=True):
        if not (np.isfinite(row).all() and all(np.isfinite(values).all() for values in more)):
            raise RefusedError("holds values that are no numbers (NaN or infinity): save it as 16-bit first")


def save_image(path: str | Path, picture: ImageData, *, quality: int = 95) -> None:
    """Write a picture, whole or not at all, in the format that the suffix of `path` names.

    quality: of JPEG, 1 to 100 (at full color resolution, 4:4:4); PNG, TIFF and WebP lose nothing. Metadata are written
    as far as the format holds them. An alpha channel that is opaque everywhere may be left out by JPEG.

    Raises:
        EngineError: unknown suffix, a format that cannot hold the picture, no such folder, read-only, disk full.
        ValueError: pixels or alpha are not as ImageData says.
    """
    _check(picture)
    name = _FORMAT_OF.get(Path(path).suffix.lower())
    if name is None:
        raise EngineError(f"{path} cannot be written: its name must end in one of {', '.join(IMAGE_SUFFIXES)}.")
    given = Samples(picture.pixels, picture.alpha, picture.gray)
    try:
        with atomic_write(path) as file:
            if name == "PNG":
                png.write(file, given, picture.profile, picture.metadata)
            elif name == "TIFF":
                tiff.write(file, given, picture.profile, picture.metadata)
            elif name == "JPEG":
                photo.write_jpeg(file, given, picture.profile, picture.metadata, quality)
            else:
                photo.write_webp(file, given, picture.profile, picture.metadata)
    except RefusedError as refusal:
        raise EngineError(f"{path} {refusal}.") from refusal
    except MemoryError as error:
        raise EngineError(f"{path} was not written: there is not enough memory; scale it down first.") from error


def _check(picture: ImageData) -> None:
    pixels, alpha = picture.pixels, picture.alpha
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise ValueError(f"pixels must be H×W×3, not {pixels.shape}")
    if pixels.dtype not in (np.uint8, np.uint16, np.float32):
        raise ValueError(f"pixels must be uint8, uint16 or float32, not {pixels.dtype}")
    if alpha is not None and (alpha.shape != pixels.shape[:2] or alpha.dtype != pixels.dtype):
        raise ValueError(f"alpha must be {pixels.shape[:2]} {pixels.dtype}, not {alpha.shape} {alpha.dtype}")
