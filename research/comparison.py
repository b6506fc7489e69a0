# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m research.comparison PHOTOS DATASET --runs FOLDER`: all systems, trained and measured alike.

Every system gets the same photographs, pairs, steps, optimizer and schedule, and, unless
its row states otherwise, the same pixel loss. Existing runs and measurements are reused. The figures are written to
docs/results.json, from which `results.py` makes the page.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from research import console
from s2am_common.atomic import atomic_write
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.networks.network import Network
from s2am_engine.networks.registry import NETWORKS, build_network
from s2am_engine.networks.spec import Recipe
from s2am_engine.training.evaluation import Evaluation, EvaluationOptions, evaluate_harmonizers
from s2am_engine.training.events import TrainingEvent
from s2am_engine.training.learner import gains
from s2am_engine.training.pair_source import Batch, PairSource
from s2am_engine.training.photo_cache import Photograph, load_photographs
from s2am_engine.training.run_folder import Checkpoints, TrainingLog
from s2am_engine.training.synthetic_pairs import PairMaker
from s2am_engine.training.trainer import Trainer
from s2am_engine.training.training_data import HELD_OUT_SEED, make_held_out

BUDGET = Recipe(
    "foreground_rmse",
    learning_rate=8e-4,
    steps=1200,
    batch=16,
    size=48,
    warm_up=100,
    average=0.995,
    mixed_precision=True,
)
HELD_OUT = 32  # batches of held-out pairs, other than those used for validation during training
MEASURED_SEED = 30_000
FIGURES = ("psnr", "fpsnr", "mse", "fmse", "ssim")


@dataclass(frozen=True)
class System:
    """One row of the comparison."""

    network: str
    options: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)  # of the common recipe

    @property
    def recipe(self) -> Recipe:
        """Recipe of the system."""
        return dataclasses.replace(BUDGET, options=dict(self.options), **self.changes)


COMPARED = {
    name: System(name, spec.comparison, {} if spec.recipe_small else {"steps": 0})
    for name, spec in NETWORKS.items()
    if spec.comparison is not None
}
"""Return the networks that are marked for comparison, with the common recipe."""


def vary(name: str, **changes: Any) -> System:
    """Return a system with some settings of its recipe changed."""
    return dataclasses.replace(COMPARED[name], changes=changes)


SYSTEMS = COMPARED | {
    "pix2pix": vary("pix2pix", adversarial=0.01),
    "pix2pix-s2asc": vary("pix2pix-s2asc", adversarial=0.01),
    "s2am-mask-free": vary("s2am-mask-free", loss="attention_and_rmse", adversarial=0.01),
    # All skips of a UNet of five levels; six, as in the paper, would need images of 128 pixels.
    "s2am-s2asc, four scales": System("s2am-s2asc", {"width": 16, "levels": 5, "scales": 4}),
    "s2am-mask-free, no attention loss": vary("s2am-mask-free", adversarial=0.01),
    "s2am-mask-free, no GAN": vary("s2am-mask-free", loss="attention_and_rmse"),
    "unet, published loss": vary("unet", loss="pixel_l2"),
    "s2am-s2ad, published loss": vary("s2am-s2ad", loss="pixel_l2"),
    "pix2pix, published loss": vary("pix2pix", loss="pixel_l1", adversarial=1.0),
    "s2crnet, published loss": vary("s2crnet", loss="relative_l1"),
    "s2am-mask-free, published loss": vary("s2am-mask-free", loss="attention_and_pixels", adversarial=1.0),
}
"""All rows of the comparison by name."""


@dataclass
class KeptPairs(PairMaker):
    """Pairs cached in memory, because making them takes as long as training a small network on them."""

    kept: dict[int, Batch] = field(default_factory=dict, init=False)

    def make(self, step: int) -> Batch:
        """See `PairMaker.make`."""
        if step not in self.kept:
            self.kept[step] = super().make(step)
        return self.kept[step]


