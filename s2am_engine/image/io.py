# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and write image files of 8 bits, 16 bits and floating point, without loss on the way.

>>> image = load_image("beach.tif")  # doctest: +SKIP
>>> save_image("beach-2.tif", dataclasses.replace(image, pixels=better))  # doctest: +SKIP
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL.Image import DecompressionBombError
from tifffile import TiffFileError

from s2am_common.atomic import atomic_write
from s2am_common.errors import FileError, ImageError, ImageFormatError
from s2am_common.image_formats import (
    FOREIGN_FORMATS,
    IMAGE_FORMATS,
    IMAGE_SUFFIXES,
    WRITABLE_SUFFIXES,
    format_of_suffix,
)
from s2am_engine.image import icc
from s2am_engine.image.data import ImageData, IndexedColors, Metadata
from s2am_engine.image.formats import FORMATS
from s2am_engine.image.formats.color_space import adobe_rgb_profile
from s2am_engine.image.formats.common import (
    CONVERT_FIRST,
    Decoded,
    ImageFormat,
    UnsupportedFileError,
    ignore_progress,
)
from s2am_engine.image.formats.exif import is_adobe_rgb
from s2am_engine.image.formats.gain_map import without_attachments
from s2am_engine.types import FractionCallback, Pixels

# Errors of Pillow, tifffile, imagecodecs, struct and zlib for files that are damaged, also on purpose.
_DAMAGE = (
    ArithmeticError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    TiffFileError,
)


