# SPDX-License-Identifier: GPL-3.0-or-later
"""Encoder-decoder with skips, shared by the networks that predict pixels, and its initialization."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2am_engine.networks.attention import CBAM, SqueezeExcitation
from s2am_engine.networks.network import PixelNetwork

Convolution = nn.Conv2d | nn.ConvTranspose2d
Place = Literal["skip", "decoder"]
Block = Callable[[int], nn.Module]  # channels to a module that takes features (B, C, h, w) and a mask (B, 1, h, w)


SPREAD = 0.5  # of the thresholds, for colors in [−1, 1]
REGION_OFFSET = 2.0  # added inside one region and subtracted in the other; exceeds most mixes of colors


class ConvBlock(nn.Module):
    """Two 3×3 convolutions, C → 2C → C, with batch normalization and ELU: S2AM's L, also a baseline on its own."""

    def __init__(self, channels: int) -> None:
        """Keep the number of channels."""
        super().__init__()
        self.body = nn.Sequential(*conv_bn_elu(channels, 2 * channels), *conv_bn_elu(2 * channels, channels))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Apply the block; (B, C, h, w) in and out. A mask is ignored."""
        result: Tensor = self.body(x)
        return result


def conv_bn_elu(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    """Return a convolution with batch normalization and ELU that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ELU()


BLOCKS: dict[str, Block] = {"conv": ConvBlock, "se": SqueezeExcitation, "cbam": CBAM}


