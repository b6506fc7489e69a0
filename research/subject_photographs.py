# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m research.subject_photographs PHOTOS OUT`: the data set from which selecting a subject is learned.

PHOTOS is the project's collection of training photographs, whose label maps mean different things by source. OUT
receives `index.csv` and a label map for each usable photograph: 1 = its subject, the union of the clear objects;
nothing but 0 = it has no clear subject.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from research import console
from s2am_engine.training.dataset_readers import PHOTO_INDEX

VOC = ("VOC-2012 subset (BernieChen96)", "VOC-2012 subset (mateusrafael4)", "VOC-2012, more")
OBJECTS = (
    *VOC,
    "COCO mini sets",
    "coco128-seg",
    "Human-Segmentation-Dataset",
    "DAVIS-2016 subset",
    "weizmann-horses",
    "cats-dogs-labelme",
    "HFlickr training pictures",
    "car-parts",
    "clothing-co-parsing",
)
"""Sources whose labels are objects, or parts of them, and whose unlabeled pixels are background.

The others label every pixel, hair, dishes, or one of several objects.
"""

SCENES = ("ADE20K-val images", "Urban100", "Sun-Hays80")
"""Sources of rooms, buildings and landscapes. A few of their photographs do have a clear subject."""

VOC_FURNITURE = (9, 11, 16, 18, 20)  # chair, table, plant, sofa, screen: not subjects beside people and animals
SMALLEST_PART = 0.15  # area of a subject's components relative to the largest one's; the rest is left out
MOST_PARTS = 6  # a photograph with more has no clear subject and is left out
SMALLEST_SUBJECT, LARGEST_SUBJECT = 0.02, 0.85  # share of the photograph
CLOSING = 2  # pixels: radius up to which gaps, such as borders between labels, are closed


@dataclass(frozen=True)
class SubjectRow:
    """A photograph of the data set; subject: H×W."""

    name: str
    image: Path
    source: str
    split: str
    subject: NDArray[np.bool_]


def find_subject_mask(labels: NDArray[np.uint8], source: str) -> NDArray[np.bool_] | None:
    """Return the union of the clear objects of a label map, H×W; None if it has no clear ones.

    Args:
        labels: H×W, 0 = background.
        source: of the photograph, one of `OBJECTS`.
    """
    marked = labels > 0
    if source in VOC:
        animate = marked & ~np.isin(labels, VOC_FURNITURE)
        if animate.mean() >= SMALLEST_SUBJECT:
            marked = animate
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * CLOSING + 1,) * 2)
    closed = np.asarray(cv2.morphologyEx(marked.astype(np.uint8), cv2.MORPH_CLOSE, kernel), np.uint8)
    count, components, stats, _ = cv2.connectedComponentsWithStats(closed)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if count < 2:
        return None
    large = areas >= SMALLEST_PART * areas.max()
    subject = np.concatenate([[False], large])[components]
    if large.sum() > MOST_PARTS or not SMALLEST_SUBJECT <= subject.mean() <= LARGEST_SUBJECT:
        return None
    return np.asarray(subject)


def read_rows(photos: Path, split: str | None = None) -> Iterator[SubjectRow]:
    """Read the usable photographs of the collection, or of one split of it."""
    with (photos / PHOTO_INDEX).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            image, source = photos / row["image"], row["source"]
            if split not in (None, row["split"]):
                continue
            if source in SCENES:
                subject: NDArray[np.bool_] | None = np.zeros((int(row["height"]), int(row["width"])), np.bool_)
            elif source in OBJECTS and row["regions"]:
                with Image.open(photos / row["regions"]) as labels:
                    subject = find_subject_mask(np.asarray(labels, np.uint8), source)
            else:
                continue
            if subject is not None:
                yield SubjectRow(row["name"], image.resolve(), source, row["split"], subject)


def write_subjects(photos: Path, out: Path, split: str | None = None) -> Counter[str]:
    """Write the data set, or one split of it; return the number of photographs by split.

    Raises:
        ValueError: the folder has an index already.
    """
    if (out / PHOTO_INDEX).exists():
        raise ValueError(f"{out} has an index already: name a new folder")
    (out / "regions").mkdir(parents=True)
    counts: Counter[str] = Counter()
    with (out / PHOTO_INDEX).open("w", newline="", encoding="utf-8") as file:
        index = csv.writer(file)
        index.writerow(("name", "image", "regions", "source", "split"))
        for row in read_rows(photos, split):
            regions = f"regions/{row.name}.png"
            Image.fromarray(row.subject.astype(np.uint8)).save(out / regions)
            index.writerow((row.name, row.image, regions, row.source, row.split))
            counts[f"{row.split}, {'with' if row.subject.any() else 'without'} a subject"] += 1
    return counts


def main() -> int:
    """Parse the command line and write the data set."""
    parser = argparse.ArgumentParser(prog="python -m research.subject_photographs", description=__doc__)
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("out", type=Path, metavar="OUT")
    options = parser.parse_args()

    def write() -> None:
        for what, count in sorted(write_subjects(options.photos, options.out).items()):
            print(f"{count:6} {what}")

    return console.run(write)


if __name__ == "__main__":
    sys.exit(main())
