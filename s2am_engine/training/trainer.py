# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop: from a network, pairs and a recipe to the best and the last weights."""

from __future__ import annotations

import contextlib
import copy
import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from s2am_common.errors import TrainingError
from s2am_engine.inference.thread_limit import thread_limit
from s2am_engine.networks.network import Network
from s2am_engine.networks.spec import Recipe
from s2am_engine.training.distributed import ProcessGroup
from s2am_engine.training.events import EventCallback, Phase, TrainingEvent, Validation, ignore_events
from s2am_engine.training.heap import tune_malloc
from s2am_engine.training.learner import EncodedBatch, Learner, gains, has_statistics, refresh_statistics
from s2am_engine.training.learning_rate import learning_rate
from s2am_engine.training.pair_source import Batch, Loader, PairSource
from s2am_engine.training.run_folder import LogEntry, Sample, Sink, draw_samples
from s2am_engine.training.time_budget import Now, StepTimer, fit_steps

CALIBRATION_BATCHES = 16
CALIBRATION_FIRST = 1_000_000_000  # step of their first batch, beyond that of any training
SAMPLES = 6  # pairs on the contact sheet
PACED = 20  # steps after which the number of steps that fit into the time is estimated
UNHURRIED = 5  # first steps, left out of the estimate because they are slower
REPORT_EVERY = 0.5  # seconds
CHECKPOINT_EVERY = 60.0  # seconds


