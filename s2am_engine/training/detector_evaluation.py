# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluation of detectors: on composites, and on their ground truths, which contain nothing pasted."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2am_common.errors import NothingFoundError
from s2am_engine.inference.detector import Detector
from s2am_engine.training.dataset_readers import find_pairs
from s2am_engine.training.loaded_pairs import LoadedPair, by_group, counted, load_pair
from s2am_engine.training.metrics import mean, score_mask


@dataclass(frozen=True)
class DetectionScores:
    """Scores of a detector for one composite and its ground truth, which contains nothing pasted; or their means.

    found: 1 if something is detected in the composite, else 0: the detection rate.
    claimed: 1 if something is detected in the ground truth: the rate of false alarms.
    iou: of the detected region; 0 if nothing is detected.
    iou_found: the same; not a number if nothing is detected, so that means are those of the detected regions.
    iou_likeliest: of the likeliest region, whether it counts as detected or not.
    """

    found: float
    claimed: float
    iou: float
    iou_found: float
    iou_likeliest: float

    def describe(self) -> dict[str, float | None]:
        """Return JSON values; None for what is not a number."""
        return {key: None if math.isnan(value) else value for key, value in dataclasses.asdict(self).items()}

    def columns(self) -> str:
        """Format the scores as columns of a table."""
        detected = "-" if math.isnan(self.iou_found) else f"{self.iou_found:.3f}"
        return f"{self.found:12.0%}{self.claimed:14.0%}{self.iou:8.3f}{detected:>18}{self.iou_likeliest:22.3f}"


@dataclass(frozen=True)
class DetectorEvaluation:
    """Scores of a detector on a data set."""

    dataset: str
    model: str
    names: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    images: list[DetectionScores] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `s2am evaluate --detect --json` prints."""
        subsets = {name: mean(images).describe() for name, images in by_group(self.groups, self.images).items()}
        images = [{"name": name, **one.describe()} for name, one in zip(self.names, self.images, strict=True)]
        figures = mean(self.images).describe()
        return {"dataset": self.dataset, "model": self.model, **figures, "subsets": subsets, "images": images}

    def to_table(self) -> str:
        """Return a plain-text table: all images, then each group."""
        header = f"{'':24}{'detected':>12}{'false alarms':>14}{'IoU':>8}{'IoU if detected':>18}{'IoU of likeliest':>22}"
        groups = {"all": self.images} | by_group(self.groups, self.images)
        lines = [f"{name:24}{mean(images).columns()}  {counted(images)}" for name, images in groups.items()]
        return "\n".join([f"{self.dataset}: detector {self.model}", header, *lines])


def evaluate_detector(
    dataset: Path, detector: Detector, *, progress: Callable[[int, int], None] | None = None
) -> DetectorEvaluation:
    """Measure a detector on the composites of a data set in iHarmony4's layout, and on their ground truths.

    Args:
        dataset: see `evaluate_harmonizers`.
        detector: the detector.
        progress: called with (done, total) pairs.

    Raises:
        EngineError: see `evaluate_harmonizers`.
    """
    pairs = find_pairs(dataset, "test")
    found = DetectorEvaluation(str(dataset), detector.name)
    for pair in pairs:
        loaded = load_pair(pair)
        found.names.append(loaded.name)
        found.groups.append(loaded.subset)
        found.images.append(score_detection(detector, loaded))
        if progress:
            progress(len(found.names), len(pairs))
    return found


def score_detection(detector: Detector, loaded: LoadedPair) -> DetectionScores:
    """Score a detector on a composite and its ground truth."""
    mask, likeliest = (detect_mask(detector, loaded.composite, likeliest=one) for one in (False, True))
    iou, found = score_mask(mask, loaded.mask).iou, bool(mask.any())
    return DetectionScores(
        found=float(found),
        claimed=float(detect_mask(detector, loaded.target).any()),
        iou=iou,
        iou_found=iou if found else math.nan,
        iou_likeliest=score_mask(likeliest, loaded.mask).iou,
    )


def detect_mask(detector: Detector, picture: NDArray[np.uint8], *, likeliest: bool = False) -> NDArray[np.uint8]:
    """Predict a mask, see `Detector.detect`; an empty one if nothing is found."""
    try:
        return detector.detect(picture, likeliest=likeliest).mask
    except NothingFoundError:
        return np.zeros(picture.shape[:2], np.uint8)
