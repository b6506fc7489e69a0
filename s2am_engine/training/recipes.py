# SPDX-License-Identifier: GPL-3.0-or-later
"""How each network is trained when nobody says otherwise: its published loss, at a size that a CPU can afford."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from s2am_engine.training.losses import (
    Loss,
    attention_and_pixels,
    foreground_rmse,
    pixel_l1,
    pixel_l2,
    relative_l1,
)


@dataclass(frozen=True)
class Recipe:
    """The settings of one training run."""

    loss: Loss
    learning_rate: float
    weight_decay: float = 0.0
    steps: int = 12_000
    batch: int = 32
    size: int = 96  # pixels; also the thumbnail that the trained model sees
    warm_up: int = 300  # steps
    average: float = 0.998  # of the exponential moving average of the weights
    clip: float = 1.0  # of the gradient's norm
    bfloat16: bool = False  # mixed precision: pays where convolutions take the time
    adversarial: float = 0.0  # weight of the adversarial term
    options: Mapping[str, Any] = field(default_factory=dict)  # of the network


# A quarter of the published width, on thumbnails of half the published side.
SMALL = Recipe(pixel_l2, learning_rate=1e-3, size=128, batch=16, bfloat16=True, options={"width": 16})
UNET = replace(SMALL, options={"width": 16, "levels": 7})
CURVES = Recipe(relative_l1, learning_rate=1.2e-3, bfloat16=True)

RECIPES = {
    "concord": Recipe(foreground_rmse, learning_rate=1.5e-3, weight_decay=0.02),
    **dict.fromkeys(("unet", "unet-conv", "unet-se", "unet-cbam"), UNET),
    **dict.fromkeys(("s2am-s2asc", "s2am-s2asc-six", "s2am-s2asc-no-gates", "s2am-s2asc-no-mix"), UNET),
    **dict.fromkeys(("s2am-s2asc-no-gaussian", "s2am-s2asc-no-learnable", "s2am-s2ad"), UNET),
    "s2am-mask-free": replace(UNET, loss=attention_and_pixels, adversarial=1.0),
    **dict.fromkeys(("dih", "dih-s2asc"), SMALL),
    **dict.fromkeys(("pix2pix", "pix2pix-s2asc"), replace(UNET, loss=pixel_l1, adversarial=1.0)),
    **dict.fromkeys(("fmm", "fmm-no-attention", "fmm-no-modulation", "fmm-backbone"), SMALL),
    **dict.fromkeys(("s2crnet", "s2crnet-cascaded", "s2crnet-semantic", "s2crnet-v"), CURVES),
}
