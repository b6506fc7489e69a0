# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversion and validation of the images and masks that callers pass in, and conversion of results back.

Images may be NumPy arrays, PIL images, PyTorch tensors, `ImageData` or paths of files; a result has the type of the
input. Inside, all of them are `ImageData`.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from s2am_common.errors import ImageError, MaskError
from s2am_engine.image.data import ImageData, IndexedColors
from s2am_engine.image.io import load_image
from s2am_engine.image.mask_reading import MaskReading, interpret_mask, read_mask_file
from s2am_engine.types import Pixels

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

PathLike: TypeAlias = "str | os.PathLike[str]"
ImageLike: TypeAlias = "NDArray[Any] | Image.Image | torch.Tensor | ImageData | PathLike"
MaskLike: TypeAlias = "NDArray[Any] | Image.Image | torch.Tensor | MaskReading | PathLike"
ImageT = TypeVar("ImageT", NDArray[Any], Image.Image, "torch.Tensor", ImageData)
"""Type of an image in memory."""

DEPTHS = (np.uint8, np.uint16, np.float32)
LARGEST_FLOAT = 2.0  # of most pixels of a float image: HDR values above 1 are allowed, values up to 255 a mistake
RANGE_SAMPLES = 1 << 18


@dataclass(frozen=True)
class ConvertedImage:
    """An image as `ImageData`, and the function that gives a result the type of the input.

    own_alpha: whether the image came with an alpha channel, which then is the mask if no other is given.
    """

    data: ImageData
    restore: Callable[[ImageData], Any]
    own_alpha: bool = False


def convert_image(image: ImageLike, alpha: Pixels | None = None, profile: bytes | None = None) -> ConvertedImage:
    """Convert an image of any supported type.

    Args:
        image: array (H, W, 3), uint8, uint16, or float in nominal [0, 1]; PIL image of mode RGB, RGBA, L, LA, P or 1;
            tensor (3, H, W), uint8 or float in [0, 1]; `ImageData`; or the path of an image file.
        alpha: (H, W) of the image's depth; replaces the image's own.
        profile: ICC profile of the pixels; replaces the image's own; None = sRGB for arrays and tensors.

    Raises:
        ImageError: another type, shape, mode or range.
        FileError: a file that cannot be read.
    """
    if isinstance(image, ImageData):
        converted = ConvertedImage(image, lambda result: result, image.alpha is not None)
    elif isinstance(image, np.ndarray):
        converted = _from_array(image)
    elif isinstance(image, Image.Image):
        converted = _from_pil(image)
    elif is_tensor(image):
        converted = _from_tensor(image)
    elif isinstance(image, str | os.PathLike):
        data = load_image(os.fspath(image))
        converted = ConvertedImage(data, lambda result: result, data.alpha is not None)
    else:
        raise ImageError(
            f"An image must be an array, a PIL image, a tensor, ImageData or a path, not {type(image).__name__}.",
            code="image.type",
        )
    changes: dict[str, Any] = {"alpha": alpha} if alpha is not None else {}
    if profile is not None:
        changes["profile"] = profile
    if not changes:
        return converted
    data = dataclasses.replace(converted.data, **changes)
    return dataclasses.replace(converted, data=data, own_alpha=converted.own_alpha and alpha is None)


def is_one_image(value: object) -> bool:
    """Return True for an image of a supported type, and False for a sequence of them."""
    return isinstance(value, ImageData | np.ndarray | Image.Image | str | os.PathLike) or is_tensor(value)


def _from_array(array: NDArray[Any]) -> ConvertedImage:
    if array.size == 0:
        raise _no_pixels()
    if array.ndim != 3 or array.shape[2] != 3:
        raise ImageError(
            f"An image array must have the shape (height, width, 3), not {array.shape}{_shape_hint(array.shape)}.",
            code="image.shape",
        )
    if array.dtype in DEPTHS:
        pixels = array
    elif np.issubdtype(array.dtype, np.floating):
        pixels = array.astype(np.float32)
    else:
        raise ImageError(f"An image array must be uint8, uint16 or float, not {array.dtype}.", code="image.dtype")
    _check_range(pixels)
    return ConvertedImage(ImageData(pixels), lambda result: result.pixels.astype(array.dtype, copy=False))


def _shape_hint(shape: tuple[int, ...]) -> str:
    """Return advice for an array or tensor of another shape than an image; "" = none."""
    match shape:
        case (_, _):
            return ": repeat a gray image as three channels"
        case (_, _, 4):
            return ": pass the first three channels as the image, and the fourth as `alpha` or as the mask"
        case (3, _, _):
            return ": channels come last, see numpy.moveaxis"
        case (_, _, _, _):
            return ": pass the images of a batch one by one"
    return ""


def _check_range(pixels: Pixels) -> None:
    if pixels.dtype != np.float32:
        return
    step = max(1, int((pixels.shape[0] * pixels.shape[1] / RANGE_SAMPLES) ** 0.5))
    if float((pixels[::step, ::step] > LARGEST_FLOAT).mean()) > 0.5:
        raise ImageError(
            f"Most values of the float image exceed {LARGEST_FLOAT:g}, but float images range from 0 to 1: divide "
            "it by 255, or pass it as uint8.",
            code="image.range",
        )


