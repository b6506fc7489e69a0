# SPDX-License-Identifier: GPL-3.0-or-later
"""Training a network from a folder of data to a personal model: `s2am train`."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from s2am_common.atomic import ensure_folder, output_exists
from s2am_common.errors import FileError, ModelError, TrainingError
from s2am_common.path_checks import is_folder, is_regular_file
from s2am_engine.models.model_files import add_model, check_free, check_name, free_name
from s2am_engine.models.model_store import (
    Card,
    Model,
    blank_network,
    find_cards,
    find_model,
    load_network,
    read_model,
    suitable_models,
)
from s2am_engine.models.purposes import Purpose
from s2am_engine.networks.network import Network
from s2am_engine.networks.registry import build_network
from s2am_engine.networks.spec import Recipe
from s2am_engine.networks.subject import SubjectNetwork
from s2am_engine.training.decoder_training import train_on_subjects
from s2am_engine.training.distributed import join
from s2am_engine.training.events import EventCallback, ignore_events
from s2am_engine.training.pretrained import trunk_weights
from s2am_engine.training.run_folder import (
    SETTINGS_FILE,
    WEIGHTS_FILE,
    Checkpoints,
    TrainingLog,
    read_settings,
    write_settings,
)
from s2am_engine.training.subject_photographs import SubjectPhotographs, find_subjects
from s2am_engine.training.trainer import FitResult, Trainer
from s2am_engine.training.training_data import PairOptions, TrainingData, open_data

LICENSE = "GPL-3.0-or-later"


@dataclass(frozen=True)
class TrainingPlan:
    """Settings of a training, stored in the run's folder for resuming."""

    network: str
    data: Path
    name: str  # of the model
    recipe: Recipe
    seed: int = 0
    run: str = field(default_factory=lambda: secrets.token_hex(8))  # identifies its model if others have the same name
    start: str = ""  # model whose weights training starts from; "" = fresh weights
    pairs: PairOptions = field(default_factory=PairOptions)

    def to_json(self) -> dict[str, Any]:
        """Return all settings as plain values."""
        own = {"network": self.network, "data": str(self.data), "name": self.name, "seed": self.seed, "run": self.run}
        return own | {"start": self.start} | self.pairs.to_json() | self.recipe.to_json()

    @classmethod
    def read(cls, folder: Path) -> TrainingPlan:
        """Read the plan of a run.

        Raises:
            EngineError: the folder holds no run, or one of another version.
        """
        settings = read_settings(folder)
        recipe = Recipe.from_json(settings)
        own = {key: settings[key] for key in ("network", "name", "seed", "run")}
        pairs = PairOptions.from_json(settings)
        return cls(data=Path(settings["data"]), recipe=recipe, start=settings.get("start", ""), pairs=pairs, **own)


@dataclass(frozen=True)
class TrainingResult:
    """Result of a training."""

    model: Model
    gain: float  # dB over the untouched held-out composites
    steps: int


def make_plan(
    network: str,
    data: Path,
    recipe: Recipe,
    name: str | None = None,
    seed: int = 0,
    start: str = "",
    pairs: PairOptions | None = None,
) -> TrainingPlan:
    """Check and complete the settings of a training.

    Args:
        network: its name in the catalog.
        data: photographs, or pairs in iHarmony4's layout.
        recipe: the settings, see `networks.registry.RECIPES`.
        name: of the model; None = the first free of my-NETWORK, my-NETWORK-2 …
        seed: of the weights and the pairs.
        start: model whose weights initialize the layers that both networks have.
        pairs: sources and kinds of synthetic pairs; None = all kinds, no further sources.

    Raises:
        EngineError: an invalid name, or one that is taken; an unknown model to start from.
    """
    if not is_folder(data):
        raise FileError(
            f"{data} is not a folder: name one with photographs, or with pairs in iHarmony4's layout.",
            code="file.no-folder",
            path=str(data),
        )
    chosen = check_name(name) if name else free_name(f"my-{network}")
    check_free(chosen)
    if start:
        find_model(start, initial_models(network))
    return TrainingPlan(network, data.resolve(), chosen, recipe, seed, start=start, pairs=pairs or PairOptions())


def train(
    plan: TrainingPlan,
    folder: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    workers: int | None = None,
    report: EventCallback = ignore_events,
) -> TrainingResult | None:
    """Train, and make a personal model of the best weights.

    Args:
        plan: the settings; to resume a run, `TrainingPlan.read(folder)`, possibly with more steps or minutes.
        folder: the run's.
        resume: continue the run in the folder.
        device: `auto`, `cpu`, `cuda` …
        workers: threads that make pairs; None = as many as suit the network.
        report: receives progress; an exception raised in it cancels, and the run can be resumed.

    Returns:
        The model; None except in the main process.

    Raises:
        EngineError: the folder holds a run already or none to resume, no usable data, or an error of `Trainer`.
    """
    if plan.recipe.subjects:
        return train_decoder(plan, folder, resume=resume, report=report)
    with join(device) as group:
        shown = report if group.is_main else ignore_events
        data = open_data(plan.data, plan.recipe, plan.seed, group, shown, plan.pairs)
        if group.is_main:
            prepare_run(folder, plan, resume=resume)
        group.barrier()
        trainer = Trainer(
            initial_network(plan),
            data.pairs,
            plan.recipe,
            data.held_out,
            sinks=[Checkpoints(folder), TrainingLog(folder, f"{plan.network}, {plan.recipe.loss}")],
            group=group,
            seed=plan.seed,
            workers=workers,
        )
        result = trainer.fit(report)
        return finish(plan, folder, result, data) if group.is_main else None


