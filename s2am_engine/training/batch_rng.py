# SPDX-License-Identifier: GPL-3.0-or-later
"""Random numbers for a batch of pictures, all from one generator, so that a seed gives the same batch again."""

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
        """Standard normal numbers (B, *shape)."""
        return torch.randn(self.batch, *shape, generator=self.generator)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), (B, *shape)."""
        return torch.rand(self.batch, *shape, generator=self.generator)

    def uniform_between(self, low: float, high: float) -> Tensor:
        """Uniform numbers in [low, high), (B, 1, 1, 1)."""
        return low + (high - low) * self.uniform(1, 1, 1)

    def subset(self, chosen: Tensor) -> BatchRNG:
        """The same random numbers for a smaller batch."""
        return BatchRNG(self.generator, len(chosen))

    def bernoulli(self, share: float, rank: int = 4) -> Tensor:
        """1 for a share of the batch, else 0; (B, 1, …) of that rank."""
        return (self.uniform(*[1] * (rank - 1)) < share).float()

    def sample_indices(self, share: float) -> Tensor:
        """The places (C) in the batch of a random share of it."""
        return (self.uniform() < share).nonzero().squeeze(1)

    def apply_to_share(
        self, pictures: Tensor, share: float, change: Callable[[Tensor, Tensor, BatchRNG], Tensor]
    ) -> None:
        """Change a share of the pictures in place, so that only they pay for it.

        Args:
            pictures: (B, 3, H, W); the others stay bit for bit.
            share: the part of the batch, 0 to 1.
            change: makes of the chosen pictures (C, 3, H, W), their places in the batch (C) and their own rng the
                changed pictures.
        """
        chosen = self.sample_indices(share)
        if len(chosen):
            pictures[chosen] = change(pictures[chosen], chosen, self.subset(chosen))
