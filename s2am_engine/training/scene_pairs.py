# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs from scenes that were photographed or developed several times, whose differences are real, not simulated."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from s2am_common.errors import FileError, TrainingError
from s2am_engine.training.batch_rng import BatchRNG
from s2am_engine.training.dataset_readers import stable_split
from s2am_engine.training.pair_source import Batch, PairSource, resize_square, stack_planes
from s2am_engine.training.photo_reader import read_reduced
from s2am_engine.training.regions import propose_regions
from s2am_engine.training.synthetic_pairs import given_mask, random_crop

INDEX = "index.csv"
MOVING = ("daytime",)  # kinds of scenes whose content moves between the pictures
DARKEST_PICTURE, BRIGHTEST_PICTURE = 0.1, 0.8  # mean value of the pictures that are used
LARGEST_STEP = 0.2  # difference of the mean values of two pictures; beyond, too much is black or white in one of them
HELD_OUT_SCENES = 0.15


@dataclass(frozen=True)
class Scene:
    """Aligned pictures of one scene, and candidate foreground regions."""

    name: str
    pictures: list[NDArray[np.uint8]]  # H×W×3 sRGB each
    pairs: list[tuple[int, int]]  # numbers of pictures that may be combined, in both orders
    regions: list[NDArray[np.bool_]]  # H×W each, at least one


@dataclass
class ScenePairs(PairSource):
    """Pairs whose foreground is from one picture of a scene, and background and ground truth from another."""

    scenes: Sequence[Scene] = field(kw_only=True)
    device: torch.device | str = field(default="cpu", kw_only=True)

    def piece(self, index: int, count: int) -> Batch:
        """See `PairSource.piece`."""
        rng = np.random.default_rng([self.seed, index])
        cuts = [self.cut(self.scenes[int(number)], rng) for number in rng.integers(len(self.scenes), size=count)]
        foreground, target, regions = (stack_planes(column, self.device) for column in zip(*cuts, strict=True))
        composite = (torch.lerp(target, foreground, regions) * 255).round() / 255
        return Batch(composite, given_mask(regions, BatchRNG.seeded(rng, count, self.device)), target)

    def cut(self, scene: Scene, rng: np.random.Generator) -> tuple[NDArray[np.uint8], ...]:
        """Return foreground and target (N×N×3) and the region (N×N, 0 or 255), cropped and flipped alike."""
        one, other = scene.pairs[int(rng.integers(len(scene.pairs)))]
        both = np.concatenate([scene.pictures[one], scene.pictures[other]], axis=2)
        both, region = random_crop(both, scene.regions[int(rng.integers(len(scene.regions)))], rng)
        step = -1 if rng.random() < 0.5 else 1
        cuts = both[..., :3], both[..., 3:], region.view(np.uint8) * np.uint8(255)
        return tuple(resize_square(cut[:, ::step], self.size) for cut in cuts)


@lru_cache(maxsize=2)
def load_scenes(
    folder: Path, *, held_out: bool, long_side: int = 192, left_out: tuple[str, ...] = MOVING
) -> tuple[Scene, ...]:
    """Read the scenes of a folder; those of the last calls are kept in memory.

    Args:
        folder: it holds `index.csv` with the columns kind, scene and image (a path in the folder).
        held_out: the held-out scenes instead of the others.
        long_side: of the reduced pictures, in pixels.
        left_out: kinds of scenes that are left out.

    Raises:
        EngineError: a file can't be read, or no scene has two usable pictures.
    """
    images: dict[str, list[str]] = defaultdict(list)
    try:
        with (folder / INDEX).open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                if line["kind"] not in left_out and stable_split(line["scene"], HELD_OUT_SCENES) == held_out:
                    images[line["scene"]].append(line["image"])
    except (OSError, KeyError, ValueError) as error:
        raise FileError(
            f"{folder} holds no scenes ({error}): name a folder with {INDEX} of kind, scene and image.",
            code="training.scenes",
            path=str(folder),
        ) from error
    scenes = [read_scene(name, [folder / path for path in paths], long_side) for name, paths in images.items()]
    usable = [scene for scene in scenes if scene.pairs and scene.regions]
    if not usable:
        raise TrainingError(
            f"No scene of {folder} has two pictures of the same size: each needs at least two.",
            code="training.scenes",
            path=str(folder),
        )
    return tuple(usable)


def read_scene(name: str, paths: Sequence[Path], long_side: int) -> Scene:
    """Read the pictures of a scene that have the size of the first, leaving out nearly black and white ones.

    Raises:
        EngineError: a file can't be read.
    """
    pictures = [read_reduced(path, long_side) for path in paths]
    usable = [picture for picture in pictures if DARKEST_PICTURE < picture.mean() / 255 < BRIGHTEST_PICTURE]
    usable = [picture for picture in usable if picture.shape == usable[0].shape]
    if not usable:
        return Scene(name, [], [], [])
    middle = sorted(usable, key=lambda picture: float(picture.mean()))[len(usable) // 2]
    regions = propose_regions(middle, None, np.random.default_rng(0))
    means = [float(picture.mean()) / 255 for picture in usable]
    pairs = [(i, k) for i, k in permutations(range(len(usable)), 2) if abs(means[i] - means[k]) < LARGEST_STEP]
    return Scene(name, usable, pairs, [region.mask for region in regions])
