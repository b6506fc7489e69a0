# SPDX-License-Identifier: GPL-3.0-or-later
"""Benchmark of training: pairs a second of making, encoding and learning from them, and of all together."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from s2am_common.errors import TrainingError
from s2am_engine.cli.benchmark import elliptic_mask, synthetic_image
from s2am_engine.inference.devices import choose_device
from s2am_engine.inference.thread_limit import thread_limit
from s2am_engine.models.model_store import Card, blank_network, find_model, suitable_models
from s2am_engine.models.purposes import Purpose
from s2am_engine.networks.registry import NETWORKS
from s2am_engine.networks.spec import Recipe
from s2am_engine.training.distributed import ProcessGroup
from s2am_engine.training.heap import tune_malloc
from s2am_engine.training.learner import EncodedBatch, Learner
from s2am_engine.training.pair_source import Loader
from s2am_engine.training.photo_cache import LONG_SIDE, Photograph
from s2am_engine.training.synthetic_pairs import PairMaker
from s2am_engine.training.trainer import default_workers, learning_threads

PHOTOGRAPHS = 16
WARM_UP = 3  # steps before the time is taken
SECONDS = 8.0  # measured, at least


@dataclass(frozen=True)
class Speed:
    """Speed of one stage of training.

    pairs_per_second: by the clock; other work on the machine lowers it.
    cpu_milliseconds: CPU time of a pair on all cores; other work hardly changes it.
    """

    pairs_per_second: float
    cpu_milliseconds: float


@dataclass(frozen=True)
class TrainingSpeed:
    """Speed of training a model's network by its small recipe on a device."""

    model: str
    size: int
    batch: int
    device: str
    stages: Mapping[str, Speed]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        stages = {name: asdict(speed) for name, speed in self.stages.items()}
        return {"size": self.size, "batch": self.batch, "device": self.device, "stages": stages}

    def to_table(self) -> str:
        """Return a plain-text table, one line for each stage."""
        lines = [
            f"{self.model} at {self.size} pixels, batches of {self.batch}, on {self.device}",
            f"{'':12}{'pairs a second':>16}{'CPU time of a pair':>22}",
        ]
        for name, speed in self.stages.items():
            lines.append(f"{name:12}{speed.pairs_per_second:16.0f}{speed.cpu_milliseconds:19.1f} ms")
        return "\n".join(lines)


def measure_training(model: str, device: str, progress: Callable[[str], None] | None = None) -> TrainingSpeed:
    """Measure making pairs, encoding them by the frozen part of the network, learning, and all together as in training.

    Args:
        model: its network is trained with the small recipe, from weights that do not matter here.
        device: see `choose_device`.
        progress: called with the name of each stage.

    Raises:
        EngineError: the model does not learn from pairs; see also `find_model` and `choose_device`.
    """
    card = find_model(model).card
    recipe = pair_recipe(card)
    network, on = blank_network(card), torch.device(choose_device(device))
    pairs = PairMaker(recipe.size, recipe.batch, photographs=synthetic_photographs(), device=on)
    tune_malloc()
    learner = Learner(network, recipe, ProcessGroup(on), 0)
    workers = default_workers(network, on)

    def learn(batch: EncodedBatch, step: int) -> object:
        return learner.train_step(batch.pairs, step, recipe.learning_rate, batch.frozen)

    with (
        thread_limit(learning_threads(workers)),
        Loader(lambda step: learner.encode(pairs.make(step)), 0, workers) as loader,
    ):
        ready = [learner.encode(pairs.make(step)) for step in range(2)]
        stages: dict[str, Callable[[int], object]] = {
            "making": pairs.make,
            "encoding": lambda step: learner.encode(ready[step % 2].pairs),
            "learning": lambda step: learn(ready[step % 2], step),
            "together": lambda step: learn(loader.take(), step),
        }
        speeds = {}
        for name, stage in stages.items():
            if progress:
                progress(name)
            speeds[name] = measure_speed(stage, recipe.batch, on)
    return TrainingSpeed(card.name, recipe.size, recipe.batch, str(on), speeds)


def pair_recipe(card: Card) -> Recipe:
    """Return the small recipe of a model's network, which is trained on recolored pairs.

    Raises:
        TrainingError: the network is not trained on recolored pairs.
    """
    recipe = _recipe_with_pairs(card)
    if recipe is None:
        suitable = suitable_models(Purpose(lambda card: _recipe_with_pairs(card) is not None))
        raise TrainingError(
            f"“{card.name}” is not trained on recolored pairs: choose one of {suitable}.", code="training.no-pairs"
        )
    return recipe


def _recipe_with_pairs(card: Card) -> Recipe | None:
    recipe = None if card.fine_tuned else NETWORKS[card.network].recipe_small
    return None if recipe is None or recipe.detection or recipe.light or recipe.subjects else recipe


def measure_speed(stage: Callable[[int], object], batch: int, device: torch.device) -> Speed:
    """Measure a stage, which is called with the number of a step, for at least `SECONDS`."""
    for step in range(WARM_UP):
        stage(step)
    finish_work(device)
    steps, started, used = 0, time.perf_counter(), time.process_time()
    while steps == 0 or time.perf_counter() - started < SECONDS:
        stage(WARM_UP + steps)
        steps += 1
    finish_work(device)
    pairs = steps * batch
    return Speed(pairs / (time.perf_counter() - started), 1000 * (time.process_time() - used) / pairs)


def finish_work(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def synthetic_photographs() -> list[Photograph]:
    """Return smooth pictures with grain and one region each, in the size of cached photographs."""
    photographs = []
    for number in range(PHOTOGRAPHS):
        pixels, _ = synthetic_image(LONG_SIDE, LONG_SIDE * 2 // 3)
        image: NDArray[np.uint8] = np.roll(pixels, number, axis=2)
        height, width, _ = image.shape
        region = elliptic_mask(height, width, 0.1 + 0.4 * number / PHOTOGRAPHS) > 0
        photographs.append(Photograph(str(number), image, [region]))
    return photographs
