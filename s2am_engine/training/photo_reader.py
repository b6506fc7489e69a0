# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading of photographs for training: reduced to a longer side, in sRGB and upright, with their label maps."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from s2am_common.errors import TrainingError
from s2am_engine.image import icc
from s2am_engine.image.arrays import SAMPLED_SIDE, subsample, to_uint8, to_unit
from s2am_engine.image.io import load_image
from s2am_engine.training.coco import InstancesReference
from s2am_engine.training.dataset_readers import PhotoFile
from s2am_engine.types import Pixels

SMALLEST_PHOTO_SIDE = 64  # pixels; smaller images count as icons
MOST_TRANSPARENT = 0.01  # share of an image; more is a cutout


def read_source(source: PhotoFile, long_side: int) -> tuple[NDArray[np.uint8], NDArray[np.integer] | None]:
    """Read a photograph and its label map.

    Args:
        source: where they are.
        long_side: the longest side that the photograph may have, in pixels; it is never enlarged.

    Returns:
        H×W×3 sRGB, upright, and H×W integers (0 = no region), or None for an unlabeled photograph.

    Raises:
        EngineError: a file that can't be read, an image that is tiny or partly transparent, or labels that do not fit.
    """
    image = read_reduced(source.image, long_side)
    height, width = image.shape[:2]
    if isinstance(source.labels, InstancesReference):
        instances = source.labels.find()
        if instances is None:
            return image, None
        check_fit(source.image, (instances.width, instances.height), (width, height))
        return image, instances.paint(width, height)
    if source.labels is None:
        return image, None
    labels = read_labels(source.labels)
    check_fit(source.image, (labels.shape[1], labels.shape[0]), (width, height))
    return image, np.asarray(cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST), np.int32)


def read_reduced(path: Path, long_side: int) -> NDArray[np.uint8]:
    """Read a photograph as H×W×3 sRGB of at most `long_side` pixels per side; errors are those of `read_source`."""
    small = read_reduced_jpeg(path, long_side)
    if small is not None:
        return small
    picture = load_image(path)
    height, width = picture.pixels.shape[:2]
    check_photo_size(path, width, height)
    if picture.alpha is not None:
        hidden = to_unit(subsample(picture.alpha, SAMPLED_SIDE)) < 0.5
        if hidden.mean() > MOST_TRANSPARENT:
            raise TrainingError(
                f"{path} is partly transparent: flatten it onto a background first.",
                code="training.photograph",
                path=str(path),
            )
    return icc.to_srgb(to_uint8(shrink_to_side(picture.pixels, long_side)), picture.profile)


def read_reduced_jpeg(path: Path, long_side: int) -> NDArray[np.uint8] | None:
    """Read a JPEG, decoded at the smallest sufficient scale (1/8 to 1), which is up to ten times as fast.

    Returns:
        See `read_reduced`; None for all but intact JPEGs in RGB or gray, which `load_image` reads.

    Raises:
        EngineError: the image is too small.
    """
    try:
        with JpegImageFile(path) as file:
            full, size = file.size, size_within(*file.size, long_side)
            if file.mode not in ("RGB", "L"):
                return None
            file.draft(None, size)
            small = Image.fromarray(average_to_size(np.asarray(file.convert("RGB")), size))
            small.info = file.info
            pixels = np.asarray(ImageOps.exif_transpose(small))
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, struct.error):
        return None
    check_photo_size(path, *full)
    return icc.to_srgb(pixels, small.info.get("icc_profile"))


def read_labels(path: Path) -> NDArray[np.int32]:
    """Read a label map, H×W, from an image with one channel or a palette.

    Raises:
        EngineError: it can't be read, or has several channels.
    """
    try:
        with Image.open(path) as file:
            labels = np.asarray(file)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise TrainingError(
            f"{path} can't be read as a label map: bring it back or take it out of the index.",
            code="training.labels",
            path=str(path),
        ) from error
    if labels.ndim != 2:
        raise TrainingError(
            f"{path} is no label map, for it has several channels: save it in gray or with a palette.",
            code="training.labels",
            path=str(path),
        )
    return labels.astype(np.int32)


def check_fit(path: Path, drawn_on: tuple[int, int], size: tuple[int, int]) -> None:
    """Check that labels have the aspect ratio of the reduced image; those of a rotated photograph do not.

    Raises:
        EngineError: the aspect ratios differ by more than rounding.
    """
    if abs(drawn_on[0] * size[1] - drawn_on[1] * size[0]) > sum(drawn_on):
        raise TrainingError(
            f"{path} has labels of another aspect ratio: label the image in its displayed orientation.",
            code="training.labels",
            path=str(path),
        )


def check_photo_size(path: Path, width: int, height: int) -> None:
    """Check that a picture is a photograph and not an icon."""
    if min(width, height) < SMALLEST_PHOTO_SIDE:
        raise TrainingError(
            f"{path} is smaller than {SMALLEST_PHOTO_SIDE} pixels: bring it in its full size.",
            code="training.photograph",
            path=str(path),
        )


def shrink_to_side(pixels: Pixels, long_side: int) -> NDArray[Any]:
    """Average H×W×3 pixels of any depth down until no side is longer than `long_side`."""
    return average_to_size(pixels, size_within(pixels.shape[1], pixels.shape[0], long_side))


def average_to_size(pixels: Pixels, size: tuple[int, int]) -> NDArray[Any]:
    """Average H×W×3 pixels of any depth down to a width and height."""
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def size_within(width: int, height: int, long_side: int) -> tuple[int, int]:
    """Return width and height after reduction to a longer side of at most `long_side`."""
    scale = min(1.0, long_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
