# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundled detector on the shared benchmark, compared with baselines that ignore color differences."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from s2am_common.errors import NothingFoundError
from s2am_engine.inference.detector import Detection, Detector
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.models.model_store import DEFAULT_MODEL
from s2am_engine.training.dataset_readers import find_pairs
from s2am_engine.training.evaluation import EvaluationOptions, evaluate_harmonizers
from s2am_engine.training.loaded_pairs import LoadedPair, load_pair
from tests.shared import SHARED, needs_shared

pytestmark = needs_shared

Baseline = Callable[[NDArray[np.uint8]], NDArray[np.float64]]
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)  # of the image that a baseline marks as pasted; the best one counts


@pytest.fixture(scope="module")
def pairs() -> list[LoadedPair]:
    """The shared benchmark."""
    return [load_pair(pair) for pair in find_pairs(SHARED / "benchmark", "test")]


@pytest.fixture(scope="module")
def detector() -> Detector:
    """The bundled detector."""
    return Detector(device="cpu")


@pytest.fixture(scope="module")
def detected(detector: Detector, pairs: list[LoadedPair]) -> list[Detection]:
    """The likeliest regions of the composites."""
    return [detector.detect(pair.composite, likeliest=True) for pair in pairs]


def center(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Score pixels by their distance to the center: H×W."""
    height, width = picture.shape[:2]
    y, x = (np.linspace(-1, 1, size) for size in (height, width))
    return -np.hypot(*np.meshgrid(x, y))


def saliency(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Score pixels by spectral-residual saliency (Hou and Zhang, CVPR 2007): H×W."""
    gray = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (64, 64), interpolation=cv2.INTER_AREA)
    spectrum = np.fft.fft2(gray.astype(np.float32))
    amplitude = np.log(np.abs(spectrum) + 1e-9)
    residual = amplitude - cv2.blur(amplitude, (3, 3))
    salient = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    smooth = cv2.GaussianBlur(salient, (0, 0), 2.5)
    return np.asarray(cv2.resize(smooth, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float64)


def iou(found: NDArray[np.bool_], target: NDArray[np.bool_]) -> float:
    return float((found & target).sum() / (found | target).sum())


def best_of(baseline: Baseline, pairs: list[LoadedPair]) -> float:
    """Return the mean IoU of a baseline at its best share."""
    maps = [baseline(pair.composite) for pair in pairs]
    return max(
        float(
            np.mean(
                [
                    iou(one >= np.quantile(one, 1 - share), pair.mask > 127)
                    for one, pair in zip(maps, pairs, strict=True)
                ]
            )
        )
        for share in SHARES
    )


def test_detector_beats_center_and_saliency_baselines(detected: list[Detection], pairs: list[LoadedPair]) -> None:
    reached = np.mean([iou(found.mask > 127, pair.mask > 127) for found, pair in zip(detected, pairs, strict=True)])
    assert reached >= 0.52
    assert reached > best_of(center, pairs)
    assert reached > best_of(saliency, pairs)


def test_detector_has_few_false_positives_on_photographs(
    detector: Detector, detected: list[Detection], pairs: list[LoadedPair]
) -> None:
    def claims(picture: NDArray[np.uint8]) -> bool:
        try:
            return bool(detector.detect(picture).mask.any())
        except NothingFoundError:
            return False

    false = np.mean([claims(pair.target) for pair in pairs])
    assert false <= 0.2
    assert np.mean([found.is_certain for found in detected]) > false + 0.15


def test_harmonizing_detected_regions_improves_composites() -> None:
    measured = evaluate_harmonizers(
        SHARED / "benchmark", [Harmonizer(DEFAULT_MODEL, "cpu")], EvaluationOptions(detector=Detector(device="cpu"))
    )
    (row,) = measured.models
    assert row.mean.psnr >= measured.untouched.mean.psnr + 0.5
