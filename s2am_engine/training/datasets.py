# SPDX-License-Identifier: GPL-3.0-or-later
"""Which photographs a folder holds, in which split, and reading one of them as a small sRGB picture."""

from __future__ import annotations

import csv
import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from s2am_engine.errors import EngineError
from s2am_engine.image import profiles
from s2am_engine.image.io import IMAGE_SUFFIXES, load_image
from s2am_engine.image.masks import Pixels
from s2am_engine.inference.network_input import SAMPLED_SIDE, sample, to_bytes, to_unit
from s2am_engine.training.coco import Drawn, annotation_files, find_drawn

INDEX = "index.csv"
VALIDATION_SHARE = 0.07
LONG_SIDE = 192  # pixels of the thumbnails that are kept
SMALLEST_SIDE = 64  # pixels; smaller pictures are icons
MOST_TRANSPARENT = 0.01  # share of a picture; more is a cut-out


@dataclass(frozen=True)
class Photograph:
    """A photograph's thumbnail and the regions in it that could be a pasted foreground."""

    name: str
    image: NDArray[np.uint8]  # H×W×3, RGB
    regions: list[NDArray[np.bool_]]  # H×W each, at least one


@dataclass(frozen=True)
class Source:
    """Where a photograph and its labeled regions, if any, are."""

    name: str
    image: Path
    labels: Path | Drawn | None  # a picture of label numbers, or COCO's instances


@dataclass(frozen=True)
class Pair:
    """One composite with its mask and its truth, by path."""

    name: str
    composite: Path
    mask: Path
    truth: Path
    subset: str = ""  # the sub-folder of the data set that it belongs to, if it has several


def find_photographs(folder: Path, split: str | None) -> list[Source]:
    """List one split of a folder of photographs.

    With an `index.csv` (columns name, image, regions, split) the splits are the file's; in COCO's layout
    (`annotations/instances_train2017.json` …) they are those of the annotations' names. Otherwise every picture below
    the folder counts, and a hash of its name puts it into `train` or `val`.

    Args:
        folder: the photographs' folder.
        split: `train` or `val` (or another that the index names); None = all.

    Raises:
        EngineError: no such folder, no photograph of that split, or an index or annotations that can't be read.
    """
    found = list_sources(folder, split)
    if not found:
        raise nothing_found(folder, split)
    return found


def list_sources(folder: Path, split: str | None) -> list[Source]:
    """See `find_photographs`; without photographs the list is empty."""
    if not folder.is_dir():
        raise EngineError(f"{folder} is not a folder: name a folder with photographs.")
    if (folder / INDEX).is_file():
        return indexed(folder / INDEX, split)
    if annotation_files(folder):
        return drawn(folder, split)
    return [
        Source(path.relative_to(folder).with_suffix("").as_posix(), path, None)
        for path in visible_files(folder)
        if is_photograph(path) and split in (None, split_of(path.name))
    ]


def is_plain(folder: Path) -> bool:
    """Whether nothing but the files themselves says which photographs there are."""
    return not (folder / INDEX).is_file() and not annotation_files(folder)


def indexed(index: Path, split: str | None) -> list[Source]:
    """What an `index.csv` lists."""
    try:
        with index.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.DictReader(file) if split in (None, row["split"])]
        return [
            Source(row["name"], index.parent / row["image"], index.parent / row["regions"] if row["regions"] else None)
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise EngineError(f"{index} can't be used: it needs the columns name, image, regions and split.") from error


def drawn(folder: Path, split: str | None) -> list[Source]:
    """The photographs of a folder in COCO's layout."""
    return [
        Source(path.stem, path, labels)
        for path, labels in find_drawn(folder)
        if is_photograph(path) and split in (None, labels.annotations.split or split_of(path.name))
    ]


def is_photograph(path: Path) -> bool:
    """Whether a file's name is that of a picture that can be read."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def visible_files(folder: Path) -> list[Path]:
    """All files below a folder, sorted, but those that are hidden: thumbnails of file managers, macOS's doubles."""
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in files if not name.startswith(".")]
    return sorted(found)


def split_of(name: str) -> str:
    """Put a picture into `train` or `val` by a hash of its name, so that it stays there when others come or go."""
    share = int.from_bytes(hashlib.sha256(name.encode(errors="surrogateescape")).digest()[:4], "big") / 2**32
    return "val" if share < VALIDATION_SHARE else "train"


