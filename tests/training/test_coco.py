# SPDX-License-Identifier: GPL-3.0-or-later
"""COCO annotations: instances in every encoding become the same regions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from s2am_common.errors import EngineError
from s2am_engine.training import coco as coco_module
from s2am_engine.training.coco import Annotations, Instances, read_annotations, unpack_runs
from s2am_engine.training.dataset_readers import find_photographs
from s2am_engine.training.photo_cache import load_photographs
from s2am_engine.training.photo_reader import read_source
from tests.folders import redirect_cache

HEIGHT, WIDTH = 120, 160
Mask = NDArray[np.bool_]
Y, X = np.mgrid[:HEIGHT, :WIDTH] + 0.5
BOX: Mask = (X > 10) & (X < 70) & (Y > 20) & (Y < 100)
DISC: Mask = np.hypot(X - 110, Y - 60) < 32
SMALL: Mask = np.hypot(X - 110, Y - 60) < 14
TWO: Mask = ((X < 30) | (X > 130)) & (Y > 104)
DOT: Mask = np.hypot(X - 80, Y - 12) < 4  # 0.3 % of the image


def polygons(mask: Mask) -> list[list[float]]:
    """Return a mask's outlines in COCO's format, from (0, 0), the corner of the first pixel."""
    large = cv2.resize(mask.astype(np.uint8), None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [((one.reshape(-1) + 0.5) / 8).tolist() for one in outlines]


def runs(mask: Mask) -> dict[str, Any]:
    """Return a mask as run lengths."""
    flat = mask.T.ravel().astype(np.int8)
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *ends, flat.size]).tolist()
    return {"size": [*mask.shape], "counts": [0, *counts] if flat[0] else counts}


def packed_runs(mask: Mask) -> dict[str, Any]:
    """The same as compressed text: `rleToString` of pycocotools."""
    counts, text = runs(mask)["counts"], ""
    for index, count in enumerate(counts):
        value, more = count - counts[index - 2] if index > 2 else count, True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != (-1 if bits & 0x10 else 0)
            text += chr(48 + (bits | 0x20 if more else bits))
    return {"size": [*mask.shape], "counts": text}


def written(segmentations: dict[str, list[Any]], crowds: Sequence[Any] = ()) -> dict[str, Any]:
    """A file of annotations; crowds are on the first picture."""
    images = [
        {"id": 7 + index, "file_name": name, "width": WIDTH, "height": HEIGHT, "license": 1}
        for index, name in enumerate(segmentations)
    ]
    drawn = [
        {"id": 1, "image_id": image["id"], "category_id": 1, "iscrowd": 0, "segmentation": one}
        for image, several in zip(images, segmentations.values(), strict=True)
        for one in several
    ]
    many = [{"id": 2, "image_id": 7, "category_id": 1, "iscrowd": 1, "segmentation": one} for one in crowds]
    return {"info": {"year": 2017}, "images": images, "annotations": drawn + many, "categories": [{"id": 1}]}


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """A data set with one picture to train on and two to validate on."""
    folder = tmp_path / "coco"
    files: dict[str, dict[str, list[Any]]] = {
        "train2017": {"000001.jpg": [polygons(SMALL), polygons(DISC), runs(BOX), polygons(TWO), polygons(DOT)]},
        "val2017": {"000002.jpg": [packed_runs(DISC)], "000003.jpg": []},
    }
    (folder / "annotations").mkdir(parents=True)
    for part, pictures in files.items():
        (folder / part).mkdir()
        crowds = [runs(np.ones((HEIGHT, WIDTH), np.bool_))]
        (folder / "annotations" / f"instances_{part}.json").write_text(json.dumps(written(pictures, crowds)))
        for name in pictures:
            Image.fromarray(data.coffee()[::3, ::3][:HEIGHT, :WIDTH]).save(folder / part / name)
    (folder / "annotations" / "captions_train2017.json").write_text("{}")
    return folder


def labels_of(folder: Path, split: str | None, index: int = 0, long_side: int = WIDTH) -> NDArray[np.integer] | None:
    """A photograph's label map."""
    return read_source(find_photographs(folder, split)[index], long_side)[1]


