# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs with foreground regions, kept as thumbnails in memory, and iHarmony4's layout on disk."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import platformdirs
from numpy.typing import NDArray

from s2am_engine.errors import EngineError
from s2am_engine.picture import SUFFIXES
from s2am_engine.training.regions import grabcut_region, label_regions

VALIDATION_SHARE = 0.07
CACHE_VERSION = 1
LONG_SIDE = 192  # pixels of the thumbnails that are kept


@dataclass(frozen=True)
class Photograph:
    """A photograph's thumbnail and the regions in it that could be a pasted foreground."""

    name: str
    image: NDArray[np.uint8]  # H×W×3, RGB
    regions: list[NDArray[np.bool_]]  # H×W each, at least one


@dataclass(frozen=True)
class Source:
    """Where a photograph and its label map, if any, are on disk."""

    name: str
    image: Path
    labels: Path | None


@dataclass(frozen=True)
class Pair:
    """One composite with its mask and its truth, by path."""

    name: str
    composite: Path
    mask: Path
    truth: Path


def find_photographs(folder: Path, split: str) -> list[Source]:
    """List one split of a folder of photographs.

    With an `index.csv` (columns name, image, regions, split) the splits are the file's; otherwise every picture below
    the folder counts, and a hash of its name puts it into `train` or `val`.

    Args:
        folder: the photographs' folder.
        split: `train` or `val` (or another that the index names).

    Raises:
        EngineError: there is no photograph of that split.
    """
    index = folder / "index.csv"
    if index.is_file():
        with index.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == split]
        found = [
            Source(row["name"], folder / row["image"], folder / row["regions"] if row["regions"] else None)
            for row in rows
        ]
    else:
        pictures = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        found = [Source(path.stem, path, None) for path in pictures if split_of(path.name) == split]
    if not found:
        raise EngineError(
            f"{folder} holds no photographs for “{split}”: name a folder with JPEG, PNG, WebP or TIFF files."
        )
    return found


def split_of(name: str) -> str:
    """Put a picture into `train` or `val` by a hash of its name, so that it stays there when others come or go."""
    share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
    return "val" if share < VALIDATION_SHARE else "train"


def load_photographs(
    folder: Path, split: str, long_side: int = LONG_SIDE, progress: Callable[[int, int], None] | None = None
) -> list[Photograph]:
    """Load a split as thumbnails with regions; photographs without any plausible region are left out.

    The thumbnails are cached in the user's cache folder, because finding regions takes a tenth of a second a picture.

    Args:
        folder: the photographs' folder, see `find_photographs`.
        split: `train` or `val`.
        long_side: the thumbnails' longer side in pixels.
        progress: called with (done, total).

    Raises:
        EngineError: no photographs, or none with a region.
    """
    sources = find_photographs(folder, split)
    key = hashlib.sha256(
        f"{CACHE_VERSION} {long_side} {[(s.name, str(s.image)) for s in sources]}".encode()
    ).hexdigest()
    cache = Path(platformdirs.user_cache_dir("s2am", appauthor=False)) / f"photographs-{key[:16]}.npz"
    if cache.is_file():
        return read_cache(cache)
    photographs = []
    for done, source in enumerate(sources):
        photograph = load_photograph(source, long_side)
        if photograph is not None:
            photographs.append(photograph)
        if progress:
            progress(done + 1, len(sources))
    if not photographs:
        raise EngineError(f"No region that could be a foreground was found in the photographs of {folder}.")
    write_cache(cache, photographs)
    return photographs


def load_photograph(source: Source, long_side: int) -> Photograph | None:
    """Read one photograph as a thumbnail and find its regions; None when it can't be read or has none."""
    image = cv2.imread(str(source.image), cv2.IMREAD_COLOR)
    if image is None:
        return None
    scale = min(1.0, long_side / max(image.shape[:2]))
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA)[..., ::-1], np.uint8)
    regions: list[NDArray[np.bool_]] = []
    if source.labels is not None:
        labels = cv2.imread(str(source.labels), cv2.IMREAD_UNCHANGED)
        if labels is not None and labels.ndim == 2:
            regions = label_regions(np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), np.int64))
    if not regions:
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(source.name.encode()).digest()[:8], "big"))
        regions = [mask for mask in (grabcut_region(small, rng) for _ in range(2)) if mask is not None]
    return Photograph(source.name, small, regions) if regions else None


def write_cache(path: Path, photographs: list[Photograph]) -> None:
    """Store thumbnails and packed regions in one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(
        partial,
        names=np.array([photograph.name for photograph in photographs]),
        shapes=np.array([photograph.image.shape[:2] for photograph in photographs]),
        counts=np.array([len(photograph.regions) for photograph in photographs]),
        pixels=np.concatenate([photograph.image.ravel() for photograph in photographs]),
        regions=np.concatenate([np.packbits(mask) for photograph in photographs for mask in photograph.regions]),
    )
    partial.replace(path)


def read_cache(path: Path) -> list[Photograph]:
    """Read what `write_cache` stored."""
    photographs = []
    with np.load(path) as stored:
        pixels, packed = stored["pixels"], stored["regions"]
        pixel = bit = 0
        for name, (height, width), count in zip(stored["names"], stored["shapes"], stored["counts"], strict=True):
            area = int(height) * int(width)
            image = pixels[pixel : pixel + 3 * area].reshape(height, width, 3)
            pixel += 3 * area
            regions: list[NDArray[np.bool_]] = []
            for _ in range(count):
                length = (area + 7) // 8
                bits = np.unpackbits(packed[bit : bit + length], count=area)
                regions.append(bits.reshape(height, width).astype(np.bool_))
                bit += length
            photographs.append(Photograph(str(name), image, regions))
    return photographs


def find_pairs(folder: Path) -> list[Pair]:
    """List the pairs of a folder in iHarmony4's layout.

    `composite_images/NAME_k_j.png` belongs to `masks/NAME_k.png` and `real_images/NAME.png` (any picture suffix).

    Raises:
        EngineError: the folder has no such layout, or a composite lacks its mask or truth.
    """
    composites = folder / "composite_images"
    if not composites.is_dir():
        raise EngineError(f"{folder} is not in iHarmony4's layout: it needs composite_images, masks and real_images.")
    masks = {path.stem: path for path in (folder / "masks").glob("*")}
    truths = {path.stem: path for path in (folder / "real_images").glob("*")}
    pairs = []
    for path in sorted(composites.iterdir()):
        if path.suffix.lower() not in SUFFIXES:
            continue
        masked = path.stem.rsplit("_", 1)[0]
        real = masked.rsplit("_", 1)[0]
        if masked not in masks or real not in truths:
            raise EngineError(f"{path} has no mask “masks/{masked}” or no truth “real_images/{real}” beside it.")
        pairs.append(Pair(path.stem, path, masks[masked], truths[real]))
    if not pairs:
        raise EngineError(f"{composites} holds no pictures.")
    return pairs
