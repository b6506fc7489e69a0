# SPDX-License-Identifier: GPL-3.0-or-later
"""Fine-tuning a model on a user's own photographs: `s2am finetune`.

A fifth of the photographs is held out. The others give two kinds of pairs: those of the photographs' own style, whose
ground truth is the photograph as it is, and those of the original recipe, whose photographs are augmented as a whole
first. The weights with the highest gain on the held-out photographs are blended with the base model's. Because a few
dozen photographs do not represent all others, the result is used where a background resembles the style, and the base
model elsewhere (`networks.personal`). It becomes a model only if it is better on the held-out photographs.
"""

from __future__ import annotations

import copy
import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from s2am_common.atomic import atomic_write
from s2am_engine.errors import EngineError, FileError, ModelError, TrainingError
from s2am_engine.inference.devices import choose_device
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.models.model_files import add_model, check_free, check_name
from s2am_engine.models.model_store import DEFAULT_MODEL, Card, Model, find_model, load_network
from s2am_engine.networks.network import MapNetwork, Network
from s2am_engine.networks.personal import Personal, describe_background
from s2am_engine.networks.recognition import Recognition
from s2am_engine.networks.registry import RECIPES, build_network
from s2am_engine.networks.spec import Recipe
from s2am_engine.training.dataset_readers import find_pairs, stable_fraction
from s2am_engine.training.distributed import ProcessGroup
from s2am_engine.training.evaluation import (
    Evaluation,
    Loaded,
    Scores,
    Sheet,
    evaluate_harmonizers,
    evenly_spaced,
    measure_pairs,
)
from s2am_engine.training.events import EventCallback, Phase, TrainingEvent, ignore_events, reading_progress
from s2am_engine.training.losses import LOSSES
from s2am_engine.training.pair_source import MixedPairs
from s2am_engine.training.photo_cache import LONG_SIDE, Photograph, Skipped, load_photographs
from s2am_engine.training.run_folder import Checkpoints, half_precision, read_settings, write_settings
from s2am_engine.training.synthetic_pairs import AS_PUBLISHED, OTHER_STYLES, PairKinds, PairMaker
from s2am_engine.training.trainer import Trainer, default_workers

FEWEST = 20  # photographs
HELD_OUT_PHOTOS = 1 / 5
ORIGINAL_SHARE = 1 / 2  # share of pairs that are made by the original recipe
LEARNING_RATE_FACTOR = 0.2  # learning rate relative to the original recipe's
SMALL_INPUT_SIZE = 64  # pixels: a style is visible in small images too, and many more of them fit into the time
BLEND_SHARE = (
    0.7  # share of the change of weights: keeps most of the gain, and halves the harm if the style is misclassified
)
FORGETTING = 0.05  # tolerated loss on other styles, in dB
BACKGROUNDS = 1024  # number of backgrounds of each kind to which the style classifier is fitted

MEASURED = 64  # pairs of each kind
MEASURED_SIDE = 192  # pixels
SHEET_PAIRS = 24
PAIR_SEEDS = {"look": 40_000, "others": 50_000}  # keys as in the figures of model cards


@dataclass(frozen=True)
class Photographs:
    """A user's photographs."""

    seen: list[Photograph]  # to train on
    unseen: list[Photograph]  # held out
    skipped: list[Skipped]


@dataclass(frozen=True)
class Compared:
    """Mean scores on one set of pairs, before and after fine-tuning."""

    untouched: Scores
    before: Scores
    after: Scores

    @property
    def fmse_saved(self) -> float:
        """Relative reduction of the foreground's mean square error; negative = it increased."""
        return 1 - self.after.fmse / self.before.fmse

    @property
    def psnr_gained(self) -> float:
        """Gain of PSNR in dB; negative = loss."""
        return self.after.psnr - self.before.psnr


@dataclass(frozen=True)
class FineTuned:
    """Result of fine-tuning."""

    model: Model | None  # None: the base model is better, and no model was made
    photographs: Photographs
    style: Compared  # on pairs of the held-out photographs
    others: Compared  # on the same photographs in other styles
    benchmark: Compared | None

    def to_json(self) -> dict[str, Any]:
        """Return all figures as plain values."""
        sets = {"look": self.style, "others": self.others, "benchmark": self.benchmark}
        return {
            "model": self.model.card.name if self.model else None,
            "photographs": len(self.photographs.seen),
            "held_out": len(self.photographs.unseen),
            **{name: asdict(one) if one else None for name, one in sets.items()},
            "skipped": [{"path": str(one.path), "why": one.why} for one in self.photographs.skipped],
        }