def overlap(one: Mask, other: Mask) -> float:
    """Intersection over union."""
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("long_side", [160, 80])
def test_instances_paint_small_over_large(coco: Path, long_side: int) -> None:
    labels = labels_of(coco, "train", long_side=long_side)
    assert labels is not None
    step = WIDTH // long_side
    expected = [BOX, DISC & ~SMALL, TWO, SMALL]
    assert np.unique(labels).tolist() == [0, 1, 2, 3, 4]
    for number, mask in enumerate(expected, start=1):
        assert overlap(labels == number, mask[step // 2 :: step, step // 2 :: step]) > 0.9


def test_polygons_and_runs_cover_the_same_pixels(coco: Path) -> None:
    path = coco / "annotations" / "instances_val2017.json"
    path.write_text(json.dumps(written({"000002.jpg": [polygons(BOX)], "000003.jpg": [runs(BOX)]})))
    drawn, counted = (labels_of(coco, "val", index) for index in (0, 1))
    assert drawn is not None
    assert counted is not None
    np.testing.assert_array_equal(counted > 0, BOX)
    np.testing.assert_array_equal(drawn > 0, BOX)


def test_unpack_runs_decodes_compressed_counts(coco: Path) -> None:
    for mask in (BOX, DISC, TWO, ~BOX):
        assert unpack_runs(packed_runs(mask)["counts"]) == runs(mask)["counts"]
    # As pycocotools writes a 3 × 3 image whose middle column is inside.
    assert unpack_runs("333") == [3, 3, 3]
    labels = labels_of(coco, "val")
    assert labels is not None
    np.testing.assert_array_equal(labels > 0, DISC)


def test_annotation_file_names_give_the_splits(coco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    redirect_cache(monkeypatch, tmp_path / "cache")
    names = {split: [one.name for one in find_photographs(coco, split)] for split in ("train", "val", None)}
    assert names == {"train": ["000001"], "val": ["000002", "000003"], None: ["000001", "000002", "000003"]}
    (photograph,) = load_photographs(coco, "train")
    assert len(photograph.regions) >= 4
    assert max(overlap(region, BOX) for region in photograph.regions) == 1
    # Without annotations, regions are proposed.
    assert load_photographs(coco, "val")[0].regions


def test_find_drawn_reads_a_common_image_folder(coco: Path) -> None:
    (coco / "images").mkdir()
    for path in coco.glob("*2017/*.jpg"):
        path.rename(coco / "images" / path.name)
    for part in ("train2017", "val2017"):
        (coco / part).rmdir()
    assert [one.image.name for one in find_photographs(coco, "val")] == ["000002.jpg", "000003.jpg"]
    labels = labels_of(coco, "train")
    assert labels is not None
    assert overlap(labels == 1, BOX) == 1


def test_find_photographs_splits_coco_by_name(coco: Path) -> None:
    (coco / "train2017").rename(coco / "default")
    for path in (coco / "annotations").glob("instances_*"):
        path.replace(coco / "annotations" / "instances_default.json")
    sources = [find_photographs(coco, split) for split in (None, "train")]
    assert [one.name for one in sources[0]] == [one.name for one in sources[1]] == ["000001"]


def test_load_photographs_notices_changed_annotations(
    coco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redirect_cache(monkeypatch, tmp_path / "cache")
    load_photographs(coco, "train")
    path = coco / "annotations" / "instances_train2017.json"
    path.write_text(json.dumps(written({"000001.jpg": [polygons(DISC)]})))
    (region,) = load_photographs(coco, "train")[0].regions
    assert overlap(region, DISC) > 0.9


def test_read_source_refuses_labels_of_a_rotated_image(coco: Path) -> None:
    Image.fromarray(data.coffee()[:WIDTH, :HEIGHT]).save(coco / "train2017" / "000001.jpg")
    with pytest.raises(EngineError, match=r"000001.jpg has labels of another aspect ratio: label the image"):
        labels_of(coco, "train")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"images": []}',
        json.dumps(written({"a.jpg": ["polygon"]})).encode(),
        json.dumps(written({"a.jpg": [[[1, 2, 3, 4, 5]]]})).encode(),
        json.dumps(written({"a.jpg": [{"size": [4, 4], "counts": [3, 13]}]})).encode(),
        json.dumps(written({"a.jpg": [{"size": [HEIGHT, WIDTH], "counts": [-1, 1 + HEIGHT * WIDTH]}]})).encode(),
    ],
)
def test_read_annotations_reports_damaged_files(
    content: bytes, coco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redirect_cache(monkeypatch, tmp_path / "cache")
    (coco / "annotations" / "instances_train2017.json").write_bytes(content)
    with pytest.raises(EngineError, match=r"instances_train2017.json is not a file of COCO instances: export or"):
        load_photographs(coco, "train")


def test_annotations_are_read_once_when_needed(coco: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def watched(path: Path) -> dict[str, Instances]:
        read.append(path)
        return read_annotations(path)

    monkeypatch.setattr(coco_module, "read_annotations", watched)
    sources = find_photographs(coco, "val")
    assert not read
    for source in sources:
        read_source(source, 100)
    assert [path.name for path in read] == ["instances_val2017.json"]
    with pytest.raises(EngineError, match=r"gone.json can't be read \(.*\): check the file and the disk\."):
        assert Annotations(coco / "gone.json").pictures
