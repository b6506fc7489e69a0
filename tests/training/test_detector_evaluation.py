# SPDX-License-Identifier: GPL-3.0-or-later
"""The evaluation of detectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from s2am_common.errors import NothingFoundError
from s2am_engine.inference.detector import Detection, Detector
from s2am_engine.training.detector_evaluation import evaluate_detector
from s2am_engine.types import Pixels
from tests.training.test_evaluation import write_pair


class Fixed(Detector):
    """Detects the right half of images whose first pixel is bright."""

    def __init__(self) -> None:
        self.name = "fixed"

    def detect(self, image: Pixels, *, likeliest: bool = False, **_: object) -> Detection:  # type: ignore[override]
        if not likeliest and image[0, 0, 0] < 128:
            raise NothingFoundError("Nothing.")
        mask = np.zeros(image.shape[:2], np.uint8)
        mask[:, image.shape[1] // 2 :] = 255
        return Detection(mask, 0.9)


def test_evaluate_detector_gives_rates_and_overlap_by_source(tmp_path: Path) -> None:
    right = np.zeros((40, 80), np.uint8)
    right[:, 40:] = 255
    dark, bright = np.zeros((40, 80, 3), np.uint8), np.full((40, 80, 3), 200, np.uint8)
    write_pair(tmp_path, "a1", bright, right, dark)
    write_pair(tmp_path, "f1", dark, right, bright)
    found = evaluate_detector(tmp_path, Fixed())
    output = found.to_json()
    assert (output["found"], output["claimed"], output["iou"]) == (0.5, 0.5, 0.5)
    assert (output["iou_found"], output["iou_likeliest"]) == (1, 1)
    assert output["subsets"]["HFlickr"]["iou_found"] is None, "nothing was detected there"
    assert [image["found"] for image in output["images"]] == [1, 0]
    assert "HAdobe5k" in found.to_table()
