# SPDX-License-Identifier: GPL-3.0-or-later
"""The adversarial term of a training: a discriminator that learns beside the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from s2am_engine.networks.discriminator import PatchDiscriminator
from s2am_engine.training.pairs import Batch
from s2am_engine.training.team import Team

LEARNING_RATE = 2e-4  # pix2pix's, with its momentum
BETAS = (0.5, 0.999)


class Adversary:
    """A patch discriminator with least-squares objectives (LSGAN, Mao et al., ICCV 2017).

    It is shown what the network was shown: the composite, and its mask unless the network goes without.
    """

    def __init__(self, *, mask_free: bool, width: int, team: Team) -> None:
        """Make the discriminator and its optimizer; its gradients are averaged over the team."""
        self.mask_free = mask_free
        self.team = team
        self.discriminator = PatchDiscriminator(3 if mask_free else 4, width).to(team.device)
        self.optimizer = torch.optim.Adam(self.discriminator.parameters(), LEARNING_RATE, BETAS)

    def realism(self, batch: Batch, picture: Tensor) -> Tensor:
        """The network's term: how far (B, 3, H, W) results are from being taken for real."""
        self.discriminator.requires_grad_(False)
        judged = self.discriminator(self.condition(batch), picture)
        return F.mse_loss(judged, torch.ones_like(judged))

    def learn(self, batch: Batch, picture: Tensor) -> None:
        """One step of the discriminator: the truth is real, the network's results are not."""
        self.discriminator.requires_grad_(True)
        real = self.discriminator(self.condition(batch), batch.truth)
        fake = self.discriminator(self.condition(batch), picture.detach())
        loss = 0.5 * (F.mse_loss(real, torch.ones_like(real)) + F.mse_loss(fake, torch.zeros_like(fake)))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.team.average_gradients(self.discriminator.parameters())
        self.optimizer.step()

    def condition(self, batch: Batch) -> Tensor:
        """What the results are of."""
        return batch.composite if self.mask_free else torch.cat([batch.composite, batch.mask], dim=1)

    def state_dict(self) -> dict[str, Any]:
        """All that a checkpoint needs."""
        return {"discriminator": self.discriminator.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])
