# SPDX-License-Identifier: GPL-3.0-or-later
"""Fine-tuning a model on a user's own photographs: `s2am finetune`.

Some photographs are held out. The others give two kinds of pairs: those of the photographs' own look, whose ground
truth is the photograph as it is, and those of the photographs without their look (`style_pairs`). A small adjustment of
the frozen base network is trained on them (`networks.adjustment`); a network that predicts no curves and matrix is
trained as a whole, and its weights are blended with the base model's. The state with the highest gain on the held-out
photographs is kept. Because a few dozen photographs do not represent all others, the result is used where a background
resembles the look, and the base model elsewhere (`networks.personal`). It becomes a model only if it is better on the
held-out photographs beyond chance (`gain`).

Reading, preparing, training, measuring and saving share the minutes that were asked for.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from s2am_common.atomic import atomic_write
from s2am_engine.errors import EngineError, FileError, ModelError, TrainingError
from s2am_engine.inference.devices import choose_device
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.inference.thread_limit import thread_limit
from s2am_engine.models.model_files import add_model, check_free, check_name
from s2am_engine.models.model_store import DEFAULT_MODEL, Card, Model, find_model, load_network
from s2am_engine.networks.adjustment import AdjustedNetwork, Adjustment, describe
from s2am_engine.networks.curves import CurvesAndMatrixNetwork
from s2am_engine.networks.network import MapNetwork, Network
from s2am_engine.networks.personal import Likeness, Personal
from s2am_engine.networks.recognition import Recognition
from s2am_engine.networks.registry import RECIPES
from s2am_engine.networks.spec import Recipe
from s2am_engine.training.dataset_readers import find_pairs, stable_fraction
from s2am_engine.training.distributed import ProcessGroup
from s2am_engine.training.evaluation import evaluate_harmonizers
from s2am_engine.training.events import EventCallback, Phase, TrainingEvent, ignore_events, reading_progress
from s2am_engine.training.gain import SENTENCES, Compared, PairScores, Verdict, judge
from s2am_engine.training.held_out import (
    MEASURED_SIDE,
    OTHERS,
    STYLE,
    HeldOutMeasurement,
    HeldOutPairs,
    draw_style_sheet,
)
from s2am_engine.training.losses import LOSSES
from s2am_engine.training.metrics import Scores
from s2am_engine.training.pair_source import MixedPairs, PairSource
from s2am_engine.training.photo_cache import LONG_SIDE, Photograph, Skipped, load_photographs
from s2am_engine.training.run_folder import Checkpoints, half_precision, read_settings, write_settings
from s2am_engine.training.style_likeness import fit_likeness
from s2am_engine.training.style_pairs import (
    IN_STYLE,
    OTHER_STYLES,
    StyleMap,
    StylePairs,
    estimate_style,
    without_style,
)
from s2am_engine.training.synthetic_pairs import PairMaker
from s2am_engine.training.time_budget import Now, TimeBudget
from s2am_engine.training.trainer import Trainer, default_workers

FEWEST = 20  # photographs
HELD_OUT_PHOTOS = 1 / 5
FEWEST_HELD_OUT = 8  # photographs; a gain on fewer could be chance
ORIGINAL_SHARE = 1 / 2  # share of pairs that are made by the original recipe
LEARNING_RATE_FACTOR = 0.2  # learning rate of a whole network relative to the original recipe's
ADJUSTMENT_RATE, ADJUSTMENT_DECAY = 2e-3, 1e-2  # learning rate and weight decay of an adjustment
FITTED_BATCHES, FITTED_FIRST = 8, 2_000_000_000  # batches to which an adjustment is standardized, and the first's step
SMALL_INPUT_SIZE = 64  # pixels: a look is visible in small images too, and many more of them fit into the time
BLEND_SHARE = (
    0.7  # share of the change of weights: keeps most of the gain, and halves the harm if the look is misclassified
)

TRAINING_ENDS = 0.75  # share of the time
SAVING_TIME = 3.0  # seconds that measuring leaves, or a twentieth of a short time
LEAST_TRAINING = 0.1  # share of the time that is left for training, however long reading takes
SAVE_EVERY = 10.0  # seconds between two savings of the session
SESSION_FILE = "session.json"


@dataclass(frozen=True)
class Photographs:
    """A user's photographs."""

    seen: list[Photograph]  # to train on
    unseen: list[Photograph]  # held out
    skipped: list[Skipped]


