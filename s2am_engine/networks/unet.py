# SPDX-License-Identifier: GPL-3.0-or-later
"""pix2pix's UNet (Isola et al., CVPR 2017), the backbone of S2AM, and the baselines with other blocks in its skips."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from s2am_engine.networks.encoder_decoder import BLOCKS, EncoderDecoder, Place

PAINTED = 3  # channels
DROPPED = 3  # steps up from the bottom, after the first one, that have pix2pix's dropout


class UNet(EncoderDecoder):
    """Halvings by 4×4 convolutions with LeakyReLU(0.2), doublings with ReLU, batch normalization, concatenated skips.

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
        """Choose the size and what happens in the skips.

        Args:
            width: channels of the first level; all others follow.
            levels: halvings; a picture of 2^levels pixels ends in one.
            block: None, a block's name (“conv”, “se”, “cbam”), or what makes one from its number of channels.
            scales: how many of the outermost skips have a block.
            place: where: on the skip (as S2ASC) or behind the union of skip and decoder (as S2AD).
            dropout: of the decoder's inner levels, pix2pix's noise.
            masked: whether the network is given the mask as a fourth channel.

        Raises:
            ValueError: an option out of its range.
        """
        check_size(width, levels, scales)
        channels = [width * min(2**level, 8) for level in range(levels)]
        inputs = [3 + masked, *channels]
        downs = [halve(inputs[k], inputs[k + 1], outermost=k == 0, innermost=k == levels - 1) for k in range(levels)]
        ups = [
            double(
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


def check_size(width: int, levels: int, scales: int) -> None:
    """Raise ValueError, naming the option, for a network that can't be built."""
    if width < 1:
        raise ValueError(f"width must be at least 1, not {width}")
    if levels < 2:
        raise ValueError(f"levels must be at least 2, not {levels}")
    if not 0 <= scales < levels:
        raise ValueError(f"scales must be from 0 to levels − 1 = {levels - 1}, not {scales}")


def find_block(block: str | Callable[[int], nn.Module] | None) -> Callable[[int], nn.Module] | None:
    """Look a block up by name; raise ValueError for an unknown one."""
    if not isinstance(block, str):
        return block
    if block not in BLOCKS:
        raise ValueError(f"block must be one of {', '.join(BLOCKS)}, not “{block}”")
    return BLOCKS[block]


def halve(inputs: int, outputs: int, *, outermost: bool, innermost: bool) -> nn.Sequential:
    """LeakyReLU, 4×4 convolution of stride 2, batch normalization; neither at the picture, no norm at the bottom."""
    plain = outermost or innermost
    layers: list[nn.Module] = [] if outermost else [nn.LeakyReLU(0.2)]
    layers.append(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=plain))
    return nn.Sequential(*layers, *([] if plain else [nn.BatchNorm2d(outputs)]))


def double(inputs: int, outputs: int, *, outermost: bool, dropout: float) -> nn.Sequential:
    """ReLU, 4×4 transposed convolution of stride 2, batch normalization (not at the picture), dropout."""
    layers: list[nn.Module] = [nn.ReLU(), nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=outermost)]
    if not outermost:
        layers.append(nn.BatchNorm2d(outputs))
    return nn.Sequential(*layers, *([nn.Dropout(dropout)] if dropout else []))
