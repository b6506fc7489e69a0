# SPDX-License-Identifier: GPL-3.0-or-later
"""Random numbers for a batch of images from one generator, reproducible by its seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BatchRNG:
    """Random numbers for a batch, from one generator."""

    generator: torch.Generator
    batch: int

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers (B, *shape)."""
        return torch.randn(self.batch, *shape, generator=self.generator)

    def uniform(self, *shape: int) -> Tensor:
        """Return uniform numbers in [0, 1), (B, *shape)."""
        return torch.rand(self.batch, *shape, generator=self.generator)

    def uniform_between(self, low: float, high: float) -> Tensor:
        """Return uniform numbers in [low, high), (B, 1, 1, 1)."""
        return low + (high - low) * self.uniform(1, 1, 1)

    def subset(self, chosen: Tensor) -> BatchRNG:
        """Return the same generator for a smaller batch."""
        return BatchRNG(self.generator, len(chosen))

    def bernoulli(self, share: float, rank: int = 4) -> Tensor:
        """Return 1 with the given probability, else 0; (B, 1, …) of the given rank."""
        return (self.uniform(*[1] * (rank - 1)) < share).float()

    def sample_indices(self, share: float) -> Tensor:
        """Return the batch indices (C,) of a random share of the batch."""
        return (self.uniform() < share).nonzero().squeeze(1)

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
            pictures[chosen] = change(pictures[chosen], chosen, self.subset(chosen))
