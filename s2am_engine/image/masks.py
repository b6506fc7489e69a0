# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks: checks, writing, and upsampling of a small mask along the edges of its image.

A mask is H×W; 0 = background, full scale (1.0, 255, 65535 or True by its dtype) = foreground, soft edges in between. It
keeps the depth of its file, which saves memory: a 24-megapixel mask of 8 bits takes 24 MB.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from s2am_common.errors import ImageFormatError, MaskError
from s2am_common.image_formats import WRITABLE_FORMATS
from s2am_engine.image.arrays import SAMPLED_SIDE, STRIP_PIXELS, full_scale, subsample, to_depth, to_unit, value_range
from s2am_engine.image.data import ImageData
from s2am_engine.image.guided_filter import guided_coefficients
from s2am_engine.image.io import save_image
from s2am_engine.types import Bytes, Floats, Mask, Pixels

MASK_SUFFIXES = tuple(
    suffix for info in WRITABLE_FORMATS if info.lossless and info.max_bits >= 16 for suffix in info.suffixes
)
"""Endings of the files that masks are written to: lossless and of 16 bits."""

_EDGE_REACH = 2.0  # pixels of the small mask by which upsampling may move an edge
_RAMP_MARGIN = 0.1
_SAME_PROPORTIONS = 0.01
TINY_SIDE = 16
"""Longer side in pixels up to which a mask of a larger image is no reduced copy, but an icon or a failed export."""


def mask_from_alpha(image: ImageData) -> Mask:
    """Return an image's own alpha as the mask: its opaque part is the foreground.

    The colors stored under the transparent part serve as background, so they must exist.

    Raises:
        MaskError: there is no transparency, or only one color under the transparent part.
    """
    alpha = image.coverage
    if alpha is None or value_range(alpha)[0] >= full_scale(alpha.dtype):
        raise MaskError("The image has no transparency that could serve as a mask.", code="mask.no-alpha")
    beneath = image.pixels[alpha == 0]
    if len(beneath) and np.ptp(beneath, axis=0).max() == 0:
        raise MaskError("The image is a cutout without a background.", code="mask.cut-out")
    return alpha


def check_mask(mask: Mask, shape: tuple[int, ...], name: str = "The mask", *, orientation: int = 1) -> None:
    """Check that a mask has the size of an image of `shape` (height, width, …), and foreground and background.

    Args:
        mask: see the module.
        shape: of the image.
        name: of the mask in errors.
        orientation: EXIF orientation that was applied to the image, 1 to 8.

    Raises:
        MaskError: another size, NaN, no foreground at all, or no background at all.
    """
    check_mask_size(mask, shape, name, orientation=orientation)
    low, high = value_range(mask)
    if not np.isfinite([low, high]).all():
        raise MaskError(
            f"{name} contains values that are not numbers: export it again without them.", code="mask.not-finite"
        )
    if high == 0:
        raise MaskError(f"{name} is empty: mark the pasted foreground (white, or opaque).", code="mask.empty")
    if low >= full_scale(mask.dtype):
        raise MaskError(f"{name} covers the whole image: leave some background as a reference.", code="mask.full")


def check_mask_size(mask: Mask, shape: tuple[int, ...], name: str = "The mask", *, orientation: int = 1) -> None:
    """Check that a mask has the size of an image; arguments as for `check_mask`.

    Raises:
        MaskError: another size; the message gives the probable reason.
    """
    if mask.shape != shape[:2]:
        raise _size_error(mask.shape, shape, name, orientation)


def _size_error(mask: tuple[int, ...], image: tuple[int, ...], name: str, orientation: int) -> MaskError:
    """Return the error for a mask and an image of different sizes, (height, width, …), with the probable reason."""
    there, here = f"{mask[1]}×{mask[0]}", f"{image[1]}×{image[0]}"
    if max(mask) <= TINY_SIDE < max(image) // 2:
        return MaskError(
            f"{name} has {there} pixels, too few to show a foreground: export it in the image's size, {here}.",
            code="mask.size",
        )
    if mask == (image[1], image[0]) and image[0] != image[1]:
        if orientation > 4:
            return MaskError(
                f"{name} has {there} pixels and the image {here}, which its EXIF orientation turns by 90°: turn the "
                "mask likewise.",
                code="mask.size",
            )
        return MaskError(
            f"{name} has {there} pixels and the image {here}: one of them lies on its side; turn it by 90°.",
            code="mask.size",
        )
    share = mask[1] / image[1]
    if abs(mask[0] - share * image[0]) <= 1 + _SAME_PROPORTIONS * mask[0]:
        return MaskError(
            f"{name} has {there} pixels and the image {here}: it was made at {100 * share:.3g} % of the size; scale it "
            f"to {here}.",
            code="mask.size",
        )
    return MaskError(
        f"{name} has {there} pixels and the image {here}, of other proportions: use a mask of the same image, cropped "
        "alike.",
        code="mask.size",
    )


