# SPDX-License-Identifier: GPL-3.0-or-later
"""Training data from a folder: synthetic pairs of photographs, or ready pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from s2am_engine.errors import FileError, TrainingError
from s2am_engine.training.dataset_readers import Pair, find_pairs, has_pairs, stable_split
from s2am_engine.training.distributed import ProcessGroup
from s2am_engine.training.events import EventCallback, ignore_events, reading_progress
from s2am_engine.training.pair_source import Batch, PairSource, resize_square
from s2am_engine.training.photo_cache import LONG_SIDE, CachedPhotographs, Skipped, load_photographs
from s2am_engine.training.recipes import Recipe
from s2am_engine.training.synthetic_pairs import DetectionPairs, PairMaker

VALIDATION_BATCHES = 16
HELD_OUT_SHARE = 0.05  # share of held-out photographs of ready pairs
HELD_OUT_SEED = 20_000


@dataclass(frozen=True)
class Data:
    """Training pairs and held-out batches."""

    pairs: PairSource
    held_out: list[Batch]
    description: str
    skipped: list[Skipped] = field(default_factory=list)


@dataclass
class PairReader(PairSource):
    """Reads ready pairs in random order, half of them mirrored."""

    pairs: Sequence[Pair] = field(kw_only=True)

    def piece(self, index: int, count: int) -> Batch:
        """See `PairSource.piece`.

        Raises:
            EngineError: an image that can't be read, or that does not fit the others.
        """
        rng = np.random.default_rng([self.seed, index])
        read = [
            read_pair(self.pairs[int(number)], self.size, mirrored=rng.random() < 0.5)
            for number in rng.integers(len(self.pairs), size=count)
        ]
        pictures = [torch.from_numpy(np.stack(column)).float() / 255 for column in zip(*read, strict=True)]
        composite, mask, target = (one.permute(0, 3, 1, 2) if one.ndim == 4 else one.unsqueeze(1) for one in pictures)
        return Batch(composite.contiguous(), mask.contiguous(), target.contiguous())


def read_pair(pair: Pair, size: int, *, mirrored: bool) -> tuple[NDArray[np.uint8], ...]:
    """Read composite (N×N×3), mask (N×N) and target (N×N×3) as uint8, reduced to size × size.

    Raises:
        EngineError: an image that can't be read, or that does not fit the others.
    """
    kinds = (cv2.IMREAD_COLOR_RGB, cv2.IMREAD_GRAYSCALE, cv2.IMREAD_COLOR_RGB)
    found = []
    for path, kind in zip((pair.composite, pair.mask, pair.target), kinds, strict=True):
        picture = cv2.imread(str(path), kind)
        if picture is None:
            raise FileError(
                f"{path} can't be read: bring it back, or remove its composites from the data set.",
                code="file.read",
                path=str(path),
            )
        found.append(picture)
    if len({picture.shape[:2] for picture in found}) > 1:
        raise TrainingError(
            f"{pair.composite}, its mask and its target differ in size: they must have the same width and height.",
            code="training.pair-size",
            path=str(pair.composite),
        )
    return tuple(resize_square(picture[:, ::-1] if mirrored else picture, size) for picture in found)


def open_data(
    folder: Path, recipe: Recipe, seed: int, group: ProcessGroup, report: EventCallback = ignore_events
) -> Data:
    """Prepare a folder for training.

    Args:
        folder: photographs (in any layout that `find_photographs` reads), or pairs in iHarmony4's layout.
        recipe: gives image size and batch size.
        seed: of the pairs.
        group: the main process prepares photographs; the others wait and then read them from the cache.
        report: receives progress; may raise to cancel.

    Raises:
        EngineError: the folder has no usable data.
    """
    if has_pairs(folder):
        return open_pairs(folder, recipe, seed)
    if group.is_main:
        load_splits(folder, recipe, report)
    group.barrier()
    photographs, validation = load_splits(folder, recipe, ignore_events)
    maker = DetectionPairs if recipe.detection else PairMaker
    held_out = make_held_out(maker(recipe.size, recipe.batch, HELD_OUT_SEED, photographs=validation, crop=False))
    pairs = maker(recipe.size, recipe.batch, seed + 1, photographs=photographs)
    skipped = photographs.skipped + validation.skipped
    return Data(pairs, held_out, f"{len(photographs) + len(validation)} photographs of {folder}", skipped)


def load_splits(folder: Path, recipe: Recipe, report: EventCallback) -> tuple[CachedPhotographs, CachedPhotographs]:
    """Load training and held-out photographs, 1.5 times as large as the training images, for sharp crops."""
    side = max(LONG_SIDE, recipe.size * 3 // 2)
    train, validation = (load_photographs(folder, split, side, reading_progress(report)) for split in ("train", "val"))
    return train, validation


def open_pairs(folder: Path, recipe: Recipe, seed: int) -> Data:
    """Prepare ready pairs; a twentieth of the photographs is held out."""
    pairs = find_pairs(folder, "train")
    held_out = [pair for pair in pairs if is_held_out(pair)]
    rest = [pair for pair in pairs if not is_held_out(pair)]
    if not held_out or not rest:
        raise TrainingError(
            f"{folder} holds {len(pairs)} pairs of too few photographs: some dozens are needed.",
            code="training.few-photographs",
            path=str(folder),
        )
    validation = make_held_out(PairReader(recipe.size, recipe.batch, HELD_OUT_SEED, pairs=held_out))
    reader = PairReader(recipe.size, recipe.batch, seed + 1, pairs=rest)
    return Data(reader, validation, f"{len(pairs)} pairs of {folder}")


def is_held_out(pair: Pair) -> bool:
    """Return whether a pair is held out; all composites of a photograph are treated alike."""
    return stable_split(pair.target.stem, HELD_OUT_SHARE)


def make_held_out(source: PairSource) -> list[Batch]:
    """Return the batches for validation."""
    return [source.make(index) for index in range(VALIDATION_BATCHES)]
