# SPDX-License-Identifier: GPL-3.0-or-later
"""What every file format is read into and written from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_PIXELS = 1_000_000_000
"""Larger pictures are refused: a few kilobytes of file can claim any size (a decompression bomb)."""

ELSEWHERE = "save it as PNG, JPEG, TIFF or WebP first"


class RefusedError(Exception):
    """A file that cannot be read or written; the message goes on from the file's name ("is a CMYK picture: …")."""


@dataclass(frozen=True)
class Metadata:
    """What a file says about its picture; every format keeps as much of it as it can hold.

    exif: the TIFF structure of the EXIF data (without the "Exif" prefix), orientation 1, thumbnail dropped.
    xmp: the XMP packet. iptc: the IPTC-IIM records. dpi: horizontal and vertical dots per inch.
    text: PNG keywords with their texts; a JPEG comment is the keyword "Comment".
    png_color: PNG's own color chunks (gAMA, cHRM, sRGB, cICP …), type and content, for PNG alone.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    text: tuple[tuple[str, str], ...] = ()
    png_color: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True)
class Decoded:
    """One file's picture as stored: samples H×W×C (1 gray, 2 gray + alpha, 3 RGB, 4 RGBA), uint8, uint16 or float32.

    The EXIF orientation (1 to 8) is still to be applied; `metadata` already says 1.
    """

    samples: NDArray[Any]
    orientation: int
    profile: bytes | None
    metadata: Metadata


@dataclass(frozen=True)
class Samples:
    """The samples to be written.

    pixels: H×W×3 RGB; alpha: H×W or None; gray: write one channel instead of three.
    """

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None
    gray: bool

    def whole(self) -> NDArray[Any]:
        """All H×W×C samples, contiguous (H×W when gray without alpha)."""
        color = one_channel(self.pixels) if self.gray else self.pixels
        return np.ascontiguousarray(color if self.alpha is None else np.dstack([color, self.alpha]))


def one_channel(pixels: NDArray[Any]) -> NDArray[Any]:
    """Gray H×W of RGB H×W×3: exactly the shared value where the channels agree, Rec. 601 luma where they do not."""
    first = pixels[..., 0]
    same = (first == pixels[..., 1]) & (first == pixels[..., 2])
    if same.all():
        return first
    luma: NDArray[Any] = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    return np.where(same, first, luma)


def check_size(width: int, height: int) -> None:
    """Raise RefusedError for an empty picture or one above MAX_PIXELS."""
    if width < 1 or height < 1:
        raise RefusedError("is damaged: it claims to be a picture without any pixels; copy or download it again")
    if width * height > MAX_PIXELS:
        raise RefusedError(
            f"is {width} × {height} pixels, above the limit of a thousand megapixels: scale it down first"
        )
