# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop: a network, pairs and a recipe in; weights, a log and checkpoints out."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from s2am_engine.errors import EngineError
from s2am_engine.training import journal
from s2am_engine.training.checkpoints import load_checkpoint, save_checkpoint, save_weights
from s2am_engine.training.clock import Clock, interruptions
from s2am_engine.training.events import Report, Stepped, Validated, ignore
from s2am_engine.training.journal import Entry, Journal
from s2am_engine.training.learner import Learner, gains, has_statistics, refresh_statistics
from s2am_engine.training.loader import Loader
from s2am_engine.training.machine import default_workers, keep_freed_memory
from s2am_engine.training.pairs import Batch, Source
from s2am_engine.training.recipes import Recipe, learning_rate
from s2am_engine.training.team import Team

CALIBRATION_BATCHES = 16
CALIBRATION_FIRST = 1_000_000_000  # the step of their first: no training gets there
SAMPLES = 6  # shown in the picture
PACED = 20  # steps after which it is known how many fit into a given time
UNHURRIED = 5  # the first steps are slower than the rest
VALIDATION_SHARE = 0.1  # of the time
OVERTIME = 1.2  # of the minutes that were asked for
REPORT_EVERY = 0.5  # seconds
CHECKPOINT_EVERY = 60.0  # seconds


