# SPDX-License-Identifier: GPL-3.0-or-later
"""FMM (Hao, Iizuka & Fukui, BMVC 2020): attention-based modulation of foreground features by background features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2am_engine.networks.attention import _EPSILON, resize_mask
from s2am_engine.networks.network import PixelNetwork
from s2am_engine.networks.spec import PUBLISHED, SMALL, NetworkSpec, register, variant

MEAN = 0.4462414  # of the images, as published
KEY_REDUCTION = 8
DECODER = (128, 32, 16)  # minimum number of channels: narrower layers would be a bottleneck for colors
SHARPNESS = 4.0  # of the attention at the start, in PyTorch's usual weights


class FMM(PixelNetwork):
    """Nine 3×3 convolutions down to 1/8, attention, and three upsampling steps; output = I + tanh(·)."""

    def __init__(self, width: int = 64, attention: bool = True, modulation: bool = True) -> None:
        """Choose the size and the parts of the module that the ablation of the paper removes.

        Args:
            width: channels of the first layer, 64 as published; those of encoder and module follow.
            attention: with self-attention (without: “module without self-attention”).
            modulation: with the modulation (without both: “backbone”).
        """
        super().__init__()
        if width < 1:
            raise ValueError(f"width must be at least 1, not {width}")
        w = width
        self.down_half = nn.Sequential(conv_bn_relu(4, w, stride=2), conv_bn_relu(w, 2 * w))
        self.down_quarter = nn.Sequential(conv_bn_relu(2 * w, 4 * w, stride=2), conv_bn_relu(4 * w, 4 * w))
        self.down_eighth = nn.Sequential(
            conv_bn_relu(4 * w, 8 * w, stride=2), *(conv_bn_relu(8 * w, 8 * w) for _ in range(3))
        )
        self.narrow = conv_bn_relu(8 * w, 4 * w)
        self.attention = SelfAttention(4 * w) if attention else nn.Identity()
        self.modulation = Modulation(4 * w) if modulation else None
        quarter, half, whole = DECODER
        self.up_quarter = conv_bn_relu((4 + 8) * w, quarter)
        self.up_half = conv_bn_relu(quarter + 4 * w, half)
        self.up_whole = conv_bn_relu(half + 2 * w, whole)
        self.last = nn.Conv2d(whole, 3, 3, padding=1)
        # An untrained network changes nothing.
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
        """See `Network.forward`: clamp(I + tanh(decoder), 0, 1)."""
        half = self.down_half(torch.cat([composite - MEAN, mask], dim=1))
        quarter = self.down_quarter(half)
        eighth = self.down_eighth(quarter)
        x = self.attention(self.narrow(eighth))
        if self.modulation is not None:
            x = self.modulation(x, mask)
        x = self.up_quarter(enlarge(torch.cat([x, eighth], dim=1), quarter))
        x = self.up_half(enlarge(torch.cat([x, quarter], dim=1), half))
        x = self.up_whole(enlarge(torch.cat([x, half], dim=1), composite))
        return (composite + torch.tanh(self.last(x))).clamp(0, 1)


class Modulation(nn.Module):
    """FB-FMM: h + γ · h_f · σ(h_b^a) / σ(h_f), where h_b^a is background attended to by the foreground.

    h_f = M·h gives the queries, h_b = M'·h keys and values; σ is each channel's standard deviation over space;
    γ is learned from 0.
    """

    def __init__(self, channels: int) -> None:
        """Make the attention's 1×1 convolutions."""
        super().__init__()
        self.attend = CrossAttention(channels)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        """Modulate (B, C, h, w) features under a (B, 1, H, W) mask."""
        mask = resize_mask(mask, h)
        foreground = mask * h
        attended = self.attend(foreground, (1 - mask) * h)
        modulated: Tensor = h + self.gamma * foreground * deviation(attended) / deviation(foreground)
        return modulated


class SelfAttention(nn.Module):
    """SAGAN's self-attention (Zhang et al., ICML 2019): h + γ · attention(h, h), γ learned from 0."""

    def __init__(self, channels: int) -> None:
        """Make the 1×1 convolutions."""
        super().__init__()
        self.attend = CrossAttention(channels)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, h: Tensor) -> Tensor:
        """Apply attention; (B, C, h, w) in and out."""
        attended: Tensor = h + self.gamma * self.attend(h, h)
        return attended


class CrossAttention(nn.Module):
    """Attention from one map to another: query and key C/8, value C, softmax over positions."""

    def __init__(self, channels: int) -> None:
        """Make the 1×1 convolutions."""
        super().__init__()
        narrow = max(1, channels // KEY_REDUCTION)
        self.query = nn.Conv2d(channels, narrow, 1)
        self.key = nn.Conv2d(channels, narrow, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        # Similar positions attend to each other from the start. With similarities near 0, every position would get the
        # same mean, and the modulation, which is based on the deviation of the predictions, would have little effect.
        with torch.no_grad():
            self.query.weight *= SHARPNESS
            self.key.weight.copy_(self.query.weight)

    def forward(self, queries: Tensor, context: Tensor) -> Tensor:
        """Attend from the positions of one (B, C, h, w) map to those of another of that shape: (B, C, h, w)."""
        query, key, value = (
            layer(x).flatten(2).transpose(1, 2).unsqueeze(1)  # one head, because ONNX needs that dimension
            for layer, x in ((self.query, queries), (self.key, context), (self.value, context))
        )
        # SAGAN does not divide the similarities by the root of the keys' length.
        attended = F.scaled_dot_product_attention(query, key, value, scale=1.0).squeeze(1)
        return attended.transpose(1, 2).unflatten(2, queries.shape[-2:])


def conv_bn_relu(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Return a 3×3 convolution with batch normalization and ReLU, at 1/stride of the size."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def enlarge(x: Tensor, like: Tensor) -> Tensor:
    """Enlarge (B, C, h, w) bilinearly to the height and width of `like`."""
    return F.interpolate(x, like.shape[-2:], mode="bilinear")


def deviation(x: Tensor) -> Tensor:
    """Return the standard deviation of each channel over space: (B, C, h, w) to (B, C, 1, 1)."""
    return (x.float().var(dim=(2, 3), keepdim=True, unbiased=False) + _EPSILON).sqrt().to(x.dtype)


_FMM = NetworkSpec(
    "fmm",
    FMM,
    "self-attention, and background attention that modulates the foreground (Hao et al., BMVC 2020)",
    SMALL,
    PUBLISHED,
    paper="Hao, Iizuka & Fukui, Image Harmonization with Attention-based Deep Feature Modulation, BMVC 2020",
    year=2020,
    default_weights="fmm",
    comparison={"width": 16},
)

register(
    _FMM,
    variant(_FMM, "fmm-no-attention", "FMM without self-attention", options={"attention": False}),
    variant(_FMM, "fmm-no-modulation", "FMM with self-attention alone", options={"modulation": False}),
    variant(_FMM, "fmm-backbone", "FMM's encoder-decoder alone", options={"attention": False, "modulation": False}),
)
