# SPDX-License-Identifier: GPL-3.0-or-later
"""Attention between the two regions of a composite."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPSILON = 1e-6


class RegionGates(nn.Module):
    """S2AM's channel gates, one for each region: pooled features decide which channels matter where.

    The gate of the S2AM paper (average and maximum pooling, two linear layers, sigmoid), but each gate pools its own
    region alone, so that what it knows of the foreground is not diluted by the background.
    """

    def __init__(self, channels: int, reduction: int = 4) -> None:
        """Make the gates of foreground and background."""
        super().__init__()
        self.gates = nn.ModuleList(
            nn.Sequential(
                nn.Linear(2 * channels, channels // reduction), nn.ReLU(), nn.Linear(channels // reduction, channels)
            )
            for _ in range(2)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Gate (B, C, h, w) features under a (B, 1, h, w) mask; no change of shape."""
        gated = torch.zeros_like(x)
        for gate, region in zip(self.gates, (mask, 1 - mask), strict=True):
            peak = (x * region).amax(dim=(2, 3))
            opened = torch.sigmoid(gate(torch.cat([region_mean(x, region), peak], dim=1)))
            gated = gated + 2 * region * opened[:, :, None, None] * x
        return gated


class ReferenceAttention(nn.Module):
    """FMM's idea: each foreground position looks for the background positions that resemble it.

    Queries come from everywhere, keys and values from the background alone (softmax over background positions), so
    that a foreground position receives the features of its reference.
    """

    def __init__(self, channels: int, heads: int = 4) -> None:
        """Make the projections; `heads` divides `channels`."""
        super().__init__()
        self.heads = heads
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, C, h, w) features, (B, 1, h, w) mask to the similarity-weighted background, (B, C, h, w)."""
        query, key, value = (
            layer(x).flatten(2).unflatten(1, (self.heads, -1)).transpose(2, 3)
            for layer in (self.query, self.key, self.value)
        )
        log_background = (1 - mask).flatten(2).clamp_min(EPSILON).log()
        attended = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=log_background.unsqueeze(1))
        return attended.transpose(2, 3).flatten(1, 2).view_as(x)


def region_mean(x: Tensor, region: Tensor) -> Tensor:
    """Average (B, C, h, w) features under (B, 1, h, w) weights: (B, C)."""
    return (x * region).sum(dim=(2, 3)) / region.sum(dim=(2, 3)).clamp_min(EPSILON)
