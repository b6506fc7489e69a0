# SPDX-License-Identifier: GPL-3.0-or-later
"""Making pairs: a photograph, a region of it, and a composite in which that region has other colours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s2am_engine.training.datasets import Photograph
from s2am_engine.training.recolour import Chance, Recolouring, recolour

INVERTED_SHARE = 0.12
GRADED_SHARE = 0.65


@dataclass(frozen=True)
class Batch:
    """A batch of pairs."""

    composite: Tensor  # (B, 3, N, N) in [0, 1]
    mask: Tensor  # (B, 1, N, N) in [0, 1]: what the network is told
    truth: Tensor  # (B, 3, N, N) in [0, 1]


@dataclass
class PairMaker:
    """An endless, seeded source of pairs."""

    photographs: list[Photograph]
    size: int
    batch: int
    seed: int = 0
    recolouring: Recolouring = field(default_factory=Recolouring)
    crop: bool = True

    def __iter__(self) -> Iterator[Batch]:
        """Yield batch after batch, never ending."""
        step = 0
        while True:
            yield self.make(step)
            step += 1

    def make(self, step: int) -> Batch:
        """Make the batch of one step; the same step gives the same batch, so that training can be resumed."""
        rng = np.random.default_rng([self.seed, step])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        chosen = rng.integers(len(self.photographs), size=self.batch)
        cuts = [self.cut(self.photographs[index], rng) for index in chosen]
        pictures = torch.from_numpy(np.stack([image for image, _ in cuts])).permute(0, 3, 1, 2) / 255
        regions = torch.from_numpy(np.stack([region for _, region in cuts])).unsqueeze(1)
        chance = Chance(generator, self.batch)
        truth = self.vary(pictures, regions, chance)
        changed = recolour(truth, donors_of(truth), regions, chance, self.recolouring)
        composite = torch.lerp(truth, changed, regions)
        # Eight bits, as the pictures that people bring have.
        composite = (composite * 255).round() / 255
        return Batch(composite.contiguous(), told_mask(regions, rng), truth.contiguous())

    def vary(self, pictures: Tensor, regions: Tensor, chance: Chance) -> Tensor:
        """Grade most photographs as a whole first, so that a few thousand of them become many looks."""
        mild = replace(self.recolouring, transfer_share=0.1, histogram_share=0.0, falloff_share=0.0)
        chosen = (chance.uniform() < GRADED_SHARE).nonzero().squeeze(1)
        truth = pictures.clone()
        if len(chosen):
            some, among = pictures[chosen], chance.among(chosen)
            graded = recolour(some, donors_of(some), torch.ones_like(regions[chosen]), among, mild)
            truth[chosen] = torch.lerp(some, graded, 0.3 + 0.7 * among.uniform(1, 1, 1))
        return truth

    def cut(self, photograph: Photograph, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Crop, flip and resize a photograph with one of its regions: N×N×3 uint8 and N×N float32."""
        region = photograph.regions[int(rng.integers(len(photograph.regions)))]
        image = photograph.image
        if self.crop:
            image, region = random_crop(image, region, rng)
        if rng.random() < 0.5:
            image, region = image[:, ::-1], region[:, ::-1]
        if rng.random() < INVERTED_SHARE:
            region = ~region
        small = cv2.resize(np.ascontiguousarray(image), (self.size, self.size), interpolation=cv2.INTER_AREA)
        soft = cv2.resize(region.astype(np.float32), (self.size, self.size), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8), np.asarray(soft, np.float32)


def donors_of(pictures: Tensor) -> Tensor:
    """Each picture's neighbour in the batch, to take colours from."""
    return pictures.roll(1, dims=0)


def random_crop(
    image: NDArray[np.uint8], region: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Crop to a random window that keeps foreground and background in view; else the whole picture."""
    height, width = region.shape
    for _ in range(4):
        size = rng.uniform(0.5, 1.0)
        tall, wide = int(height * size), int(width * min(1.0, size * rng.uniform(0.85, 1.18)))
        top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
        window = region[top : top + tall, left : left + wide]
        if 0.01 < window.mean() < 0.8:
            return image[top : top + tall, left : left + wide], window
    return image, region


def told_mask(regions: Tensor, rng: np.random.Generator) -> Tensor:
    """The mask as a person might give it: exact, softened, or a pixel too wide or too narrow."""
    masks = []
    for region in regions:
        mask = region[0].numpy()
        kind = rng.random()
        if kind < 0.2:
            mask = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.5, 1.5)))
        elif kind < 0.35:
            mask = cv2.dilate(mask, np.ones((3, 3), np.uint8))
        elif kind < 0.5:
            mask = cv2.erode(mask, np.ones((3, 3), np.uint8))
        masks.append(torch.from_numpy(mask))
    return torch.stack(masks).unsqueeze(1)
