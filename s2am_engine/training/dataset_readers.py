# SPDX-License-Identifier: GPL-3.0-or-later
"""Dataset layouts on disk: folders of photographs, COCO annotations, and pairs in iHarmony4's layout."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.errors import FileError, TrainingError
from s2am_engine.image.io import IMAGE_SUFFIXES
from s2am_engine.training.regions import SMALLEST_AREA

PHOTO_INDEX = "index.csv"
VALIDATION_SHARE = 0.07

COCO_SPLITS = ("train", "val", "test")
FINER = 4  # oversampling of polygons, because OpenCV fills every pixel that an outline touches

Labels = NDArray[np.int32]


COMPOSITE_FOLDER, MASK_FOLDER, TARGET_FOLDER = "composite_images", "masks", "real_images"
IHARMONY_SPLITS = ("train", "test")


@dataclass(frozen=True)
class PhotoFile:
    """Paths of a photograph and of its labeled regions."""

    name: str
    image: Path
    labels: Path | Drawn | None  # an image of label numbers, or COCO's instances


@dataclass(frozen=True)
class Pair:
    """Paths of a composite, its mask and its ground truth."""

    name: str
    composite: Path
    mask: Path
    target: Path
    subset: str = ""  # subfolder of the data set, if there are several


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
    if not folder.is_dir():
        raise FileError(
            f"{folder} is not a folder: name a folder with photographs.", code="file.no-folder", path=str(folder)
        )
    if (folder / PHOTO_INDEX).is_file():
        return read_index(folder / PHOTO_INDEX, split)
    if annotation_files(folder):
        return drawn(folder, split)
    return [
        PhotoFile(path.relative_to(folder).with_suffix("").as_posix(), path, None)
        for path in visible_files(folder)
        if is_photograph(path) and split in (None, split_of(path.name))
    ]


def is_plain(folder: Path) -> bool:
    """Return whether a folder has neither an index nor annotations."""
    return not (folder / PHOTO_INDEX).is_file() and not annotation_files(folder)


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


def drawn(folder: Path, split: str | None) -> list[PhotoFile]:
    """Return the photographs of a folder in COCO's layout."""
    return [
        PhotoFile(path.stem, path, labels)
        for path, labels in find_drawn(folder)
        if is_photograph(path) and split in (None, labels.annotations.split or split_of(path.name))
    ]


def is_photograph(path: Path) -> bool:
    """Return whether a file has the suffix of a readable image."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


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


class AnnotationsError(TrainingError):
    """Unreadable annotations; unlike an unreadable photograph, they abort the run."""

    default_code = "training.annotations"


@dataclass(frozen=True)
class Polygons:
    """Instance drawn as polygons."""

    corners: tuple[NDArray[np.float32], ...]  # K×2 each: x and y in pixels, (0, 0) the corner of the first pixel

    @property
    def area(self) -> float:
        """Area in pixels."""
        return sum(abs(cv2.contourArea(part)) for part in self.corners)

    def paint(self, labels: Labels, label: int, size: tuple[int, int]) -> None:
        """Draw into an H×W label map of a picture that is `size` (width, height) itself."""
        height, width = labels.shape
        scale = FINER * np.array([width, height]) / size
        fine = np.zeros((FINER * height, FINER * width), np.uint8)
        for part in self.corners:
            # OpenCV's origin is the center of the first pixel.
            cv2.fillPoly(fine, [np.rint(part * scale - 0.5).astype(np.int32)], 1)
        labels[fine[FINER // 2 :: FINER, FINER // 2 :: FINER] > 0] = label


@dataclass(frozen=True)
class Runs:
    """Instance as run lengths, column by column, starting outside."""

    counts: NDArray[np.int64]

    @property
    def area(self) -> float:
        """Area in pixels."""
        return float(self.counts[1::2].sum())

    def paint(self, labels: Labels, label: int, size: tuple[int, int]) -> None:
        """See `Polygons.paint`."""
        inside = (np.arange(len(self.counts)) % 2).astype(np.uint8)
        mask = np.ascontiguousarray(np.repeat(inside, self.counts).reshape(size).T)
        labels[cv2.resize(mask, labels.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0] = label


Shape = Polygons | Runs


@dataclass(frozen=True)
class Instances:
    """Instances of one image."""

    width: int  # of the annotated image
    height: int
    shapes: tuple[Shape, ...]  # the largest first; none below `SMALLEST_AREA`

    def paint(self, width: int, height: int) -> Labels:
        """Return a height × width label map: 0 = nothing, 1 = largest instance; smaller ones cover larger ones."""
        labels = np.zeros((height, width), np.int32)
        for label, shape in enumerate(self.shapes, start=1):
            shape.paint(labels, label, (self.width, self.height))
        return labels


class Annotations:
    """One `instances_*.json` of up to half a gigabyte, read when first needed; thread-safe."""

    def __init__(self, path: Path) -> None:
        """Set the file; nothing is read yet."""
        self.path = path
        self.part = path.stem.removeprefix("instances_")
        self._lock = Lock()
        self._pictures: dict[str, Instances] | None = None

    @property
    def split(self) -> str | None:
        """Split that the file name begins with (`train2017`); None if it names none."""
        return next((split for split in COCO_SPLITS if self.part.startswith(split)), None)

    @property
    def pictures(self) -> dict[str, Instances]:
        """Instances by image file name.

        Raises:
            AnnotationsError: the file can't be read.
        """
        with self._lock:
            if self._pictures is None:
                self._pictures = read_annotations(self.path)
            return self._pictures


@dataclass(frozen=True)
class Drawn:
    """Reference to the instances of one image."""

    annotations: Annotations
    name: str

    def find(self) -> Instances | None:
        """Return the image's instances; None if the file does not mention it.

        Raises:
            AnnotationsError: the file can't be read.
        """
        return self.annotations.pictures.get(self.name)


def annotation_files(folder: Path) -> list[Path]:
    """Return the annotation files of a folder in COCO's layout; empty for other folders."""
    return sorted((folder / "annotations").glob("instances_*.json"))


