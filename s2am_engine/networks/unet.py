# SPDX-License-Identifier: GPL-3.0-or-later
"""pix2pix's UNet (Isola et al., CVPR 2017), the backbone of S2AM, and its patch discriminator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from s2am_engine.networks.encoder_decoder import BLOCKS, EncoderDecoder, Place, init_normal
from s2am_engine.networks.spec import PUBLISHED, SMALL, NetworkSpec, register, variant

PAINTED = 3  # channels
DROPPED = 3  # upsampling steps after the first one that have pix2pix's dropout


class UNet(EncoderDecoder):
    """UNet of 4×4 convolutions with LeakyReLU(0.2) and batch normalization, concatenated skips.

    64-128-256-512-512-512-512-512 channels at width 64 and eight levels.
    """

    def __init__(
        self,
        width: int = 64,
        levels: int = 8,
        block: str | Callable[[int], nn.Module] | None = None,
        scales: int = 3,
        place: Place = "skip",
        dropout: float = 0.0,
        masked: bool = True,
    ) -> None:
        """Choose the size and the blocks in the skips.

        Args:
            width: channels of the first level; all others follow.
            levels: halvings; an image of 2^levels pixels ends in one.
            block: None, a block's name (“conv”, “se”, “cbam”), or a function that makes one for a number of channels.
            scales: number of outermost skips with a block.
            place: position of the blocks: on the skip (S2ASC) or after skip and decoder are joined (S2AD).
            dropout: probability in the decoder's inner levels, pix2pix's noise.
            masked: whether the mask is a fourth input channel.

        Raises:
            ValueError: an option out of its range.
        """
        check_unet_size(width, levels, scales)
        channels = [width * min(2**level, 8) for level in range(levels)]
        inputs = [3 + masked, *channels]
        downs = [
            downsampling_layers(inputs[k], inputs[k + 1], outermost=k == 0, innermost=k == levels - 1)
            for k in range(levels)
        ]
        ups = [
            upsampling_layers(
                channels[k] * (1 if k == levels - 1 else 2),
                channels[k - 1] if k else PAINTED,
                outermost=k == 0,
                dropout=dropout if k > 0 and levels - 1 - DROPPED <= k < levels - 1 else 0.0,
            )
            for k in range(levels)
        ]
        make = find_block(block)
        sites = [make(channels[k] * (2 if place == "decoder" else 1)) for k in range(scales)] if make else []
        super().__init__(downs, ups, blocks=sites, place=place, masked=masked)


def check_unet_size(width: int, levels: int, scales: int) -> None:
    """Raise ValueError, naming the option, for a network that cannot be built."""
    if width < 1:
        raise ValueError(f"width must be at least 1, not {width}")
    if levels < 2:
        raise ValueError(f"levels must be at least 2, not {levels}")
    if not 0 <= scales < levels:
        raise ValueError(f"scales must be from 0 to levels − 1 = {levels - 1}, not {scales}")


def find_block(block: str | Callable[[int], nn.Module] | None) -> Callable[[int], nn.Module] | None:
    """Return the block of a name; raise ValueError for an unknown one."""
    if not isinstance(block, str):
        return block
    if block not in BLOCKS:
        raise ValueError(f"block must be one of {', '.join(BLOCKS)}, not “{block}”")
    return BLOCKS[block]


def downsampling_layers(inputs: int, outputs: int, *, outermost: bool, innermost: bool) -> nn.Sequential:
    """Return LeakyReLU, 4×4 convolution of stride 2 and batch normalization, omitted at the ends as in pix2pix."""
    plain = outermost or innermost
    layers: list[nn.Module] = [] if outermost else [nn.LeakyReLU(0.2)]
    layers.append(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=plain))
    return nn.Sequential(*layers, *([] if plain else [nn.BatchNorm2d(outputs)]))


def upsampling_layers(inputs: int, outputs: int, *, outermost: bool, dropout: float) -> nn.Sequential:
    """Return ReLU, 4×4 transposed convolution of stride 2, batch normalization and dropout."""
    layers: list[nn.Module] = [nn.ReLU(), nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=outermost)]
    if not outermost:
        layers.append(nn.BatchNorm2d(outputs))
    return nn.Sequential(*layers, *([nn.Dropout(dropout)] if dropout else []))


class PatchDiscriminator(nn.Module):
    """70×70 patch discriminator, C64-C128-C256-C512-C1, with LeakyReLU(0.2) and batch normalization."""

    def __init__(self, given: int, width: int = 64) -> None:
        """Choose the size.

        Args:
            given: channels of the condition: 3 for a composite, 4 with its mask.
            width: channels of the first layer; all others follow.
        """
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(given + 3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for inputs, outputs, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
            layers += [
                nn.Conv2d(inputs * width, outputs * width, 4, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(outputs * width),
                nn.LeakyReLU(0.2),
            ]
        self.body = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, padding=1))
        self.apply(init_normal)

    def forward(self, condition: Tensor, picture: Tensor) -> Tensor:
        """Judge (B, 3, H, W) images in [0, 1], at least 24 pixels per side: (B, 1, about H/8, about W/8), 1 = real."""
        judged: Tensor = self.body(2 * torch.cat([condition, picture], dim=1) - 1)
        return judged


PIX2PIX_PAPER = "Isola et al., Image-to-Image Translation with Conditional Adversarial Networks, CVPR 2017"
UNET_SMALL = replace(SMALL, options={"width": 16, "levels": 7})
UNET_COMPARED = {"width": 16, "levels": 4}
PIX2PIX_SMALL = replace(UNET_SMALL, loss="pixel_l1", adversarial=1.0)
PIX2PIX_PUBLISHED = replace(PUBLISHED, loss="pixel_l1", adversarial=1.0, learning_rate=2e-4, betas=(0.5, 0.999))
PIX2PIX_OPTIONS = {"dropout": 0.5}

_UNET = NetworkSpec(
    "unet",
    UNet,
    "pix2pix's UNet, the backbone of S2AM, trained without an adversary",
    UNET_SMALL,
    PUBLISHED,
    paper=PIX2PIX_PAPER,
    year=2017,
    comparison=UNET_COMPARED,
)

register(
    _UNET,
    variant(_UNET, "unet-conv", "UNet + a convolution block in the outer skips", options={"block": "conv"}),
    variant(_UNET, "unet-se", "UNet + squeeze-and-excitation in the outer skips", options={"block": "se"}),
    variant(_UNET, "unet-cbam", "UNet + CBAM in the outer skips", options={"block": "cbam"}),
    variant(
        _UNET,
        "pix2pix",
        "UNet with dropout, against a patch discriminator (Isola et al., CVPR 2017)",
        options=PIX2PIX_OPTIONS,
        recipe_small=PIX2PIX_SMALL,
        recipe_published=PIX2PIX_PUBLISHED,
    ),
)