@dataclass(frozen=True)
class Study:
    """Systems that are trained and measured in the same way.

    photographs: to train on. validation: held out. dataset: in iHarmony4's layout.
    runs: the folder of the runs; each system has its own in it, and its figures in NAME.json.
    pairs: to train on.
    """

    photographs: Sequence[Photograph]
    validation: Sequence[Photograph]
    dataset: Path
    runs: Path
    pairs: PairSource

    def measure_once(self, name: str, system: System) -> None:
        """Write the result of `train_and_measure` to NAME.json, unless the file exists."""
        figures = self.runs / f"{name}.json"
        if figures.is_file():
            return
        self.runs.mkdir(parents=True, exist_ok=True)
        found = self.train_and_measure(name, system)
        with atomic_write(figures) as file:
            file.write(json.dumps(found).encode())
        print(f"{name}: {found['map']['psnr']:.2f} dB", flush=True)

    def train_and_measure(self, name: str, system: System) -> dict[str, Any]:
        """Train a system, and measure it on held-out pairs and on the data set; `name`: of its run."""
        torch.manual_seed(0)
        network = build_network(system.network, **system.options)
        recipe, started = system.recipe, time.perf_counter()
        if recipe.steps:
            self._train(name, network, recipe)
        minutes = (time.perf_counter() - started) / 60
        measured = unseen(self.validation, recipe, MEASURED_SEED)
        held_out = gains(network.eval(), [measured.make(index) for index in range(HELD_OUT)])
        harmonizer = Harmonizer.from_network(network.requires_grad_(False), recipe.size, "cpu", name)
        return {
            "network": system.network,
            "options": dict(system.options),
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "recipe": {
                "photographs": len(self.photographs),
                "loss": BUDGET.loss,
                "steps": recipe.steps or BUDGET.steps,
            }
            | {key: getattr(BUDGET, key) for key in ("batch", "size", "learning_rate")},
            "loss": recipe.loss if recipe.steps else None,
            "adversarial": recipe.adversarial,
            "minutes": round(minutes, 1),
            "held_out": [round(gain, 2) for gain in held_out.tolist()],
            "map": describe(evaluate_harmonizers(self.dataset, [harmonizer])),
            "native": describe(evaluate_harmonizers(self.dataset, [harmonizer], EvaluationOptions(native=True))),
        }

    def _train(self, name: str, network: Network, recipe: Recipe) -> None:
        """Train a network, and give it the best weights."""
        folder = self.runs / name
        followed = make_held_out(unseen(self.validation, recipe, HELD_OUT_SEED))
        sinks = [Checkpoints(folder), TrainingLog(folder, f"{name}, {recipe.loss}")]
        Trainer(network, self.pairs, recipe, followed, sinks=sinks).fit(lambda event: print_progress(name, event))
        weights = load_file(folder / "weights.safetensors")
        network.load_state_dict({key: value.float() for key, value in weights.items()})


def print_progress(name: str, event: TrainingEvent) -> None:
    """Print a line for each event of a run."""
    gain = f", {event.validation.gain:+.2f} dB" if event.validation else ""
    print(f"{name}: step {event.done} of {event.total}, loss {event.loss:.4f}{gain}", flush=True)


def unseen(photographs: Sequence[Photograph], recipe: Recipe, seed: int) -> PairMaker:
    """Return pairs of held-out photographs."""
    return PairMaker(recipe.size, recipe.batch, seed, photographs=photographs, crop=False)


def describe(found: Evaluation) -> dict[str, Any]:
    """Return mean scores of a system and of the untouched composites, and each image's PSNR gain."""
    row = found.models[0]
    pairs = zip(row.images, found.untouched.images, strict=True)
    figures = {
        "gains": [round(result.psnr - before.psnr, 3) for result, before in pairs],
        "worse_by_1db": found.harmed(row),
        **{key: round(getattr(row.mean, key), 4) for key in FIGURES},
        "untouched": {key: round(getattr(found.untouched.mean, key), 4) for key in FIGURES},
    }
    return figures | ({"iou": round(row.describe(found.names)["mask"]["iou"], 4)} if row.masks else {})


def main() -> int:
    """Parse the command line and compare."""
    arguments = measuring_parser("comparison", str(__doc__), SYSTEMS).parse_args()
    limit_threads(arguments.threads)
    return console.run(lambda: compare(arguments.photos, arguments.dataset, arguments.runs, arguments.only or SYSTEMS))


def measuring_parser(module: str, about: str, names: Iterable[str]) -> argparse.ArgumentParser:
    """Return the parser shared by the modules that train and measure."""
    parser = argparse.ArgumentParser(prog=f"python -m research.{module}", description=about)
    parser.add_argument("photos", type=Path, help="a folder of photographs, with or without index.csv")
    parser.add_argument("dataset", type=Path, help="the composites to measure on, in iHarmony4's layout")
    parser.add_argument("--runs", type=Path, required=True, help="a folder for the runs and their figures")
    parser.add_argument("--only", nargs="+", choices=sorted(names), metavar="NAME", help="some of them alone")
    parser.add_argument("--threads", type=int, help="CPU threads (default: PyTorch's choice)")
    return parser


def limit_threads(threads: int | None) -> None:
    """Limit the number of CPU threads; None = no limit."""
    if threads:
        torch.set_num_threads(threads)


def compare(photos: Path, dataset: Path, runs: Path, names: Iterable[str]) -> None:
    """Train and measure the systems that have not been measured; write NAME.json for each."""
    photographs, validation = (load_photographs(photos, split) for split in ("train", "val"))
    pairs = KeptPairs(BUDGET.size, BUDGET.batch, 1, photographs=photographs)
    study = Study(photographs, validation, dataset, runs, pairs)
    for name in names:
        study.measure_once(name, SYSTEMS[name])


if __name__ == "__main__":
    sys.exit(main())
