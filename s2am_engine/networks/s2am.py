# SPDX-License-Identifier: GPL-3.0-or-later
"""S2AM (Cun & Pun, IEEE TIP 29, 2020, arXiv 1907.06406): the spatial-separated attention module and its UNets."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2am_engine.networks.attention import ChannelGate, SpatialAttention, resize_mask
from s2am_engine.networks.encoder_decoder import ConvBlock, Place
from s2am_engine.networks.network import TrainingOutput, check_inputs
from s2am_engine.networks.spec import PUBLISHED, NetworkSpec, register, variant
from s2am_engine.networks.traits import PredictedPixels, PredictionFormat
from s2am_engine.networks.unet import PIX2PIX_OPTIONS, PIX2PIX_PUBLISHED, PIX2PIX_SMALL, UNET_COMPARED, UNET_SMALL, UNet

KERNEL = 7  # pixels, as in the paper
SIGMA = 1.0  # pixels, as in the authors' code


class S2AM(nn.Module):
    """Spatial-separated attention: y = M · [L(G_fg(x)) + G_mix(x)] + M' · G_bg(x) (eq. 1).

    M and M' = 1 − M are the mask at the features' size, each smoothed by a Gaussian, which is the same as smoothing
    M alone.
    """

    def __init__(
        self, channels: int, *, gates: bool = True, mix: bool = True, gaussian: bool = True, learnable: bool = True
    ) -> None:
        """Create the module, complete or without a part (table 4 of the paper).

        Args:
            channels: C of the features.
            gates: with the three channel gates; without them the features are unchanged.
            mix: with G_mix.
            gaussian: with a smoothed mask.
            learnable: with the block L.
        """
        super().__init__()
        gate = ChannelGate if gates else nn.Identity
        self.foreground = gate(channels)
        self.background = gate(channels)
        self.mix = gate(channels) if mix else None
        self.learnable = ConvBlock(channels) if learnable else nn.Identity()
        self.gaussian = gaussian

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Apply attention to (B, C, h, w) features under a (B, 1, H, W) mask of any size."""
        mask = resize_mask(mask, x)
        if self.gaussian:
            mask = smooth(mask)
        foreground = self.learnable(self.foreground(x))
        if self.mix is not None:
            foreground = foreground + self.mix(x)
        separated: Tensor = mask * foreground + (1 - mask) * self.background(x)
        return separated


