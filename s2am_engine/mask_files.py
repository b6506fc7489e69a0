# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of masks beside files of images: which belongs to which, and whether it fits."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from s2am_common.errors import FileError, MaskError
from s2am_common.image_formats import IMAGE_SUFFIXES
from s2am_common.path_checks import file_exists, is_regular_file
from s2am_engine.image.data import ImageData
from s2am_engine.image.mask_reading import BY_RULES, MaskOptions, MaskReading, read_mask_file
from s2am_engine.image.masks import check_mask

logger = logging.getLogger(__name__)

MASK_ENDINGS = ("_mask", "-mask")
"""Endings of a mask's name after the name of its image."""


def without_masks(paths: Sequence[Path]) -> list[Path]:
    """Return image files without those that, by their names, are masks of others among them (“beach_mask.png”)."""
    stems = {(path.parent, path.stem) for path in paths}
    masks = {(folder, stem + ending) for folder, stem in stems for ending in MASK_ENDINGS}
    return [path for path in paths if (path.parent, path.stem) not in masks]


def find_mask_file(source: Path, masks: Path) -> Path:
    """Return the mask of a composite: NAME_mask or NAME-mask in the folder of the masks, or NAME in another folder.

    Raises:
        FileError: there is none, or the folder may not be entered.
    """
    is_own_folder = file_exists(masks) and file_exists(source) and masks.samefile(source.parent)
    endings = MASK_ENDINGS if is_own_folder else (*MASK_ENDINGS, "")
    suffixes = [each for suffix in IMAGE_SUFFIXES for each in (suffix, suffix.upper())]
    for name in (f"{source.stem}{ending}{suffix}" for ending in endings for suffix in suffixes):
        if _is_present(masks / name):
            return masks / name
    raise FileError(
        f"{source} has no mask in {masks}: name it {source.stem}_mask.png.", code="file.no-mask", path=str(source)
    )


def _is_present(path: Path) -> bool:
    try:
        return is_regular_file(path)
    except FileError as error:
        if error.code != "file.name":
            raise
        return False  # no file has a name that is too long


def read_matching_mask(
    path: Path,
    image: ImageData,
    source: Path,
    options: MaskOptions = BY_RULES,
) -> MaskReading:
    """Read the mask of an image, and log notes on it as warnings.

    Args:
        path: file of the mask.
        image: the image.
        source: its file, which is no mask.
        options: see `interpret_mask`.

    Raises:
        MaskError: it is the image itself, does not fit it, or has several meanings; the message names the file.
        FileError: it cannot be read.
    """
    if file_exists(path) and file_exists(source) and path.samefile(source):
        raise MaskError(f"{path} is the image itself and not its mask: give another file.", code="mask.same-file")
    reading = read_mask_file(path, options)
    reading.log(logger)
    check_mask(reading.mask, image.pixels.shape, f"The mask {path}", orientation=image.orientation)
    return reading
