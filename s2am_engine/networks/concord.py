# SPDX-License-Identifier: GPL-3.0-or-later
"""Concord, this project's own network: region statistics and attention predict curves and a matrix."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2am_engine.networks.attention import ReferenceAttention, RegionGates, region_mean
from s2am_engine.networks.curves import CurvesAndMatrixNetwork
from s2am_engine.networks.spec import NetworkSpec, Recipe, register
from s2am_engine.networks.statistics import RegionStatistics
from s2am_engine.networks.traits import CONTROLS


class Concord(CurvesAndMatrixNetwork):
    """Harmonizer with two branches, region statistics and a convolutional encoder.

    - Region statistics (`RegionStatistics`) pass through a perceptron.
    - A small convolutional encoder has S2AM's gates for each region and FMM's attention from foreground to background.

    The prediction is a tone curve per channel (a smooth deviation from the identity at nine control points) followed by
    a 3×4 matrix. The last layer starts at zero: an untrained network changes nothing.
    """

    def __init__(self, width: int = 48, hidden: int = 384, dropout: float = 0.1) -> None:
        """Choose the size: `width` scales the encoder, `hidden` the perceptrons."""
        super().__init__()
        if width < 24 or width % 24:
            raise ValueError(f"width must be a positive multiple of 24, not {width}")
        self.statistics = RegionStatistics(grid=48)
        self.statistics_branch = statistics_layers(self.statistics.length, hidden, dropout)
        self.stem = nn.Sequential(ConvNormAct(4, width // 2, stride=2), ConvNormAct(width // 2, width, stride=2))
        self.gates = RegionGates(width)
        self.trunk = nn.Sequential(
            ConvNormAct(width, 2 * width, stride=2), ResidualBlock(2 * width), ResidualBlock(2 * width)
        )
        self.attention = ReferenceAttention(2 * width)
        self.compare = ConvNormAct(4 * width, 2 * width)
        self.encoder_branch = nn.Sequential(nn.Dropout(dropout), nn.Linear(6 * width, hidden), nn.GELU())
        self.head = nn.Sequential(
            nn.Linear(2 * hidden, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, 3 * CONTROLS + 12)
        )
        last = self.head[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
        """See `Network.forward`; P = 3 · 9 control points and 12 matrix entries, as deviations from identity."""
        statistics = self.statistics_branch(self.statistics(composite, mask))
        parameters: Tensor = 0.25 * self.head(torch.cat([statistics, self.encode(composite, mask)], dim=1))
        return parameters

    def encode(self, composite: Tensor, mask: Tensor) -> Tensor:
        """Encode composite and mask by the convolutional branch: (B, hidden)."""
        features = self.stem(torch.cat([composite - 0.5, mask - 0.5], dim=1))
        features = self.gates(features, F.interpolate(mask, features.shape[-2:], mode="area"))
        features = self.trunk(features)
        small = F.interpolate(mask, features.shape[-2:], mode="area")
        reference = self.attention(features, small)
        compared = self.compare(torch.cat([features, features - reference], dim=1))
        pooled = [region_mean(compared, small), region_mean(features, small), region_mean(features, 1 - small)]
        encoded: Tensor = self.encoder_branch(torch.cat(pooled, dim=1))
        return encoded


def statistics_layers(inputs: int, hidden: int, dropout: float) -> nn.Sequential:
    """Return the perceptron for region statistics: (B, inputs) to (B, hidden)."""
    return nn.Sequential(
        nn.LayerNorm(inputs),
        nn.Linear(inputs, hidden),
        nn.GELU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        nn.GELU(),
    )


class ConvNormAct(nn.Sequential):
    """3×3 convolution, group normalization, SiLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        """Create layers with `outputs` channels at 1/stride of the size."""
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1), nn.GroupNorm(outputs // 12, outputs), nn.SiLU()
        )


class ResidualBlock(nn.Module):
    """Two 3×3 convolution blocks with a residual connection."""

    def __init__(self, channels: int) -> None:
        """Keep the number of channels."""
        super().__init__()
        self.body = nn.Sequential(ConvNormAct(channels, channels), ConvNormAct(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block; (B, C, h, w) in and out."""
        result: Tensor = x + self.body(x)
        return result


CONCORD_RECIPE = Recipe("foreground_rmse", 1.5e-3, weight_decay=0.02)

register(
    NetworkSpec(
        "concord",
        Concord,
        "region statistics and attention, answered by curves and a matrix (this project)",
        CONCORD_RECIPE,
        CONCORD_RECIPE,
        year=2026,
        default_weights="concord",
        comparison={},
    )
)
