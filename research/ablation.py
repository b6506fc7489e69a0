# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m research.ablation PHOTOS DATASET --runs FOLDER`: contribution of each group of augmentations.

Concord is trained as in `comparison.py`, for half of the steps, with all kinds and without each group of
them, and measured on the same composites. Existing measurements are reused. The figures are written to
docs/ablation.json, from which `results.py` makes its part of the page.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch

from research import console
from research.comparison import BUDGET, Study, System, limit_threads, measuring_parser
from s2am_common.atomic import atomic_write
from s2am_engine.training.photo_cache import load_photographs
from s2am_engine.training.training_data import SCENES, PairFactory, PairOptions, find_references

SYSTEM = System("concord", changes={"steps": 600})
EVERYTHING = "all kinds"
GROUPS = {
    "two renditions": ("renditions",),
    "edits": ("edits",),
    "color transfer": ("transfers",),
    "real scenes": (SCENES,),
    "light": ("exposure", "white-balance", "relighting", "falloff", "patches", "shadows-and-highlights"),
    "cameras": ("camera", "shoulder", "color-mixing", "camera-response"),
    "tones": ("gamma", "contrast", "tone-curve", "fade"),
    "colors": ("saturation", "hue", "hue-range", "split-tone"),
    "look-up tables": ("look-up-table", "film", "preset"),
}
"""Kinds of pairs and of recoloring (see `PairOptions`) that are left out together; each is in one group."""

KINDS = {EVERYTHING: (), **GROUPS}


def ablate(photos: Path, dataset: Path, runs: Path, names: Iterable[str], sources: PairOptions) -> None:
    """Train and measure without each of the groups; figures become NAME.json in the folder of the runs.

    Args:
        photos: a folder of photographs.
        sources: further sources of pairs.
        dataset: composites in iHarmony4's layout.
        runs: a folder.
        names: see `KINDS`.
    """
    photographs, validation = (load_photographs(photos, split) for split in ("train", "val"))
    references = find_references(photographs, torch.device("cpu"))
    for name in names:
        options = replace(sources, without=KINDS[name])
        pairs = PairFactory(BUDGET.size, BUDGET.batch, options).source(photographs, 1, references)
        Study(photographs, validation, dataset, runs, pairs).measure_once(name, SYSTEM)


def publish(runs: Path, docs: Path) -> None:
    """Write the figures of all groups to docs/ablation.json, if all have been measured."""
    if all((runs / f"{name}.json").is_file() for name in KINDS):
        found = {name: json.loads((runs / f"{name}.json").read_text(encoding="utf-8")) for name in KINDS}
        with atomic_write(docs / "ablation.json") as file:
            file.write((json.dumps(found) + "\n").encode())


def main() -> int:
    """Parse the command line and measure."""
    parser = measuring_parser("ablation", str(__doc__), KINDS)
    for name in ("styles", "scenes"):
        parser.add_argument(f"--{name}", type=Path, metavar="DIR", help=f"see “s2am train --{name}”")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="default: %(default)s")
    arguments = parser.parse_args()
    limit_threads(arguments.threads)
    sources = PairOptions(arguments.styles, arguments.scenes)

    def work() -> None:
        ablate(arguments.photos, arguments.dataset, arguments.runs, arguments.only or KINDS, sources)
        publish(arguments.runs, arguments.docs)

    return console.run(work)


if __name__ == "__main__":
    sys.exit(main())