def finetune(
    photos: Path,
    name: str,
    *,
    base: str = DEFAULT_MODEL,
    minutes: float = 10.0,
    benchmark: Path | None = None,
    sheet: Path | None = None,
    device: str | None = None,
    workers: int | None = None,
    report: EventCallback = ignore_events,
    checkpoint: Path | None = None,
) -> FineTuned:
    """Fine-tune a model on photographs, and make a personal model of it if it is better on those held out.

    Args:
        photos: a folder of photographs of one style.
        name: of the new model.
        base: the model to start from.
        minutes: of training; reading and measuring take additional time.
        benchmark: also measure before and after on this data set, in iHarmony4's layout.
        sheet: also draw held-out pairs before and after, as a PNG.
        device: `auto`, `cpu`, `cuda` …; None = as in the settings.
        workers: threads that make pairs; None = half of the cores.
        report: receives progress; an exception raised in it cancels.
        checkpoint: a folder for the state of the training, with which the same call continues after an interruption; it
            is removed at the end. None = an interrupted training leaves nothing.

    Raises:
        EngineError: a name that is taken, too few usable photographs, or a base model that cannot be trained.
    """
    name = check_name(name)
    check_free(name)
    found = find_model(base)
    before = load_trainable(found)
    if benchmark:
        find_pairs(benchmark)  # reject an unusable data set before training, not an hour later
    recipe = recipe_for(found.card, before, minutes)
    group = ProcessGroup(choose_device(device))
    photographs = read_photographs(photos, max(LONG_SIDE, recipe.size * 3 // 2), report)
    sinks = prepare_checkpoint(checkpoint, found.card, recipe, photographs) if checkpoint else []
    after = fine_tune(found.card, before, recipe, photographs, group, workers, report, sinks)
    evaluator = Evaluator(photographs.unseen, found.card.input_size, group, report)
    figures = evaluator.compare(before, after)
    better = figures["look"].fmse_saved > 0 and figures["others"].psnr_gained > -FORGETTING
    model = None
    if better:
        card, weights = describe_model(found.card, name, photos, recipe, photographs, after, figures)
        model = add_model(card, weights)
    if checkpoint:
        shutil.rmtree(checkpoint, ignore_errors=True)
    # After the model is made: an error here must not lose the training.
    measured = evaluator.benchmark(benchmark, before, after) if benchmark else None
    if sheet:
        evaluator.draw(sheet, before, after)
    return FineTuned(model, photographs, figures["look"], figures["others"], measured)


def load_trainable(model: Model) -> Network:
    """Load a model that can be fine-tuned.

    Raises:
        EngineError: it has no weights to train, or predicts masks.
    """
    if model.card.network not in RECIPES["small"]:
        raise ModelError(
            f"Model “{model.card.name}” is a formula and can't be trained: choose another base model.",
            code="model.untrainable",
            model=model.card.name,
        )
    network = load_network(model)
    if network.mask_free:
        raise ModelError(
            f"Model “{model.card.name}” predicts masks, not colors: choose another base model.",
            code="model.untrainable",
            model=model.card.name,
        )
    return network


def recipe_for(card: Card, network: Network, minutes: float) -> Recipe:
    """Return the recipe of a model's network at a lower rate, with the loss that the model was trained with."""
    own = RECIPES["small"][card.network]
    kind = network.known if isinstance(network, Personal) else network
    loss = card.training.get("loss")
    return replace(
        own,
        loss=loss if loss in LOSSES else own.loss,
        learning_rate=LEARNING_RATE_FACTOR * own.learning_rate,
        weight_decay=0.0,
        minutes=minutes,
        size=SMALL_INPUT_SIZE if accepts_small_inputs(kind) else round(card.input_size / max(kind.input_scales)),
        batch=32,
        warm_up=20,
        average=0.99,
        adversarial=0.0,
        options=card.options,
    )


def accepts_small_inputs(network: Network) -> bool:
    """Return whether a network can be trained on smaller images than it receives at inference.

    Networks with semantic features can't, nor encoder-decoders, whose input sizes are restricted.
    """
    return isinstance(network, MapNetwork) and not any(isinstance(part, Recognition) for part in network.modules())


def read_photographs(photos: Path, long_side: int, report: EventCallback) -> Photographs:
    """Read a folder and hold out a fifth of it, chosen by a hash of the names.

    Raises:
        EngineError: too few usable photographs.
    """
    found = load_photographs(photos, None, long_side, reading_progress(report))
    if len(found) < FEWEST:
        raise TrainingError(
            f"{photos} holds {len(found)} usable photographs{reasons(found.skipped)}: "
            f"add more, {FEWEST} are needed and {2 * FEWEST} are better.",
            code="training.few-photographs",
            path=str(photos),
        )
    ranked = sorted(found, key=lambda photograph: stable_fraction(photograph.name))
    count = int(len(ranked) * HELD_OUT_PHOTOS)
    return Photographs(ranked[count:], ranked[:count], found.skipped)


def reasons(skipped: Sequence[Skipped]) -> str:
    """Return the commonest reasons for which files were skipped, in parentheses; empty if none was."""
    counted = Counter(one.why for one in skipped).most_common(3)
    return f" ({'; '.join(f'{count} left out: {why}' for why, count in counted)})" if counted else ""


def prepare_checkpoint(folder: Path, card: Card, recipe: Recipe, photographs: Photographs) -> list[Checkpoints]:
    """Prepare a folder for checkpoints; the files of an earlier call with other settings are removed.

    Raises:
        EngineError: the folder can't be created.
    """
    names = [photograph.name for photograph in photographs.seen]
    settings = recipe.to_json() | {"base": card.sha256, "photographs": names}
    settings["betas"] = list(recipe.betas)
    try:
        if read_settings(folder) != settings:
            shutil.rmtree(folder, ignore_errors=True)
    except EngineError:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"{folder} can't be created ({error.strerror}): allow writing there.", code="file.folder", path=str(folder)
        ) from error
    write_settings(folder, settings)
    return [Checkpoints(folder)]


def fine_tune(
    card: Card,
    before: Network,
    recipe: Recipe,
    photographs: Photographs,
    group: ProcessGroup,
    workers: int | None,
    report: EventCallback,
    sinks: Sequence[Checkpoints] = (),
) -> Personal:
    """Train, and join the result with the base network."""
    # A model that was fine-tuned already is trained further, and still falls back on its own base network.
    known, start = (before.known, before.learned) if isinstance(before, Personal) else (before, before)
    learned = train_style(card, start, recipe, photographs, group, workers, report, sinks)
    after = Personal(known, blend(start, learned, BLEND_SHARE))
    after.likeness.fit(*backgrounds(photographs.seen, card.input_size, report))
    return after.eval().requires_grad_(False)


def train_style(
    card: Card,
    start: Network,
    recipe: Recipe,
    photographs: Photographs,
    group: ProcessGroup,
    workers: int | None,
    report: EventCallback,
    sinks: Sequence[Checkpoints] = (),
) -> Network:
    """Train on pairs of the style mixed with pairs of the original recipe; return the best weights."""
    size, batch = recipe.size, recipe.batch
    style = PairMaker(size, batch, 1, photographs=photographs.seen, kinds=AS_PUBLISHED)
    original = PairMaker(size, batch, 2, photographs=photographs.seen)
    pairs = MixedPairs(size, batch, sources=(style, original), share=ORIGINAL_SHARE)
    unseen = PairMaker(size, batch, 3, photographs=photographs.unseen, kinds=AS_PUBLISHED, crop=False)
    network = build_network(card.network, **card.options)
    network.load_state_dict(start.state_dict())
    workers = default_workers() if workers is None else workers
    held_out = [unseen.make(index) for index in range(4)]
    trainer = Trainer(network, pairs, recipe, held_out, sinks=sinks, group=group, workers=workers)
    return trainer.fit(report).best


def backgrounds(photographs: Sequence[Photograph], size: int, report: EventCallback = ignore_events) -> list[Tensor]:
    """Describe backgrounds in the photographs' style, and the same ones in other styles: (BACKGROUNDS, F) each."""
    found = []
    count = BACKGROUNDS // 32
    for index, kinds in enumerate((AS_PUBLISHED, OTHER_STYLES)):
        pairs = PairMaker(size, 32, 4, photographs=photographs, kinds=kinds)
        described = []
        for step in range(count):
            report(TrainingEvent(Phase.MEASURING, index * count + step, 2 * count, "backgrounds"))
            batch = pairs.make(step)
            described.append(describe_background(batch.composite, batch.mask))
        found.append(torch.cat(described))
    return found


def blend(start: Network, learned: Network, share: float) -> Network:
    """Interpolate between the weights of two networks (Wortsman et al., Robust fine-tuning, CVPR 2022)."""
    mixed = copy.deepcopy(learned)
    weights = start.state_dict()
    mixed.load_state_dict(
        {
            key: torch.lerp(weights[key], value, share) if value.is_floating_point() else value
            for key, value in learned.state_dict().items()
        }
    )
    return mixed


def describe_model(
    base: Card,
    name: str,
    photos: Path,
    recipe: Recipe,
    photographs: Photographs,
    network: Network,
    figures: dict[str, Compared],
) -> tuple[Card, bytes]:
    """Return the new model's card and the content of its weights file."""
    weights = safetensors.torch.save(half_precision(network))
    count = f"{len(photographs.seen)} photographs of {photos.name}"
    saved = f"{figures['look'].fmse_saved:.1%} less fMSE on {len(photographs.unseen)} held-out ones"
    length = f"{recipe.minutes:g} minutes" if recipe.minutes else f"{recipe.steps} steps"
    history = f"{base.name}, then {length} on {count}: {saved}"
    card = replace(
        base,
        name=name,
        fine_tuned=True,
        description=f"{base.name}, fine-tuned on {photos.name}",
        sha256=hashlib.sha256(weights).hexdigest(),
        size=len(weights),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        data=f"{base.data} Then {count}, which belong to their owner.",
        training=recipe.to_json() | {"base": base.name, "history": history},
        figures={kind: asdict(one) for kind, one in figures.items()},
    )
    return card, weights


class Evaluator:
    """Measures networks on the held-out photographs at full size, through the harmonizer."""

    def __init__(
        self, unseen: Sequence[Photograph], input_size: int, group: ProcessGroup, report: EventCallback
    ) -> None:
        """Make the pairs: in the photographs' style, and of the same photographs in other styles."""
        self.input_size, self.device, self.report = input_size, str(group.device), report
        kinds = {"look": AS_PUBLISHED, "others": OTHER_STYLES}
        self.pairs = {name: make_pairs(unseen, PAIR_SEEDS[name], kind) for name, kind in kinds.items()}

    def compare(self, before: Network, after: Network) -> dict[str, Compared]:
        """Measure two networks on both kinds of pairs."""
        found = {}
        for kind, subject in (("look", "this style"), ("others", "other styles")):
            harmonizers = [self.harmonizer(network) for network in (before, after)]
            watch = self.progress(subject, len(self.pairs[kind]))
            found[kind] = compared(measure_pairs(self.pairs[kind], harmonizers, watch=watch))
        return found

    def benchmark(self, dataset: Path, before: Network, after: Network) -> Compared:
        """Measure two networks on a data set."""
        found = evaluate_harmonizers(
            dataset,
            [self.harmonizer(network) for network in (before, after)],
            progress=lambda done, total: self.report(TrainingEvent(Phase.MEASURING, done, total, dataset.name)),
        )
        return compared(found)

    def draw(self, path: Path, before: Network, after: Network) -> None:
        """Draw held-out pairs before and after, as a PNG."""
        pairs = self.pairs["look"]
        sheet = Sheet(evenly_spaced(len(pairs), SHEET_PAIRS))
        progress = self.progress("examples", len(pairs))

        def watch(found: Evaluation, pair: Loaded, results: Sequence[Any]) -> None:
            sheet.add(found, pair, results)
            progress(found, pair, results)

        with atomic_write(path) as file:
            measure_pairs(pairs, [self.harmonizer(before, "before"), self.harmonizer(after, "after")], watch=watch)
            sheet.save(file, ["before", "after"])

    def harmonizer(self, network: Network, name: str = "") -> Harmonizer:
        """Return a harmonizer with a copy of a network."""
        return Harmonizer.from_network(copy.deepcopy(network), self.input_size, self.device, name)

    def progress(self, subject: str, total: int) -> Callable[[Evaluation, Loaded, Sequence[object]], None]:
        """Return a callback for `measure_pairs` that reports progress."""
        return lambda found, *_: self.report(TrainingEvent(Phase.MEASURING, len(found.names), total, subject))


def make_pairs(photographs: Sequence[Photograph], seed: int, kinds: PairKinds) -> list[Loaded]:
    """Make pairs of the full measuring size; the same seed gives the same pairs."""
    maker = PairMaker(MEASURED_SIDE, MEASURED, seed, photographs=photographs, kinds=kinds, crop=False)
    arrays = [(tensor * 255).round().byte().permute(0, 2, 3, 1).numpy() for tensor in maker.make(0)]
    return [
        Loaded(str(index), composite, np.ascontiguousarray(mask[..., 0]), target)
        for index, (composite, mask, target) in enumerate(zip(*arrays, strict=True))
    ]


def compared(found: Evaluation) -> Compared:
    """Return the mean scores of an evaluation of two networks."""
    return Compared(found.untouched.mean, *(row.mean for row in found.models))