def train_decoder(plan: TrainingPlan, folder: Path, *, resume: bool, report: EventCallback) -> TrainingResult:
    """Train the decoder of a network that selects subjects, on the CPU; arguments and errors are those of `train`."""
    if resume:
        raise TrainingError(
            "The training of a decoder takes minutes and can't be resumed: start a new one.", code="training.no-resume"
        )
    seen, held_out = (find_subjects(plan.data, split) for split in ("train", "val"))
    prepare_run(folder, plan, resume=False)
    network = initial_network(plan)
    assert isinstance(network, SubjectNetwork)
    size, batch = plan.recipe.size, plan.recipe.batch
    result = train_on_subjects(
        network,
        SubjectPhotographs(size, batch, plan.seed + 1, photographs=seen, augment=True),
        SubjectPhotographs(size, batch, plan.seed, photographs=held_out, augment=False),
        plan.recipe,
        folder,
        [Checkpoints(folder)],
        report,
    )
    what = f"{len(seen) + len(held_out)} photographs of {plan.data}"
    return describe_and_add(plan, folder, result, what, f"mean IoU of {result.gain:.3f} held out")


def initial_network(plan: TrainingPlan) -> Network:
    """Build the network of a plan with the weights that it starts from.

    Raises:
        EngineError: see `starting_weights`.
    """
    torch.manual_seed(plan.seed)
    network = build_network(plan.network, **plan.recipe.options)
    network.load_state_dict(network.state_dict() | starting_weights(plan, network))
    return network


def starting_weights(plan: TrainingPlan, network: Network) -> dict[str, Tensor]:
    """Return the weights shared with the model to start from, and pretrained weights for the rest.

    Raises:
        EngineError: the two networks have nothing in common; the pretrained weights are not installed.
    """
    if not plan.start:
        return trunk_weights(network)
    own = network.state_dict()
    shared = shared_layers(load_network(find_model(plan.start, initial_models(plan.network))).state_dict(), own)
    if not shared:
        suitable = suitable_models(initial_models(plan.network))
        advice = f"start with one of {suitable}" if suitable else "no model does, so start with none"
        raise ModelError(
            f"“{plan.start}” shares no layer with “{plan.network}”: {advice}.",
            code="model.no-shared-layer",
            model=plan.start,
        )
    return trunk_weights(network, known=shared) | shared


def shared_layers(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a network that another has too: of the same name and shape."""
    return {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}


def initial_models(network: str) -> Purpose:
    """Return the purpose of the models that share layers with a network, from which its training can start."""
    with torch.device("meta"):  # shapes without numbers
        own = build_network(network).state_dict()

    def shares(card: Card) -> bool:
        with torch.device("meta"):
            return bool(shared_layers(blank_network(card).state_dict(), own))

    return Purpose(shares)


def prepare_run(folder: Path, plan: TrainingPlan, *, resume: bool) -> None:
    """Make a run's folder and write its plan.

    Raises:
        EngineError: there is a run already, or none to resume.
    """
    if output_exists(folder / SETTINGS_FILE) and not resume:
        raise TrainingError(f"{folder} already holds a run.", code="training.run-exists", path=str(folder))
    ensure_folder(folder, code="file.run")
    write_settings(folder, plan.to_json())


def finish(plan: TrainingPlan, folder: Path, result: FitResult, data: TrainingData) -> TrainingResult:
    """Make a model of a run's best weights."""
    return describe_and_add(plan, folder, result, data.description, f"{result.gain:+.2f} dB held out")


def describe_and_add(plan: TrainingPlan, folder: Path, result: FitResult, data: str, measured: str) -> TrainingResult:
    """Make a model of a run's best weights.

    Args:
        plan: the plan of the run.
        folder: the run's.
        result: of the training.
        data: the photographs or pairs, and their folder.
        measured: the result on held-out ones.
    """
    texts = {
        "description": f"{plan.network}, trained on {plan.data.name}",
        "data": f"{data}; their owner's terms hold",
        "history": f"{result.steps} steps, {result.seconds / 60:.0f} minutes; {measured}",
        "known_failures": [],
    }
    card, weights = card_of(folder, plan.name, texts)
    before = find_cards().get(plan.name)
    own = before is not None and read_model(before).card.training.get("run") == plan.run
    return TrainingResult(add_model(card, weights, replace=own), result.gain, result.steps)


def card_of(run: Path, name: str, texts: Mapping[str, Any], input_size: int | None = None) -> tuple[Card, bytes]:
    """Describe a run's best weights.

    Args:
        run: the run's folder.
        name: the model's name.
        texts: the card's description, data, known_failures, and history (of the training).
        input_size: pixels per side of the model's input; None = the training size times the largest scale.

    Returns:
        The card, and the content of the weights' file.

    Raises:
        EngineError: the run has no weights yet.
    """
    weights = run / WEIGHTS_FILE
    if not is_regular_file(weights):
        raise TrainingError(
            f"{run} holds no weights yet: train until the first validation.",
            code="training.no-weights",
            path=str(run),
        )
    settings = read_settings(run)
    content = weights.read_bytes()
    network = build_network(settings["network"], **settings["options"])
    card = Card(
        name=name,
        network=settings["network"],
        input_size=input_size or round(max(network.input_scales) * settings["size"]),
        options=settings["options"],
        sha256=hashlib.sha256(content).hexdigest(),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        size=len(content),
        license=LICENSE,
        training=settings | {"history": texts["history"]},
        description=texts["description"],
        data=texts["data"],
        known_failures=texts["known_failures"],
    )
    return card, content
