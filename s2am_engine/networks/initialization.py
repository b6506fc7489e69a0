# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting a network from colors: its first layers see them, and the others hand on what they are given.

From scratch and on a small budget, a deep network spends most of its training on getting the colors of the two
regions to where they are compared. So a share of the channels starts as what it would have to learn: thresholded
mixes of a region's own color, handed on by every layer as they are (the idea of DiracNets, Zagoruyko & Komodakis,
2017). Architecture and training are as published; the weights are free to leave.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SPREAD = 0.5  # of the thresholds, for colors in [−1, 1]
APART = 2.0  # what is added inside one region and taken away in the other: more than most mixes of colors


def start_small(layer: nn.Module) -> None:
    """Initialize as pix2pix does: convolutions from a normal distribution of deviation 0.02."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, std=0.02)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


@torch.no_grad()
def see_colors(layer: nn.Conv2d | nn.ConvTranspose2d, count: int) -> None:
    """Let the first `count` channels of a first layer be mixes of color: half of them inside the mask, half outside.

    Args:
        layer: 4×4 or 3×3, of (B, 4, H, W): RGB around 0 and the mask in [0, 1]; or of (B, 3, H, W): then everywhere.
        count: how many channels.
    """
    layer.weight[:count] = 0
    middle(layer.weight)[:count, :3] = share(layer) * torch.randn(count, 3)[..., None, None]
    bias = torch.empty(count).uniform_(-SPREAD, SPREAD)
    if layer.in_channels > 3:
        side = 1 - 2.0 * (torch.arange(count) % 2)
        middle(layer.weight)[:count, 3] = share(layer) * 2 * APART * side[:, None, None]
        bias -= APART * side
    if layer.bias is not None:
        layer.bias[:count] = bias


@torch.no_grad()
def hand_on(layer: nn.Conv2d | nn.ConvTranspose2d, count: int, first: int = 0) -> None:
    """Let the first `count` output channels be the input channels from `first` on, averaged or repeated to size."""
    weight = layer.weight if isinstance(layer, nn.Conv2d) else layer.weight.transpose(0, 1)
    weight[:count] = 0
    middle(weight)[range(count), range(first, first + count)] = share(layer)


def middle(weight: Tensor) -> Tensor:
    """The taps in the middle of a kernel (…, k, k): one, or two by two where k is even."""
    size = weight.shape[-1]
    return weight[..., (size - 1) // 2 : size // 2 + 1, (size - 1) // 2 : size // 2 + 1]


def share(layer: nn.Conv2d | nn.ConvTranspose2d) -> float:
    """What each tap in the middle weighs, for the average to stay as it is."""
    taps = 1 if layer.kernel_size[0] % 2 else 4
    return 1.0 if isinstance(layer, nn.ConvTranspose2d) else 1 / taps
