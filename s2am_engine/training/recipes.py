# SPDX-License-Identifier: GPL-3.0-or-later
"""How each network is trained when nobody says otherwise: as its paper says, or at a size that a CPU can afford."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from s2am_engine.errors import EngineError
from s2am_engine.training.losses import (
    LOSSES,
    Loss,
    attention_and_pixels,
    foreground_rmse,
    found_mask,
    pixel_l1,
    pixel_l2,
    relative_l1,
)

SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class Recipe:
    """The settings of one training run. The optimizer is AdamW, which without weight decay is Adam."""

    loss: Loss
    learning_rate: float  # at its highest
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: str = "cosine"  # or constant, after the warm-up
    steps: int = 12_000
    minutes: float | None = None  # as many steps as fit into this time, instead
    batch: int = 32  # pairs a step, of each process
    size: int = 96  # pixels; also the thumbnail that the trained model sees
    warm_up: int = 300  # steps
    average: float = 0.998  # of the exponential moving average of the weights; 0 = the last weights
    clip: float | None = 1.0  # of the gradient's norm
    mixed_precision: bool = False  # pays where convolutions take the time
    adversarial: float = 0.0  # weight of the adversarial term
    detection: bool = False  # pairs of which some hold nothing pasted, see `pairs.DetectionPairs`
    options: Mapping[str, Any] = field(default_factory=dict)  # of the network

    def to_json(self) -> dict[str, Any]:
        """All settings as plain values."""
        return asdict(self) | {"loss": self.loss.__name__, "options": dict(self.options)}

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> Recipe:
        """Invert `to_json`; what is no setting of a recipe is left aside.

        Raises:
            EngineError: a setting is missing or unknown here.
        """
        known = {one.name for one in fields(cls)}
        try:
            kept = {key: value for key, value in settings.items() if key in known}
            return cls(**kept | {"loss": LOSSES[kept["loss"]], "betas": tuple(kept["betas"])})
        except (KeyError, TypeError) as error:
            raise EngineError(f"This run was made by another version ({error}): begin a new one.") from error


# As published: Adam, constant, 256 pixels, full width (Cun & Pun 2020, section 4.1, 60 epochs of S-COCO).
PUBLISHED_UNET = Recipe(
    pixel_l2, 1e-3, schedule="constant", steps=322_500, batch=8, size=256, warm_up=1, average=0.0, clip=None
)
PUBLISHED_GAN = replace(PUBLISHED_UNET, loss=pixel_l1, adversarial=1.0, learning_rate=2e-4, betas=(0.5, 0.999))
# The paper names Adam and the loss, its authors' code the adversary's weight; the rest is S2AM's.
PUBLISHED_CURVES = replace(PUBLISHED_UNET, loss=relative_l1, adversarial=0.01, learning_rate=2e-4)

# A quarter of the published width, on thumbnails of half the published side.
SMALL = Recipe(pixel_l2, 1e-3, size=128, batch=16, mixed_precision=True, options={"width": 16})
UNET = replace(SMALL, options={"width": 16, "levels": 7})
CURVES = Recipe(relative_l1, 1.2e-3, mixed_precision=True)
CONCORD = Recipe(foreground_rmse, 1.5e-3, weight_decay=0.02)
CONNOISSEUR = replace(CONCORD, learning_rate=1e-3, size=128, steps=4000, warm_up=100)
DISSONANCE = Recipe(found_mask, 6e-4, weight_decay=0.02, size=128, steps=3000, warm_up=100, detection=True)


def each(recipe: Recipe, *names: str) -> dict[str, Recipe]:
    """One recipe for several networks."""
    return dict.fromkeys(names, recipe)


UNETS = (
    *("unet", "unet-conv", "unet-se", "unet-cbam", "s2am-s2asc", "s2am-s2asc-six", "s2am-s2asc-no-gates"),
    *("s2am-s2asc-no-mix", "s2am-s2asc-no-gaussian", "s2am-s2asc-no-learnable", "s2am-s2ad"),
)
GANS = ("pix2pix", "pix2pix-s2asc")
OTHERS = ("dih", "dih-s2asc", "fmm", "fmm-no-attention", "fmm-no-modulation", "fmm-backbone")
CURVE_NETWORKS = ("s2crnet", "s2crnet-cascaded", "s2crnet-semantic", "s2crnet-v")
MASK_FREE: dict[str, Any] = {"loss": attention_and_pixels, "adversarial": 1.0}

OUR_OWN = {"concord": CONCORD, "connoisseur": CONNOISSEUR, "dissonance": DISSONANCE}

RECIPES: dict[str, dict[str, Recipe]] = {
    "small": {
        **OUR_OWN,
        **each(UNET, *UNETS),
        "s2am-mask-free": replace(UNET, **MASK_FREE),
        **each(replace(UNET, loss=pixel_l1, adversarial=1.0), *GANS),
        **each(SMALL, *OTHERS),
        **each(CURVES, *CURVE_NETWORKS),
    },
    "published": {
        **OUR_OWN,
        **each(PUBLISHED_UNET, *UNETS),
        "s2am-mask-free": replace(PUBLISHED_UNET, **MASK_FREE),
        **each(PUBLISHED_GAN, *GANS),
        **each(PUBLISHED_UNET, *OTHERS),
        **each(PUBLISHED_CURVES, *CURVE_NETWORKS),
    },
}


def learning_rate(recipe: Recipe, step: int, steps: int | None) -> float:
    """The learning rate of a step: a linear warm-up, then a cosine to zero or a constant.

    Args:
        recipe: its settings.
        step: the step, from 0.
        steps: how many there will be; None = not known yet, so still at the beginning.
    """
    warm_up = min(recipe.warm_up, steps // 10) if steps else recipe.warm_up
    rising = min(1.0, (step + 1) / max(1, warm_up))
    falling = 0.5 * (1 + math.cos(math.pi * step / steps)) if recipe.schedule == "cosine" and steps else 1.0
    return recipe.learning_rate * rising * falling
