# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversions of pixels and masks between bit depths, subsampling, and luma."""

from __future__ import annotations

import functools
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_common.errors import ImageError
from s2am_engine.color.srgb import LUMA
from s2am_engine.types import Bytes, Floats, Mask, Pixels

SAMPLED_SIDE = 512
"""Rows and columns to sample before averaging: as good for a network as averaging all pixels of a large image."""

STRIP_PIXELS = 1 << 18
"""Pixels to process at a time where float copies of a whole image would take too much memory."""


@functools.lru_cache(32)
def full_scale(dtype: np.dtype[Any]) -> float:
    """Return the value that stands for 1.0 in arrays of a dtype: 255, 65535, or 1 for floats and booleans."""
    return float(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1.0


def to_unit(array: NDArray[Any]) -> Floats:
    """Convert a mask, alpha or pixels of any depth to float32, clipped to [0, 1]."""
    return np.asarray(np.clip(array / np.float32(full_scale(array.dtype)), 0, 1), np.float32)


def to_uint8(pixels: Pixels) -> Bytes:
    """Convert pixels of any depth to contiguous uint8, clipped and rounded.

    Raises:
        ImageError: float pixels that are not numbers.
    """
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    unit = pixels.astype(np.float32) / np.float32(full_scale(pixels.dtype))
    if not np.isfinite(unit).all():
        raise ImageError(
            "The image contains values that are not numbers: export it again without them.", code="image.not-finite"
        )
    return np.asarray(np.rint(np.clip(unit, 0, 1) * 255), np.uint8)


def to_depth(array: NDArray[Any], dtype: np.dtype[np.generic]) -> NDArray[Any]:
    """Scale values to the full scale of another dtype; integers are clipped and rounded. The same array if equal."""
    if array.dtype == dtype:
        return array
    factor = full_scale(dtype) / full_scale(array.dtype)
    scaled: NDArray[Any] = array * np.float32(factor)
    if np.issubdtype(dtype, np.integer):
        scaled = np.rint(np.clip(scaled, 0, full_scale(dtype)))
    return scaled.astype(dtype)


def subsample(array: NDArray[Any], side: int) -> NDArray[Any]:
    """Return a view of every k-th row and column, about `side` of each."""
    rows, columns = (sampled_lines(length, side) for length in array.shape[:2])
    return array[rows, columns]


def sampled_lines(length: int, side: int) -> slice:
    """Return every k-th of `length` rows or columns, about `side` of them."""
    step = max(1, length // side)
    return slice(step // 2, None, step)


def sample_pixels(pixels: Pixels, side: int) -> Pixels:
    """Return a contiguous copy of `subsample`, in half the time that NumPy takes for the channels of each pixel."""
    view = subsample(pixels, side)
    if view.strides[2] == view.itemsize:
        whole = view.view(np.dtype((np.void, view.shape[2] * view.itemsize)))
        return np.ascontiguousarray(whole).view(view.dtype)
    return np.ascontiguousarray(view)


def value_range(array: NDArray[Any]) -> tuple[Any, Any]:
    """Return the lowest and the highest value of a mask, alpha or pixels; both NaN if there is one.

    All values are read only if samples of an integer array do not show both ends of its type's range.
    """
    if array.dtype.kind in "bu":
        for side in (SAMPLED_SIDE // 8, SAMPLED_SIDE):
            sampled = np.ascontiguousarray(subsample(array, side))
            low, high = sampled.min(), sampled.max()
            if low == 0 and high == full_scale(array.dtype):
                return low, high
    return array.min(), array.max()


def bounding_box(mask: Mask) -> tuple[int, int, int, int] | None:
    """Return left, top, right and bottom of the part of a mask that is not 0; None if there is none."""
    found = mask if mask.dtype in (np.uint8, np.bool_) else mask != 0
    left, top, width, height = cv2.boundingRect(found.view(np.uint8))
    return (left, top, left + width, top + height) if width else None


def luma(pixels: Pixels) -> Mask:
    """Return the BT.709 luma of H×W×3 pixels, H×W in the same dtype; exact where the three channels are equal."""
    first = pixels[..., 0]
    equal = (first == pixels[..., 1]) & (first == pixels[..., 2])
    if equal.all():
        return first
    # OpenCV's 8-bit matrix product is off by up to 0.8 levels; its 16-bit one is not.
    wide = np.ascontiguousarray(pixels, np.uint16 if pixels.dtype == np.uint8 else None)
    weighted = cv2.transform(wide, np.array([LUMA], np.float32)).reshape(first.shape)
    return np.where(equal, first, weighted.astype(pixels.dtype))
