# SPDX-License-Identifier: GPL-3.0-or-later
"""Fine-tuning a model on a user's own photographs: `s2am finetune`.

The photographs give two kinds of pairs: those of the photographs' own look, whose ground truth is the photograph as it
is, and those of the photographs without their look (`style_pairs`). The base network is frozen, so each pair is encoded
once (`encoded_pairs`), and a small adjustment of the network's color maps is trained on all of them within seconds
(`networks.adjustment`). This is done once for each of several parts of the photographs, which is left out, and once for
all of them: so the gain is measured on every photograph by an adjustment that was trained without it
(`cross_validation`).
Because a few dozen photographs do not represent all others, the result is used where a background resembles the look,
and the base model elsewhere (`networks.personal`). It becomes a model only if it is better beyond chance (`gain`).

Reading, preparing, training, measuring and saving share the minutes that were asked for.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from s2am_common.errors import TrainingError
from s2am_engine.inference.devices import choose_device
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.inference.thread_limit import thread_limit
from s2am_engine.models.model_files import add_model, check_free, check_name
from s2am_engine.models.model_store import DEFAULT_MODEL, Card, Model, find_model
from s2am_engine.models.purposes import FINE_TUNING
from s2am_engine.networks.curves import CurvesAndMatrixNetwork
from s2am_engine.training.adjustment_training import STEPS, seconds_per_step
from s2am_engine.training.cross_validation import (
    OTHERS,
    STYLE,
    CrossValidation,
    LikenessQuality,
    cross_validate,
    fit_personal,
    validate,
)
from s2am_engine.training.dataset_readers import find_pairs, stable_fraction
from s2am_engine.training.encoded_pairs import FoldPairs
from s2am_engine.training.evaluation import evaluate_harmonizers
from s2am_engine.training.events import EventCallback, Phase, TrainingEvent, ignore_events, reading_progress
from s2am_engine.training.fine_tuned_model import describe_model, load_adjustable, training_size
from s2am_engine.training.fine_tuning_session import MEASURING_ENDS, FineTuningSession
from s2am_engine.training.gain import SENTENCES, ColorErrors, FineTuningScores, PairScores, Verdict, judge
from s2am_engine.training.held_out_sheet import HeldOutSheet, draw_style_sheet
from s2am_engine.training.photo_cache import LONG_SIDE, Photograph, Skipped, load_photographs
from s2am_engine.training.style_pairs import estimate_style
from s2am_engine.training.time_budget import Now, TimeBudget
from s2am_engine.training.trainer import half_of_cores, learning_threads

FEWEST = 20  # photographs
MOST_FOLDS = 5
SMALLEST_FOLD = 8  # photographs; the style of fewer is mostly that of their subjects


@dataclass(frozen=True)
class PhotographFolds:
    """A user's photographs."""

    folds: list[list[Photograph]]  # each is measured with what was learned from the others
    skipped: list[Skipped]

    @property
    def all(self) -> list[Photograph]:
        """All photographs, fold by fold."""
        return [photograph for fold in self.folds for photograph in fold]


@dataclass(frozen=True)
class FineTuneResult:
    """Result of fine-tuning."""

    model: Model | None  # None: the base model stays the better one, and no model was made
    base: str
    photographs: PhotographFolds
    verdict: Verdict
    style: FineTuningScores  # in cross-validation
    others: FineTuningScores  # on the same photographs in other styles
    recognition: LikenessQuality
    benchmark: FineTuningScores | None
    seconds: float  # of all sessions together

    @property
    def sentence(self) -> str:
        """The verdict with advice."""
        return SENTENCES[self.verdict].format(base=self.base)

    def to_json(self) -> dict[str, Any]:
        """Return all figures as plain values."""
        sets = {STYLE: self.style, OTHERS: self.others, "benchmark": self.benchmark}
        return {
            "model": self.model.card.name if self.model else None,
            "verdict": self.verdict.value,
            "sentence": self.sentence,
            "photographs": len(self.photographs.all),
            "seconds": round(self.seconds, 1),
            "likeness": asdict(self.recognition),
            **{name: asdict(compared) if compared else None for name, compared in sets.items()},
            "skipped": [{"path": str(file.path), "why": file.why} for file in self.photographs.skipped],
        }


