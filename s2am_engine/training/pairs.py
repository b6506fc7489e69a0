# SPDX-License-Identifier: GPL-3.0-or-later
"""Making pairs: a photograph, a region of it, and a composite in which that region has other colors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s2am_engine.training.datasets import Photograph
from s2am_engine.training.degrade import Degradation, degrade
from s2am_engine.training.recolor import Chance, Recoloring, recolor

# Pairs are made in pieces, so that however many processes share a step's batch, they see the same pairs.
PIECE = 8
INVERTED_SHARE = 0.12
SOFT_SHARE = 0.15
SOFTEST_EDGE = 0.025  # deviation of a Gaussian, of the picture's side
GRADED_SHARE = 0.65
EMPTY_SHARE = 0.3
FAINTEST_CHANGE = 6 / 255  # of the region, root mean square; what is less can't be found


class Batch(NamedTuple):
    """A batch of pairs."""

    composite: Tensor  # (B, 3, N, N) in [0, 1]
    mask: Tensor  # (B, 1, N, N) in [0, 1]: what the network is told
    truth: Tensor  # (B, 3, N, N) in [0, 1]

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


@dataclass
class Source(ABC):
    """An endless, seeded source of pairs: the same step gives the same batch, so that training can be resumed.

    With `team` processes, each makes its own batch of a step; all together make what one process would with `team`
    times the batch, if the batch is a multiple of `PIECE`.
    """

    size: int  # N, pixels a side
    batch: int  # pairs a step, of each process
    seed: int = 0
    rank: int = field(default=0, init=False)  # of this process
    team: int = field(default=1, init=False)

    def make(self, step: int) -> Batch:
        """Make this process's batch of one step; safe to be called from several threads."""
        pieces = -(-self.batch // PIECE)
        first = (step * self.team + self.rank) * pieces
        counts = [min(PIECE, self.batch - PIECE * index) for index in range(pieces)]
        made = [self.piece(first + index, count) for index, count in enumerate(counts)]
        return Batch(*(torch.cat(tensors) for tensors in zip(*made, strict=True)))

    @abstractmethod
    def piece(self, index: int, count: int) -> Batch:
        """Make `count` pairs; the same index gives the same pairs."""


@dataclass
class PairMaker(Source):
    """Makes pairs from photographs with regions."""

    photographs: Sequence[Photograph] = field(kw_only=True)
    recoloring: Recoloring = field(default_factory=Recoloring, kw_only=True)
    degradation: Degradation = field(default_factory=Degradation, kw_only=True)
    graded: float = field(default=GRADED_SHARE, kw_only=True)  # share of photographs whose own look is varied first
    crop: bool = field(default=True, kw_only=True)

    def piece(self, index: int, count: int) -> Batch:
        """See `Source.piece`."""
        rng = np.random.default_rng([self.seed, index])
        composite, regions, truth = self.compose(count, rng)
        return Batch(composite, told_mask(regions, rng), truth)

    def compose(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Composites (B, 3, N, N), their exact foregrounds (B, 1, N, N) and truths (B, 3, N, N)."""
        chance = Chance(torch.Generator().manual_seed(int(rng.integers(2**62))), count)
        chosen = rng.integers(len(self.photographs), size=count)
        cuts = [self.cut(self.photographs[int(number)], rng) for number in chosen]
        pictures = torch.from_numpy(np.stack([image for image, _ in cuts])).permute(0, 3, 1, 2) / 255
        regions = torch.from_numpy(np.stack([region for _, region in cuts])).unsqueeze(1)
        truth = self.vary(pictures, regions, chance)
        # The foreground comes from another camera: its noise and its compression stay, whatever is done to its colors.
        truth = torch.lerp(truth, degrade(truth, chance, self.degradation), regions)
        changed = recolor(truth, donors_of(truth), regions, chance, self.recoloring)
        # Eight bits, as the pictures that people bring have.
        composite = (torch.lerp(truth, changed, regions) * 255).round() / 255
        return composite.contiguous(), regions, truth.contiguous()

    def vary(self, pictures: Tensor, regions: Tensor, chance: Chance) -> Tensor:
        """Grade most photographs as a whole first, so that a few thousand of them become many looks."""
        mild = replace(self.recoloring, transfer_share=0.1, histogram_share=0.0, falloff_share=0.0, patches_share=0.0)
        chosen = (chance.uniform() < self.graded).nonzero().squeeze(1)
        truth = pictures.clone()
        if len(chosen):
            some, among = pictures[chosen], chance.among(chosen)
            graded = recolor(some, donors_of(some), torch.ones_like(regions[chosen]), among, mild)
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
        small = np.asarray(shrink(image, self.size), np.uint8)
        soft = np.asarray(shrink(region.astype(np.float32), self.size), np.float32)
        if rng.random() < SOFT_SHARE:
            cv2.GaussianBlur(soft, (0, 0), self.size * rng.uniform(0.005, SOFTEST_EDGE), dst=soft)
        return small, soft.clip(0, 1)


@dataclass
class DetectionPairs(PairMaker):
    """Pairs to find the foreground in: a part holds none, and no mask is larger than half of the picture.

    Where nothing was pasted the region has another camera's flaws all the same, so that these give nothing away.
    """

    empty: float = field(default=EMPTY_SHARE, kw_only=True)

    def piece(self, index: int, count: int) -> Batch:
        """See `Source.piece`; the mask is what should be found."""
        rng = np.random.default_rng([self.seed, index])
        composite, regions, truth = self.compose(count, rng)
        nothing = torch.from_numpy(rng.random(count) < self.empty).view(-1, 1, 1, 1)
        composite = torch.where(nothing, truth, composite)
        area = regions.sum(dim=(1, 2, 3), keepdim=True)
        # Which of two regions was pasted into the other can't be seen: it is the smaller one.
        mask = torch.where(area > 0.5 * regions[0].numel(), 1 - regions, regions)
        change = ((composite - truth) ** 2).sum(dim=(1, 2, 3), keepdim=True) / (3 * area)
        return Batch(composite, mask * (change > FAINTEST_CHANGE**2), truth)


@dataclass
class Mixture(Source):
    """Pairs of two sources, a given share of them from the second."""

    sources: tuple[Source, Source] = field(kw_only=True)
    share: float = field(kw_only=True)

    def piece(self, index: int, count: int) -> Batch:
        """See `Source.piece`: pieces are dealt out evenly."""
        second = int((index + 1) * self.share) > int(index * self.share)
        return self.sources[second].piece(index, count)


def shrink(picture: NDArray[Any], size: int) -> NDArray[Any]:
    """Resize H×W or H×W×3 to size × size by area averaging."""
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), (size, size), interpolation=cv2.INTER_AREA))


def donors_of(pictures: Tensor) -> Tensor:
    """Each picture's neighbor in the batch, to take colors from."""
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
