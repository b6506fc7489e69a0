# SPDX-License-Identifier: GPL-3.0-or-later
"""The data set of subjects: what the label maps of each kind of source mean."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from research.subject_photographs import OBJECTS, SCENES, VOC, find_subject_mask, write_subjects
from s2am_engine.training.subject_photographs import find_subjects, read_subject

VOC_DOG, VOC_SOFA = 12, 18
PARTS = "car-parts"


def labels_with(*boxes: tuple[int, int, int, int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return a label map of 100×100 pixels with boxes: label, top, left, bottom, right."""
    labels = np.zeros((100, 100), np.uint8)
    for label, top, left, bottom, right in boxes:
        labels[top:bottom, left:right] = label
    return labels


def test_parts_of_an_object_are_one_subject() -> None:
    labels = labels_with((3, 20, 20, 50, 60), (7, 51, 20, 80, 60))  # a row of unlabeled pixels between them
    subject = find_subject_mask(labels, PARTS)
    assert subject is not None
    assert subject[20:80, 20:60].all()
    assert subject.sum() == 60 * 40


def test_furniture_is_no_subject_beside_an_animal() -> None:
    labels = labels_with((VOC_SOFA, 40, 0, 100, 100), (VOC_DOG, 30, 30, 70, 60))
    subject = find_subject_mask(labels, VOC[0])
    np.testing.assert_array_equal(subject, labels == VOC_DOG)
    sofa = find_subject_mask(labels_with((VOC_SOFA, 40, 0, 100, 100)), VOC[0])
    assert sofa is not None
    assert sofa[40:].all()


def test_small_parts_are_left_out_and_many_parts_are_no_subject() -> None:
    subject = find_subject_mask(labels_with((1, 10, 10, 60, 60), (2, 80, 80, 84, 84)), PARTS)
    assert subject is not None
    assert not subject[70:].any()
    crowd = labels_with(*((1, 10, left, 60, left + 8) for left in range(2, 98, 13)))
    assert find_subject_mask(crowd, PARTS) is None


@pytest.mark.parametrize("box", [(1, 0, 0, 5, 5), (1, 0, 0, 100, 95)])
def test_tiny_and_filling_objects_are_no_subject(box: tuple[int, int, int, int, int]) -> None:
    assert find_subject_mask(labels_with(box), PARTS) is None
    assert find_subject_mask(labels_with(), PARTS) is None


def test_write_subjects(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "subjects"
    photos.mkdir()
    Image.fromarray(np.full((100, 100, 3), (90, 60, 30), np.uint8)).save(photos / "photo.jpg")
    Image.fromarray(labels_with((4, 10, 10, 60, 60))).save(photos / "labels.png")
    rows = [
        ("with", "labels.png", OBJECTS[-1], "train"),
        ("without", "", SCENES[0], "train"),
        ("held-out", "", SCENES[0], "val"),
        ("unlabeled", "", "Unsplash subset", "train"),
    ]
    with (photos / "index.csv").open("w", newline="") as file:
        index = csv.writer(file)
        index.writerow(("name", "image", "regions", "source", "split", "width", "height"))
        index.writerows((name, "photo.jpg", regions, source, split, 100, 100) for name, regions, source, split in rows)
    counts = write_subjects(photos, out)
    assert counts == {"train, with a subject": 1, "train, without a subject": 1, "val, without a subject": 1}
    found = {photo.name: read_subject(photo, 320)[1] for photo in find_subjects(out, "train")}
    assert found.keys() == {"with", "without"}
    assert found["with"].sum() == 50 * 50
    assert not found["without"].any()
    with pytest.raises(ValueError, match="has an index already"):
        write_subjects(photos, out)
