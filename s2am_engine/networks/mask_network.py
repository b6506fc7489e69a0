# SPDX-License-Identifier: GPL-3.0-or-later
"""Base class of networks that predict a mask and the presence of what it marks, and recolor nothing."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from s2am_engine.networks.network import PixelNetwork, TrainingOutput, check_inputs


class MaskNetwork(PixelNetwork):
    """Network that predicts a mask, and the probability that there is anything to mark.

    The prediction is (B, 5, H, W): the image, the mask, and the presence (constant over the image).
    """

    mask_free = True
    steepness: ClassVar[float] = 1.0  # factor of the mask's logits at inference; more than 1 gives harder edges

    @abstractmethod
    def predict_logits(self, composite: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits for (B, 3, H, W) images in [0, 1].

        The mask at a fraction of the size, a coarser mask, and the presence (B, 1, 1, 1).
        """

    def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
        """See `Network.forward`; the given mask is ignored. Averages the image and its mirror image."""
        fine, _, presence = self.predict_logits(composite)
        mirrored, _, again = self.predict_logits(composite.flip(3))
        where = torch.sigmoid(self.steepness * (fine + mirrored.flip(3)) / 2)
        where = F.interpolate(where, composite.shape[-2:], mode="bilinear")
        whether = torch.sigmoid((presence + again) / 2).expand_as(where)
        return torch.cat([composite, torch.cat([where, whether], dim=1).to(composite.dtype)], dim=1)

    def render(self, predictions: Tensor, composite: Tensor) -> list[Tensor]:
        """See `Network.render`: nothing is recolored."""
        return [composite]

    def forward_training(self, composite: Tensor, mask: Tensor, frozen: list[Tensor] | None = None) -> TrainingOutput:
        """See `Network.forward_training`: masks are the fine one, the coarse one, and the presence (B, 1, 1, 1)."""
        check_inputs(composite, mask)
        return TrainingOutput([composite], [torch.sigmoid(logits.float()) for logits in self.predict_logits(composite)])


def upsample_like(x: Tensor, like: Tensor) -> Tensor:
    """Resize features bilinearly to the height and width of others."""
    return F.interpolate(x, like.shape[-2:], mode="bilinear")
