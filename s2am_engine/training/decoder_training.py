# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the decoder that selects subjects, on photographs that its frozen trunk has encoded."""

from __future__ import annotations

import copy
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2am_engine.networks.network import TrainingOutput
from s2am_engine.networks.spec import Recipe
from s2am_engine.networks.subject import SubjectNetwork
from s2am_engine.training.encoded_subjects import EncodedSubjects, encode_subjects
from s2am_engine.training.events import EventCallback, Phase, TrainingEvent, ignore_events, reading_progress
from s2am_engine.training.learner import iou
from s2am_engine.training.learning_rate import learning_rate
from s2am_engine.training.losses import find_loss
from s2am_engine.training.run_folder import LogEntry, Sink
from s2am_engine.training.subject_photographs import SubjectPhotographs
from s2am_engine.training.time_budget import TimeBudget
from s2am_engine.training.trainer import FitResult

VALIDATIONS = 10
ENCODED_EPOCHS = 2  # versions of each photograph that are encoded
ENCODING_SHARE = 0.3  # largest share of the time that is spent on encoding photographs
STEPS_PER_REPORT = 20  # steps


def train_on_subjects(
    network: SubjectNetwork,
    photographs: SubjectPhotographs,
    held_out: SubjectPhotographs,
    recipe: Recipe,
    folder: Path,
    sinks: Sequence[Sink] = (),
    report: EventCallback = ignore_events,
) -> FitResult:
    """Encode photographs, and train a decoder on them.

    Args:
        network: trained in place.
        photographs: in a random order; if the recipe limits the minutes, as many of them are used as fit.
        held_out: photographs on which the mean IoU is measured.
        recipe: the settings.
        folder: of the run; the encoded photographs are in it during the training, 0.4 MB for each version of each.
        sinks: receive the best weights.
        report: receives progress; may raise to cancel.
    """
    budget = TimeBudget(60 * recipe.minutes) if recipe.minutes is not None else None
    place = folder / "encoded"
    shutil.rmtree(place, ignore_errors=True)

    def encode(source: SubjectPhotographs, name: str, epochs: int, share: float) -> EncodedSubjects:
        batches = max(1, epochs * len(source.photographs) // source.batch)
        over = (lambda: budget.share > share) if budget else (lambda: False)
        return encode_subjects(network, source, batches, place / name, reading_progress(report), over)

    try:
        measured = encode(held_out, "held-out", 1, ENCODING_SHARE / 5)
        seen = encode(photographs, "seen", ENCODED_EPOCHS, ENCODING_SHARE)
        return DecoderTrainer(network, seen, measured, recipe, photographs.seed, sinks).fit(report, budget)
    finally:
        shutil.rmtree(place, ignore_errors=True)


@dataclass
class DecoderTrainer:
    """Trains everything of a `SubjectNetwork` but its trunk.

    network: trained in place.
    seen: encoded photographs.
    held_out: those on which the mean IoU is measured.
    recipe: the settings.
    seed: of the batches.
    sinks: receive the best weights.
    """

    network: SubjectNetwork
    seen: EncodedSubjects
    held_out: EncodedSubjects
    recipe: Recipe
    seed: int = 0
    sinks: Sequence[Sink] = ()

    def fit(self, report: EventCallback = ignore_events, budget: TimeBudget | None = None) -> FitResult:
        """Train, and return the best averaged weights.

        Args:
            report: receives progress; may raise to cancel.
            budget: time for everything; None = the recipe's number of steps.
        """
        recipe, started, step, validations = self.recipe, time.perf_counter(), 0, 0
        average = copy.deepcopy(self.network).eval()
        parameters = [one for one in self.network.parameters() if one.requires_grad]
        optimizer = torch.optim.AdamW(parameters, recipe.learning_rate, recipe.betas, weight_decay=recipe.weight_decay)
        best, best_iou, history, losses = copy.deepcopy(average), -1.0, list[LogEntry](), list[float]()
        first, rate = budget.share if budget else 0.0, 0.0
        while True:
            done = (budget.share - first) / (1 - first) if budget else step / recipe.steps
            if done >= (validations + 1) / VALIDATIONS or done >= 1:
                validations += 1
                found = float(measure(average, self.held_out, recipe.batch).mean())
                seconds, loss = time.perf_counter() - started, float(np.mean(losses or [0]))
                history.append(LogEntry(step, seconds, loss, found, rate, step * recipe.batch / seconds, 0.0))
                losses = []
                if found > best_iou:
                    best, best_iou = copy.deepcopy(average), found
                    for sink in self.sinks:
                        sink.keep_best(average)
            if done >= 1:
                return FitResult(best, average, best_iou, step, time.perf_counter() - started, history)
            rate = learning_rate(recipe, round(done * recipe.steps), recipe.steps)
            losses.append(float(self.train_step(optimizer, parameters, average, step, rate)))
            step += 1
            if step % STEPS_PER_REPORT == 0:
                total = recipe.steps if budget is None else None
                report(TrainingEvent(Phase.TRAINING, step, total, loss=float(np.mean(losses))))

    def train_step(
        self,
        optimizer: torch.optim.Optimizer,
        parameters: Sequence[nn.Parameter],
        average: SubjectNetwork,
        step: int,
        rate: float,
    ) -> Tensor:
        """Do one optimizer step, and return the loss."""
        rng, count = np.random.default_rng([self.seed, step]), min(self.recipe.batch, len(self.seen))
        encoded, masks = self.seen.batch(rng.choice(len(self.seen), count, replace=False), rng.random(count) < 0.5)
        for group in optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        with torch.autocast("cpu", torch.bfloat16, self.recipe.mixed_precision):
            predicted = [torch.sigmoid(one.float()) for one in self.network.decode(encoded)]
        loss = find_loss(self.recipe.loss)(TrainingOutput([masks], predicted), masks, masks)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(parameters, self.recipe.clip)
        optimizer.step()
        keep = min(self.recipe.average, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(self.network.parameters()), 1 - keep)
        return loss.detach()


@torch.inference_mode()
def measure(network: SubjectNetwork, photographs: EncodedSubjects, batch: int) -> Tensor:
    """Return the IoU of each photograph, (K,); where the presence is below 0.5, the selection is empty."""
    found = []
    for start in range(0, len(photographs), batch):
        numbers = np.arange(start, min(start + batch, len(photographs)))
        encoded, masks = photographs.batch(numbers, np.zeros(len(numbers), np.bool_))
        fine, _, presence = network.decode(encoded)
        where = F.interpolate(torch.sigmoid(fine), masks.shape[-2:], mode="bilinear")
        found.append(iou(where * (presence > 0), masks))
    return torch.cat(found)
