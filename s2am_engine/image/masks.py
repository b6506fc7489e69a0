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

from s2am_engine.errors import EngineError
from s2am_engine.image.io import ImageData, load_image

Pixels = NDArray[Any]

GIVE_A_MASK = "give one with --mask MASK, or let it be found with --auto-mask"

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
        EngineError: the file can't be read.
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


def mask_from_alpha(picture: ImageData, name: str = "The picture") -> Pixels:
    """Take a picture's own alpha as the mask: its opaque part is the foreground.

    The colors beneath the transparent part are then the background, so there must be some.

    Args:
        picture: what was read.
        name: what to call it in an error.

    Raises:
        EngineError: there is no transparency, or nothing beneath the transparent part to compare with.
    """
    if picture.alpha is None or picture.alpha.min() >= full_scale(picture.alpha.dtype):
        raise EngineError(f"{name} has no transparency to take as a mask: {GIVE_A_MASK}.")
    beneath = picture.pixels[picture.alpha == 0]
    if len(beneath) and np.ptp(beneath, axis=0).max() == 0:
        raise EngineError(
            f"{name} is a cut-out with nothing behind it: give the picture to paste it on with --background BACKGROUND."
        )
    return picture.alpha


def check_mask(mask: Pixels, shape: tuple[int, ...], name: str = "The mask") -> None:
    """Make sure that a mask fits a picture of `shape` (height, width, …) and splits it in two.

    Raises:
        EngineError: another size, NaN, no foreground at all, or no background at all.
    """
    if mask.shape != shape[:2]:
        there, here = f"{mask.shape[1]}×{mask.shape[0]}", f"{shape[1]}×{shape[0]}"
        raise EngineError(f"{name} is {there} pixels and the picture {here}: give a mask of the picture's own size.")
    low, high = mask.min(), mask.max()
    if not np.isfinite([low, high]).all():
        raise EngineError(f"{name} contains values that are not numbers: export it again without them.")
    if high == 0:
        raise EngineError(f"{name} is empty: mark the pasted foreground (white, or opaque).")
    if low >= full_scale(mask.dtype):
        raise EngineError(f"{name} covers the whole picture: leave some background, so that there is a reference.")