def half_of_cores() -> int:
    """Return the number of threads that make pairs where this takes about as long as learning from them."""
    return max(1, (os.cpu_count() or 1) // 2)


def default_workers(network: Network, device: torch.device) -> int:
    """Return the number of threads that make pairs while a network learns.

    On a CPU, a step of most networks takes several times as long as its pairs: a quarter of the cores makes them, and
    with fewer than four, all cores make pairs and learn in turn. Threads that also compute the features of a frozen
    part have as much to do as the step.
    """
    if network.has_frozen_part or device.type != "cpu":
        return half_of_cores()
    return (os.cpu_count() or 1) // 4


def learning_threads(workers: int) -> int:
    """Return the number of CPU threads of a training step: the cores without a worker, at most PyTorch's setting.

    If a step used the workers' cores as well, each of its parallel regions would wait for the slowest thread.
    """
    return max(1, min(torch.get_num_threads(), (os.cpu_count() or 1) - workers))


@dataclass(frozen=True)
class FitResult:
    """Result of a training."""

    best: Network  # averaged weights at the best validation, float32 on the CPU, in evaluation mode
    last: Network  # averaged weights after the last step, likewise
    gain: float  # dB of `best` over the untouched held-out composites
    steps: int
    seconds: float  # all sessions together
    history: list[LogEntry]  # one entry per validation


@dataclass
class Trainer:
    """One training run.

    Without sinks nothing is written. With a sink that holds a checkpoint the run is resumed; on a CPU the result then
    has the same bits as without the interruption.

    Raises:
        EngineError: the network has no parameters; the checkpoint is damaged, or of another network or size.
    """

    network: Network  # trained in place
    data: PairSource
    recipe: Recipe
    held_out: list[Batch]  # on which the gain is measured
    sinks: Sequence[Sink] = ()
    group: ProcessGroup = field(default_factory=lambda: ProcessGroup(torch.device("cpu")))
    seed: int = 0
    workers: int | None = None  # threads that make pairs; None = `default_workers`
    now: Now = time.perf_counter
    step: int = field(default=0, init=False)
    steps: int | None = field(default=None, init=False)  # total; None while it is unknown
    validate_every: int = field(default=0, init=False)
    seconds: float = field(default=0.0, init=False)  # of training, all sessions together
    best: float = field(default=-math.inf, init=False)
    best_weights: dict[str, Tensor] | None = field(default=None, init=False)
    history: list[LogEntry] = field(default_factory=list, init=False)
    validation_seconds: float = field(default=0.0, init=False)  # of the last validation

    def __post_init__(self) -> None:
        """Prepare the optimizer and the data; resume if a sink holds a checkpoint."""
        self.learner = Learner(self.network, self.recipe, self.group, self.seed)
        self.data.rank, self.data.world_size = self.group.rank, self.group.size
        self.held_out = [batch.to(self.group.device) for batch in self.held_out[self.group.rank :: self.group.size]]
        count = CALIBRATION_BATCHES if has_statistics(self.learner.model) else 0
        self.calibration = [self.data.make(CALIBRATION_FIRST + index).to(self.group.device) for index in range(count)]
        if self.recipe.minutes is None:
            self.plan(self.recipe.steps, min(1000, max(20, self.recipe.steps // 20)))
        for state in filter(None, (sink.load_state() for sink in self.sinks)):
            self.resume(state)
            break

    def plan(self, steps: int | None, validate_every: int) -> None:
        """Set the total number of steps (None = not known yet) and the interval of validations."""
        self.steps, self.validate_every = steps, validate_every

    def fit(self, report: EventCallback = ignore_events) -> FitResult:
        """Train to the last step.

        On Ctrl-C or SIGTERM the current step is finished, a checkpoint is saved and KeyboardInterrupt is raised; a
        second Ctrl-C interrupts immediately.

        Args:
            report: receives progress; its exceptions end the run in the same way.

        Raises:
            EngineError: the training diverged, or a file can't be written.
        """
        self.report = report if self.group.is_main else ignore_events
        if self.step != self.steps:
            tune_malloc()
            for sink in self._open_sinks:
                sink.start(self.step)
            self.timer = StepTimer(self.seconds, self.now)
            workers = default_workers(self.network, self.group.device) if self.workers is None else self.workers
            with (
                thread_limit(learning_threads(workers)),
                Loader(self.make_batch, self.step, workers) as loader,
                interruptions() as interrupted,
            ):
                while self.step != self.steps:
                    self.advance(loader)
                    if interrupted.is_set():
                        self.save()
                        raise KeyboardInterrupt
        last = copy.deepcopy(self.learner.average).cpu()
        best = copy.deepcopy(last)
        if self.best_weights is not None:
            best.load_state_dict(self.best_weights)
        return FitResult(best, last, self.best, self.step, self.seconds, self.history)

    @property
    def _open_sinks(self) -> Sequence[Sink]:
        return self.sinks if self.group.is_main else ()

    def make_batch(self, step: int) -> EncodedBatch:
        """Make the batch of a step, with all that training does not change."""
        return self.learner.encode(self.data.make(step))

    def advance(self, loader: Loader[EncodedBatch]) -> None:
        """Do one step, and any validation or checkpoint that is due."""
        batch = loader.take()
        rate = learning_rate(self.recipe, self.step, self.steps)
        loss = self.learner.train_step(batch.pairs, self.step, rate, batch.frozen)
        self.timer.count(loss, self.recipe.batch * self.group.size, loader.waited)
        self.step += 1
        if self.group.size == 1 and self.is_over():  # several processes agree on it at validations
            self.steps = self.step
        if self.steps is None and len(self.timer.ends) >= PACED:
            self.pace(rate)
        elif self.steps and (self.step == self.steps or self.step % self.validate_every == 0):
            self.validate(rate)
        elif self.now() - self.timer.reported > REPORT_EVERY:
            self.emit()
        if self.now() - self.timer.saved > CHECKPOINT_EVERY:
            self.save()

    def is_over(self) -> bool:
        """Return whether no time is left for another step and a validation."""
        minutes = self.recipe.minutes
        return minutes is not None and self.timer.elapsed + self.validation_seconds >= 60 * minutes

    def pace(self, rate: float) -> None:
        """Set the number of steps that fit into the time, from the speed of the first ones and of one validation."""
        each = self.timer.seconds_per_step(UNHURRIED)
        self.validate(rate)
        left = (self.recipe.minutes or 0.0) * 60 - self.timer.elapsed
        fitted = fit_steps(left, each, self.validation_seconds)
        steps, validations = (int(self.group.broadcast(number)) for number in fitted)
        self.plan(self.step + steps, -(-steps // validations))
        self.save()

    def validate(self, rate: float) -> None:
        """Measure the averaged weights, log the result, keep the weights if they are the best, and save."""
        timer, average, started = self.timer, self.learner.average, self.now()
        refresh_statistics(average, self.calibration)
        found = gains(average, self.held_out)
        total, count, loss = self.group.sum(float(found.sum()), len(found), timer.loss / self.group.size)
        gain = total / count
        if not math.isfinite(loss + gain):
            raise TrainingError(
                f"The training diverged before step {self.step}: start again with a lower learning rate.",
                code="training.diverged",
            )
        self.validation_seconds = self.now() - started
        if self.group.size > 1 and self.steps and self.group.broadcast(float(self.is_over())):
            self.steps = self.step
        is_best, self.best = gain > self.best, max(self.best, gain)
        if is_best:
            self.best_weights = {name: value.cpu().clone() for name, value in average.state_dict().items()}
        entry = LogEntry(self.step, timer.elapsed, loss, gain, rate, timer.speed, timer.waiting)
        self.history.append(entry)
        if self.group.is_main:
            samples = draw_samples(self.samples())
            for sink in self.sinks:
                if is_best:
                    sink.keep_best(average)
                sink.log(entry, samples)
            self.save()
            self.emit(Validation(self.step, gain, is_best, samples))
        timer.start_window()

    def samples(self) -> list[Sample]:
        """Return composite, result and ground truth of some held-out pairs, H×W×3 float32 each."""
        batch = Batch(*(tensor[:SAMPLES] for tensor in self.held_out[0]))
        with torch.inference_mode():
            result = self.learner.average.predict_pixels(batch.composite, batch.mask)
        columns = (batch.composite, result, batch.target)
        return list(zip(*(one.float().cpu().permute(0, 2, 3, 1).numpy() for one in columns), strict=True))

    def emit(self, validation: Validation | None = None) -> None:
        """Report progress; if the callback raises, save and pass the exception on."""
        timer = self.timer
        timer.reported = self.now()
        images = (self.steps - self.step) * self.recipe.batch * self.group.size if self.steps else None
        left = None if images is None or not timer.speed else images / timer.speed
        event = TrainingEvent(
            Phase.TRAINING,
            self.step,
            self.steps,
            loss=timer.loss,
            images_per_second=timer.speed,
            waiting=timer.waiting,
            seconds_left=left,
            validation=validation,
        )
        try:
            self.report(event)
        except BaseException:
            self.save()
            raise

    def save(self) -> None:
        """Hand the state to the sinks."""
        self.timer.saved = self.now()
        self.seconds = self.timer.elapsed
        for sink in self._open_sinks:
            sink.save_state(self.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Return the state for `resume`."""
        kept = ("step", "steps", "validate_every", "seconds", "best", "best_weights")
        state = {name: getattr(self, name) for name in kept}
        history = [astuple(entry) for entry in self.history]
        return state | {"minutes": self.recipe.minutes, "history": history, "learner": self.learner.state_dict()}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Continue from a checkpoint.

        Raises:
            EngineError: it is of another network, or of this one with other options.
        """
        try:
            self.learner.load_state_dict(state["learner"])
            self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
            # Checkpoints of earlier versions lack these.
            self.best_weights = state.get("best_weights")
            self.history = [LogEntry(*entry) for entry in state.get("history", [])]
            if self.recipe.minutes is not None and self.recipe.minutes == state["minutes"]:
                self.plan(state["steps"], state["validate_every"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise TrainingError(
                "The checkpoint is of another network or size: choose another folder, or the options that the run had.",
                code="training.checkpoint",
            ) from error


@contextlib.contextmanager
def interruptions() -> Iterator[threading.Event]:
    """Turn Ctrl-C and SIGTERM into an event while the context lasts; a second signal interrupts immediately.

    Outside the main thread, which alone receives signals, the event is never set.
    """
    asked = threading.Event()

    def ask(_: int, __: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