def is_image_file(path: Path) -> bool:
    """Return whether a file has the suffix of a readable image and is not hidden, as macOS's resource forks (“._”)."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def load_image(path: str | Path) -> ImageData:
    """Read an image file.

    The format is detected from content, not from the suffix. Palette and 1-bit images become 8-bit, float16 and float64
    become float32, CMYK and Lab become sRGB, premultiplied colors are divided by their alpha, and the EXIF orientation
    is applied.

    Raises:
        ImageFormatError: not an image, damaged or incomplete, several pages or frames, NaN, more than MAX_PIXELS
            pixels, or of a format whose optional package is missing.
        FileError: no such file, not readable, out of memory.
    """
    data = _file_bytes(path)
    try:
        decoded = _format_of(data).read(data)
        image = _upright(decoded, str(path))
        _refuse_nan(image)
    except UnsupportedFileError as refusal:
        raise ImageFormatError(f"{path} {refusal}.", path=str(path)) from refusal
    except DecompressionBombError as error:
        raise ImageFormatError(f"{path} has too many pixels for its format: scale it down first.") from error
    except MemoryError as error:
        raise FileError(f"{path} is too large for this computer's memory: scale it down first.") from error
    except _DAMAGE as error:
        raise ImageFormatError(f"{path} is damaged or incomplete: copy or download it again.") from error
    return image


def _file_bytes(path: str | Path) -> bytes:
    file = Path(path)
    try:
        if file.is_dir():
            raise FileError(f"{path} is a folder: choose an image file in it.", path=str(path))
        if file.exists() and not file.is_file():
            raise FileError(f"{path} is not an ordinary file: give the name of an image file.", path=str(path))
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise FileError(f"{path} does not exist: check the name and the folder.", path=str(path)) from error
    except PermissionError as error:
        raise FileError(f"{path} may not be read: ask its owner for permission or copy it elsewhere.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"{path!s} cannot be read ({reason}): check the name and the disk.") from error
    except MemoryError as error:
        raise FileError(f"{path} is too large for this computer's memory: scale it down first.") from error
    if not data:
        raise FileError(f"{path} is empty (0 bytes): copy or download it again.", path=str(path))
    return data


def _format_of(data: bytes) -> ImageFormat:
    for image_format in FORMATS:
        if image_format.info.matches(data):
            return image_format
    for foreign in FOREIGN_FORMATS:
        if foreign.matches(data):
            raise UnsupportedFileError(f"is {foreign.name}: {foreign.advice or CONVERT_FIRST}")
    first_marks = [mark for info in IMAGE_FORMATS for (_, mark), *_ in info.signatures]
    if any(mark.startswith(data) for mark in first_marks):
        raise ValueError("ends within the signature")
    names = ", ".join(info.name for info in IMAGE_FORMATS)
    raise UnsupportedFileError(f"is not an image that can be read: give a file of one of the formats {names}")


def _upright(decoded: Decoded, name: str) -> ImageData:
    """Apply the orientation and separate pixels and alpha; without a copy where possible."""
    samples = _turned(decoded.samples, decoded.orientation)
    channels = samples.shape[2]
    pixels, alpha = samples, None
    if channels in (2, 4):
        alpha = np.ascontiguousarray(samples[..., -1])
    if channels != 3:
        pixels = np.empty((*samples.shape[:2], 3), samples.dtype)
        pixels[:] = samples[..., :1] if channels < 3 else samples[..., :3]
    selection = None
    if decoded.selection is not None:
        selection = np.ascontiguousarray(_turned(decoded.selection[..., None], decoded.orientation)[..., 0])
    indexed = decoded.indexed
    if indexed is not None:
        indices = np.ascontiguousarray(_turned(indexed.indices[..., None], decoded.orientation)[..., 0])
        indexed = IndexedColors(indices, indexed.colors)
    gray = channels < 3
    metadata, attached = _own_metadata(decoded.metadata)
    profile = icc.fitting_profile(decoded.profile, gray)
    if profile is None and not metadata.png_color and is_adobe_rgb(metadata.exif):
        profile = adobe_rgb_profile(gray)
    notes = tuple(f"{name} {note}." for note in dict.fromkeys((*decoded.notes, *attached)))
    pixels = np.ascontiguousarray(pixels)
    return ImageData(pixels, alpha, profile, gray, metadata, selection, notes, indexed, decoded.orientation)


def _own_metadata(metadata: Metadata) -> tuple[Metadata, tuple[str, ...]]:
    """Return metadata without claims of images and videos behind the image and without an impossible resolution.

    The second value is a note if there was such a claim.
    """
    xmp, notes = without_attachments(metadata.xmp)
    dpi = metadata.dpi
    if dpi is not None and not all(math.isfinite(value) and value > 0 for value in dpi):
        dpi = None
    return dataclasses.replace(metadata, xmp=xmp, dpi=dpi), notes


def _turned(samples: Pixels, orientation: int) -> Pixels:
    """Return a view of H×W×C samples with an EXIF orientation applied (EXIF 2.32, section 4.6.4, tag 274)."""
    if orientation > 4:
        samples = samples.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return samples


def _refuse_nan(image: ImageData) -> None:
    if image.pixels.dtype != np.float32:
        return
    for row, *more in zip(image.pixels, *([image.alpha] if image.alpha is not None else []), strict=True):
        if not (np.isfinite(row).all() and all(np.isfinite(values).all() for values in more)):
            raise UnsupportedFileError("has values that are not numbers (NaN or infinity): save it as 16-bit first")


def save_image(
    path: str | Path, image: ImageData | Pixels, *, quality: int = 95, progress: FractionCallback = ignore_progress
) -> tuple[str, ...]:
    """Write an image, whole or not at all, in the format of the suffix.

    Args:
        path: the file to write or replace.
        image: an image, or its pixels (H, W, 3), uint8, uint16 or float in nominal [0, 1], which are taken for sRGB.
            JPEG omits an alpha channel that is opaque everywhere; metadata are written as far as the format stores
            them.
        quality: of JPEG, 1 to 100 (at full color resolution, 4:4:4); PNG, TIFF and WebP are lossless.
        progress: see `FractionCallback`; a canceled writing leaves no file.

    Returns:
        In words, the metadata and channels that the format does not store.

    Raises:
        ImageFormatError: unknown suffix, or a format that cannot store the image.
        FileError: no such folder, read-only, disk full, out of memory.
        ImageError: another type, or pixels or alpha that are not as `ImageData` requires.
    """
    with saving_image(path, image, quality=quality, progress=progress) as omitted:
        return omitted


@contextlib.contextmanager
def saving_image(
    path: str | Path, image: ImageData | Pixels, *, quality: int = 95, progress: FractionCallback = ignore_progress
) -> Iterator[tuple[str, ...]]:
    """Write an image to a temporary file, which takes its place when the block ends without an exception.

    Arguments, the value of the block and exceptions are those of `save_image`.
    """
    if isinstance(image, np.ndarray):
        image = ImageData(image.astype(np.float32) if np.issubdtype(image.dtype, np.floating) else image)
    _check_image(image)
    info = format_of_suffix(Path(path).suffix)
    write = next((each.write for each in FORMATS if each.info is info), None)
    if write is None:
        raise ImageFormatError(f"{path} cannot be written: its name must end in one of {', '.join(WRITABLE_SUFFIXES)}.")
    with atomic_write(path) as file:
        try:
            omitted = write(file, image, quality, progress)
        except UnsupportedFileError as refusal:
            raise ImageFormatError(f"{path} {refusal}.", path=str(path)) from refusal
        except MemoryError as error:
            raise FileError(f"{path} was not written: there is not enough memory; scale it down first.") from error
        yield omitted


def _check_image(image: object) -> None:
    if not isinstance(image, ImageData):
        kind = type(image).__name__
        raise ImageError(f"Only ImageData and arrays can be saved, not {kind}: convert it to an array.")
    pixels, alpha = image.pixels, image.alpha
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise ImageError(f"pixels must be H×W×3, not {pixels.shape}")
    if pixels.dtype not in (np.uint8, np.uint16, np.float32):
        raise ImageError(f"pixels must be uint8, uint16 or float32, not {pixels.dtype}")
    if alpha is not None and (alpha.shape != pixels.shape[:2] or alpha.dtype != pixels.dtype):
        raise ImageError(f"alpha must be {pixels.shape[:2]} {pixels.dtype}, not {alpha.shape} {alpha.dtype}")
