# SPDX-License-Identifier: GPL-3.0-or-later
"""Attention modules: gates on channels and positions, and attention from the foreground to the background."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_EPSILON = 1e-6
REDUCTION = 16  # bottleneck of the channels inside a gate, as in SE, CBAM and S2AM


class ChannelGate(nn.Module):
    """S2AM's channel gate G: weights channels by their average and maximum (S2AM, section 3.1).

    sigmoid(Linear(ReLU(Linear([average, maximum])))) · x, 2C → C/16 → C.
    """

    def __init__(self, channels: int) -> None:
        """Make the two linear layers."""
        super().__init__()
        self.gate = gate_layers(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Gate features; (B, C, h, w) in and out."""
        pooled = torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)
        gated: Tensor = x * torch.sigmoid(self.gate(pooled))[:, :, None, None]
        return gated


class SqueezeExcitation(nn.Module):
    """SE block (Hu et al., CVPR 2018): sigmoid(Linear(ReLU(Linear(average)))) · x."""

    def __init__(self, channels: int) -> None:
        """Make the two linear layers."""
        super().__init__()
        self.gate = gate_layers(channels, channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Gate features; (B, C, h, w) in and out. The mask is ignored."""
        gated: Tensor = x * torch.sigmoid(self.gate(x.mean(dim=(2, 3))))[:, :, None, None]
        return gated


class CBAM(nn.Module):
    """Convolutional block attention (Woo et al., ECCV 2018): a gate on channels, then one on positions."""

    def __init__(self, channels: int) -> None:
        """Make the shared linear layers and the 7×7 convolution."""
        super().__init__()
        self.gate = gate_layers(channels, channels)
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Gate features; (B, C, h, w) in and out. The mask is ignored."""
        channels = torch.sigmoid(self.gate(x.mean(dim=(2, 3))) + self.gate(x.amax(dim=(2, 3))))
        x = x * channels[:, :, None, None]
        gated: Tensor = x * torch.sigmoid(self.spatial(pool_channels(x)))
        return gated


class SpatialAttention(nn.Module):
    """Mask prediction of mask-free S2AM from features (S2AM, section 3.2, figure 4b)."""

    def __init__(self, hidden: int = 16) -> None:
        """Make the two 7×7 convolutions."""
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(2, hidden, 7, padding=3, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ELU(),
            nn.Conv2d(hidden, 1, 7, padding=3),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Predict a mask: (B, C, h, w) features to (B, 1, h, w) in [0, 1]."""
        return torch.sigmoid(self.body(pool_channels(x)))


def gate_layers(inputs: int, channels: int) -> nn.Sequential:
    """Return two linear layers with a bottleneck of channels/16 (at least 4, for narrow networks)."""
    hidden = max(4, channels // REDUCTION)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, channels))


def pool_channels(x: Tensor) -> Tensor:
    """Return average and maximum over the channels: (B, C, h, w) to (B, 2, h, w)."""
    return torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)


def resize_mask(mask: Tensor, like: Tensor) -> Tensor:
    """Resize a (B, 1, H, W) mask to the size of (B, C, h, w) features by area averaging."""
    return F.interpolate(mask, like.shape[-2:], mode="area").to(like.dtype)


class RegionGates(nn.Module):
    """S2AM's channel gates for each region: each gate pools its own region only.

    The gate of the S2AM paper (average and maximum pooling, two linear layers, sigmoid), but each gate pools its own
    region alone, so the background does not dilute its statistics of the foreground.
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
    """Attention from every position to similar background positions (the idea of FMM).

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
        """Return the similarity-weighted background: features (B, C, h, w), mask (B, 1, h, w) to (B, C, h, w)."""
        query, key, value = (
            layer(x).flatten(2).unflatten(1, (self.heads, -1)).transpose(2, 3)
            for layer in (self.query, self.key, self.value)
        )
        log_background = (1 - mask).flatten(2).clamp_min(_EPSILON).log()
        attended = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=log_background.unsqueeze(1))
        return attended.transpose(2, 3).flatten(1, 2).view_as(x)


def region_mean(x: Tensor, region: Tensor) -> Tensor:
    """Average (B, C, h, w) features under (B, 1, h, w) weights: (B, C)."""
    return (x * region).sum(dim=(2, 3)) / region.sum(dim=(2, 3)).clamp_min(_EPSILON)
