# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic pairs: photographs with one recolored region."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count as numbers
from itertools import islice
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from s2am_engine.image.contact_sheet import draw_contact_sheet
from s2am_engine.training.batch_rng import BatchRNG
from s2am_engine.training.degrade import Degradation, degrade
from s2am_engine.training.pair_source import Batch, PairSource, resize_square
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.recolor import Recoloring, recolor

INVERTED_SHARE = 0.12
SOFT_SHARE = 0.15
SOFTEST_EDGE = 0.025  # standard deviation of a Gaussian, relative to the image side
PRE_AUGMENTED_SHARE = 0.65
EMPTY_SHARE = 0.3
FAINTEST_CHANGE = 6 / 255  # RMS change of the region; smaller changes cannot be detected


@dataclass
class PairMaker(PairSource):
    """Makes pairs from photographs with regions."""

    photographs: Sequence[Photograph] = field(kw_only=True)
    recoloring: Recoloring = field(default_factory=Recoloring, kw_only=True)
    degradation: Degradation = field(default_factory=Degradation, kw_only=True)
    pre_augmented: float = field(
        default=PRE_AUGMENTED_SHARE, kw_only=True
    )  # probability of pre-augmenting the whole photograph
    crop: bool = field(default=True, kw_only=True)

    def piece(self, index: int, count: int) -> Batch:
        """See `PairSource.piece`."""
        rng = np.random.default_rng([self.seed, index])
        composite, regions, target = self.compose(count, rng)
        return Batch(composite, given_mask(regions, rng), target)

    def compose(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return composites (B, 3, N, N), exact foregrounds (B, 1, N, N) and targets (B, 3, N, N)."""
        batch_rng = BatchRNG(torch.Generator().manual_seed(int(rng.integers(2**62))), count)
        chosen = rng.integers(len(self.photographs), size=count)
        cuts = [self.crop_region(self.photographs[int(number)], rng) for number in chosen]
        pictures = torch.from_numpy(np.stack([image for image, _ in cuts])).permute(0, 3, 1, 2) / 255
        regions = torch.from_numpy(np.stack([region for _, region in cuts])).unsqueeze(1)
        target = self.pre_augment(pictures, regions, batch_rng)
        # The foreground keeps the noise and compression of its own camera, independent of its color change.
        target = torch.lerp(target, degrade(target, batch_rng, self.degradation), regions)
        changed = recolor(target, color_references_of(target), regions, batch_rng, self.recoloring)
        # Quantize to eight bits, as users' images are.
        composite = (torch.lerp(target, changed, regions) * 255).round() / 255
        return composite.contiguous(), regions, target.contiguous()

    def pre_augment(self, pictures: Tensor, regions: Tensor, batch_rng: BatchRNG) -> Tensor:
        """Augment most photographs as a whole, so a few thousand of them cover many styles."""
        mild = replace(self.recoloring, transfer_share=0.1, histogram_share=0.0, falloff_share=0.0, patches_share=0.0)
        chosen = (batch_rng.uniform() < self.pre_augmented).nonzero().squeeze(1)
        target = pictures.clone()
        if len(chosen):
            some, among = pictures[chosen], batch_rng.subset(chosen)
            pre_augmented = recolor(some, color_references_of(some), torch.ones_like(regions[chosen]), among, mild)
            target[chosen] = torch.lerp(some, pre_augmented, 0.3 + 0.7 * among.uniform(1, 1, 1))
        return target

    def crop_region(
        self, photograph: Photograph, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Crop, flip and resize a photograph with one of its regions: N×N×3 uint8 and N×N float32."""
        region = photograph.regions[int(rng.integers(len(photograph.regions)))]
        image = photograph.image
        if self.crop:
            image, region = random_crop(image, region, rng)
        if rng.random() < 0.5:
            image, region = image[:, ::-1], region[:, ::-1]
        if rng.random() < INVERTED_SHARE:
            region = ~region
        small = np.asarray(resize_square(image, self.size), np.uint8)
        soft = np.asarray(resize_square(region.astype(np.float32), self.size), np.float32)
        if rng.random() < SOFT_SHARE:
            cv2.GaussianBlur(soft, (0, 0), self.size * rng.uniform(0.005, SOFTEST_EDGE), dst=soft)
        return small, soft.clip(0, 1)


@dataclass
class DetectionPairs(PairMaker):
    """Pairs for training detectors: some are empty, and no mask covers more than half of the image.

    In pairs without a foreground a region still has another camera's artifacts, so these are no cue.
    """

    empty: float = field(default=EMPTY_SHARE, kw_only=True)

    def piece(self, index: int, count: int) -> Batch:
        """See `PairSource.piece`; the mask is what should be found."""
        rng = np.random.default_rng([self.seed, index])
        composite, regions, target = self.compose(count, rng)
        nothing = torch.from_numpy(rng.random(count) < self.empty).view(-1, 1, 1, 1)
        composite = torch.where(nothing, target, composite)
        area = regions.sum(dim=(1, 2, 3), keepdim=True)
        # Which of two regions is the pasted one is ambiguous; define it as the smaller one.
        mask = torch.where(area > 0.5 * regions[0].numel(), 1 - regions, regions)
        change = ((composite - target) ** 2).sum(dim=(1, 2, 3), keepdim=True) / (3 * area)
        return Batch(composite, mask * (change > FAINTEST_CHANGE**2), target)


def color_references_of(pictures: Tensor) -> Tensor:
    """Return each image's neighbor in the batch as its color reference."""
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


def given_mask(regions: Tensor, rng: np.random.Generator) -> Tensor:
    """Perturb exact masks to resemble users' masks: softened, or a pixel too wide or too narrow."""
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


class MakesPairs(Protocol):
    """Source of batches."""

    def make(self, step: int) -> Batch:
        """Return the batch of one step."""
        ...


def draw_pair_sheet(pairs: MakesPairs, count: int, side: int = 160) -> Image.Image:
    """Draw the first pairs as they would be trained on: target, mask and composite side by side.

    Args:
        pairs: their source, read from step 0 on.
        count: number of pairs, at least 1.
        side: of each image on the sheet, in pixels.
    """
    drawn = list(islice(each_pair(pairs), count))
    rows = [[pixels(target), pixels(mask)[..., 0], pixels(composite)] for composite, mask, target in drawn]
    captions = [f"{number}: changed by {foreground_change(*pair):.1f} levels" for number, pair in enumerate(drawn, 1)]
    # A row is about three times as wide as high.
    return draw_contact_sheet(
        rows, captions, ("target", "mask", "composite"), side, across=math.ceil(math.sqrt(count / 3))
    )


def each_pair(pairs: MakesPairs) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield composite (3, N, N), mask (1, N, N) and target (3, N, N) of one pair after another."""
    for step in numbers():
        batch = pairs.make(step)
        yield from zip(batch.composite, batch.mask, batch.target, strict=True)


def foreground_change(composite: Tensor, mask: Tensor, target: Tensor) -> float:
    """Return the mean difference of composite and target (3, N, N) under the mask (1, N, N), in 8-bit levels."""
    return float(255 * ((composite - target).abs().mean(dim=0) * mask[0]).sum() / mask.sum().clamp_min(1))


def pixels(tensor: Tensor) -> NDArray[np.float32]:
    """Convert a (C, N, N) tensor to N×N×C."""
    return np.asarray(tensor.permute(1, 2, 0), np.float32)