@dataclass
class Trainer:
    """One run. Its folder holds checkpoint, log, picture, and the best weights (float16, averaged).

    A folder that holds a checkpoint is gone on with; on a CPU the result has the same bits as without the break.
    """

    network: str
    recipe: Recipe
    pairs: Source
    held_out: list[Batch]  # what the gain is measured on, whole batches
    folder: Path
    team: Team = field(default_factory=lambda: Team(torch.device("cpu")))
    seed: int = 0
    workers: int = field(default_factory=default_workers)  # threads that make pairs
    weights: Mapping[str, Tensor] | None = None  # to start from
    step: int = field(default=0, init=False)
    steps: int | None = field(default=None, init=False)  # in all
    validate_every: int = field(default=0, init=False)
    seconds: float = field(default=0.0, init=False)  # of training, all sessions together
    best: float = field(default=-math.inf, init=False)

    def __post_init__(self) -> None:
        """Build the network and what it learns with; go on from the folder's checkpoint if there is one.

        Raises:
            EngineError: the checkpoint is damaged, or of another network or size.
        """
        self.learner = Learner(self.network, self.recipe, self.team, self.seed, self.weights)
        self.pairs.rank, self.pairs.team = self.team.rank, self.team.size
        self.held_out = [batch.to(self.team.device) for batch in self.held_out[self.team.rank :: self.team.size]]
        count = CALIBRATION_BATCHES if has_statistics(self.learner.model) else 0
        self.calibration = [self.pairs.make(CALIBRATION_FIRST + index).to(self.team.device) for index in range(count)]
        if self.recipe.minutes is None:
            self.plan(self.recipe.steps, min(1000, max(20, self.recipe.steps // 20)))
        state = load_checkpoint(self.folder)
        if state:
            self.resume(state)

    def plan(self, steps: int | None, validate_every: int) -> None:
        """Settle how many steps there will be; None = not known yet."""
        self.steps, self.validate_every = steps, validate_every

    def run(self, report: Report = ignore) -> None:
        """Train to the last step.

        Ctrl-C (or a cluster's SIGTERM) lets the step end, saves a checkpoint and raises KeyboardInterrupt; a second
        Ctrl-C does not wait.

        Args:
            report: see `events`; its exceptions end the run in the same orderly way.

        Raises:
            EngineError: the training diverged, or a file can't be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.team.leads:
            for rest in self.folder.glob(".s2am-*.tmp"):  # of a process that was killed while it wrote
                rest.unlink(missing_ok=True)
        self.report = report if self.team.leads else ignore
        if self.step == self.steps:
            return
        keep_freed_memory()
        self.journal = Journal(self.folder, f"{self.network}, {self.recipe.loss.__name__}", self.step)
        self.clock = Clock(self.seconds)
        with Loader(self.pairs, self.step, self.workers) as loader, interruptions() as interrupted:
            while self.step != self.steps:
                self.advance(loader)
                if interrupted.is_set():
                    self.save()
                    raise KeyboardInterrupt

    def advance(self, loader: Loader) -> None:
        """One step, and what is due after it."""
        batch = loader.take().to(self.team.device)
        rate = learning_rate(self.recipe, self.step, self.steps)
        loss = self.learner.learn(batch, self.step, rate)
        self.clock.count(loss, self.recipe.batch * self.team.size, loader.waited)
        self.step += 1
        if self.steps is None and len(self.clock.ends) >= PACED:
            self.pace(rate)
        elif self.steps and (self.step % self.validate_every == 0 or self.step == self.steps):
            self.validate(rate)
        elif time.perf_counter() - self.clock.reported > REPORT_EVERY:
            self.tell()
        if time.perf_counter() - self.clock.saved > CHECKPOINT_EVERY:
            self.save()

    def pace(self, rate: float) -> None:
        """Settle how many steps fit into the time, from the speed of the first ones and of a first validation."""
        minutes = self.recipe.minutes or 0.0
        each = self.clock.seconds_a_step(UNHURRIED)
        before = time.perf_counter()
        self.validate(rate)
        validation = time.perf_counter() - before
        left = minutes * 60 - self.clock.elapsed
        validations = min(20, max(2, int(VALIDATION_SHARE * left / validation)))
        steps = int(self.team.agree(max(1.0, (left - validations * validation) / each)))
        self.plan(self.step + steps, int(self.team.agree(-(-steps // validations))))
        self.save()

    def validate(self, rate: float) -> None:
        """Measure, log, keep the weights if they are the best so far, and save a checkpoint."""
        clock, average = self.clock, self.learner.average
        refresh_statistics(average, self.calibration)
        found = gains(average, self.held_out)
        total, count, loss = self.team.total(float(found.sum()), len(found), clock.loss / self.team.size)
        gain, waiting, speed = total / count, clock.waiting, clock.speed
        if not math.isfinite(loss + gain):
            raise EngineError(f"The training diverged before step {self.step}: begin again at a lower --learning-rate.")
        if self.steps and self.recipe.minutes and self.team.agree(clock.elapsed) > OVERTIME * 60 * self.recipe.minutes:
            self.steps = self.step
        better, self.best = gain > self.best, max(self.best, gain)
        if self.team.leads:
            if better:
                save_weights(self.folder, average)
            entry = Entry(self.step, clock.elapsed, loss, gain, rate, speed, waiting)
            picture = self.journal.add(entry, self.samples())
            self.save()
            self.tell_of(Validated(self.step, gain, better, waiting, picture))
        clock.begin_window()

    def samples(self) -> list[journal.Sample]:
        """Composite, result and truth of some held-out pairs, H×W×3 float32 each."""
        batch = Batch(*(tensor[:SAMPLES] for tensor in self.held_out[0]))
        with torch.inference_mode():
            result = self.learner.average.paint(batch.composite, batch.mask)
        columns = (batch.composite, result, batch.truth)
        return list(zip(*(one.float().cpu().permute(0, 2, 3, 1).numpy() for one in columns), strict=True))

    def tell(self) -> None:
        """Report where the run stands."""
        clock = self.clock
        clock.reported = time.perf_counter()
        pictures = (self.steps - self.step) * self.recipe.batch * self.team.size if self.steps else None
        left = None if pictures is None else pictures / clock.speed
        self.tell_of(Stepped(self.step, self.steps, clock.loss, clock.speed, clock.waiting, left))

    def tell_of(self, event: Stepped | Validated) -> None:
        """Report an event; whoever raises an exception there ends the run, which can be gone on with."""
        try:
            self.report(event)
        except BaseException:
            self.save()
            raise

    def save(self) -> None:
        """Write the checkpoint; in a team, its leader does."""
        self.clock.saved = time.perf_counter()
        self.seconds = self.clock.elapsed
        if self.team.leads:
            state = {name: getattr(self, name) for name in ("step", "steps", "validate_every", "seconds", "best")}
            state |= {"minutes": self.recipe.minutes, "learner": self.learner.state_dict()}
            save_checkpoint(self.folder, state)

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint.

        Raises:
            EngineError: it is one of another network, or of this one with other options.
        """
        try:
            self.learner.load_state_dict(state["learner"])
            self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
            if self.recipe.minutes is not None and self.recipe.minutes == state["minutes"]:
                self.plan(state["steps"], state["validate_every"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise EngineError(
                f"{self.folder} holds a run of another network or size: choose another folder, or the options it had."
            ) from error
