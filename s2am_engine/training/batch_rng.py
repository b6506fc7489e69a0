# SPDX-License-Identifier: GPL-3.0-or-later
"""Random numbers for a batch of images, reproducible by a seed and drawn on the device that uses them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class BatchRNG:
    """Random numbers for a batch of images.

    Sizes of subsets are drawn on the host and everything else on the device, so a GPU never waits for the host.
    """

    generator: torch.Generator  # of the numbers, on their device
    host: np.random.Generator  # of the sizes of subsets
    batch: int

    @classmethod
    def seeded(cls, rng: np.random.Generator, batch: int, device: torch.device | str = "cpu") -> BatchRNG:
        """Return numbers for a batch on a device, determined by the state of `rng`, which they share."""
        generator = torch.Generator(device)
        generator.manual_seed(int(rng.integers(2**62)))
        return cls(generator, rng, batch)

    @property
    def device(self) -> torch.device:
        """Device of the numbers."""
        return self.generator.device

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers (B, *shape)."""
        return torch.randn(self.batch, *shape, generator=self.generator, device=self.device)

    def uniform(self, *shape: int) -> Tensor:
        """Return uniform numbers in [0, 1), (B, *shape)."""
        return torch.rand(self.batch, *shape, generator=self.generator, device=self.device)

    def uniform_between(self, low: float, high: float) -> Tensor:
        """Return uniform numbers in [low, high), (B, 1, 1, 1)."""
        return low + (high - low) * self.uniform(1, 1, 1)

    def integers(self, count: int) -> Tensor:
        """Return uniform integers in [0, count), (B)."""
        return (self.uniform() * count).long().clamp_max(count - 1)

    def subset(self, chosen: Tensor) -> BatchRNG:
        """Return the same generators for a smaller batch."""
        return BatchRNG(self.generator, self.host, len(chosen))

    def bernoulli(self, share: float, rank: int = 4) -> Tensor:
        """Return 1 with the given probability, else 0; (B, 1, …) of the given rank."""
        return (self.uniform(*[1] * (rank - 1)) < share).float()

    def sample_indices(self, share: float) -> Tensor:
        """Return the batch indices (C,) of a random share of the batch."""
        return self.split(share)[0]

    def split(self, *shares: float) -> list[Tensor]:
        """Divide a random permutation of the batch: one tensor of indices per share, and one of the rest.

        The number of images in a part is the share of the batch, rounded up or down at random.
        """
        start = self.host.random()
        ends = [min(self.batch, math.floor(bound * self.batch + start)) for bound in accumulate(shares)]
        return list(self.uniform().argsort().tensor_split(ends))

    def divide(self, chosen: Tensor, *shares: float) -> list[Tensor]:
        """Divide batch indices (C) at random: one tensor of indices per share, and one of the rest."""
        return [chosen[part] for part in self.subset(chosen).split(*shares)]

    def apply_to_share(
        self, pictures: Tensor, share: float, change: Callable[[Tensor, Tensor, BatchRNG], Tensor]
    ) -> None:
        """Change a random share of the images in place, without computing the others.

        Args:
            pictures: (B, 3, H, W); the others stay bit for bit.
            share: the part of the batch, 0 to 1.
            change: maps the chosen images (C, 3, H, W), their batch indices (C) and their own rng to the changed
                images.
        """
        chosen = self.sample_indices(share)
        if len(chosen):
            pictures[chosen] = change(pictures.index_select(0, chosen), chosen, self.subset(chosen))