def smooth(mask: Tensor) -> Tensor:
    """Smooth a (B, 1, h, w) mask by a 7×7 Gaussian with replicated borders."""
    distance = torch.arange(KERNEL, device=mask.device, dtype=mask.dtype) - KERNEL // 2
    line = torch.exp(-(distance**2) / (2 * SIGMA**2))
    line = line / line.sum()
    padded = F.pad(mask, (KERNEL // 2,) * 4, mode="replicate")
    return F.conv2d(padded, line.outer(line)[None, None])


class S2AMUNet(UNet):
    """UNet with S2AM at its outermost levels: on the skips (S2ASC) or after skip and decoder are joined (S2AD)."""

    def __init__(
        self,
        width: int = 64,
        levels: int = 8,
        place: Place = "decoder",
        scales: int = 3,
        gates: bool = True,
        mix: bool = True,
        gaussian: bool = True,
        learnable: bool = True,
        dropout: float = 0.0,
        masked: bool = True,
    ) -> None:
        """Choose the UNet (see `UNet`) and the parts of its modules (see `S2AM`)."""
        module = partial(S2AM, gates=gates, mix=mix, gaussian=gaussian, learnable=learnable)
        super().__init__(width, levels, module, scales, place, dropout, masked)


class MaskFreeS2AM(S2AMUNet):
    """UNet + S2AD that predicts the mask: each module's mask comes from spatial attention.

    The prediction is (B, 4, H, W): the generator's image I_g, and Up(M_2s), the finest predicted mask.
    """

    mask_free = True

    def __init__(self, width: int = 64, levels: int = 8, place: Place = "decoder", scales: int = 3) -> None:
        """Choose the UNet, see `UNet`. The masks are soft already: no Gaussian.

        Raises:
            ValueError: an option out of its range; without a module (scales=0) there would be no mask.
        """
        if scales < 1:
            raise ValueError(f"scales must be at least 1, not {scales}: the mask comes from the modules")
        super().__init__(width, levels, place, scales, gaussian=False, masked=False)
        sites = range(len(self.blocks))
        self.attention = nn.ModuleList([SpatialAttention() for _ in sites])

    def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
        """See `Network.forward`; the mask is ignored."""
        return self.find_and_paint(composite)[0]

    @property
    def prediction_format(self) -> PredictionFormat:
        """See `Network.prediction_format`."""
        return PredictedPixels(blended=True)

    def render(self, predictions: Tensor, composite: Tensor) -> list[Tensor]:
        """See `Network.render`: I_final = I_g ⊗ Up(M_2s) + I ⊗ (1 − Up(M_2s)) (eq. 2)."""
        return [torch.lerp(composite, predictions[:, :3], predictions[:, 3:])]

    def forward_training(self, composite: Tensor, mask: Tensor, frozen: list[Tensor] | None = None) -> TrainingOutput:
        """See `Network.forward_training`."""
        check_inputs(composite, mask)
        predictions, masks = self.find_and_paint(composite)
        with torch.autocast(composite.device.type, enabled=False):
            return TrainingOutput(self.render(predictions.float(), composite), [found.float() for found in masks])

    def find_and_paint(self, composite: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return predictions for (B, 3, H, W) composites, and the masks of all levels, the finest first."""
        masks: list[Tensor] = []

        def apply_block(level: int, x: Tensor) -> Tensor:
            mask = self.attention[level](x)
            masks.insert(0, crop_like(mask, composite, 2 ** (level + 1)))
            separated: Tensor = self.blocks[level](x, mask)
            return separated

        picture = self.run(composite, None, apply_block)
        finest = crop_like(F.interpolate(masks[0], scale_factor=2, mode="bilinear"), composite, 1)
        return torch.cat([picture, finest.to(picture.dtype)], dim=1), masks


def crop_like(features: Tensor, picture: Tensor, scale: int) -> Tensor:
    """Remove the part of (B, C, h, w) features at 1/scale that stands for an image's padding."""
    height, width = (-(-length // scale) for length in picture.shape[-2:])
    return features[..., :height, :width]


S2AM_PAPER = "Cun & Pun, Improving the Harmony of the Composite Image by Spatial-Separated Attention Module, TIP 2020"
_MASK_FREE: dict[str, Any] = {"loss": "attention_and_pixels", "adversarial": 1.0}
_ON_SKIPS = {"place": "skip"}

_S2AD = NetworkSpec(
    "s2am-s2ad",
    S2AMUNet,
    "UNet + S2AM in the outer decoder (Cun & Pun, TIP 2020)",
    UNET_SMALL,
    PUBLISHED,
    paper=S2AM_PAPER,
    year=2020,
    default_weights="s2am-s2ad",
    comparison=UNET_COMPARED,
)
_S2ASC = variant(_S2AD, "s2am-s2asc", "UNet + S2AM in the outer skips (Cun & Pun, TIP 2020)", options=_ON_SKIPS)

register(
    _S2AD,
    _S2ASC,
    variant(_S2ASC, "s2am-s2asc-six", "the same at six scales", options=_ON_SKIPS | {"scales": 6}, comparison=None),
    variant(_S2ASC, "s2am-s2asc-no-gates", "the same without the three gates", options=_ON_SKIPS | {"gates": False}),
    variant(_S2ASC, "s2am-s2asc-no-mix", "the same without G_mix", options=_ON_SKIPS | {"mix": False}),
    variant(
        _S2ASC,
        "s2am-s2asc-no-gaussian",
        "the same without the mask's Gaussian",
        options=_ON_SKIPS | {"gaussian": False},
    ),
    variant(
        _S2ASC, "s2am-s2asc-no-learnable", "the same without the block L", options=_ON_SKIPS | {"learnable": False}
    ),
    variant(
        _S2ASC,
        "pix2pix-s2asc",
        "pix2pix + S2AM in the outer skips",
        options=_ON_SKIPS | PIX2PIX_OPTIONS,
        recipe_small=PIX2PIX_SMALL,
        recipe_published=PIX2PIX_PUBLISHED,
    ),
    variant(
        _S2AD,
        "s2am-mask-free",
        "UNet + S2AM that finds the foreground by itself (Cun & Pun, TIP 2020)",
        factory=MaskFreeS2AM,
        recipe_small=replace(UNET_SMALL, **_MASK_FREE),
        recipe_published=replace(PUBLISHED, **_MASK_FREE),
        default_weights="s2am-mask-free",
    ),
)
