# SPDX-License-Identifier: GPL-3.0-or-later
"""Teaching a model the look of somebody's own photographs, on their own machine: `s2am finetune`.

A fifth of the photographs is held out. From the others come two kinds of pairs: those of the look, whose target is the
photograph as it is, and those of the original recipe, whose photographs are varied as a whole first. A few dozen
photographs can't stand for all others, so the network that learned from them is used where a background has their look,
and the one that was there before elsewhere (`networks.personal`): nothing is forgotten. What is better on the held-out
photographs is kept.
"""

from __future__ import annotations

import copy
import hashlib
import tempfile
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
from s2am_engine.errors import EngineError
from s2am_engine.inference.devices import choose_device
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.models.model_files import add_model, check_free, check_name
from s2am_engine.models.model_store import DEFAULT_MODEL, Card, Model, find_model, load_network
from s2am_engine.networks.network import MapNetwork, Network
from s2am_engine.networks.personal import Personal, describe_background
from s2am_engine.networks.recognition import Recognition
from s2am_engine.training.dataset_readers import find_pairs
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
from s2am_engine.training.events import Measuring, Reading, Report, ignore
from s2am_engine.training.losses import LOSSES
from s2am_engine.training.pair_source import Mixture
from s2am_engine.training.photo_cache import LONG_SIDE, Photograph, Skipped, load_photographs
from s2am_engine.training.recipes import RECIPES, Recipe
from s2am_engine.training.run_folder import half_precision
from s2am_engine.training.synthetic_pairs import PairMaker
from s2am_engine.training.trainer import Trainer, default_workers

FEWEST = 20  # photographs
HELD_OUT_EVERY = 5  # every fifth is held out
ORIGINAL_SHARE = 1 / 2  # of the pairs are made by the original recipe
LEARNING_RATE_FACTOR = 0.2  # of the original recipe's
SMALL_INPUT_SIZE = 64  # pixels: what a look is shows in small pictures too, of which many more can be learned from
BLEND_SHARE = 0.7  # of what was learned: most of the gain, and half of the harm where a look is mistaken
FORGETTING = 0.05  # dB that may be lost on other looks
BACKGROUNDS = 1024  # of each kind, from which the look is told from others

MEASURED = 64  # pairs of each kind
MEASURED_SIDE = 192  # pixels
SHEET_PAIRS = 24  # pairs on the sheet
PAIR_SEEDS = {"look": 40_000, "others": 50_000}


@dataclass(frozen=True)
class Photographs:
    """Somebody's photographs."""

    seen: list[Photograph]  # that were learned from
    unseen: list[Photograph]  # held out
    skipped: list[Skipped]


