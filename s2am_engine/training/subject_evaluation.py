# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluation of selecting subjects: on photographs with and without a clear subject."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from s2am_common.errors import NoSubjectError
from s2am_engine.image.contact_sheet import draw_contact_sheet
from s2am_engine.inference.subject import SubjectSelector
from s2am_engine.models.model_store import SUBJECT_THRESHOLD
from s2am_engine.training.metrics import score_mask
from s2am_engine.training.subject_photographs import find_subjects, read_subject

LONGEST_SIDE = 4096  # pixels
SMALLEST_CLEAR, LARGEST_CLEAR = 0.05, 0.6  # share of the photograph that a single clear object covers
ON_SHEET = 20  # photographs
SHEET_COLUMNS = 2
SUBJECT_SHEET_SIDE = 200  # pixels
DIMMED = 0.25  # brightness of what is not selected on the contact sheet


@dataclass(frozen=True)
class SubjectScores:
    """Scores of one photograph.

    has_subject: it has a clear subject, and the next two are of that.
    is_single: the subject is one connected region, and covers 5 to 60 % of the photograph: a single clear object.
    iou: of the selected mask; of the likeliest one if the confidence is too low.
    confidence: that there is a clear subject.
    """

    name: str
    has_subject: bool
    is_single: bool
    iou: float
    confidence: float

    @property
    def is_found(self) -> bool:
        """True if a subject is selected without asking for the likeliest one."""
        return self.confidence >= SUBJECT_THRESHOLD


@dataclass(frozen=True)
class SubjectEvaluation:
    """Scores of a model on the photographs of a data set."""

    dataset: str
    model: str
    photographs: list[SubjectScores] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        """Return the mean scores; not a number if there are no such photographs.

        single_iou: mean IoU of single clear objects. single_iou_found: the same, 0 where no subject is selected.
        iou: of all photographs with a subject. missed: share of them in which none is selected.
        false_alarms: share of the photographs without a subject in which one is selected.
        """
        with_subject = [one for one in self.photographs if one.has_subject]
        single = [one for one in with_subject if one.is_single]
        without = [one for one in self.photographs if not one.has_subject]
        return {
            "single_iou": mean_of([one.iou for one in single]),
            "single_iou_found": mean_of([one.iou * one.is_found for one in single]),
            "single": len(single),
            "iou": mean_of([one.iou for one in with_subject]),
            "missed": mean_of([not one.is_found for one in with_subject]),
            "with_subject": len(with_subject),
            "false_alarms": mean_of([one.is_found for one in without]),
            "without_subject": len(without),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the object that `s2am evaluate --subject --json` prints."""
        images = [dataclasses.asdict(one) for one in self.photographs]
        return {"dataset": self.dataset, "model": self.model, **self.figures(), "images": images}

    def to_table(self) -> str:
        """Return the figures as plain text."""
        of = self.figures()
        lines = [f"{self.dataset}: model {self.model}"]
        if of["single"]:
            single = f"mean IoU {of['single_iou']:.3f}, or {of['single_iou_found']:.3f} if a missed one counts 0"
            lines.append(f"single clear objects ({of['single']:.0f}): {single}")
        if of["with_subject"]:
            with_subject = f"mean IoU {of['iou']:.3f}, missed {of['missed']:.1%}"
            lines.append(f"photographs with a subject ({of['with_subject']:.0f}): {with_subject}")
        if of["without_subject"]:
            lines.append(
                f"photographs without one ({of['without_subject']:.0f}): false alarms {of['false_alarms']:.1%}"
            )
        return "\n".join(lines)


def evaluate_subjects(
    dataset: Path,
    selector: SubjectSelector,
    *,
    split: str = "val",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[SubjectEvaluation, Image.Image]:
    """Measure a model on photographs with label maps of their subjects.

    Args:
        dataset: see `find_subjects`.
        selector: the model.
        split: of the photographs.
        progress: called with (done, total) photographs.

    Returns:
        The scores, and a contact sheet of evenly spaced photographs with what was selected in them.

    Raises:
        EngineError: see `find_subjects`; a photograph that can't be read.
    """
    photographs = find_subjects(dataset, split)
    shown = set(np.linspace(0, len(photographs) - 1, ON_SHEET).astype(int))
    found = SubjectEvaluation(str(dataset), selector.name)
    rows: list[Sequence[NDArray[np.uint8]]] = []
    captions = []
    for index, photo in enumerate(photographs):
        image, subject = read_subject(photo, LONGEST_SIDE)
        mask, confidence = likeliest_mask(selector, image)
        scores = SubjectScores(
            photo.name,
            bool(subject.any()),
            is_single_object(subject),
            score_mask(mask, subject.astype(np.uint8) * np.uint8(255)).iou,
            confidence,
        )
        found.photographs.append(scores)
        if index in shown:
            rows.append((image, dim_unselected(image, mask if scores.is_found else np.zeros_like(mask))))
            captions.append(caption_of(scores))
        if progress:
            progress(index + 1, len(photographs))
    return found, draw_contact_sheet(rows, captions, side=SUBJECT_SHEET_SIDE, across=SHEET_COLUMNS)


def likeliest_mask(selector: SubjectSelector, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """Return the mask of the likeliest subject, H×W, which may be empty, and the confidence that there is one."""
    try:
        result = selector.select(image, likeliest=True)
        return result.mask, result.confidence
    except NoSubjectError as error:
        return np.zeros(image.shape[:2], np.uint8), float(error.fields.get("confidence", 0.0))


def is_single_object(subject: NDArray[np.bool_]) -> bool:
    """Return whether a mask is one connected region of a plausible area."""
    regions = cv2.connectedComponents(subject.astype(np.uint8))[0] - 1
    return bool(regions == 1 and SMALLEST_CLEAR <= subject.mean() <= LARGEST_CLEAR)


def dim_unselected(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Darken what a mask, H×W, does not select."""
    weight = DIMMED + (1 - DIMMED) * (mask[..., None] / 255)
    return np.rint(image * weight).astype(np.uint8)


def caption_of(scores: SubjectScores) -> str:
    """Describe a photograph's scores in a line of the contact sheet."""
    what = f"IoU {scores.iou:.2f}" if scores.has_subject else "no clear subject"
    return f"{scores.name[:28]}: {what}, confidence {scores.confidence:.2f}"


def mean_of(values: Sequence[float]) -> float:
    """Return the mean, rounded to four digits; not a number if there are no values."""
    return round(float(np.mean(values)), 4) if values else float("nan")