@dataclass(frozen=True)
class FineTuneSettings:
    """Settings of a fine-tuning.

    photos: a folder of photographs of one look.
    name: of the new model.
    base: the model to start from.
    minutes: for everything but the benchmark; two rounds of pairs are made and learned from even if that takes longer.
    benchmark: also measure before and after on this data set, in iHarmony4's layout.
    sheet: also draw held-out pairs before and after, those with the largest gain first, as a PNG.
    device: `auto`, `cpu`, `cuda` …; None = as in the settings of the program.
    workers: threads that make pairs; None = half of the cores.
    checkpoint: a folder for the state of the work, with which a call with the same settings continues after an
        interruption; it is removed at the end. None = an interrupted call leaves nothing.
    """

    photos: Path
    name: str
    base: str = DEFAULT_MODEL
    minutes: float = 10.0
    benchmark: Path | None = None
    sheet: Path | None = None
    device: str | None = None
    workers: int | None = None
    checkpoint: Path | None = None


def finetune(
    settings: FineTuneSettings, report: EventCallback = ignore_events, now: Now = time.perf_counter
) -> FineTuneResult:
    """Fine-tune a model on photographs, and make a personal model of it if it is better on those held out.

    Args:
        settings: photographs, base model, time and results.
        report: receives progress; an exception raised in it cancels.
        now: returns the time in seconds.

    Raises:
        EngineError: a name that is taken, too few usable photographs, or a base model that cannot be fine-tuned.
    """
    session = FineTuningSession(TimeBudget(60 * settings.minutes, now), settings.checkpoint, report)
    name, model, device = check_fine_tuning(settings)
    base, network = model.card, load_adjustable(model)
    photographs = read_photographs(settings.photos, LONG_SIDE, session.report)
    session.resume(resumed_settings(base, photographs))
    with session.saved_on_error():
        workers = half_of_cores() if settings.workers is None else settings.workers
        with thread_limit(learning_threads(workers)):
            validated = learn(session, base, network, photographs, torch.device(device), workers)
        style, others = validated.compared[STYLE], validated.compared[OTHERS]
        verdict = judge(style, others)
        before = Harmonizer.from_network(network, base.input_size, device, base.name)
        *folds, after = (
            Harmonizer.from_network(fine_tuned, base.input_size, device, name)
            for fine_tuned in (*validated.folds, validated.whole)
        )
        sheet = HeldOutSheet(base.name, name)
        if settings.sheet:
            sheet.fill(photographs.folds, before, folds, partial(has_time, session))
        session.report(TrainingEvent(Phase.SAVING, 0, 1))
        is_better = verdict is Verdict.BETTER
        made = add_fine_tuned(settings, base, photographs, validated, session) if is_better else None
    session.remove()
    # After the model is made: an error here must not lose the training.
    if settings.sheet:
        sheet.write(settings.sheet)
    session.announce(TrainingEvent(Phase.SAVING, 1, 1))
    seconds = session.budget.elapsed
    benchmark = compare_on_data_set(settings.benchmark, before, after, report) if settings.benchmark else None
    return FineTuneResult(
        made, base.name, photographs, verdict, style, others, validated.recognition, benchmark, seconds
    )


def check_fine_tuning(settings: FineTuneSettings) -> tuple[str, Model, str]:
    """Check settings before the work, not an hour later; return the new model's name, the base model, and the device.

    Raises:
        EngineError: a name that is taken, an unknown base model or device, or a benchmark without pairs.
    """
    name = check_name(settings.name)
    check_free(name)
    model = find_model(settings.base, FINE_TUNING)
    if settings.benchmark:
        find_pairs(settings.benchmark)
    return name, model, choose_device(settings.device)


