# SPDX-License-Identifier: GPL-3.0-or-later
"""Dissonance, this project's own detector: which part of a picture was seen in another light, by another camera?"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2am_engine.networks.attention import RegionGates, region_mean
from s2am_engine.networks.concord import ConvBlock, ResidualBlock
from s2am_engine.networks.network import PaintNetwork, Rendered, check_inputs


class Dissonance(PaintNetwork):
    """The descendant of mask-free S2AM: every place is compared with every other, then regions with each other.

    - Self-attention at an eighth of the size: is this place's colour what the rest of the picture leads to expect?
    - A first mask there separates features into two regions, each with S2AM's channel gates, and what the regions have
      on average says whether they differ at all: the presence of something pasted, one number.
    - A decoder draws the mask at half of the size. What is answered is mask times presence: a picture of one piece
      gets no mask.

    It answers with (B, 4, H, W): the composite as it is, and that mask.
    """

    mask_free = True
    recolours_nothing = True

    def __init__(self, width: int = 48, blocks: int = 3, heads: int = 4) -> None:
        """Choose the size.

        Args:
            width: channels at a quarter of the size; a multiple of 24.
            blocks: of self-attention.
            heads: of each; divides 2 · width.
        """
        super().__init__()
        if width < 24 or width % 24:
            raise ValueError(f"width must be a positive multiple of 24, not {width}")
        deep = 2 * width
        self.stem = ConvBlock(3, width // 2, stride=2)
        self.quarter = ConvBlock(width // 2, width, stride=2)
        self.eighth = nn.Sequential(ConvBlock(width, deep, stride=2), ResidualBlock(deep))
        self.compare = nn.Sequential(*(Comparison(deep, heads) for _ in range(blocks)))
        self.first_mask = nn.Conv2d(deep, 1, 1)
        self.gates = RegionGates(deep)
        self.presence = nn.Sequential(nn.Linear(4 * deep, deep), nn.GELU(), nn.Linear(deep, 1))
        self.up_to_quarter = ConvBlock(deep + width, width)
        self.up_to_half = ConvBlock(width + width // 2, width // 2)
        self.mask = nn.Conv2d(width // 2, 1, 1)

    def answer(self, composite: Tensor, mask: Tensor) -> Tensor:
        """See `Network.forward`; the mask does not count."""
        found = F.interpolate(self.find(composite)[0], composite.shape[-2:], mode="bilinear")
        return torch.cat([composite, found.to(composite.dtype)], dim=1)

    def render(self, answers: Tensor, composite: Tensor) -> list[Tensor]:
        """See `Network.render`: nothing is recoloured."""
        return [composite]

    def rendered(self, composite: Tensor, mask: Tensor) -> Rendered:
        """See `Network.rendered`: the mask at half of the size, the first one at an eighth."""
        check_inputs(composite, mask)
        return Rendered([composite], [found.float() for found in self.find(composite)])

    def find(self, composite: Tensor) -> list[Tensor]:
        """The masks of (B, 3, H, W) composites: (B, 1, ⌈H/2⌉, ⌈W/2⌉), and the first one at an eighth of the size."""
        half = self.stem(composite - 0.5)
        quarter = self.quarter(half)
        x = self.compare(self.eighth(quarter))
        first = torch.sigmoid(self.first_mask(x))
        x = self.gates(x, first)
        regions = [region_mean(x, first), region_mean(x, 1 - first)]
        told = torch.cat([*regions, regions[0] - regions[1], x.amax(dim=(2, 3))], dim=1)
        presence = torch.sigmoid(self.presence(told))[:, :, None, None]
        x = self.up_to_quarter(torch.cat([enlarged(x, quarter), quarter], dim=1))
        x = self.up_to_half(torch.cat([enlarged(x, half), half], dim=1))
        return [presence * torch.sigmoid(self.mask(x)), first]


class Comparison(nn.Module):
    """A transformer block over all positions (Vaswani et al., 2017; pre-normalised)."""

    def __init__(self, channels: int, heads: int) -> None:
        """Keep the number of channels, which `heads` divides."""
        super().__init__()
        self.heads = heads
        self.before = nn.GroupNorm(1, channels)
        self.project = nn.Conv2d(channels, 3 * channels, 1)
        self.merge = nn.Conv2d(channels, channels, 1)
        self.place = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.think = nn.Sequential(
            nn.GroupNorm(1, channels),
            nn.Conv2d(channels, 2 * channels, 1),
            nn.GELU(),
            nn.Conv2d(2 * channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same."""
        x = x + self.place(x)  # where a position is, as its surroundings tell it
        query, key, value = (
            part.flatten(2).unflatten(1, (self.heads, -1)).transpose(2, 3)
            for part in self.project(self.before(x)).chunk(3, dim=1)
        )
        attended = F.scaled_dot_product_attention(query, key, value).transpose(2, 3).flatten(1, 2)
        x = x + self.merge(attended.view_as(x))
        result: Tensor = x + self.think(x)
        return result


def enlarged(x: Tensor, like: Tensor) -> Tensor:
    """Features at the size of others, bilinearly."""
    return F.interpolate(x, like.shape[-2:], mode="bilinear")
