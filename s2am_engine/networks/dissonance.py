# SPDX-License-Identifier: GPL-3.0-or-later
"""Dissonance: detector that predicts the mask of a pasted region."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2am_engine.networks.attention import region_mean
from s2am_engine.networks.concord import ConvNormAct
from s2am_engine.networks.grid_encoder import GridEncoder
from s2am_engine.networks.mask_network import MaskNetwork, upsample_like
from s2am_engine.networks.spec import NetworkSpec, Recipe, register


class Dissonance(MaskNetwork):
    """Mask prediction by attention among cells, then by comparing the two regions.

    - Grid cells with semantic features and color statistics (`GridEncoder`) attend to each other, which reveals colors
      that are unusual for their object in this image.
    - A coarse mask separates the cells into two regions, whose mean features predict the presence of a pasted region:
      one number.
    - A decoder predicts the mask at a quarter of the size.
    """

    def __init__(self, channels: int = 168, blocks: int = 4) -> None:
        """Choose the size.

        Args:
            channels: per cell; a multiple of 24.
            blocks: number of attention blocks.
        """
        super().__init__()
        self.grid_encoder = GridEncoder(channels, blocks, frozen=3)
        self.first_mask = nn.Conv2d(channels, 1, 1)
        self.presence = nn.Sequential(nn.Linear(4 * channels, channels), nn.GELU(), nn.Linear(channels, 1))
        self.up_to_eighth = ConvNormAct(channels + 40, 60)
        self.up_to_quarter = ConvNormAct(60 + 24 + 3, 36)
        self.mask = nn.Conv2d(36, 1, 1)

    def predict_logits(self, composite: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `MaskNetwork`: the masks are at a quarter of the size and at the cells."""
        features = self.grid_encoder.trunk(composite)
        x = self.grid_encoder(composite, torch.zeros_like(composite[:, :1]), features)
        first = self.first_mask(x)
        region = torch.sigmoid(first)
        regions = [region_mean(x, region), region_mean(x, 1 - region)]
        summary = torch.cat([*regions, regions[0] - regions[1], x.amax(dim=(2, 3))], dim=1)
        presence = self.presence(summary)[:, :, None, None]
        eighth, quarter = features[2], features[1]
        x = self.up_to_eighth(torch.cat([upsample_like(x, eighth), eighth / 8], dim=1))
        colors = F.interpolate(composite, quarter.shape[-2:], mode="area") - 0.5
        x = self.up_to_quarter(torch.cat([upsample_like(x, quarter), quarter / 8, colors], dim=1))
        return self.mask(x), first, presence


DISSONANCE_RECIPE = Recipe("found_mask", 6e-4, weight_decay=0.02, size=128, steps=3000, warm_up=100, detection=True)

register(
    NetworkSpec(
        "dissonance",
        Dissonance,
        "finds the pasted region: compares positions, then regions (this project)",
        DISSONANCE_RECIPE,
        DISSONANCE_RECIPE,
        year=2026,
        default_weights="dissonance",
    )
)
