# SPDX-License-Identifier: GPL-3.0-or-later
"""Small training runs, alone or as one of several processes: `python -m … FOLDER NETWORK…` trains one after another."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skimage import data

from s2am_engine.networks.registry import RECIPES, build_network
from s2am_engine.training.distributed import ProcessGroup, join
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.run_folder import Checkpoints, TrainingLog
from s2am_engine.training.synthetic_pairs import PairMaker
from s2am_engine.training.trainer import Trainer

BATCH = 8
"""Pairs per process and step."""

OPTIONS: dict[str, dict[str, Any]] = {
    "concord": {"width": 24, "hidden": 32, "dropout": 0.0},
    "unet": {"width": 8, "levels": 4, "dropout": 0.0},
}
"""The networks: one without and one with an adversary."""

ADVERSARIAL = {"unet": 0.5}


def train_small(network: str, batch: int, folder: Path, group: ProcessGroup) -> None:
    """Train a network for twelve steps with three validations."""
    region = np.zeros((64, 64), np.bool_)
    region[16:40, 20:50] = True
    photographs = [
        Photograph(name, np.ascontiguousarray(getattr(data, name)()[100:292:3, 100:292:3]), [region])
        for name in ("astronaut", "chelsea", "coffee")
    ]
    small = RECIPES["small"][network]
    recipe = dataclasses.replace(
        small,
        steps=12,
        batch=batch,
        size=32,
        warm_up=3,
        average=0.5,
        options=OPTIONS[network],
        mixed_precision=False,
        adversarial=ADVERSARIAL.get(network, small.adversarial),
    )
    pairs = PairMaker(32, batch, 1, photographs=photographs, piece_size=4)
    unseen = PairMaker(32, 8, 2, photographs=photographs, crop=False)
    torch.manual_seed(0)
    built, sinks = build_network(network, **recipe.options), [Checkpoints(folder), TrainingLog(folder, network)]
    held_out = [unseen.make(index) for index in range(4)]
    trainer = Trainer(built, pairs, recipe, held_out, sinks=sinks, group=group)
    trainer.validate_every = 4
    trainer.fit()


if __name__ == "__main__":
    with join("cpu") as shared:
        for name in sys.argv[2:]:
            train_small(name, BATCH, Path(sys.argv[1]) / name, shared)
