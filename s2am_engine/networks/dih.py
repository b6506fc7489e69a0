# SPDX-License-Identifier: GPL-3.0-or-later
"""DIH (Tsai et al., Deep Image Harmonization, CVPR 2017), its color branch; with S2AM in its skips, DIH + S2ASC."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from s2am_engine.networks.encoder_decoder import EncoderDecoder
from s2am_engine.networks.s2am import S2AM
from s2am_engine.networks.spec import PUBLISHED, SMALL, NetworkSpec, register, variant
from s2am_engine.networks.unet import UNET_COMPARED

WIDENINGS = (1, 1, 2, 4, 8, 8)  # of the encoder's channels, from 64 to 512
BOTTLENECK_GRID = 4  # positions per side of the fully connected layer's input
HIDDEN = 16  # channels of its bottleneck, in widths: 1,024 at width 64


class DIH(EncoderDecoder):
    """Encoder-decoder with ELU, a fully connected bottleneck, and skips that are added."""

    def __init__(self, width: int = 64, levels: int = 6, scales: int = 0) -> None:
        """Choose the size.

        Args:
            width: channels of the first level; all others follow.
            levels: halvings, 2 to 6.
            scales: number of outermost skips that are replaced by S2AM: 0, or 3 for DIH + S2ASC.

        Raises:
            ValueError: an option out of its range.
        """
        if width < 1:
            raise ValueError(f"width must be at least 1, not {width}")
        if not 2 <= levels <= len(WIDENINGS):
            raise ValueError(f"levels must be from 2 to {len(WIDENINGS)}, not {levels}")
        if not 0 <= scales < levels:
            raise ValueError(f"scales must be from 0 to levels − 1 = {levels - 1}, not {scales}")
        channels = [width * widening for widening in WIDENINGS[:levels]]
        downs = [down_block(inputs, outputs) for inputs, outputs in zip([4, *channels], channels, strict=False)]
        ups = [
            up_block(channels[k], channels[k - 1]) if k else nn.ConvTranspose2d(channels[0], 3, 4, stride=2, padding=1)
            for k in range(levels)
        ]
        super().__init__(
            downs,
            ups,
            bottleneck=FullyConnected(channels[-1], HIDDEN * width),
            concatenate=False,
            blocks=[S2AM(channels[k]) for k in range(scales)],
        )


class FullyConnected(nn.Module):
    """Fully connected bottleneck, through which every position influences every other.

    It is fully connected on a grid of fixed size, to and from which the features are resized, so the network
    takes images of any size.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        """Make both layers."""
        super().__init__()
        self.inwards = nn.Linear(channels * BOTTLENECK_GRID**2, hidden)
        self.outwards = nn.Linear(hidden, channels * BOTTLENECK_GRID**2)

    def forward(self, x: Tensor) -> Tensor:
        """Mix all positions; (B, C, h, w) in and out."""
        pooled = F.adaptive_avg_pool2d(x, BOTTLENECK_GRID).flatten(1)
        mixed = F.elu(self.outwards(F.elu(self.inwards(pooled))))
        return F.interpolate(
            mixed.view(x.shape[0], -1, BOTTLENECK_GRID, BOTTLENECK_GRID), x.shape[-2:], mode="bilinear"
        )


def down_block(inputs: int, outputs: int) -> nn.Sequential:
    """Return a 4×4 convolution of stride 2 with batch normalization and ELU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ELU()
    )


def up_block(inputs: int, outputs: int) -> nn.Sequential:
    """Return a 4×4 transposed convolution of stride 2 with batch normalization and ELU."""
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ELU()
    )


_DIH = NetworkSpec(
    "dih",
    DIH,
    "encoder-decoder with a fully connected bottleneck, its color branch (Tsai et al., CVPR 2017)",
    SMALL,
    PUBLISHED,
    paper="Tsai et al., Deep Image Harmonization, CVPR 2017",
    year=2017,
    comparison=UNET_COMPARED,
)

register(_DIH, variant(_DIH, "dih-s2asc", "DIH + S2AM in the outer skips", options={"scales": 3}))
