# SPDX-License-Identifier: GPL-3.0-or-later
"""The built-in model that selects subjects, with its real weights, on free photographs."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
import skimage.data

from s2am_common.errors import NothingFoundError
from s2am_engine import SubjectSelector
from s2am_engine.models.model_store import SUBJECT_MODEL, find_model
from tests.shared import SHARED, needs_shared

Points = tuple[tuple[int, int], ...]  # row and column of each


@pytest.fixture(scope="module")
def selector() -> SubjectSelector:
    return SubjectSelector(SUBJECT_MODEL, "cpu")


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("astronaut", ((115, 215), (330, 150), (430, 200)), ((60, 20), (40, 350), (250, 480), (110, 395))),
        ("chelsea", ((120, 150), (150, 250), (230, 200)), ((30, 430), (100, 440))),
        ("coffee", ((200, 330), (120, 300), (300, 350)), ((20, 20), (380, 580), (30, 560))),
    ],
)
def test_subjects_of_free_photographs(selector: SubjectSelector, name: str, inside: Points, outside: Points) -> None:
    found = selector.select(getattr(skimage.data, name)())
    assert found.confidence > 0.9
    assert [int(found.mask[point]) for point in inside] == [255] * len(inside)
    assert [int(found.mask[point]) for point in outside] == [0] * len(outside)


@pytest.mark.parametrize("name", ["brick", "gravel", "moon"])
def test_surfaces_have_no_clear_subject(selector: SubjectSelector, name: str) -> None:
    surface = getattr(skimage.data, name)()
    with pytest.raises(NothingFoundError):
        selector.select(np.repeat(surface[..., None], 3, axis=2))


def test_mirror_images_and_depths_give_the_same_subject(selector: SubjectSelector) -> None:
    pixels = skimage.data.astronaut()
    mask = selector.select(pixels).mask
    mirrored = selector.select(np.ascontiguousarray(pixels[:, ::-1])).mask[:, ::-1]
    assert np.abs(mask.astype(int) - mirrored).mean() < 2
    deep = selector.select(pixels.astype(np.uint16) * np.uint16(257)).mask
    assert np.abs(mask.astype(int) - deep).mean() < 1


def test_an_enlarged_photograph_gives_the_enlarged_mask(selector: SubjectSelector) -> None:
    pixels = skimage.data.coffee()
    large = cv2.resize(pixels, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    mask, enlarged = selector.select(pixels).mask, selector.select(large).mask
    assert enlarged.shape == (1600, 2400)
    reduced = cv2.resize(enlarged, mask.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(reduced.astype(int) - mask).mean() < 3


def test_the_model_is_small_and_fast(selector: SubjectSelector) -> None:
    assert find_model(SUBJECT_MODEL).card.size <= 12_000_000
    side = selector.detector.input_size
    small = np.random.default_rng(0).random((side, side, 3)).astype(np.float32)
    seconds = []
    for _ in range(5):
        started = time.process_time()
        selector.detector.predictor.predict_mask(small)
        seconds.append(time.process_time() - started)
    assert min(seconds) < 0.6  # 0.3 s on each of two cores


@needs_shared
@pytest.mark.slow
def test_mean_iou_of_single_clear_objects(tmp_path_factory: pytest.TempPathFactory) -> None:
    from research.subject_photographs import write_subjects
    from s2am_engine.training.subject_evaluation import evaluate_subjects

    folder = tmp_path_factory.mktemp("photographs") / "subjects"
    write_subjects(SHARED / "photos", folder, split="val")
    header, *rows = (folder / "index.csv").read_text("utf-8").splitlines(keepends=True)
    (folder / "index.csv").write_text("".join([header, *rows[::2]]), "utf-8")  # half of them, to save time
    found, _ = evaluate_subjects(folder, SubjectSelector(SUBJECT_MODEL, "cpu"))
    figures = found.figures()
    assert figures["single"] > 75
    assert figures["single_iou"] >= 0.8
    assert figures["missed"] < 0.06
    assert figures["false_alarms"] < 0.2
