# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop: a network, pairs and a recipe in; weights, a log and checkpoints out."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from s2am_engine.errors import EngineError
from s2am_engine.training.distributed import ProcessGroup
from s2am_engine.training.events import Report, Stepped, Validated, ignore
from s2am_engine.training.learner import Learner, gains, has_statistics, refresh_statistics
from s2am_engine.training.pair_source import Batch, Loader, PairSource
from s2am_engine.training.recipes import Recipe, learning_rate
from s2am_engine.training.run_folder import (
    LogEntry,
    Sample,
    TrainingLog,
    load_checkpoint,
    save_checkpoint,
    save_weights,
)

CALIBRATION_BATCHES = 16
CALIBRATION_FIRST = 1_000_000_000  # the step of their first: no training gets there
SAMPLES = 6  # shown in the picture
PACED = 20  # steps after which it is known how many fit into a given time
UNHURRIED = 5  # the first steps are slower than the rest
VALIDATION_TIME_SHARE = 0.1  # of the time
OVERTIME = 1.2  # of the minutes that were asked for
REPORT_EVERY = 0.5  # seconds
CHECKPOINT_EVERY = 60.0  # seconds

# glibc's names (malloc.h), each with what it is set to, in bytes; more than 32 MiB is not allowed for the first.
MALLOC_OPTIONS = {"M_MMAP_THRESHOLD": (-3, 32 * 2**20), "M_TRIM_THRESHOLD": (-1, 2**31 - 1), "M_TOP_PAD": (-2, 2**26)}


