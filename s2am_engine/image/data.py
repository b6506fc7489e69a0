# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in memory: pixels with alpha, color profile and metadata."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from s2am_engine.image.arrays import luma
from s2am_engine.types import Bytes, Pixels

MAX_PIXELS = 1_000_000_000
"""Larger images are refused: a few kilobytes of file can claim any size (a decompression bomb)."""


@dataclass(frozen=True)
class Metadata:
    """Metadata of an image file; every format stores as much of it as it can.

    exif: the TIFF structure of the EXIF data (without the "Exif" prefix), orientation 1, thumbnail dropped.
    xmp: the XMP packet. iptc: the IPTC-IIM records. dpi: horizontal and vertical dots per inch.
    text: PNG keywords with their texts; a JPEG comment has the keyword "Comment".
    png_color: PNG's own color chunks (gAMA, cHRM, sRGB, cICP …), type and content; only PNG stores them.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    text: tuple[tuple[str, str], ...] = ()
    png_color: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True)
class IndexedColors:
    """The pixels of an image with a palette, as stored: masks may mean the numbers instead of the colors.

    indices: H×W uint8 (uint16 in deep TIFF files). colors: N×3 uint8, one row for each index that occurs.
    """

    indices: Pixels
    colors: Bytes


@dataclass(frozen=True)
class ImageData:
    """An image as displayed (EXIF orientation applied), in the color space of its own profile.

    pixels: H×W×3 RGB, contiguous, uint8, uint16 or float32 (nominally in [0, 1]).
    alpha: H×W of the same type and scale, not premultiplied; None = opaque.
    profile: the ICC profile of the pixels, byte for byte; None = sRGB.
    gray: the image has one channel: pixels has three equal ones, and `save_image` writes one.
    metadata: other contents of the file.
    selection: H×W of the same type and scale, an extra channel that is not transparency; only TIFF stores it.
    notes: contents of the file that are not kept, one sentence each.
    indexed: numbers and palette of a file with a palette, which `pixels` has as colors; they are not written.
    orientation: EXIF orientation of the file, 1 to 8, which is already applied.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    profile: bytes | None = None
    gray: bool = False
    metadata: Metadata = field(default_factory=Metadata)
    selection: Pixels | None = None
    notes: tuple[str, ...] = ()
    indexed: IndexedColors | None = None
    orientation: int = 1

    @property
    def coverage(self) -> Pixels | None:
        """The channel that can serve as a mask: alpha, or else a saved selection."""
        return self.selection if self.alpha is None else self.alpha

    def samples(self) -> Pixels:
        """Return H×W×C samples: 1 or 3 color channels and alpha, contiguous (H×W for gray without alpha)."""
        color = luma(self.pixels) if self.gray else self.pixels
        samples = np.ascontiguousarray(color if self.alpha is None else np.dstack([color, self.alpha]))
        # An axis of length 1 may have any stride, which imagecodecs refuses.
        return samples.copy() if 1 in samples.shape else samples