def mask_image(mask: Mask) -> ImageData:
    """Return a mask as a gray image, white = foreground; bool becomes 8 bits, and float32 16 bits."""
    gray = mask
    if mask.dtype.kind in "bf":
        gray = to_depth(mask, np.dtype(np.uint8 if mask.dtype == np.bool_ else np.uint16))
    return ImageData(np.repeat(gray[..., None], 3, axis=2), gray=True)


def save_mask(path: str | Path, mask: Mask) -> None:
    """Write a mask as a gray image, whole or not at all; white = foreground.

    Args:
        path: file to write or replace.
        mask: H×W, see `mask_image`.

    Raises:
        MaskError: it is not an array of this shape.
        ImageFormatError: the suffix is that of no lossless format.
        FileError: see `save_image`.
    """
    if not isinstance(mask, np.ndarray) or mask.ndim != 2:
        found = f"the shape {mask.shape}" if isinstance(mask, np.ndarray) else f"the type {type(mask).__name__}"
        raise MaskError(f"A mask to save must be an array (height, width), but has {found}.", code="mask.type")
    if Path(path).suffix.lower() not in MASK_SUFFIXES:
        raise ImageFormatError(f"{path} cannot hold a mask without loss: choose a name that ends in .png.")
    save_image(path, mask_image(mask))


def snap_mask(mask: Bytes) -> Bytes:
    """Stretch a predicted mask linearly, so values within 10 % of 0 or 255 become 0 or 255.

    Networks and the guided filter hardly ever return exact zeros and ones.
    """
    return np.asarray(cv2.LUT(mask, _RAMP), np.uint8)


_RAMP = np.rint((np.linspace(0, 1, 256) - _RAMP_MARGIN).clip(0, 1 - 2 * _RAMP_MARGIN) / (1 - 2 * _RAMP_MARGIN) * 255)
_RAMP = _RAMP.astype(np.uint8)


def upsample_mask(mask: Floats, pixels: Pixels) -> Bytes:
    """Upsample a mask to the size of its image, and move its edges to those of the image.

    A fast guided filter: He, Sun & Tang, PAMI 35 (2013); coefficients computed on a small copy: He & Sun, arXiv
    1505.00996. (OpenCV has it in opencv-contrib only, and not in strips.)

    Args:
        mask: n×m in [0, 1], of the whole image.
        pixels: H×W×3, uint8, uint16 or float32.

    Returns:
        H×W, 255 = foreground.
    """
    height, width = pixels.shape[:2]
    guide = np.ascontiguousarray(to_unit(subsample(pixels, SAMPLED_SIDE)))
    coarse = np.asarray(cv2.resize(mask, guide.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    radius = max(1, round(_EDGE_REACH * max(guide.shape[:2]) / max(mask.shape)))
    slopes, offset = guided_coefficients(coarse, guide, radius)
    result = np.empty((height, width), np.uint8)
    rows = max(1, STRIP_PIXELS // width)
    for top in range(0, height, rows):
        strip = to_unit(pixels[top : top + rows])
        result[top : top + rows] = _guided_strip(strip, slopes, offset, top / height, len(strip) / height)
    return result


def _guided_strip(strip: Floats, slopes: Floats, offset: Floats, top: float, share: float) -> Bytes:
    """Evaluate the local linear models on a strip of the image.

    Args:
        strip: rows×W×3 in [0, 1].
        slopes: h×w×3, see `guided_coefficients`.
        offset: h×w.
        top: of the strip, as a share of the image's height.
        share: its height, as a share of the image's.
    """
    rows, width = strip.shape[:2]
    height, small = offset.shape
    # Pixel centers in the small copy: the positions of cv2.resize, but for a part of the rows.
    y = ((np.arange(rows, dtype=np.float32) + 0.5) / rows * share + top) * height - 0.5
    x = (np.arange(width, dtype=np.float32) + 0.5) / width * small - 0.5
    across, down = np.meshgrid(x, y)
    planes = cv2.remap(np.dstack([slopes, offset]), across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = np.einsum("ywc,ywc->yw", planes[..., :3], strip) + planes[..., 3]
    return np.asarray(np.rint(mask.clip(0, 1) * 255), np.uint8)