def default_workers() -> int:
    """Half of the cores make pairs: the other half computes, or feeds the GPU."""
    return max(1, (os.cpu_count() or 1) // 2)


@dataclass
class Trainer:
    """One run. Its folder holds checkpoint, log, picture, and the best weights (float16, averaged).

    A folder that holds a checkpoint is gone on with; on a CPU the result has the same bits as without the break.
    """

    network: str
    recipe: Recipe
    pairs: PairSource
    held_out: list[Batch]  # what the gain is measured on, whole batches
    folder: Path
    group: ProcessGroup = field(default_factory=lambda: ProcessGroup(torch.device("cpu")))
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
        self.learner = Learner(self.network, self.recipe, self.group, self.seed, self.weights)
        self.pairs.rank, self.pairs.world_size = self.group.rank, self.group.size
        self.held_out = [batch.to(self.group.device) for batch in self.held_out[self.group.rank :: self.group.size]]
        count = CALIBRATION_BATCHES if has_statistics(self.learner.model) else 0
        self.calibration = [self.pairs.make(CALIBRATION_FIRST + index).to(self.group.device) for index in range(count)]
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
        if self.group.is_main:
            for rest in self.folder.glob(".s2am-*.tmp"):  # of a process that was killed while it wrote
                rest.unlink(missing_ok=True)
        self.report = report if self.group.is_main else ignore
        if self.step == self.steps:
            return
        tune_malloc()
        self.journal = TrainingLog(self.folder, f"{self.network}, {self.recipe.loss}", self.step)
        self.timer = StepTimer(self.seconds)
        with Loader(self.pairs, self.step, self.workers) as loader, interruptions() as interrupted:
            while self.step != self.steps:
                self.advance(loader)
                if interrupted.is_set():
                    self.save()
                    raise KeyboardInterrupt

    def advance(self, loader: Loader) -> None:
        """One step, and what is due after it."""
        batch = loader.take().to(self.group.device)
        rate = learning_rate(self.recipe, self.step, self.steps)
        loss = self.learner.learn(batch, self.step, rate)
        self.timer.count(loss, self.recipe.batch * self.group.size, loader.waited)
        self.step += 1
        if self.steps is None and len(self.timer.ends) >= PACED:
            self.pace(rate)
        elif self.steps and (self.step % self.validate_every == 0 or self.step == self.steps):
            self.validate(rate)
        elif time.perf_counter() - self.timer.reported > REPORT_EVERY:
            self.report_step()
        if time.perf_counter() - self.timer.saved > CHECKPOINT_EVERY:
            self.save()

    def pace(self, rate: float) -> None:
        """Settle how many steps fit into the time, from the speed of the first ones and of a first validation."""
        minutes = self.recipe.minutes or 0.0
        each = self.timer.seconds_a_step(UNHURRIED)
        before = time.perf_counter()
        self.validate(rate)
        validation = time.perf_counter() - before
        left = minutes * 60 - self.timer.elapsed
        validations = min(20, max(2, int(VALIDATION_TIME_SHARE * left / validation)))
        steps = int(self.group.agree(max(1.0, (left - validations * validation) / each)))
        self.plan(self.step + steps, int(self.group.agree(-(-steps // validations))))
        self.save()

    def validate(self, rate: float) -> None:
        """Measure, log, keep the weights if they are the best so far, and save a checkpoint."""
        timer, average = self.timer, self.learner.average
        refresh_statistics(average, self.calibration)
        found = gains(average, self.held_out)
        total, count, loss = self.group.total(float(found.sum()), len(found), timer.loss / self.group.size)
        gain, waiting, speed = total / count, timer.waiting, timer.speed
        if not math.isfinite(loss + gain):
            raise EngineError(f"The training diverged before step {self.step}: begin again at a lower --learning-rate.")
        if self.steps and self.recipe.minutes and self.group.agree(timer.elapsed) > OVERTIME * 60 * self.recipe.minutes:
            self.steps = self.step
        better, self.best = gain > self.best, max(self.best, gain)
        if self.group.is_main:
            if better:
                save_weights(self.folder, average)
            entry = LogEntry(self.step, timer.elapsed, loss, gain, rate, speed, waiting)
            picture = self.journal.add(entry, self.samples())
            self.save()
            self.emit(Validated(self.step, gain, better, waiting, picture))
        timer.begin_window()

    def samples(self) -> list[Sample]:
        """Composite, result and target of some held-out pairs, H×W×3 float32 each."""
        batch = Batch(*(tensor[:SAMPLES] for tensor in self.held_out[0]))
        with torch.inference_mode():
            result = self.learner.average.paint(batch.composite, batch.mask)
        columns = (batch.composite, result, batch.target)
        return list(zip(*(one.float().cpu().permute(0, 2, 3, 1).numpy() for one in columns), strict=True))

    def report_step(self) -> None:
        """Report where the run stands."""
        timer = self.timer
        timer.reported = time.perf_counter()
        pictures = (self.steps - self.step) * self.recipe.batch * self.group.size if self.steps else None
        left = None if pictures is None else pictures / timer.speed
        self.emit(Stepped(self.step, self.steps, timer.loss, timer.speed, timer.waiting, left))

    def emit(self, event: Stepped | Validated) -> None:
        """Report an event; whoever raises an exception there ends the run, which can be gone on with."""
        try:
            self.report(event)
        except BaseException:
            self.save()
            raise

    def save(self) -> None:
        """Write the checkpoint; in a group, its leader does."""
        self.timer.saved = time.perf_counter()
        self.seconds = self.timer.elapsed
        if self.group.is_main:
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


class StepTimer:
    """Time, speed and loss of a run; a window of them begins anew after each validation."""

    def __init__(self, before: float) -> None:
        """Start.

        Args:
            before: seconds that earlier sessions of the run took.
        """
        self.started = self.reported = self.saved = time.perf_counter()
        self.before = before
        self.ends: list[float] = []  # of this session's steps
        self.waited = 0.0  # seconds for pairs, this session
        self.begin_window()

    def begin_window(self) -> None:
        """Begin to measure anew."""
        self.window_started, self.waited_before = time.perf_counter(), self.waited
        self.pictures = self.steps = 0
        self.losses: Tensor | float = 0.0  # their sum, still on the device

    def count(self, loss: Tensor, pictures: int, waited: float) -> None:
        """Count a step: its loss, its pictures, and the seconds that were waited for pairs so far."""
        self.ends.append(time.perf_counter())
        self.losses = self.losses + loss
        self.pictures, self.steps, self.waited = self.pictures + pictures, self.steps + 1, waited

    @property
    def elapsed(self) -> float:
        """Seconds of training, earlier sessions included."""
        return self.before + time.perf_counter() - self.started

    @property
    def loss(self) -> float:
        """Mean of the window."""
        return float(self.losses) / max(1, self.steps)

    @property
    def speed(self) -> float:
        """Pictures a second, of the window."""
        return self.pictures / max(time.perf_counter() - self.window_started, 1e-9)

    @property
    def waiting(self) -> float:
        """Share of the window's time that went into waiting for pairs."""
        return (self.waited - self.waited_before) / max(time.perf_counter() - self.window_started, 1e-9)

    def seconds_a_step(self, skip: int) -> float:
        """Mean over this session's steps but the first `skip`."""
        return (self.ends[-1] - self.ends[skip]) / (len(self.ends) - 1 - skip)


@contextmanager
def interruptions() -> Iterator[threading.Event]:
    """Turn Ctrl-C and SIGTERM into an event for the time being; a second one of them interrupts at once.

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


def tune_malloc() -> None:
    """Keep the memory of freed tensors for the next ones, instead of returning it to the system; on Linux with glibc.

    A step on the CPU frees and takes hundreds of megabytes: without this, a network of small layers learns a quarter
    slower (Concord at 64 pixels, 2 cores: 132 instead of 176 pictures a second).
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library has no such options
            library = ctypes.CDLL("libc.so.6")
            for option, value in MALLOC_OPTIONS.values():
                library.mallopt(option, value)