def add_fine_tuned(
    settings: FineTuneSettings,
    base: Card,
    photographs: PhotographFolds,
    validated: CrossValidation,
    session: FineTuningSession,
) -> Model:
    """Add the network that was trained on all photographs to the personal models, with a contact sheet of them."""
    minutes = session.budget.elapsed / 60
    count = len(photographs.all)
    card, weights = describe_model(base, settings.name, settings.photos, count, minutes, validated)
    return add_model(card, weights, style_sheet=draw_style_sheet(photographs.all))


def learn(
    session: FineTuningSession,
    base: Card,
    network: CurvesAndMatrixNetwork,
    photographs: PhotographFolds,
    device: torch.device,
    workers: int,
) -> CrossValidation:
    """Encode pairs, and train and measure adjustments: one without each fold of the photographs, and one on all."""
    folds = photographs.folds
    source = FoldPairs(training_size(base, network), folds=folds, device=device)
    style = estimate_style(photographs.all)
    pairs = session.encode(
        network.to(device), source, workers, lambda encoded, now: seconds_per_step(network, encoded, style, now)
    )
    network.cpu()
    trained = []
    for number in range(len(folds) + 1):  # the last one is trained on all folds
        others = [photograph for fold, part in enumerate(folds) if fold != number for photograph in part]
        progress = session.training_progress(number, len(folds) + 1)
        kept = session.file(f"adjustment-{number}.safetensors") if session.opened else None
        trained.append(fit_personal(network, pairs[pairs.folds != number], others, progress, kept))
        if number < len(folds):
            samples = source.make(source.first_step(number))
            validation = validate(trained[-1], pairs[pairs.folds == number], samples, number + 1)
            done, total = (number + 1) * STEPS, (len(folds) + 1) * STEPS
            session.report(TrainingEvent(Phase.TRAINING, done, total, validation=validation))
    session.training.left = 0
    *parts, whole = trained
    names = [photograph.name for photograph in photographs.all]
    return cross_validate(parts, whole, pairs, names, lambda: session.report(TrainingEvent(Phase.MEASURING, 0, None)))


def has_time(session: FineTuningSession, done: int, total: int) -> bool:
    """Report measuring; return whether time for it is left."""
    session.report(TrainingEvent(Phase.MEASURING, done, total))
    return session.budget.until(MEASURING_ENDS) > 0


def read_photographs(photos: Path, long_side: int, report: EventCallback) -> PhotographFolds:
    """Read a folder and divide it into folds by a hash of the names.

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
    folds = max(2, min(MOST_FOLDS, len(ranked) // SMALLEST_FOLD))
    return PhotographFolds([ranked[number::folds] for number in range(folds)], found.skipped)


def reasons(skipped: Sequence[Skipped]) -> str:
    """Return the commonest reasons for which files were skipped, in parentheses; empty if none was."""
    counted = Counter(file.why for file in skipped).most_common(3)
    return f" ({'; '.join(f'{count} left out: {why}' for why, count in counted)})" if counted else ""


def resumed_settings(base: Card, photographs: PhotographFolds) -> dict[str, Any]:
    """Return the values that a session must share to be resumed: all that determines the result besides the time."""
    names = [[photograph.name for photograph in fold] for fold in photographs.folds]
    return {"base": base.sha256, "photographs": names}


def compare_on_data_set(
    dataset: Path, before: Harmonizer, after: Harmonizer, report: EventCallback
) -> FineTuningScores:
    """Measure two models on a data set."""
    found = evaluate_harmonizers(
        dataset,
        [before, after],
        progress=lambda done, total: report(TrainingEvent(Phase.MEASURING, done, total, dataset.name)),
    )
    models = (found.untouched, *found.models)
    scores = zip(*(map(ColorErrors.of_scores, model.images) for model in models), strict=True)
    return FineTuningScores.of([PairScores(name, *errors) for name, errors in zip(found.names, scores, strict=True)])
