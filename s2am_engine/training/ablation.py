# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m s2am_engine.training.ablation PHOTOS DATASET --runs FOLDER`: which kinds of recolouring help to learn.

Concord is trained as in `comparison.py`, for a third of the steps, with all kinds and without each group of them, and
measured on the same composites. What has been measured already is not done again. The figures go to docs/ablation.json,
from which `results.py` makes its part of the page.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import torch

from s2am_engine.atomic import atomic_write
from s2am_engine.training import console
from s2am_engine.training.album import load_photographs
from s2am_engine.training.comparison import BUDGET, System, train_and_measure
from s2am_engine.training.kinds import Recolouring
from s2am_engine.training.pairs import PairMaker

SYSTEM = System("concord", changes={"steps": 400})
EVERYTHING = "all kinds"
GROUPS = {
    "light": ("exposure", "relighting", "falloff", "patches"),
    "white balance": ("white-balance",),
    "cameras": ("camera", "shoulder", "colour-mixing"),
    "tones": ("gamma", "contrast", "tone-curve", "fade"),
    "colours": ("saturation", "hue", "split-tone"),
    "look-up tables": ("look-up-table",),
    "other photographs' colours": ("transfer", "histogram"),
}
"""Kinds of recolouring (see `kinds.KINDS`) that are left out together; each is in one group."""

KINDS = {EVERYTHING: (), **GROUPS}


def ablate(photos: Path, dataset: Path, runs: Path, names: Iterable[str]) -> None:
    """Train and measure without each of the groups; figures become NAME.json in the folder of the runs.

    Args:
        photos: a folder of photographs.
        dataset: composites in iHarmony4's layout.
        runs: a folder.
        names: see `KINDS`.
    """
    photographs, validation = (load_photographs(photos, split) for split in ("train", "val"))
    runs.mkdir(parents=True, exist_ok=True)
    for name in names:
        figures = runs / f"{name}.json"
        if not figures.is_file():
            recolouring = Recolouring().without(*KINDS[name])
            pairs = PairMaker(BUDGET.size, BUDGET.batch, 1, photographs=photographs, recolouring=recolouring)
            found = train_and_measure(name, SYSTEM, photographs, validation, dataset, runs, pairs)
            with atomic_write(figures) as file:
                file.write(json.dumps(found).encode())
            print(f"{name}: {found['map']['psnr']:.2f} dB", flush=True)


def publish(runs: Path, docs: Path) -> None:
    """Put the figures of all groups into docs/ablation.json, if all have been measured."""
    if all((runs / f"{name}.json").is_file() for name in KINDS):
        found = {name: json.loads((runs / f"{name}.json").read_text(encoding="utf-8")) for name in KINDS}
        with atomic_write(docs / "ablation.json") as file:
            file.write((json.dumps(found) + "\n").encode())


def main() -> int:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m s2am_engine.training.ablation", description=__doc__)
    parser.add_argument("photos", type=Path, help="a folder of photographs, with or without index.csv")
    parser.add_argument("dataset", type=Path, help="the composites to measure on, in iHarmony4's layout")
    parser.add_argument("--runs", type=Path, required=True, help="a folder for the runs and their figures")
    parser.add_argument("--only", nargs="+", choices=list(KINDS), metavar="GROUP", help="some of the groups")
    parser.add_argument("--threads", type=int, help="CPU threads (default: PyTorch's choice)")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="default: %(default)s")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    def work() -> None:
        ablate(arguments.photos, arguments.dataset, arguments.runs, arguments.only or KINDS)
        publish(arguments.runs, arguments.docs)

    return console.run(work)


if __name__ == "__main__":
    sys.exit(main())
