# SPDX-License-Identifier: GPL-3.0-or-later
"""Cells of a picture that know what they show, in which colors, and what the other cells show."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2am_engine.networks.efficientnet import EfficientNetLite0

EPSILON = 1e-4
HEADS = 4
SEEN = {1: 24, 2: 40, 4: 112, 6: 320}  # stages of EfficientNet-Lite0 that are looked at, and their channels
COLORS = 20
NOTHING = 0.02  # a share of a cell that has no colors of its own


class Recognition(nn.Module):
    """From a composite to cells of a sixteenth of its size.

    A cell has EfficientNet-Lite0's features (what is there) and the mean colors and contrasts of its foreground and
    its background. Blocks of self-attention compare it with all others.
    """

    def __init__(self, channels: int, blocks: int, frozen: int, about: int = 0) -> None:
        """Choose the size.

        Args:
            channels: of a cell; a multiple of 4.
            blocks: of self-attention.
            frozen: stages of EfficientNet-Lite0, of seven, that don't learn.
            about: how many numbers about the whole picture every cell is told.
        """
        super().__init__()
        self.trunk = EfficientNetLite0().freeze(frozen)
        # Without weights of its own: PyTorch's backward pass crashes where it has some and its input needs no gradient.
        self.recognize = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(1, count, affine=False), nn.Conv2d(count, channels, 1))
            for count in SEEN.values()
        )
        self.colors = nn.Sequential(nn.Conv2d(COLORS, channels, 1), nn.GELU(), nn.Conv2d(channels, channels, 1))
        self.tell = nn.Linear(about, channels) if about else None
        self.compare = nn.Sequential(*(Comparison(channels) for _ in range(blocks)))

    def forward(self, composite: Tensor, mask: Tensor, given: list[Tensor], about: Tensor | None = None) -> Tensor:
        """Cells of a composite.

        Args:
            composite: (B, 3, H, W) in [0, 1].
            mask: (B, 1, H, W).
            given: what `trunk` gives for the composite.
            about: (B, about) numbers about the whole picture.

        Returns:
            (B, channels, ⌈H/16⌉, ⌈W/16⌉).
        """
        size = (given[4].shape[-2], given[4].shape[-1])
        x = self.colors(cell_colors(composite, mask, size))
        if self.tell is not None and about is not None:
            x = x + self.tell(about)[:, :, None, None]
        for layer, stage in zip(self.recognize, SEEN, strict=True):
            x = x + F.interpolate(layer(given[stage]), size, mode="area" if stage < 4 else "bilinear")
        compared: Tensor = self.compare(x)
        return compared


class Comparison(nn.Module):
    """A transformer block over all positions (Vaswani et al., 2017; pre-normalized)."""

    def __init__(self, channels: int) -> None:
        """Keep the number of channels, a multiple of `HEADS`."""
        super().__init__()
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
            part.flatten(2).unflatten(1, (HEADS, -1)).transpose(2, 3)
            for part in self.project(self.before(x)).chunk(3, dim=1)
        )
        attended = F.scaled_dot_product_attention(query, key, value).transpose(2, 3).flatten(1, 2)
        x = x + self.merge(attended.view_as(x))
        result: Tensor = x + self.think(x)
        return result


def cell_colors(composite: Tensor, mask: Tensor, size: tuple[int, int]) -> Tensor:
    """The colors of cells, and where they lie.

    Of foreground and background the mean, the deviation and whether there is any; the share of foreground; y, x, y²,
    x² and xy in [−1, 1].

    Args:
        composite: (B, 3, H, W) in [0, 1].
        mask: (B, 1, H, W).
        size: rows and columns.

    Returns:
        (B, 20, *size) of order 1.
    """
    parts = []
    for region in (mask, 1 - mask):
        share = F.interpolate(region, size, mode="area")
        of_all = F.interpolate(torch.cat([composite, composite**2], dim=1) * region, size, mode="area")
        mean, square = (of_all / share.clamp_min(EPSILON)).chunk(2, dim=1)
        there = (share > NOTHING).to(composite.dtype)
        deviation = (square - mean**2).clamp_min(1e-6).sqrt()
        parts += [there * (mean - 0.5), there * 4 * deviation, there]
    y, x = (torch.linspace(-1, 1, count).to(composite) for count in size)
    y, x = (axis.expand(composite.shape[0], 1, *size) for axis in (y[:, None], x))
    share = F.interpolate(mask, size, mode="area")
    return torch.cat([*parts, share, y, x, y * y, x * x, x * y], dim=1)
