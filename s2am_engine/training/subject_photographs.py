# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs with their subjects' masks, from which selecting a subject is learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from s2am_common.errors import TrainingError
from s2am_engine.training.dataset_readers import PhotoFile, find_photographs
from s2am_engine.training.pair_source import Batch, PairSource, resize_square
from s2am_engine.training.photo_reader import read_source

AUGMENTED = 0.4  # share of the photographs, which are cropped and recolored at random
EMPTY_WINDOWS = 0.12  # share of windows beside the subject, which have none: backgrounds are no cue for a subject
WINDOW_TRIES = 5
LEAST_KEPT = 0.7  # share of the subject's area that a window has to keep
SMALLEST_SUBJECT, LARGEST_SUBJECT = 0.02, 0.85  # share of a window
STRETCH = 0.18  # largest random change of the aspect ratio
GAMMA_SPREAD, CONTRAST_SPREAD, SATURATION_SPREAD, TINT_SPREAD = (
    0.25,
    0.25,
    0.4,
    0.06,
)  # standard deviations of the color changes


def find_subjects(folder: Path, split: str) -> list[PhotoFile]:
    """List the photographs of a split that have a label map.

    Args:
        folder: in a layout of `find_photographs`. Any label but 0 is subject; a map without labels states that the
            photograph has no clear subject.
        split: `train` or `val`.

    Raises:
        EngineError: see `find_photographs`; no photograph has a label map.
    """
    found = [photo for photo in find_photographs(folder, split) if photo.labels is not None]
    if not found:
        raise TrainingError(
            f"{folder} has no label maps of subjects: add them in the column “regions” of index.csv, or as COCO's "
            "annotations.",
            code="training.no-subjects",
            path=str(folder),
        )
    return found


def read_subject(photo: PhotoFile, long_side: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Read a photograph, H×W×3, of at most `long_side` pixels per side, and its subject's mask, H×W.

    Raises:
        EngineError: see `read_source`.
    """
    image, labels = read_source(photo, long_side)
    return image, np.zeros(image.shape[:2], np.bool_) if labels is None else labels > 0


@dataclass
class SubjectPhotographs(PairSource):
    """Batches of photographs in a random order; the masks are their subjects, the targets the photographs themselves.

    augment: whether a share of them is changed at random.
    """

    photographs: Sequence[PhotoFile] = field(kw_only=True)
    augment: bool = field(kw_only=True)

    def piece(self, index: int, count: int) -> Batch:
        """See `PairSource.piece`.

        Raises:
            EngineError: a photograph that can't be read.
        """
        order = np.random.default_rng(self.seed).permutation(len(self.photographs))
        chosen = order.take(np.arange(index * count, (index + 1) * count), mode="wrap")
        rng = np.random.default_rng([self.seed, index])
        read = [self.example(self.photographs[int(number)], rng) for number in chosen]
        images = torch.from_numpy(np.stack([image for image, _ in read])).permute(0, 3, 1, 2).contiguous()
        masks = torch.from_numpy(np.stack([mask for _, mask in read])).unsqueeze(1)
        return Batch(images, masks, images)

    def example(self, photo: PhotoFile, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return a photograph, N×N×3, and its subject's mask, N×N, both in [0, 1]."""
        image, subject = read_subject(photo, self.size * 3 // 2)
        augmented = self.augment and rng.random() < AUGMENTED
        if augmented:
            image, subject = random_window(image, subject, rng)
        pixels = resize_square(image, self.size).astype(np.float32) / np.float32(255)
        mask = resize_square(subject.astype(np.float32), self.size)
        return jitter_colors(pixels, rng) if augmented else pixels, mask


def random_window(
    image: NDArray[np.uint8], subject: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Crop to a random window that shows most of the subject or, in a share of the cases, nothing of it.

    If no such window is found soon, the whole photograph is returned.
    """
    height, width = subject.shape
    area = int(subject.sum())
    beside = bool(area) and rng.random() < EMPTY_WINDOWS
    for _ in range(WINDOW_TRIES):
        size = rng.uniform(0.3, 0.7) if beside else rng.uniform(0.55, 1.0)
        tall, wide = int(height * size), int(width * min(1.0, size * rng.uniform(1 - STRETCH, 1 + STRETCH)))
        top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
        window = subject[top : top + tall, left : left + wide]
        share = float(window.mean())
        keeps = window.sum() >= LEAST_KEPT * area and SMALLEST_SUBJECT <= share <= LARGEST_SUBJECT
        if share == 0 if beside or not area else keeps:
            return image[top : top + tall, left : left + wide], window
    return image, subject


def jitter_colors(pixels: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Change brightness, contrast, saturation and tint of N×N×3 pixels in [0, 1] at random."""
    gamma, contrast, saturation = np.exp(
        rng.normal(size=3) * (GAMMA_SPREAD, CONTRAST_SPREAD, SATURATION_SPREAD)
    ).astype(np.float32)
    tint = np.exp(TINT_SPREAD * rng.normal(size=3)).astype(np.float32)
    changed = pixels**gamma * tint
    gray = cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY)[..., None]
    changed = gray + (changed - gray) * min(saturation, np.float32(1.5))
    mean = changed.mean()
    return np.asarray((mean + (changed - mean) * contrast).clip(0, 1), np.float32)