@dataclass(frozen=True)
class FineTuned:
    """Result of fine-tuning."""

    model: Model | None  # None: the base model stays the better one, and no model was made
    base: str
    photographs: Photographs
    verdict: Verdict
    style: Compared  # on pairs of the held-out photographs
    others: Compared  # on the same photographs in other styles
    benchmark: Compared | None
    seconds: float  # of all sessions together

    @property
    def sentence(self) -> str:
        """What the verdict means, and what would help."""
        return SENTENCES[self.verdict].format(base=self.base)

    def to_json(self) -> dict[str, Any]:
        """Return all figures as plain values."""
        sets = {STYLE: self.style, OTHERS: self.others, "benchmark": self.benchmark}
        return {
            "model": self.model.card.name if self.model else None,
            "verdict": self.verdict.value,
            "sentence": self.sentence,
            "photographs": len(self.photographs.seen),
            "held_out": len(self.photographs.unseen),
            "seconds": round(self.seconds, 1),
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
    now: Now = time.perf_counter,
) -> FineTuned:
    """Fine-tune a model on photographs, and make a personal model of it if it is better on those held out.

    Args:
        photos: a folder of photographs of one look.
        name: of the new model.
        base: the model to start from.
        minutes: for everything but the benchmark; at least one round of held-out pairs is measured even if that takes
            longer.
        benchmark: also measure before and after on this data set, in iHarmony4's layout.
        sheet: also draw held-out pairs before and after, those with the largest gain first, as a PNG.
        device: `auto`, `cpu`, `cuda` …; None = as in the settings.
        workers: threads that make pairs; None = half of the cores.
        report: receives progress; an exception raised in it cancels.
        checkpoint: a folder for the state of the work, with which the same call continues after an interruption; it is
            removed at the end. None = an interrupted call leaves nothing.
        now: returns the time in seconds.

    Raises:
        EngineError: a name that is taken, too few usable photographs, or a base model that cannot be trained.
    """
    name = check_name(name)
    check_free(name)
    budget = TimeBudget(60 * minutes, now)
    session = Session(budget, checkpoint, report)
    found = find_model(base)
    before = load_trainable(found)
    if benchmark:
        find_pairs(benchmark)  # reject an unusable data set before training, not an hour later
    recipe = recipe_for(found.card, before, minutes)
    group = ProcessGroup(torch.device(choose_device(device)))
    photographs = read_photographs(photos, max(LONG_SIDE, recipe.size * 3 // 2), session.report)
    sinks = session.resume(settings_of(found.card, recipe, photographs))
    try:
        # Networks for small inputs are fastest in few threads, which do not wait for each other.
        with thread_limit(default_workers()):
            style = estimate_style(photographs.seen)
            likeness = fit_likeness(photographs.seen, photographs.unseen, style, session.report)
            recipe = session.fit_training(recipe)
            after = fine_tune(before, recipe, photographs, style, likeness, group, workers, session, sinks)
        measured = session.measure(photographs.unseen, found.card, before, after, name, group)
        session.report(TrainingEvent(Phase.SAVING, 0, 1))
        figures = measured.compare()
        verdict = judge(figures[STYLE], figures[OTHERS])
        model = None
        if verdict is Verdict.BETTER:
            card, weights = describe_model(found.card, name, photos, recipe, photographs, after, figures)
            model = add_model(card, weights, style_sheet=draw_style_sheet(photographs.seen))
    except BaseException:
        session.save()
        raise
    if checkpoint:
        shutil.rmtree(checkpoint, ignore_errors=True)
    # After the model is made: an error here must not lose the training.
    if sheet:
        measured.write_sheet(sheet)
    session.announce(TrainingEvent(Phase.SAVING, 1, 1))
    seconds = budget.elapsed
    compared = None
    if benchmark:
        compared = compare_on_data_set(benchmark, measured.before, measured.after, report)
    return FineTuned(model, found.card.name, photographs, verdict, figures[STYLE], figures[OTHERS], compared, seconds)


@dataclass
class Session:
    """State of a fine-tuning besides the trainer's: the time used, and the pairs measured so far."""

    budget: TimeBudget
    folder: Path | None  # None: it is not kept
    listener: EventCallback
    scores: list[PairScores] = field(default_factory=list)
    training_minutes: float | None = None
    opened: bool = field(default=False, init=False)  # whether the folder is that of this fine-tuning
    saved: float = field(default=0.0, init=False)  # elapsed seconds at the last saving

    def report(self, event: TrainingEvent) -> None:
        """Pass an event on, with its place among all phases; save the session now and then."""
        if self.budget.elapsed - self.saved > SAVE_EVERY:
            self.save()
        self.announce(event)

    def announce(self, event: TrainingEvent) -> None:
        """Pass an event on, with its place among all phases."""
        is_end = event.phase is Phase.SAVING and event.done == event.total
        overall, left = (1.0, 0.0) if is_end else (self.budget.share, self.budget.left)
        self.listener(replace(event, overall=overall, seconds_left=left))

    def resume(self, settings: dict[str, Any]) -> list[Checkpoints]:
        """Open the folder and continue from its content; the files of another fine-tuning are removed.

        Raises:
            EngineError: the folder can't be created.
        """
        if self.folder is None:
            return []
        prepare_folder(self.folder, settings)
        self.opened = True
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):  # none yet, or damaged
            state = json.loads((self.folder / SESSION_FILE).read_text(encoding="utf-8"))
            scores = [PairScores(one[0], *(Scores(**values) for values in one[1:])) for one in state["scores"]]
            elapsed, minutes = float(state["elapsed"]), state["training_minutes"]
            self.budget.before += elapsed
            self.scores, self.training_minutes = scores, minutes
        return [Checkpoints(self.folder)]

    def save(self) -> None:
        """Write the session into its folder."""
        self.saved = self.budget.elapsed
        if self.folder is None or not self.opened:
            return
        rows = [
            [one.photograph, *(asdict(scores) for scores in (one.untouched, one.before, one.after))]
            for one in self.scores
        ]
        state = {"elapsed": self.saved, "training_minutes": self.training_minutes, "scores": rows}
        with atomic_write(self.folder / SESSION_FILE) as file:
            file.write(json.dumps(state).encode())

    def fit_training(self, recipe: Recipe) -> Recipe:
        """Return a recipe whose training fits into the time; after an interruption, the same as before."""
        if recipe.minutes is None:
            return recipe
        if self.training_minutes is None:
            seconds = max(self.budget.until(TRAINING_ENDS), LEAST_TRAINING * self.budget.seconds)
            self.training_minutes = seconds / 60
            self.save()
        return replace(recipe, minutes=self.training_minutes)

    def measure(
        self,
        unseen: Sequence[Photograph],
        card: Card,
        before: Network,
        after: Network,
        name: str,
        group: ProcessGroup,
    ) -> HeldOutMeasurement:
        """Measure both networks on as many held-out pairs as the time allows."""
        pairs = HeldOutPairs(MEASURED_SIDE, photographs=unseen)
        first, second = (
            Harmonizer.from_network(copy.deepcopy(network), card.input_size, str(group.device), label)
            for network, label in ((before, card.name), (after, name))
        )
        measured = HeldOutMeasurement(pairs, first, second, self.scores)
        measured.run(
            lambda: self.budget.left <= min(SAVING_TIME, self.budget.seconds / 20),
            lambda one: self.report(TrainingEvent(Phase.MEASURING, len(one.scores), one.most)),
        )
        return measured


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
    """Return the recipe of a model's network for fine-tuning, with the loss that the model was trained with."""
    own = RECIPES["small"][card.network]
    kind = network.known if isinstance(network, Personal) else network
    trained = network.learned if isinstance(network, Personal) else network
    whole = not isinstance(trained, Adjustment) and not (trained is kind and isinstance(kind, CurvesAndMatrixNetwork))
    loss = card.training.get("loss")
    return replace(
        own,
        loss=loss if loss in LOSSES else own.loss,
        learning_rate=LEARNING_RATE_FACTOR * own.learning_rate if whole else ADJUSTMENT_RATE,
        weight_decay=0.0 if whole else ADJUSTMENT_DECAY,
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
    """Read a folder and hold out a fifth of it, but no fewer than eight, chosen by a hash of the names.

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
    count = max(FEWEST_HELD_OUT, int(len(ranked) * HELD_OUT_PHOTOS))
    return Photographs(ranked[count:], ranked[:count], found.skipped)


def reasons(skipped: Sequence[Skipped]) -> str:
    """Return the commonest reasons for which files were skipped, in parentheses; empty if none was."""
    counted = Counter(one.why for one in skipped).most_common(3)
    return f" ({'; '.join(f'{count} left out: {why}' for why, count in counted)})" if counted else ""


def settings_of(card: Card, recipe: Recipe, photographs: Photographs) -> dict[str, Any]:
    """Return all that determines a fine-tuning, as plain values."""
    settings = recipe.to_json() | {"base": card.sha256}
    settings["betas"] = list(recipe.betas)
    return settings | {
        "photographs": [photograph.name for photograph in photographs.seen],
        "held_out": [photograph.name for photograph in photographs.unseen],
    }


def prepare_folder(folder: Path, settings: dict[str, Any]) -> None:
    """Create a folder for checkpoints; the files of an earlier call with other settings are removed.

    Raises:
        EngineError: the folder can't be created.
    """
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


def fine_tune(
    before: Network,
    recipe: Recipe,
    photographs: Photographs,
    style: StyleMap,
    likeness: Likeness,
    group: ProcessGroup,
    workers: int | None,
    session: Session,
    sinks: Sequence[Checkpoints] = (),
) -> Personal:
    """Train, and join the result with the base network."""
    # A model that was fine-tuned already is trained further, and still falls back on its own base network.
    known, start = (before.known, before.learned) if isinstance(before, Personal) else (before, before)
    if isinstance(start, CurvesAndMatrixNetwork) and start is known:
        with torch.random.fork_rng():
            torch.manual_seed(0)  # the same photographs give the same model
            start = Adjustment()
    learned: Network | Adjustment
    if isinstance(start, Adjustment):
        assert isinstance(known, CurvesAndMatrixNetwork)
        adjusted = AdjustedNetwork(copy.deepcopy(known), copy.deepcopy(start))
        trained = train_style(adjusted, recipe, photographs, style, group, workers, session, sinks)
        assert isinstance(trained, AdjustedNetwork)
        learned = trained.adjustment
    else:
        network = copy.deepcopy(start)
        trained = train_style(network, recipe, photographs, style, group, workers, session, sinks)
        learned = blend(start, trained, BLEND_SHARE)
    after = Personal(known, learned)
    after.likeness = likeness
    return after.eval().requires_grad_(False)


def train_style(
    network: Network,
    recipe: Recipe,
    photographs: Photographs,
    style: StyleMap,
    group: ProcessGroup,
    workers: int | None,
    session: Session,
    sinks: Sequence[Checkpoints] = (),
) -> Network:
    """Train a network on pairs in the style and in others; return the best weights."""
    size, batch, device = recipe.size, recipe.batch, group.device
    plain = without_style(photographs.seen, style)
    pairs = MixedPairs(
        size,
        batch,
        sources=(
            StylePairs(size, batch, 1, photographs=photographs.seen, kinds=IN_STYLE, style=style, device=device),
            PairMaker(size, batch, 2, photographs=plain, kinds=OTHER_STYLES, device=device),
        ),
        share=ORIGINAL_SHARE,
    )
    if isinstance(network, AdjustedNetwork):
        fit_adjustment(network, pairs, style)
    held_out = [
        maker.make(index)
        for maker in (
            StylePairs(size, batch, 3, photographs=photographs.unseen, kinds=IN_STYLE, style=style, crop=False),
            PairMaker(
                size, batch, 4, photographs=without_style(photographs.unseen, style), kinds=OTHER_STYLES, crop=False
            ),
        )
        for index in range(2)
    ]
    workers = default_workers() if workers is None else workers
    trainer = Trainer(
        network, pairs, recipe, held_out, sinks=sinks, group=group, workers=workers, now=session.budget.now
    )
    return trainer.fit(session.report).best


@torch.no_grad()
def fit_adjustment(network: AdjustedNetwork, pairs: PairSource, style: StyleMap) -> None:
    """Give an adjustment its style, and the distribution of its features."""
    rows = []
    for index in range(FITTED_BATCHES):
        batch = pairs.make(FITTED_FIRST + index).to(torch.device("cpu"))
        rows.append(describe(network.known.predict(batch.composite, batch.mask), batch.composite, batch.mask))
    network.adjustment.fit(style.apply, torch.cat(rows))


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
    network: Personal,
    figures: dict[str, Compared],
) -> tuple[Card, bytes]:
    """Return the new model's card and the content of its weights file."""
    weights = safetensors.torch.save(half_precision(network))
    count = f"{len(photographs.seen)} photographs of {photos.name}"
    saved = f"{figures[STYLE].fmse_saved:.1%} less fMSE on {len(photographs.unseen)} held-out ones"
    length = f"{recipe.minutes:.1f} minutes" if recipe.minutes else f"{recipe.steps} steps"
    history = f"{base.name}, then {length} on {count}: {saved}"
    card = replace(
        base,
        name=name,
        fine_tuned=True,
        adjusted=isinstance(network.learned, Adjustment),
        description=f"{base.name}, fine-tuned on {photos.name}",
        sha256=hashlib.sha256(weights).hexdigest(),
        size=len(weights),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        data=f"{base.data} Then {count}, which belong to their owner.",
        training=recipe.to_json() | {"base": base.name, "history": history},
        figures={kind: asdict(one) for kind, one in figures.items()},
    )
    return card, weights


def compare_on_data_set(dataset: Path, before: Harmonizer, after: Harmonizer, report: EventCallback) -> Compared:
    """Measure two models on a data set."""
    found = evaluate_harmonizers(
        dataset,
        [before, after],
        progress=lambda done, total: report(TrainingEvent(Phase.MEASURING, done, total, dataset.name)),
    )
    rows = (found.untouched.images, *(row.images for row in found.models))
    return Compared.of([PairScores(name, *scores) for name, *scores in zip(found.names, *rows, strict=True)])
