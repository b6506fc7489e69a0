# SPDX-License-Identifier: GPL-3.0-or-later
"""pix2pix's 70×70 patch discriminator (Isola et al., CVPR 2017): is each patch real, given what it is a picture of?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from s2am_engine.networks.initialization import start_small


class PatchDiscriminator(nn.Module):
    """C64-C128-C256-C512-C1: 4×4 convolutions, LeakyReLU(0.2), batch normalization but at both ends."""

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
        self.apply(start_small)

    def forward(self, condition: Tensor, picture: Tensor) -> Tensor:
        """Judge (B, 3, H, W) pictures in [0, 1] of 24 pixels or more a side: (B, 1, about H/8, about W/8), 1 = real."""
        judged: Tensor = self.body(2 * torch.cat([condition, picture], dim=1) - 1)
        return judged