def nothing_found(folder: Path, split: str | None) -> EngineError:
    """What to say where there are no photographs of a split, or none at all."""
    others = len(list_sources(folder, None))
    if others:
        return EngineError(f"{folder} holds no photographs for “{split}”, only {others} others: add some dozens more.")
    return EngineError(f"{folder} holds no photographs: name a folder with JPEG, PNG, WebP or TIFF files.")


def read_source(source: Source, long_side: int) -> tuple[NDArray[np.uint8], NDArray[np.integer] | None]:
    """Read a photograph and its label map.

    Args:
        source: where they are.
        long_side: the longest side that the photograph may have, in pixels; it is never enlarged.

    Returns:
        H×W×3 sRGB, upright, and H×W integers (0 = no region), or None where nobody labeled the photograph.

    Raises:
        EngineError: a file that can't be read, a picture that is tiny or partly transparent, or labels that do not fit.
    """
    image = read_thumbnail(source.image, long_side)
    height, width = image.shape[:2]
    if isinstance(source.labels, Drawn):
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


def read_thumbnail(path: Path, long_side: int) -> NDArray[np.uint8]:
    """Read a photograph as H×W×3 sRGB of at most `long_side` pixels a side; errors are those of `read_source`."""
    small = read_jpeg(path, long_side)
    if small is not None:
        return small
    picture = load_image(path)
    height, width = picture.pixels.shape[:2]
    check_size(path, width, height)
    if picture.alpha is not None:
        hidden = to_unit(sample(picture.alpha, SAMPLED_SIDE)) < 0.5
        if hidden.mean() > MOST_TRANSPARENT:
            raise EngineError(f"{path} is partly transparent: flatten it onto a background first.")
    return profiles.to_srgb(to_bytes(shrink(picture.pixels, long_side)), picture.profile)


def read_jpeg(path: Path, long_side: int) -> NDArray[np.uint8] | None:
    """Read a JPEG, decoded at an eighth to the whole of its size, whichever does: ten times as fast as whole.

    Returns:
        See `read_thumbnail`; None where it is not a sound JPEG in RGB or gray, for `load_image` to say what it is.

    Raises:
        EngineError: it is tiny.
    """
    try:
        with JpegImageFile(path) as file:
            full, size = file.size, size_within(*file.size, long_side)
            if file.mode not in ("RGB", "L"):
                return None
            file.draft(None, size)
            small = Image.fromarray(average(np.asarray(file.convert("RGB")), size))
            small.info = file.info
            pixels = np.asarray(ImageOps.exif_transpose(small))
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, struct.error):
        return None
    check_size(path, *full)
    return profiles.to_srgb(pixels, small.info.get("icc_profile"))


def read_labels(path: Path) -> NDArray[np.int32]:
    """Read a label map, H×W, from a picture with one channel or a palette.

    Raises:
        EngineError: it can't be read, or has several channels.
    """
    try:
        with Image.open(path) as file:
            labels = np.asarray(file)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise EngineError(f"{path} can't be read as a label map: bring it back or take it out of the index.") from error
    if labels.ndim != 2:
        raise EngineError(f"{path} is no label map, for it has several channels: save it in gray or with a palette.")
    return labels.astype(np.int32)


def check_fit(path: Path, drawn_on: tuple[int, int], size: tuple[int, int]) -> None:
    """Make sure that labels of one width and height belong to a thumbnail of another: a turned photograph's do not.

    Raises:
        EngineError: their sides have another ratio, beyond what rounding does to the thumbnail.
    """
    if abs(drawn_on[0] * size[1] - drawn_on[1] * size[0]) > sum(drawn_on):
        raise EngineError(f"{path} has labels of another shape of picture: label it as it is shown, upright.")


def check_size(path: Path, width: int, height: int) -> None:
    """Make sure that a picture is a photograph and not an icon."""
    if min(width, height) < SMALLEST_SIDE:
        raise EngineError(f"{path} is smaller than {SMALLEST_SIDE} pixels: bring it in its full size.")


def shrink(pixels: Pixels, long_side: int) -> NDArray[Any]:
    """Average H×W×3 pixels of any depth down until no side is longer than `long_side`."""
    return average(pixels, size_within(pixels.shape[1], pixels.shape[0], long_side))


def average(pixels: Pixels, size: tuple[int, int]) -> NDArray[Any]:
    """Average H×W×3 pixels of any depth down to a width and height."""
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def size_within(width: int, height: int, long_side: int) -> tuple[int, int]:
    """A picture's width and height once its longer side is `long_side` at most."""
    scale = min(1.0, long_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