@dataclass(frozen=True)
class FineTuned:
    """What came of it."""

    model: Model | None  # None: the base model stayed the better one, and no model was made
    photographs: Photographs
    look: Compared  # on pairs of the held-out photographs
    others: Compared  # on the same photographs in other looks
    benchmark: Compared | None

    def to_json(self) -> dict[str, Any]:
        """All figures as plain values."""
        sets = {"look": self.look, "others": self.others, "benchmark": self.benchmark}
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
    device: str = "auto",
    workers: int | None = None,
    report: Report = ignore,
) -> FineTuned:
    """Fine-tune a model on photographs, and make a personal model of it if it is better on those held out.

    Args:
        photos: a folder of photographs of one look.
        name: of the new model.
        base: the model to begin with.
        minutes: of learning; reading and measuring come on top.
        benchmark: also measure before and after on this data set, in iHarmony4's layout.
        sheet: also draw held-out pairs before and after, as a PNG.
        device: `auto`, `cpu`, `cuda` …
        workers: threads that make pairs; None = half of the cores.
        report: see `events`; raising there cancels, and nothing is left behind.

    Raises:
        EngineError: a name that is taken, too few usable photographs, or a base model that can't learn.
    """
    name = check_name(name)
    check_free(name)
    found = find_model(base)
    before = load_trainable(found)
    if benchmark:
        find_pairs(benchmark)  # that it is none should not come out after an hour
    recipe = recipe_for(found.card, before, minutes)
    group = ProcessGroup(choose_device(device))
    photographs = read_photographs(photos, max(LONG_SIDE, recipe.size * 3 // 2), report)
    after = fine_tune(found.card, before, recipe, photographs, group, workers, report)
    judge = Judge(photographs.unseen, found.card.input_size, group, report)
    figures = judge.compare(before, after)
    better = figures["look"].fmse_saved > 0 and figures["others"].psnr_gained > -FORGETTING
    model = None
    if better:
        card, weights = describe_model(found.card, name, photos, recipe, photographs, after, figures)
        model = add_model(card, weights)
    # Only now: what goes wrong here must not cost what was learned.
    measured = judge.benchmark(benchmark, before, after) if benchmark else None
    if sheet:
        judge.draw(sheet, before, after)
    return FineTuned(model, photographs, **figures, benchmark=measured)


def load_trainable(model: Model) -> Network:
    """Load a model that can be fine-tuned.

    Raises:
        EngineError: it is a formula, or finds masks.
    """
    if model.card.network not in RECIPES["small"]:
        raise EngineError(f"Model “{model.card.name}” is a formula and can't learn: choose another with --base.")
    network = load_network(model)
    if network.mask_free:
        raise EngineError(f"Model “{model.card.name}” finds masks, which have no look: choose another with --base.")
    return network


def recipe_for(card: Card, network: Network, minutes: float) -> Recipe:
    """The recipe of a model's network, gentler, with the loss that the model was made with."""
    own = RECIPES["small"][card.network]
    kind = network.known if isinstance(network, Personal) else network
    return replace(
        own,
        loss=own_loss if (own_loss := card.training.get("loss")) in LOSSES else own.loss,
        learning_rate=LEARNING_RATE_FACTOR * own.learning_rate,
        weight_decay=0.0,
        minutes=minutes,
        size=SMALL_INPUT_SIZE if sees_small_pictures(kind) else round(card.input_size / max(kind.input_scales)),
        batch=32,
        warm_up=20,
        average=0.99,
        adversarial=0.0,
        options=card.options,
    )


def sees_small_pictures(network: Network) -> bool:
    """Whether a network can learn from smaller pictures than it will be shown.

    Not if it has to recognize what they show, and not an encoder-decoder, whose sizes are not free.
    """
    return isinstance(network, MapNetwork) and not any(isinstance(part, Recognition) for part in network.modules())


def read_photographs(photos: Path, long_side: int, report: Report) -> Photographs:
    """Read a folder and hold out a fifth of it, by a hash of the names: the same ones every time.

    Raises:
        EngineError: too few usable photographs.
    """
    cached = load_photographs(photos, None, long_side, lambda done, total: report(Reading(done, total)))
    if len(cached) < FEWEST:
        raise EngineError(
            f"{photos} holds {len(cached)} usable photographs{reasons(cached.skipped)}: "
            f"add more, {FEWEST} are needed and {2 * FEWEST} are better."
        )
    drawn = sorted(cached, key=lambda photograph: hashlib.sha256(photograph.name.encode()).digest())
    held_out = len(drawn) // HELD_OUT_EVERY
    return Photographs(drawn[held_out:], drawn[:held_out], cached.skipped)


def reasons(skipped: Sequence[Skipped]) -> str:
    """Why files were left out, in brackets, the commonest reasons first; nothing if none was."""
    counted = Counter(one.why for one in skipped).most_common(3)
    return f" ({'; '.join(f'{count} left out: {why}' for why, count in counted)})" if counted else ""


def fine_tune(
    card: Card,
    before: Network,
    recipe: Recipe,
    photographs: Photographs,
    group: ProcessGroup,
    workers: int | None,
    report: Report,
) -> Personal:
    """Learn, and join what was learned with what was known."""
    # What was fine-tuned already goes on learning, and still falls back on the network that it began as.
    known, start = (before.known, before.learned) if isinstance(before, Personal) else (before, before)
    learned = learn(card, start, recipe, photographs, group, workers, report)
    after = Personal(known, blend(start, learned, BLEND_SHARE))
    after.likeness.fit(*backgrounds(photographs.seen, card.input_size))
    return after.eval().requires_grad_(False)


def learn(
    card: Card,
    start: Network,
    recipe: Recipe,
    photographs: Photographs,
    group: ProcessGroup,
    workers: int | None,
    report: Report,
) -> Network:
    """Learn the look, mixed with the original recipe."""
    size, batch = recipe.size, recipe.batch
    look = PairMaker(size, batch, 1, photographs=photographs.seen, pre_augmented=0.0)
    original = PairMaker(size, batch, 2, photographs=photographs.seen)
    pairs = Mixture(size, batch, sources=(look, original), share=ORIGINAL_SHARE)
    followed = PairMaker(size, batch, 3, photographs=photographs.unseen, pre_augmented=0.0, crop=False)
    workers = default_workers() if workers is None else workers
    with tempfile.TemporaryDirectory(prefix="s2am-finetune-") as folder:
        held_out = [followed.make(index) for index in range(4)]
        run = Trainer(
            card.network, recipe, pairs, held_out, Path(folder), group, workers=workers, weights=start.state_dict()
        )
        run.run(report)
    return run.learner.average.cpu()


def backgrounds(photographs: Sequence[Photograph], size: int) -> list[Tensor]:
    """What `Likeness.fit` learns from: backgrounds of the photographs' look, and of the same ones in other looks."""
    found = []
    for pre_augmented in (0.0, 1.0):
        pairs = PairMaker(size, 32, 4, photographs=photographs, pre_augmented=pre_augmented)
        batches = (pairs.make(step) for step in range(BACKGROUNDS // 32))
        found.append(torch.cat([describe_background(batch.composite, batch.mask) for batch in batches]))
    return found


def blend(start: Network, learned: Network, share: float) -> Network:
    """A network whose weights lie between two others' (Wortsman et al., Robust fine-tuning, CVPR 2022)."""
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
    """The new model's card and the content of its weights' file."""
    weights = safetensors.torch.save(half_precision(network))
    count = f"{len(photographs.seen)} photographs of {photos.name}"
    saved = f"{figures['look'].fmse_saved:.1%} less fMSE on {len(photographs.unseen)} held-out ones"
    history = f"{base.name}, then {recipe.minutes:g} minutes on {count}: {saved}"
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


@dataclass(frozen=True)
class Compared:
    """What was measured on one set of pairs, before and after."""

    untouched: Scores
    before: Scores  # of the base model
    after: Scores  # of the new one

    @property
    def fmse_saved(self) -> float:
        """Share of the foreground's mean square error that learning took away; negative: it added some."""
        return 1 - self.after.fmse / self.before.fmse

    @property
    def psnr_gained(self) -> float:
        """dB; negative: it was lost."""
        return self.after.psnr - self.before.psnr


class Judge:
    """Measures networks on the held-out photographs, as people would get their results."""

    def __init__(self, unseen: Sequence[Photograph], input_size: int, group: ProcessGroup, report: Report) -> None:
        """Make the pairs: of the look as it is, and of the same photographs varied as a whole."""
        self.input_size, self.device, self.report = input_size, str(group.device), report
        self.pairs = {
            kind: make_pairs(unseen, PAIR_SEEDS[kind], pre_augmented)
            for kind, pre_augmented in (("look", 0.0), ("others", 1.0))
        }

    def compare(self, before: Network, after: Network) -> dict[str, Compared]:
        """Measure two networks on both kinds of pairs."""
        found = {}
        for kind, pairs in self.pairs.items():
            harmonizers = [self.harmonizer(network) for network in (before, after)]
            watch = self.progress(f"measuring on {kind}", len(pairs))
            found[kind] = compared(measure_pairs(pairs, harmonizers, watch=watch))
        return found

    def benchmark(self, dataset: Path, before: Network, after: Network) -> Compared:
        """Measure two networks on a data set."""
        found = evaluate_harmonizers(
            dataset,
            [self.harmonizer(network) for network in (before, after)],
            progress=lambda done, total: self.report(Measuring(f"measuring on {dataset.name}", done, total)),
        )
        return compared(found)

    def draw(self, path: Path, before: Network, after: Network) -> None:
        """Draw held-out pairs before and after."""
        pairs = self.pairs["look"]
        sheet = Sheet(evenly_spaced(len(pairs), SHEET_PAIRS))
        with atomic_write(path) as file:
            measure_pairs(pairs, [self.harmonizer(before, "before"), self.harmonizer(after, "after")], watch=sheet.add)
            sheet.save(file, ["before", "after"])

    def harmonizer(self, network: Network, name: str = "") -> Harmonizer:
        """What a network would be in people's hands."""
        return Harmonizer.from_network(copy.deepcopy(network), self.input_size, self.device, name)

    def progress(self, what: str, total: int) -> Callable[[Evaluation, Loaded, Sequence[object]], None]:
        """Tell how far measuring is."""
        return lambda found, *_: self.report(Measuring(what, len(found.names), total))


def make_pairs(photographs: Sequence[Photograph], seed: int, pre_augmented: float) -> list[Loaded]:
    """Pairs in memory, the same ones every time."""
    maker = PairMaker(MEASURED_SIDE, MEASURED, seed, photographs=photographs, pre_augmented=pre_augmented, crop=False)
    arrays = [(tensor * 255).round().byte().permute(0, 2, 3, 1).numpy() for tensor in maker.make(0)]
    return [
        Loaded(str(index), composite, np.ascontiguousarray(mask[..., 0]), target)
        for index, (composite, mask, target) in enumerate(zip(*arrays, strict=True))
    ]


def compared(found: Evaluation) -> Compared:
    """What was measured of two networks."""
    return Compared(found.untouched.mean, *(row.mean for row in found.models))
