# SPDX-License-Identifier: GPL-3.0-or-later
"""Definitions shared by the readers and writers of all formats."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from s2am_common.image_formats import WRITABLE_FORMATS, FormatInfo
from s2am_common.optional_parts import find_part
from s2am_engine.image.data import MAX_PIXELS, ImageData, IndexedColors, Metadata
from s2am_engine.types import FractionCallback, Pixels

_WRITABLE = [info.name for info in WRITABLE_FORMATS]
CONVERT_FIRST = f"save it as {', '.join(_WRITABLE[:-1])} or {_WRITABLE[-1]} first"


CONTENTS = {
    "exif": "camera data (EXIF)",
    "xmp": "XMP data",
    "iptc": "captions and keywords (IPTC)",
    "dpi": "the resolution",
}
"""By field of `Metadata`: its name in messages."""

_MAX_KEYWORDS = 3


class UnsupportedFileError(Exception):
    """A file that cannot be read or written; the message follows the file's name ("is a CMYK image: …")."""


@dataclass(frozen=True)
class Decoded:
    """Content of an image file as stored.

    samples: H×W×C (1 gray, 2 gray + alpha, 3 RGB, 4 RGBA), uint8, uint16 or float32.
    orientation: of EXIF, 1 to 8, not yet applied (`metadata` already has 1).
    profile: ICC profile; None = none stored.
    selection: H×W, an extra channel that is not transparency.
    notes: contents of the file that are not kept, each as the end of a sentence ("has a gain map …").
    indexed: numbers and palette, if the file has one; `samples` holds the colors.
    """

    samples: Pixels
    orientation: int
    profile: bytes | None
    metadata: Metadata
    selection: Pixels | None = None
    notes: tuple[str, ...] = ()
    indexed: IndexedColors | None = None


@dataclass(frozen=True)
class ImageFormat:
    """A file format: its properties, its reader and its writer.

    read: takes the whole file. Raises UnsupportedFileError, or another error where the file is damaged.
    write: takes a binary file, an image, the quality (1 to 100, for lossy formats) and a callback, which it calls while
        it writes; returns in words which contents of the image the format does not store. Raises UnsupportedFileError
        for images that the format cannot store. None = the format is only read.
    """

    info: FormatInfo
    read: Callable[[bytes], Decoded]
    write: Callable[[BinaryIO, ImageData, int, FractionCallback], tuple[str, ...]] | None = None


class ReportingFile:
    """Writes to a binary file and reports after each piece, so that the callback can cancel a long writing."""

    def __init__(self, file: BinaryIO, pieces: int, progress: FractionCallback) -> None:
        """Report the share of an expected number of pieces; 0 = unknown, always report 0."""
        self._file, self._pieces, self._progress = file, pieces, progress
        self._written = 0

    def write(self, data: Any, /) -> int:
        """Write data; raises the errors of the callback."""
        count = self._file.write(data)
        self._written += 1
        self._progress(min(1.0, self._written / self._pieces) if self._pieces else 0.0)
        return count

    def __getattr__(self, name: str) -> Any:
        """Return any other method of the file, such as those that move within it."""
        return getattr(self._file, name)


def ignore_progress(_done: float, /) -> None:
    """Do nothing with the fraction done."""


def widened(samples: NDArray[Any], bits: int) -> NDArray[Any]:
    """Scale integers of 1 to 16 bits to the full range of uint8 (up to 8 bits) or uint16."""
    kind = np.uint8 if bits <= 8 else np.uint16
    if bits in (8, 16):
        return samples.astype(kind, copy=False)
    levels = np.arange(2**bits) * np.iinfo(kind).max // (2**bits - 1)
    return levels.astype(kind)[samples.astype(kind)]


def straight_alpha(samples: NDArray[Any]) -> NDArray[Any]:
    """Divide premultiplied colors by the alpha behind them, in place."""
    top = 1.0 if samples.dtype == np.float32 else float(np.iinfo(samples.dtype).max)
    for row in samples:
        alpha = row[:, -1:].astype(np.float64)
        color = row[:, :-1] * np.divide(top, alpha, out=np.ones_like(alpha), where=alpha > 0)
        row[:, :-1] = color if samples.dtype == np.float32 else np.minimum(np.rint(color), top)
    return samples


def import_package(info: FormatInfo) -> Any:
    """Import the optional package that reads a format. Raises UnsupportedFileError if it is missing."""
    package = info.package
    if package is None:
        raise ValueError(f"{info.name} needs no package")
    try:
        return importlib.import_module(package.module)
    except ImportError as error:
        part = find_part(package.module)
        needed = package.name
        command = f"s2am install {part.name}" if part else f'"{sys.executable}" -m pip install {needed}'
        raise UnsupportedFileError(
            f"is a {info.name} file, which needs the package {needed}: install it with {command}"
        ) from error


def check_storable(info: FormatInfo, image: ImageData, max_side: int | None = None) -> None:
    """Raise UnsupportedFileError if a format stores fewer bits or fewer pixels than an image has."""
    dtype = image.pixels.dtype
    if dtype == np.float32 and info.max_bits < 32:
        raise UnsupportedFileError(f"cannot be written: {info.name} cannot store floating-point images; choose TIFF")
    if dtype == np.uint16 and info.max_bits < 16:
        raise UnsupportedFileError(f"cannot be written: {info.name} cannot store 16-bit images; choose PNG or TIFF")
    if max_side is not None and max(image.pixels.shape[:2]) > max_side:
        raise UnsupportedFileError(
            f"cannot be written: {info.name} stores at most {max_side} pixels per side; choose PNG or TIFF"
        )


def check_image_size(width: int, height: int) -> None:
    """Raise UnsupportedFileError for an empty image or one above MAX_PIXELS."""
    if width < 1 or height < 1:
        raise UnsupportedFileError("is damaged: it claims to be an image without any pixels; copy or download it again")
    if width * height > MAX_PIXELS:
        raise UnsupportedFileError(
            f"is {width} × {height} pixels, above the limit of a thousand megapixels: scale it down first"
        )


def omitted_contents(image: ImageData, stored: Container[str]) -> tuple[str, ...]:
    """Return in words the contents of an image that a writer has not stored.

    Args:
        image: the image.
        stored: names of the fields of `Metadata` that the writer has stored, "selection" if it has stored that one, and
            "text KEYWORD" for single texts.
    """
    omitted = [words for name, words in CONTENTS.items() if name not in stored and getattr(image.metadata, name)]
    texts = [] if "text" in stored else [key for key, _ in image.metadata.text if f"text {key}" not in stored]
    if texts:
        shown = [*dict.fromkeys(texts)][:_MAX_KEYWORDS]
        omitted.append(f"texts ({', '.join(shown)}{', …' if len(texts) > len(shown) else ''})")
    if image.selection is not None and "selection" not in stored:
        omitted.append("saved selections")
    return tuple(omitted)


def storable_resolution(dpi: tuple[float, float] | None, low: float, high: float) -> tuple[float, float] | None:
    """Return dots per inch if a format can store both values, which it can from `low` to `high`; else None."""
    return dpi if dpi is not None and all(low <= value <= high for value in dpi) else None