class EncoderDecoder(PixelNetwork):
    """Encoder-decoder with skips and blocks at the outermost levels.

    It predicts a residual: output = I + decoder(…). The papers do not specify this; with it, an untrained network is
    the identity, and spends none of a small training budget on copying pixels.
    """

    def __init__(
        self,
        downs: Sequence[nn.Module],
        ups: Sequence[nn.Module],
        *,
        bottleneck: nn.Module | None = None,
        concatenate: bool = True,
        blocks: Sequence[nn.Module] = (),
        place: Place = "skip",
        masked: bool = True,
    ) -> None:
        """Assemble the network from its layers.

        Args:
            downs: from the image to the bottleneck, each of which halves the size.
            ups: from the image's size to the bottleneck's (ups[k] undoes downs[k]), each of which doubles the size.
            bottleneck: module between the last downsampling and the first upsampling step; None = identity.
            concatenate: skips are concatenated (UNet), else added (DIH).
            blocks: for the outermost skips, the outermost first.
            place: position of the blocks: on the skip, or after skip and decoder are joined.
            masked: whether the mask is a fourth input channel.
        """
        super().__init__()
        if place not in ("skip", "decoder"):
            raise ValueError(f"place must be “skip” or “decoder”, not “{place}”")
        self.downs = nn.ModuleList(downs)
        self.ups = nn.ModuleList(ups)
        self.bottleneck = bottleneck or nn.Identity()
        self.concatenate = concatenate
        self.blocks = nn.ModuleList(blocks)
        self.place = place
        self.masked = masked
        self.apply(init_normal)
        self.init_from_colors()

    def init_from_colors(self) -> None:
        """Initialize so that channels carry colors down and up, and the output is the composite.

        From scratch and with a small budget, a deep network spends most of its training on getting the colors of the
        two regions to where they are compared. A share of the channels therefore starts as thresholded mixes of a
        region's own color that every layer passes on (the idea of DiracNets, Zagoruyko & Komodakis, 2017).
        Architecture and training are as published.
        """
        downs, ups = ([find_convolution(step) for step in steps] for steps in (self.downs, self.ups))
        width = downs[0].out_channels
        carried = width - width // 4
        init_color_channels(downs[0], carried)
        for down in downs[1:]:
            init_identity_channels(down, carried)
        for up in ups[1:]:
            # Of the concatenated skip and decoder, use the decoder's half, which depends on the whole image.
            joined = self.concatenate and up is not ups[-1]
            init_identity_channels(up, min(carried, up.out_channels), up.in_channels // 2 if joined else 0)
        nn.init.zeros_(ups[0].weight)

    def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
        """See `Network.forward`."""
        mask = pad_to_multiple(mask, 2 ** len(self.downs))
        return self.run(composite, mask if self.masked else None, lambda level, x: self.blocks[level](x, mask))

    def run(self, composite: Tensor, mask: Tensor | None, apply_block: Callable[[int, Tensor], Tensor]) -> Tensor:
        """Predict (B, 3, H, W) images of any size.

        Args:
            composite: (B, 3, H, W) in [0, 1].
            mask: (B, 1, H, W), or padded as the composite will be; None for a network without that channel.
            apply_block: applies the block of a level to its features (B, C, h, w).
        """
        size, multiple = composite.shape[-2:], 2 ** len(self.downs)
        composite = pad_to_multiple(composite, multiple)
        x = 2 * composite - 1
        if mask is not None:
            x = torch.cat([x, pad_to_multiple(mask, multiple)], dim=1)
        skips: list[Tensor] = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
        x = self.bottleneck(x)
        for level in reversed(range(len(self.downs) - 1)):
            x, skip = self.ups[level + 1](x), skips[level]
            has_block = level < len(self.blocks)
            if has_block and self.place == "skip":
                skip = apply_block(level, skip)
            x = torch.cat([skip, x], dim=1) if self.concatenate else skip + x
            if has_block and self.place == "decoder":
                x = apply_block(level, x)
        painted: Tensor = composite + self.ups[0](x)
        return painted[..., : size[0], : size[1]]


def find_convolution(step: nn.Module) -> Convolution:
    """Return the one convolution of a down- or upsampling step."""
    return next(layer for layer in step.modules() if isinstance(layer, Convolution))


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Replicate the right and lower border of (B, C, H, W) until both sides are multiples."""
    height, width = x.shape[-2:]
    right, bottom = -width % multiple, -height % multiple
    return F.pad(x, (0, right, 0, bottom), mode="replicate") if right or bottom else x


def init_normal(layer: nn.Module) -> None:
    """Initialize convolutions as pix2pix does, from a normal distribution with standard deviation 0.02."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, std=0.02)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


@torch.no_grad()
def init_color_channels(layer: nn.Conv2d | nn.ConvTranspose2d, count: int) -> None:
    """Initialize a first layer's first `count` channels as mixes of color, half inside the mask, half outside.

    Args:
        layer: 4×4 or 3×3, of (B, 4, H, W): RGB around 0 and the mask in [0, 1]; or of (B, 3, H, W): then everywhere.
        count: how many channels.
    """
    layer.weight[:count] = 0
    center_taps(layer.weight)[:count, :3] = tap_weight(layer) * torch.randn(count, 3)[..., None, None]
    bias = torch.empty(count).uniform_(-SPREAD, SPREAD)
    if layer.in_channels > 3:
        side = 1 - 2.0 * (torch.arange(count) % 2)
        center_taps(layer.weight)[:count, 3] = tap_weight(layer) * 2 * REGION_OFFSET * side[:, None, None]
        bias -= REGION_OFFSET * side
    if layer.bias is not None:
        layer.bias[:count] = bias


@torch.no_grad()
def init_identity_channels(layer: nn.Conv2d | nn.ConvTranspose2d, count: int, first: int = 0) -> None:
    """Initialize the first `count` output channels to pass on the input channels from `first` on."""
    weight = layer.weight if isinstance(layer, nn.Conv2d) else layer.weight.transpose(0, 1)
    weight[:count] = 0
    center_taps(weight)[range(count), range(first, first + count)] = tap_weight(layer)


def center_taps(weight: Tensor) -> Tensor:
    """Return the central taps of a kernel (…, k, k): one, or 2×2 if k is even."""
    size = weight.shape[-1]
    return weight[..., (size - 1) // 2 : size // 2 + 1, (size - 1) // 2 : size // 2 + 1]


def tap_weight(layer: nn.Conv2d | nn.ConvTranspose2d) -> float:
    """Return the weight of each central tap that preserves the average."""
    taps = 1 if layer.kernel_size[0] % 2 else 4
    return 1.0 if isinstance(layer, nn.ConvTranspose2d) else 1 / taps