def find_drawn(folder: Path) -> Iterator[tuple[Path, Drawn]]:
    """List the files of a folder in COCO's layout with their instances.

    The images of `instances_train2017.json` lie in `train2017` or `images/train2017`, and then all files there
    count. Otherwise the annotations name files in `images` or in the folder itself.

    Raises:
        AnnotationsError: annotations that can't be read.
    """
    for path in annotation_files(folder):
        annotations = Annotations(path)
        own = next((place for place in (folder, folder / "images") if (place / annotations.part).is_dir()), None)
        if own is not None:
            files = sorted((own / annotations.part).iterdir())
            yield from ((file, Drawn(annotations, file.name)) for file in files)
        else:
            common = folder / "images" if (folder / "images").is_dir() else folder
            yield from ((common / name, Drawn(annotations, name)) for name in sorted(annotations.pictures))


def read_annotations(path: Path) -> dict[str, Instances]:
    """Read the instances of all images of a file, crowds left out.

    Raises:
        AnnotationsError: the file can't be read, or is not what COCO's tools write.
    """
    try:
        with path.open(encoding="utf-8") as file:
            content = json.load(file, object_hook=compact)
        shapes: dict[int, list[Shape]] = defaultdict(list)
        for picture, shape in filter(None, content["annotations"]):
            shapes[picture].append(shape)
        return {image["file_name"]: instances_of(image, shapes[image["id"]]) for image in content["images"]}
    except OSError as error:
        raise AnnotationsError(f"{path} can't be read ({error.strerror}): check the file and the disk.") from error
    except (ValueError, LookupError, TypeError, ZeroDivisionError) as error:
        raise AnnotationsError(f"{path} is not a file of COCO instances: export or download it again.") from error


def instances_of(image: dict[str, Any], shapes: list[Shape]) -> Instances:
    """Return the instances of one entry of `images`, sorted by size, without small ones.

    Raises:
        ValueError: runs that do not fill the image; also KeyError and TypeError.
    """
    width, height = int(image["width"]), int(image["height"])
    if any(isinstance(shape, Runs) and shape.counts.sum() != width * height for shape in shapes):
        raise ValueError("runs of another size")
    large = [shape for shape in shapes if shape.area >= SMALLEST_AREA * width * height]
    return Instances(width, height, tuple(sorted(large, key=lambda shape: -shape.area)))


def compact(found: dict[str, Any]) -> Any:
    """Convert an annotation to arrays while parsing; as Python numbers all of them take gigabytes.

    Returns:
        The image's number and the shape, or None for a crowd; other objects of the file as they are.
    """
    if "segmentation" not in found:
        return found
    return None if found.get("iscrowd") else (found["image_id"], read_shape(found["segmentation"]))


def read_shape(segmentation: Any) -> Shape:
    """Read polygons, or run lengths as numbers or compressed text.

    Raises:
        ValueError: neither; also KeyError and TypeError.
    """
    if isinstance(segmentation, list):
        parts = (np.array(part, np.float32).reshape(-1, 2) for part in segmentation)
        return Polygons(tuple(part for part in parts if len(part) > 2))
    packed = segmentation["counts"]
    counts = np.array(unpack_runs(packed) if isinstance(packed, str) else packed, np.int64)
    if counts.min() < 0:
        raise ValueError("runs of negative length")
    return Runs(counts)


def unpack_runs(text: str) -> list[int]:
    """Decode COCO's compressed run lengths (`rleFrString` of pycocotools).

    A character holds five bits of a number, the lowest first, and whether more follow; from the fourth number on, the
    difference to the number before the last is stored.
    """
    counts: list[int] = []
    value = shift = 0
    for code in text.encode():
        bits = code - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            negative = value - (1 << shift) if bits & 0x10 else value
            counts.append(negative + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    return counts


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
    return (folder / COMPOSITE_FOLDER).is_dir()


def subsets_of(folder: Path) -> list[Path]:
    """Return the subfolders that hold composites."""
    return sorted(place for place in folder.iterdir() if is_subset(place)) if folder.is_dir() else []


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
    files = folder.iterdir() if folder.is_dir() else ()
    return {
        path.stem: path for path in files if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    }
