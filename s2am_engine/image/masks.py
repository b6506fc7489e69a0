# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pixels are the pasted foreground, and which may serve as reference.

A mask is H×W; 0 = background, full scale (1.0, 255, 65535 or True by its dtype) = foreground, soft edges in between.
It keeps the depth that it came with, so that a 24-megapixel mask costs 24 MB.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2am_engine.errors import MaskError
from s2am_engine.image.io import ImageData, load_image

Pixels = NDArray[Any]

# JPEG leaves a few levels of noise where a mask is meant to be black or white.
JPEG_NOISE = 16


def full_scale(dtype: np.dtype[Any]) -> float:
    """The value that stands for 1.0 in arrays of a dtype: 255, 65535, or 1 for floats and booleans."""
    return float(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1.0


def read_mask(path: str | Path) -> Pixels:
    """Read a mask from a picture file.

    A picture with transparency is a cut-out, whose alpha is the mask; in any other, white is foreground.

    Returns:
        H×W uint8, uint16 or float32.

    Raises:
        FileError: the file can't be read.
    """
    picture = load_image(path)
    if picture.alpha is not None and picture.alpha.min() < full_scale(picture.alpha.dtype):
        return picture.alpha
    pixels = picture.pixels
    mask: Pixels = np.ascontiguousarray(pixels[..., 0]) if picture.gray else brightness(pixels)
    if Path(path).suffix.lower() in (".jpg", ".jpeg"):
        mask = np.where(mask <= JPEG_NOISE, 0, np.where(mask >= 255 - JPEG_NOISE, 255, mask)).astype(mask.dtype)
    return mask


def brightness(pixels: Pixels) -> Pixels:
    """The mean of the channels of H×W×3 pixels, in their own dtype, H×W."""
    mean = pixels.mean(axis=2, dtype=np.float32)
    rounded: Pixels = np.rint(mean) if np.issubdtype(pixels.dtype, np.integer) else mean
    return rounded.astype(pixels.dtype)


def mask_from_alpha(picture: ImageData, name: str = "The image") -> Pixels:
    """Take a picture's own alpha as the mask: its opaque part is the foreground.

    The colors beneath the transparent part are then the background, so there must be some.

    Args:
        picture: what was read.
        name: what to call it in an error.

    Raises:
        MaskError: there is no transparency, or nothing beneath the transparent part to compare with.
    """
    if picture.alpha is None or picture.alpha.min() >= full_scale(picture.alpha.dtype):
        raise MaskError(f"{name} has no transparency that could serve as a mask.", code="mask.no-alpha", name=name)
    beneath = picture.pixels[picture.alpha == 0]
    if len(beneath) and np.ptp(beneath, axis=0).max() == 0:
        raise MaskError(f"{name} is a cut-out without a background.", code="mask.cut-out", name=name)
    return picture.alpha


def check_mask(mask: Pixels, shape: tuple[int, ...], name: str = "The mask") -> None:
    """Make sure that a mask fits a picture of `shape` (height, width, …) and splits it in two.

    Raises:
        MaskError: another size, NaN, no foreground at all, or no background at all.
    """
    if mask.shape != shape[:2]:
        there, here = f"{mask.shape[1]}×{mask.shape[0]}", f"{shape[1]}×{shape[0]}"
        raise MaskError(
            f"{name} has {there} pixels and the image {here}: they must have the same size.", code="mask.size"
        )
    low, high = mask.min(), mask.max()
    if not np.isfinite([low, high]).all():
        raise MaskError(
            f"{name} contains values that are not numbers: export it again without them.", code="mask.not-finite"
        )
    if high == 0:
        raise MaskError(f"{name} is empty: mark the pasted foreground (white, or opaque).", code="mask.empty")
    if low >= full_scale(mask.dtype):
        raise MaskError(f"{name} covers the whole image: leave some background as a reference.", code="mask.full")
    if high == 1 and mask.dtype in (np.uint8, np.uint16):
        raise MaskError(
            f"The largest value of the mask is 1 of {np.iinfo(mask.dtype).max}: full scale stands for the foreground.",
            code="mask.scale",
        )
