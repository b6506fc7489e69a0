# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m s2am_engine.training NETWORK PHOTOS --run FOLDER`: train a network from photographs, resumably."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

import torch

from s2am_engine.training import console
from s2am_engine.training.datasets import LONG_SIDE, load_photographs
from s2am_engine.training.loop import Progress, Trainer
from s2am_engine.training.losses import LOSSES
from s2am_engine.training.recipes import RECIPES, Recipe


def main() -> int:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m s2am_engine.training", description=__doc__)
    parser.add_argument("network", choices=sorted(RECIPES))
    parser.add_argument("photos", type=Path, help="a folder of photographs, with or without index.csv")
    parser.add_argument("--run", type=Path, required=True, help="folder for checkpoints, log and weights")
    parser.add_argument("--steps", type=int, help="how many steps in all (default: the network's recipe)")
    parser.add_argument("--size", type=int, help="thumbnail size in pixels (default: the network's recipe)")
    parser.add_argument("--batch", type=int, help="pairs a step (default: the network's recipe)")
    parser.add_argument("--width", type=int, help="the network's width (default: the network's recipe)")
    parser.add_argument("--levels", type=int, help="an encoder-decoder's halvings (default: the network's recipe)")
    parser.add_argument("--loss", choices=sorted(LOSSES), help="default: the network's recipe")
    parser.add_argument("--learning-rate", type=float, help="at its highest (default: the network's recipe)")
    parser.add_argument("--adversarial", type=float, help="weight of the adversarial term (default: the recipe's)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: PyTorch's choice)")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    changes = given(arguments, "steps", "size", "batch", "learning_rate", "adversarial")
    if arguments.loss:
        changes["loss"] = LOSSES[arguments.loss]
    recipe = RECIPES[arguments.network]
    options = {**recipe.options, **given(arguments, "width", "levels")}
    recipe = dataclasses.replace(recipe, options=options, **changes)
    return console.run(lambda: train(arguments.network, recipe, arguments.photos, arguments.run))


def given(arguments: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Those of the options that stood on the command line."""
    return {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}


def train(network: str, recipe: Recipe, photos: Path, folder: Path) -> None:
    """Train a network, or go on where the folder's checkpoint is."""
    # Half as much again as the network sees, for the crops to be as sharp as whole photographs.
    long_side = max(LONG_SIDE, recipe.size * 3 // 2)
    photographs, validation = (load_photographs(photos, split, long_side, show_loading) for split in ("train", "val"))
    Trainer(network, recipe, photographs, validation, folder).run(show)


def show_loading(done: int, total: int) -> None:
    """Draw the loading of photographs."""
    if done % 100 == 0 or done == total:
        print(f"photographs {done}/{total}", flush=True)


def show(progress: Progress) -> None:
    """Draw one line of progress."""
    print(
        f"step {progress.step}/{progress.steps}  loss {progress.loss:.4f}  gain {progress.gain:+.2f} dB  "
        f"{progress.pictures_per_second:.0f} pictures/s  pairs {progress.waiting:.0%} of the time  "
        f"{progress.seconds_left / 60:.0f} min left",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
