# SPDX-License-Identifier: GPL-3.0-or-later
"""Dataset layouts on disk: folders of photographs (see `coco` for its annotations), and iHarmony4's pairs."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from s2am_common.errors import FileError, TrainingError
from s2am_common.path_checks import is_folder, is_regular_file
from s2am_engine.image.io import is_image_file
from s2am_engine.training.coco import InstancesReference, annotation_files, find_annotated

PHOTO_INDEX = "index.csv"
VALIDATION_SHARE = 0.07
COMPOSITE_FOLDER, MASK_FOLDER, TARGET_FOLDER = "composite_images", "masks", "real_images"
IHARMONY_SPLITS = ("train", "test")


@dataclass(frozen=True)
class PhotoFile:
    """Paths of a photograph and of its labeled regions."""

    name: str
    image: Path
    labels: Path | InstancesReference | None  # an image of label numbers, or COCO's instances


@dataclass(frozen=True)
class Pair:
    """Paths of a composite, its mask and its ground truth."""

    name: str
    composite: Path
    mask: Path
    target: Path
    subset: str = ""  # subfolder of the data set, if there are several


def unequal_sizes(pair: Pair) -> TrainingError:
    """Return the error for a pair whose files differ in width or height."""
    return TrainingError(
        f"{pair.composite}, its mask and its target differ in size: they must have the same width and height.",
        code="training.pair-size",
        path=str(pair.composite),
    )


def find_photographs(folder: Path, split: str | None) -> list[PhotoFile]:
    """List one split of a folder of photographs.

    With an `index.csv` (columns name, image, regions, split) the splits are the file's; in COCO's layout
    (`annotations/instances_train2017.json` …) they are those of the annotations' names. Otherwise every image below
    the folder counts, and a hash of its name puts it into `train` or `val`.

    Args:
        folder: the photographs' folder.
        split: `train` or `val` (or another that the index names); None = all.

    Raises:
        EngineError: no such folder, no photograph of that split, or an unreadable index or annotations.
    """
    found = list_sources(folder, split)
    if not found:
        raise nothing_found(folder, split)
    return found


def list_sources(folder: Path, split: str | None) -> list[PhotoFile]:
    """See `find_photographs`; without photographs the list is empty."""
    if not is_folder(folder):
        raise FileError(
            f"{folder} is not a folder: name a folder with photographs.", code="file.no-folder", path=str(folder)
        )
    if is_regular_file(folder / PHOTO_INDEX):
        return read_index(folder / PHOTO_INDEX, split)
    if annotation_files(folder):
        return annotated_photographs(folder, split)
    return [
        PhotoFile(path.relative_to(folder).with_suffix("").as_posix(), path, None)
        for path in visible_files(folder)
        if is_image_file(path) and split in (None, split_of(path.name))
    ]


def is_plain(folder: Path) -> bool:
    """Return whether a folder has neither an index nor annotations."""
    return not is_regular_file(folder / PHOTO_INDEX) and not annotation_files(folder)


def read_index(index: Path, split: str | None) -> list[PhotoFile]:
    """Read an `index.csv`."""
    try:
        with index.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.DictReader(file) if split in (None, row["split"])]
        return [
            PhotoFile(
                row["name"], index.parent / row["image"], index.parent / row["regions"] if row["regions"] else None
            )
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise TrainingError(
            f"{index} can't be used: it needs the columns name, image, regions and split.",
            code="training.index",
            path=str(index),
        ) from error


def annotated_photographs(folder: Path, split: str | None) -> list[PhotoFile]:
    """Return the photographs of a folder in COCO's layout."""
    return [
        PhotoFile(path.stem, path, labels)
        for path, labels in find_annotated(folder)
        if is_image_file(path) and split in (None, labels.annotations.split or split_of(path.name))
    ]


def visible_files(folder: Path) -> list[Path]:
    """Return all files below a folder, sorted, without hidden ones (thumbnails, macOS resource forks)."""
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in files if not name.startswith(".")]
    return sorted(found)