def _from_pil(image: Image.Image) -> ConvertedImage:
    if image.mode not in ("RGB", "RGBA", "L", "LA", "P", "PA", "1"):
        raise ImageError(f"PIL images of mode {image.mode} are not supported: convert it to RGB.", code="image.mode")
    if 0 in image.size:
        raise _no_pixels()
    mode = {"P": "RGBA" if "transparency" in image.info else "RGB", "PA": "RGBA", "1": "L"}.get(image.mode, image.mode)
    samples = np.asarray(image.convert(mode))
    gray = mode in ("L", "LA")
    samples = samples[..., None] if samples.ndim == 2 else samples
    alpha = np.ascontiguousarray(samples[..., -1]) if mode in ("RGBA", "LA") else None
    pixels = np.repeat(samples[..., :1], 3, axis=2) if gray else np.ascontiguousarray(samples[..., :3])

    def restore(result: ImageData) -> Image.Image:
        channels = result.pixels[..., :1] if gray else result.pixels
        if alpha is not None and result.alpha is not None:
            channels = np.concatenate([channels, result.alpha[..., None]], axis=2)
        restored = Image.fromarray(np.ascontiguousarray(channels.squeeze(2) if mode == "L" else channels), mode)
        restored.info = dict(image.info)
        return restored

    data = ImageData(pixels, alpha, image.info.get("icc_profile"), gray=gray, indexed=_indexed_colors(image))
    return ConvertedImage(data, restore, alpha is not None)


def _indexed_colors(image: Image.Image) -> IndexedColors | None:
    if image.mode != "P" or not (palette := image.getpalette("RGB")):
        return None
    colors = np.zeros((256, 3), np.uint8)
    colors[: len(palette) // 3] = np.reshape(palette, (-1, 3))
    return IndexedColors(np.asarray(image), colors)


def is_tensor(image: object) -> TypeGuard[torch.Tensor]:
    """Return whether an image is a tensor; if PyTorch was not imported, it cannot be one."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(image, torch.Tensor)


def _no_pixels() -> ImageError:
    return ImageError("The image has no pixels: check how it was read or cropped.", code="image.no-pixels")


def _from_tensor(tensor: torch.Tensor) -> ConvertedImage:
    import torch

    if tensor.numel() == 0:
        raise _no_pixels()
    if tensor.ndim != 3 or tensor.shape[0] != 3:
        hint = ": pass the images of a batch one by one" if tensor.ndim == 4 else ""
        raise ImageError(
            f"An image tensor must have the shape (3, height, width), not {tuple(tensor.shape)}{hint}.",
            code="image.shape",
        )
    if tensor.dtype != torch.uint8 and not tensor.is_floating_point():
        raise ImageError(f"An image tensor must be uint8 or float, not {tensor.dtype}.", code="image.dtype")
    values = tensor.detach().cpu()
    values = values if values.dtype == torch.uint8 else values.float()
    pixels = np.ascontiguousarray(values.permute(1, 2, 0).numpy())
    _check_range(pixels)

    def restore(result: ImageData) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(result.pixels.transpose(2, 0, 1))).to(tensor.device, tensor.dtype)

    return ConvertedImage(ImageData(pixels), restore)


def convert_mask(mask: MaskLike) -> Pixels:
    """Convert a mask of any supported type to an array; `masks.check_mask` checks its size and content.

    What it means is decided by `interpret_mask`, whose notes and hint are logged as warnings.

    Args:
        mask: array (H, W) or (H, W, 1), bool, integer or float in [0, 1], full scale = foreground, and also 1 in an
            array of integers that holds only 0 and 1; tensor (H, W) or (1, H, W); PIL image; path of an image file;
            or a `MaskReading`, whose mask is taken without a further interpretation.

    Returns:
        (H, W) bool, uint8, uint16 or float32.

    Raises:
        MaskError: another type, shape or range, or several meanings are possible.
        FileError: a file that cannot be read.
    """
    if isinstance(mask, MaskReading):
        return mask.mask
    reading = _read(mask)
    reading.log(logger)
    return reading.mask


def _read(mask: MaskLike) -> MaskReading:
    if isinstance(mask, str | os.PathLike):
        return read_mask_file(os.fspath(mask))
    if isinstance(mask, Image.Image):
        if 0 in mask.size:
            raise _no_mask_pixels()
        return interpret_mask(_from_pil(mask).data)
    return interpret_mask(_mask_values(mask))


def _no_mask_pixels() -> MaskError:
    return MaskError("The mask has no pixels: give one of the image's size.", code="mask.no-pixels")


def _mask_values(mask: MaskLike) -> Pixels:
    """Return an array or a tensor as H×W bool, uint8, uint16 or float32."""
    if is_tensor(mask):
        mask = (mask.detach().cpu().float() if mask.is_floating_point() else mask.detach().cpu()).numpy()
        mask = mask[0] if mask.ndim == 3 and mask.shape[0] == 1 else mask
    if not isinstance(mask, np.ndarray):
        raise MaskError(
            f"A mask must be an array, a PIL image, a tensor or a path, not {type(mask).__name__}.", code="mask.type"
        )
    if mask.ndim == 3 and mask.shape[2] == 1:
        mask = mask[..., 0]
    if mask.size == 0:
        raise _no_mask_pixels()
    if mask.ndim != 2:
        raise MaskError(f"A mask must have the shape (height, width), not {mask.shape}.", code="mask.shape")
    if mask.dtype in (np.uint8, np.uint16, np.bool_):
        return mask
    if np.issubdtype(mask.dtype, np.floating):
        return mask.astype(np.float32, copy=False)
    if np.issubdtype(mask.dtype, np.integer) and mask.min() >= 0 and mask.max() <= 65535:
        return mask.astype(np.uint8 if mask.max() <= 255 else np.uint16)
    raise MaskError(f"A mask must be bool, float, or of integers from 0 to 65535, not {mask.dtype}.", code="mask.dtype")
