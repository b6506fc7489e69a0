# SPDX-License-Identifier: GPL-3.0-or-later
"""COCO's annotations: the instances of each image, as polygons or run lengths, and their label maps."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_common.errors import TrainingError
from s2am_engine.training.regions import SMALLEST_AREA

COCO_SPLITS = ("train", "val", "test")
FINER = 4  # oversampling of polygons, because OpenCV fills every pixel that an outline touches

Labels = NDArray[np.int32]


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
class InstancesReference:
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


def find_annotated(folder: Path) -> Iterator[tuple[Path, InstancesReference]]:
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
            yield from ((file, InstancesReference(annotations, file.name)) for file in files)
        else:
            common = folder / "images" if (folder / "images").is_dir() else folder
            yield from ((common / name, InstancesReference(annotations, name)) for name in sorted(annotations.pictures))


def read_annotations(path: Path) -> dict[str, Instances]:
    """Read the instances of all images of a file, crowds left out.

    Raises:
        AnnotationsError: the file can't be read, or is not what COCO's tools write.
    """
    try:
        with path.open(encoding="utf-8") as file:
            content = json.load(file, object_hook=compact_annotation)
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


def compact_annotation(found: dict[str, Any]) -> Any:
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