def stable_fraction(name: str, salt: str = "") -> float:
    """Return a pseudo-random number in [0, 1) that depends on a name and a salt alone."""
    digest = hashlib.sha256((salt + name).encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def stable_split(name: str, share: float, salt: str = "") -> bool:
    """Return whether a name belongs to a held-out share; the answer stays the same when other files come or go."""
    return stable_fraction(name, salt) < share


def split_of(name: str) -> str:
    """Put a photograph into `train` or `val` by its name."""
    return "val" if stable_split(name, VALIDATION_SHARE) else "train"


def nothing_found(folder: Path, split: str | None) -> TrainingError:
    """Return the error for a folder without photographs of a split, or without any."""
    others = len(list_sources(folder, None))
    if others:
        return TrainingError(
            f"{folder} holds no photographs for “{split}”, only {others} others: add some dozens more.",
            code="training.no-photographs",
            path=str(folder),
        )
    return TrainingError(
        f"{folder} holds no photographs: name a folder with JPEG, PNG, WebP or TIFF files.",
        code="training.no-photographs",
        path=str(folder),
    )


def has_pairs(folder: Path) -> bool:
    """Return whether a folder, or a folder in it, is in iHarmony4's layout."""
    return is_subset(folder) or bool(subsets_of(folder))


def find_pairs(folder: Path, split: str | None = None) -> list[Pair]:
    """List the pairs of a folder in iHarmony4's layout.

    `composite_images/NAME_k_j.png` belongs to `masks/NAME_k.png` and `real_images/NAME.png` (any image suffix).
    A folder of such folders (`HCOCO`, `HFlickr` …) is read as a whole; names are then prefixed with the subset.

    Args:
        folder: the data set, or one subset of it.
        split: the pairs that a file `*_{split}.txt` lists, in the folder or in each subset; all pairs with
            None, or if no split has such a file.

    Raises:
        EngineError: the folder has no such layout or no file for the split, or images are missing.
    """
    pairs = pairs_of(folder, listed(folder, split)) if is_subset(folder) else pairs_below(folder, split)
    if not pairs:
        raise TrainingError(
            f"{folder} holds no pairs to use: copy or download it again.", code="training.dataset", path=str(folder)
        )
    return pairs


def pairs_below(folder: Path, split: str | None) -> list[Pair]:
    """Return the pairs of a folder of subsets; see `find_pairs`."""
    if not is_folder(folder):
        raise FileError(
            f"{folder} is not a folder: name one with pairs in iHarmony4's layout.",
            code="file.no-folder",
            path=str(folder),
        )
    subsets = subsets_of(folder)
    if not subsets:
        raise TrainingError(
            f"{folder} is not in iHarmony4's layout: it needs {COMPOSITE_FOLDER}, {MASK_FOLDER} and {TARGET_FOLDER}.",
            code="training.dataset",
            path=str(folder),
        )
    whole = listed(folder, split)
    lines = None if whole is None else by_subset(folder, whole)
    pairs = []
    for subset in subsets:
        chosen = listed(subset, split) if lines is None else lines.get(subset.name, [])
        pairs += [
            dataclasses.replace(pair, name=f"{subset.name}/{pair.name}", subset=subset.name)
            for pair in pairs_of(subset, chosen)
        ]
    return pairs


def is_subset(folder: Path) -> bool:
    """Return whether a folder holds composites itself."""
    return is_folder(folder / COMPOSITE_FOLDER)


def subsets_of(folder: Path) -> list[Path]:
    """Return the subfolders that hold composites."""
    return sorted(place for place in folder.iterdir() if is_subset(place)) if is_folder(folder) else []


def listed(folder: Path, split: str | None) -> list[PurePosixPath] | None:
    """Return the composites listed for a split in a folder; None = all, if no split has a list.

    Raises:
        EngineError: another split has a file, or this one's can't be read.
    """
    if split is None:
        return None
    files = {name: sorted(folder.glob(f"*_{name}.txt")) for name in (*IHARMONY_SPLITS, split)}
    if not files[split]:
        if any(files.values()):
            raise TrainingError(
                f"{folder} has no list of its “{split}” pairs (*_{split}.txt): download it again.",
                code="training.dataset",
                path=str(folder),
            )
        return None
    file = files[split][0]
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise FileError(f"{file} can't be read: download it again.", code="file.read", path=str(file)) from error
    return [PurePosixPath(line.strip().replace("\\", "/")) for line in lines if line.strip()]


def by_subset(folder: Path, lines: Iterable[PurePosixPath]) -> dict[str, list[PurePosixPath]]:
    """Group the lines of a data set's list (`HCOCO/composite_images/c1_2_3.jpg`) by subset.

    Raises:
        EngineError: a subset is not there.
    """
    found: dict[str, list[PurePosixPath]] = defaultdict(list)
    for line in lines:
        found[line.parts[0]].append(line)
    absent = [name for name in found if not is_subset(folder / name)]
    if absent:
        lost = sum(len(found[name]) for name in absent)
        raise TrainingError(
            f"{folder} lacks {absent[0]} (listed pairs missing: {lost}): bring that folder, or name one subset.",
            code="training.dataset",
            path=str(folder),
        )
    return found


def pairs_of(folder: Path, lines: Iterable[PurePosixPath] | None) -> list[Pair]:
    """Return the pairs of one subset: those listed, in order, or all, sorted.

    Raises:
        EngineError: images are missing.
    """
    composites, masks, targets = (pictures_in(folder / part) for part in (COMPOSITE_FOLDER, MASK_FOLDER, TARGET_FOLDER))
    names = sorted(composites) if lines is None else [line.stem for line in lines]
    pairs, missing = [], []
    for name in names:
        masked = name.rsplit("_", 1)[0]
        real = masked.rsplit("_", 1)[0]
        wanted = ((composites, COMPOSITE_FOLDER, name), (masks, MASK_FOLDER, masked), (targets, TARGET_FOLDER, real))
        lost = [f"{part}/{stem}" for files, part, stem in wanted if stem not in files]
        missing += lost
        if not lost:
            pairs.append(Pair(name, composites[name], masks[masked], targets[real]))
    if missing:
        count = len(dict.fromkeys(missing))
        raise TrainingError(
            f"{folder} lacks “{missing[0]}” (images missing: {count}): copy or download it again.",
            code="training.dataset",
            path=str(folder),
        )
    return pairs


def pictures_in(folder: Path) -> dict[str, Path]:
    """Return a folder's images by stem; empty if the folder does not exist."""
    files = folder.iterdir() if is_folder(folder) else ()
    return {path.stem: path for path in files if is_image_file(path)}
