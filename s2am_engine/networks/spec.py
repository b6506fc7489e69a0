# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptors of networks: how each is built, how it is trained by default, and where it comes from.

A network is added by one module in this package that calls `register`. The command line, the training recipes, the
research comparison and the documentation tables are derived from the descriptors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from s2am_common.errors import TrainingError

if TYPE_CHECKING:
    from s2am_engine.networks.network import Network


@dataclass(frozen=True)
class Recipe:
    """Settings of one training run. The optimizer is AdamW, which without weight decay is Adam."""

    loss: str  # a key of `training.losses.LOSSES`
    learning_rate: float  # maximum
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: str = "cosine"  # or "constant", after the warm-up
    steps: int = 12_000
    minutes: float | None = None  # train for this long instead of a number of steps
    batch: int = 32  # pairs per step and process
    size: int = 96  # pixels per side of the training images; also the input size of the trained model
    warm_up: int = 300  # steps
    average: float = 0.998  # decay of the exponential moving average of the weights; 0 = the last weights
    clip: float | None = 1.0  # largest gradient norm
    mixed_precision: bool = False  # faster only where convolutions dominate
    adversarial: float = 0.0  # weight of the adversarial term
    detection: bool = False  # train on pairs some of which contain nothing pasted
    light: bool = False  # train on pairs whose foregrounds lack local light
    subjects: bool = False  # train on photographs whose subjects are the masks, not on pairs
    options: Mapping[str, Any] = field(default_factory=dict)  # of the network

    def to_json(self) -> dict[str, Any]:
        """Return all settings as plain values."""
        return asdict(self) | {"options": dict(self.options)}

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> Recipe:
        """Invert `to_json`; other keys are ignored.

        Raises:
            EngineError: a required setting is missing.
        """
        known = {one.name for one in fields(cls)}
        try:
            kept = {key: value for key, value in settings.items() if key in known}
            return cls(**kept | {"betas": tuple(kept["betas"])})
        except (KeyError, TypeError) as error:
            raise TrainingError(
                f"This run was made by another version ({error}): start a new one.", code="training.version"
            ) from error


PUBLISHED = Recipe(
    "pixel_l2", 1e-3, schedule="constant", steps=322_500, batch=8, size=256, warm_up=1, average=0.0, clip=None
)
"""Cun & Pun 2020, section 4.1: Adam, constant rate, 256 pixels, full width, 60 epochs of S-COCO."""

SMALL = Recipe("pixel_l2", 1e-3, size=128, batch=16, mixed_precision=True, options={"width": 16})
"""Affordable on a CPU: a quarter of the published width, images of half the published side."""


@dataclass(frozen=True)
class NetworkSpec:
    """A network that can be built and trained by name."""

    name: str
    factory: Callable[..., Network]  # the network's class
    title: str
    recipe_small: Recipe | None  # affordable on a CPU; None = nothing to train
    recipe_published: Recipe | None  # as in the paper
    paper: str = ""
    year: int = 0  # of the paper
    options: Mapping[str, Any] = field(default_factory=dict)  # of the class, that distinguish this network
    default_weights: str | None = None  # name of the bundled model, if there is one
    comparison: Mapping[str, Any] | None = None  # options in the research comparison at 48 pixels; None = not compared


SPECS: dict[str, NetworkSpec] = {}
"""All descriptors by name. Read it through `registry.NETWORKS`, which imports the modules that fill it."""


def register(*specs: NetworkSpec) -> None:
    """Add networks.

    Raises:
        ValueError: a name is taken.
    """
    for spec in specs:
        if spec.name in SPECS:
            raise ValueError(f"network “{spec.name}” is registered twice")
        SPECS[spec.name] = spec


def variant(spec: NetworkSpec, name: str, title: str, **changes: Any) -> NetworkSpec:
    """Return a descriptor that differs from another in its name, title and the given fields."""
    return replace(spec, **({"name": name, "title": title, "default_weights": None} | changes))
