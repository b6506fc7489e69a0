# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m research.publish [RUN] --name NAME …`: make a model with its card from a training run, and measure it.

Without RUN, the figures of an existing model are measured anew.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from research import console
from research.graphs import write_graph
from research.light import score_composites
from s2am_common.atomic import atomic_write
from s2am_common.errors import EngineError
from s2am_engine.inference.detector import Detector
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.inference.subject import SubjectSelector
from s2am_engine.models.model_store import BUNDLED, Card, find_model, load_network, write_card
from s2am_engine.models.network_graph import find_graph
from s2am_engine.networks.light import LightNetwork
from s2am_engine.networks.subject import SubjectNetwork
from s2am_engine.networks.tasks import Task
from s2am_engine.training.detector_evaluation import evaluate_detector
from s2am_engine.training.evaluation import evaluate_harmonizers
from s2am_engine.training.metrics import mean
from s2am_engine.training.subject_evaluation import evaluate_subjects
from s2am_engine.training.train import card_of

CARD_TEXTS = Path(__file__).parent / "model_cards"


def publish(run: Path, name: str, texts: Mapping[str, Any], folder: Path, input_size: int | None = None) -> Card:
    """Copy a run's weights and write their card.

    Args:
        run: see `card_of`.
        name: see there.
        texts: see there.
        folder: folder of models; a model of the same name is replaced.
        input_size: see `card_of`.

    Raises:
        EngineError: the run has no weights yet, or they cannot be loaded.
    """
    card, content = card_of(run, name, texts, input_size)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / f"{name}.safetensors") as file:
        file.write(content)
    write_card(card, folder)
    load_network(find_model(name))
    return card


def read_card_texts(path: Path) -> dict[str, Any]:
    """Read the texts of a card.

    Raises:
        EngineError: the file is missing or lacks one of them.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {key: found[key] for key in ("description", "data", "history", "known_failures")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineError(f"{path} does not hold a model's facts ({error}): name another with --facts.") from error


def add_figures(name: str, datasets: Sequence[Path], folder: Path) -> Card:
    """Measure a model on data sets, and write the figures into its card, in this order before any others."""
    card = find_model(name).card
    found = {dataset.name: measure(name, dataset) for dataset in datasets}
    others = {key: figures for key, figures in card.figures.items() if key not in found}
    card = replace(card, figures=found | others)
    write_card(card, folder)
    return card


def measure(name: str, benchmark: Path) -> dict[str, Any]:
    """Return a model's mean scores on a data set."""
    model = find_model(name)
    network = load_network(model)
    if isinstance(network, SubjectNetwork):
        return evaluate_subjects(benchmark, SubjectSelector(name, "cpu"))[0].figures()
    if isinstance(network, LightNetwork):
        return score_composites(benchmark)[0].describe()
    if model.card.task is Task.DETECTION:
        measured = evaluate_detector(benchmark, Detector(name, "cpu"))
        means = {key: round(value, 4) for key, value in mean(measured.images).describe().items() if value is not None}
        return means | {"pictures": len(measured.names)}
    found = evaluate_harmonizers(benchmark, [Harmonizer(name, "cpu")])
    row = found.to_json()["models"][0]
    figures = {key: round(row[key], 4) for key in ("psnr", "fpsnr", "mse", "fmse", "ssim")}
    if "mask" in row:
        figures["iou"] = round(row["mask"]["iou"], 4)
    return figures | {"pictures": len(found.names), "worse_by_1db": row["worse_by_1db"]}


def main() -> int:
    """Parse the command line and publish."""
    parser = argparse.ArgumentParser(prog="python -m research.publish", description=__doc__)
    parser.add_argument("run", type=Path, nargs="?", help="the folder of a training run")
    parser.add_argument("--name", required=True)
    parser.add_argument(
        "--facts", type=Path, help="JSON with description, data, history, known_failures; default: the repository's."
    )
    parser.add_argument("--folder", type=Path, default=BUNDLED, help="default: the bundled models")
    datasets = "data sets to measure on, in iHarmony4's layout; their folders' names become the names of the figures"
    parser.add_argument("--datasets", type=Path, nargs="+", default=[], metavar="DATASET", help=datasets)
    parser.add_argument(
        "--input-size",
        type=int,
        help="pixels per side of the model's input (default: the largest input size of its network)",
    )
    return console.run(lambda: publish_and_print(parser.parse_args()))


def publish_and_print(options: argparse.Namespace) -> None:
    """Publish according to the options, and print the scores."""
    if options.run:
        texts = read_card_texts(options.facts or CARD_TEXTS / f"{options.name}.json")
        card = publish(options.run, options.name, texts, options.folder, options.input_size)
        if options.folder == BUNDLED and not find_graph(card):
            write_graph(card.name)
    card = add_figures(options.name, options.datasets, options.folder)
    print(json.dumps(card.figures, indent=2))


if __name__ == "__main__":
    sys.exit(main())
