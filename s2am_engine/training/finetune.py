# SPDX-License-Identifier: GPL-3.0-or-later
"""Teaching a model the look of somebody's own photographs, on their own machine: `s2am finetune`.

A fifth of the photographs is held out. From the others come two kinds of pairs: those of the look, whose truth is the
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
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from s2am_engine.errors import EngineError
from s2am_engine.inference.devices import choose_device
from s2am_engine.models.model_files import add_model, check_free, check_name
from s2am_engine.models.model_store import DEFAULT_MODEL, Card, Model, find_model, load_network
from s2am_engine.networks.cells import Recognition
from s2am_engine.networks.network import MapNetwork, Network
from s2am_engine.networks.personal import Personal, describe
from s2am_engine.training.album import Skipped, load_photographs
from s2am_engine.training.checkpoints import half_precision
from s2am_engine.training.datasets import LONG_SIDE, Photograph
from s2am_engine.training.events import Reading, Report, ignore
from s2am_engine.training.iharmony import find_pairs
from s2am_engine.training.judge import Compared, Judge
from s2am_engine.training.loop import Trainer
from s2am_engine.training.losses import LOSSES
from s2am_engine.training.machine import default_workers
from s2am_engine.training.pairs import Mixture, PairMaker
from s2am_engine.training.recipes import RECIPES, Recipe
from s2am_engine.training.team import Team

FEWEST = 20  # photographs
HELD_OUT = 5  # every fifth is held out
ORIGINAL_SHARE = 1 / 2  # of the pairs are made by the original recipe
LEARNING_RATE = 0.2  # of the original recipe's
SIZE = 64  # pixels: what a look is shows in small pictures too, of which many more can be learned from
KEPT = 0.7  # of what was learned: most of the gain, and half of the harm where a look is mistaken
FORGETTING = 0.05  # dB that may be lost on other looks
BACKGROUNDS = 1024  # of each kind, from which the look is told from others


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
    team = Team(choose_device(device))
    photographs = read_photographs(photos, max(LONG_SIDE, recipe.size * 3 // 2), report)
    after = teach(found.card, before, recipe, photographs, team, workers, report)
    judge = Judge(photographs.unseen, found.card.input_size, team, report)
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
        loss=LOSSES.get(card.training.get("loss", ""), own.loss),
        learning_rate=LEARNING_RATE * own.learning_rate,
        weight_decay=0.0,
        minutes=minutes,
        size=SIZE if sees_small_pictures(kind) else round(card.input_size / max(kind.sides)),
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
    album = load_photographs(photos, None, long_side, lambda done, total: report(Reading(done, total)))
    if len(album) < FEWEST:
        raise EngineError(
            f"{photos} holds {len(album)} usable photographs{reasons(album.skipped)}: "
            f"add more, {FEWEST} are needed and {2 * FEWEST} are better."
        )
    drawn = sorted(album, key=lambda photograph: hashlib.sha256(photograph.name.encode()).digest())
    held_out = len(drawn) // HELD_OUT
    return Photographs(drawn[held_out:], drawn[:held_out], album.skipped)


def reasons(skipped: Sequence[Skipped]) -> str:
    """Why files were left out, in brackets, the commonest reasons first; nothing if none was."""
    counted = Counter(one.why for one in skipped).most_common(3)
    return f" ({'; '.join(f'{count} left out: {why}' for why, count in counted)})" if counted else ""


def teach(
    card: Card,
    before: Network,
    recipe: Recipe,
    photographs: Photographs,
    team: Team,
    workers: int | None,
    report: Report,
) -> Personal:
    """Learn, and join what was learned with what was known."""
    # What was fine-tuned already goes on learning, and still falls back on the network that it began as.
    known, start = (before.known, before.learned) if isinstance(before, Personal) else (before, before)
    learned = learn(card, start, recipe, photographs, team, workers, report)
    after = Personal(known, blend(start, learned, KEPT))
    after.likeness.fit(*backgrounds(photographs.seen, card.input_size))
    return after.eval().requires_grad_(False)


def learn(
    card: Card,
    start: Network,
    recipe: Recipe,
    photographs: Photographs,
    team: Team,
    workers: int | None,
    report: Report,
) -> Network:
    """Learn the look, mixed with the original recipe."""
    size, batch = recipe.size, recipe.batch
    look = PairMaker(size, batch, 1, photographs=photographs.seen, graded=0.0)
    original = PairMaker(size, batch, 2, photographs=photographs.seen)
    pairs = Mixture(size, batch, sources=(look, original), share=ORIGINAL_SHARE)
    followed = PairMaker(size, batch, 3, photographs=photographs.unseen, graded=0.0, crop=False)
    workers = default_workers() if workers is None else workers
    with tempfile.TemporaryDirectory(prefix="s2am-finetune-") as folder:
        held_out = [followed.make(index) for index in range(4)]
        run = Trainer(
            card.network, recipe, pairs, held_out, Path(folder), team, workers=workers, weights=start.state_dict()
        )
        run.run(report)
    return run.learner.average.cpu()


def backgrounds(photographs: Sequence[Photograph], size: int) -> list[Tensor]:
    """What `Likeness.fit` learns from: backgrounds of the photographs' look, and of the same ones in other looks."""
    found = []
    for graded in (0.0, 1.0):
        pairs = PairMaker(size, 32, 4, photographs=photographs, graded=graded)
        batches = (pairs.make(step) for step in range(BACKGROUNDS // 32))
        found.append(torch.cat([describe(batch.composite, batch.mask) for batch in batches]))
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
