# SPDX-License-Identifier: GPL-3.0-or-later
"""A session of fine-tuning: its time, its progress, and the files with which it continues after an interruption."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from s2am_common.atomic import atomic_write, ensure_folder
from s2am_common.errors import EngineError
from s2am_engine.networks.curves import CurvesAndMatrixNetwork
from s2am_engine.training.adjustment_training import STEPS, Progress
from s2am_engine.training.encoded_pairs import EncodedPairs, FoldPairs, encode_batch
from s2am_engine.training.events import EventCallback, Phase, TrainingEvent
from s2am_engine.training.pair_source import Loader
from s2am_engine.training.run_folder import read_settings, write_settings
from s2am_engine.training.time_budget import Now, PhaseWork, TimeBudget, expected_left

SESSION_FILE = "session.json"
SAVE_EVERY = 10.0  # seconds between two savings of the time
PREPARING_ENDS, TRAINING_ENDS, MEASURING_ENDS = 0.6, 0.9, 0.97  # shares of the time
LAST_SECONDS = 20.0  # about, of measuring and saving
FEWEST_ROUNDS = 2  # of pairs, even if the time is over
MOST_ENCODED = 20_000  # more do not lower the error further
EARLY = 0.9  # share of the time before which an end is announced

StepSeconds = Callable[[EncodedPairs, Now], float]


@dataclass
class FineTuningSession:
    """Time, progress and files of a fine-tuning."""

    budget: TimeBudget
    folder: Path | None  # None: nothing is kept
    listener: EventCallback
    opened: bool = field(default=False, init=False)  # whether the folder is that of this fine-tuning
    saved: float = field(default=0.0, init=False)  # elapsed seconds at the last saving
    shown: float = field(default=0.0, init=False)  # share of all phases that was announced last
    preparing: PhaseWork = field(default_factory=lambda: PhaseWork(PREPARING_ENDS, 1), init=False)  # pairs
    training: PhaseWork = field(default_factory=lambda: PhaseWork(TRAINING_ENDS, 1), init=False)  # steps

    def report(self, event: TrainingEvent) -> None:
        """Pass an event on, with its place among all phases; save the time now and then."""
        if self.budget.elapsed - self.saved > SAVE_EVERY:
            self.save()
        self.announce(event)

    def announce(self, event: TrainingEvent) -> None:
        """Pass an event on, with its place among all phases."""
        is_end = event.phase is Phase.SAVING and event.done == event.total
        left = 0.0 if is_end else self.seconds_left()
        self.shown = 1.0 if is_end else max(self.shown, min(1.0, self.budget.elapsed / (self.budget.elapsed + left)))
        self.listener(replace(event, overall=self.shown, seconds_left=left))

    def seconds_left(self) -> float:
        """Return the seconds until the end: of the time, or of the work if that is known to end earlier."""
        expected = expected_left(self.budget, (self.preparing, self.training), LAST_SECONDS)
        return self.budget.left if expected is None else min(self.budget.left, expected)

    def resume(self, settings: dict[str, Any]) -> None:
        """Open the folder and continue from its content; the files of another fine-tuning are removed.

        Raises:
            EngineError: the folder can't be created.
        """
        if self.folder is None:
            return
        prepare_folder(self.folder, settings)
        self.opened = True
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):  # none yet, or damaged
            state = json.loads((self.folder / SESSION_FILE).read_text(encoding="utf-8"))
            self.budget.before += float(state["elapsed"])

    def save(self) -> None:
        """Write the time that has passed into the folder."""
        self.saved = self.budget.elapsed
        if self.opened:
            with atomic_write(self.file(SESSION_FILE)) as file:
                file.write(json.dumps({"elapsed": self.saved}).encode())

    @contextlib.contextmanager
    def saved_on_error(self) -> Iterator[None]:
        """Write the time that has passed if the block ends with an exception, so that the next call continues."""
        try:
            yield
        except BaseException:
            self.save()
            raise

    def remove(self) -> None:
        """Remove the folder, whose content is no longer needed."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def file(self, name: str) -> Path:
        """Return the path of a file in the folder, which was opened."""
        assert self.folder is not None
        return self.folder / name

    def encode(
        self, network: CurvesAndMatrixNetwork, source: FoldPairs, workers: int, step_seconds: StepSeconds
    ) -> EncodedPairs:
        """Encode rounds of pairs until the time for it has passed; earlier ones are read from the folder.

        Args:
            network: on the device of the pairs.
            source: of the pairs.
            workers: threads that make pairs ahead.
            step_seconds: measures the duration of a training step on some pairs, by a function that returns the time.
        """
        found: list[EncodedPairs] = []
        steps = len(source.makers)
        per_round = sum(len(maker.photographs) for maker in source.makers)
        most = max(FEWEST_ROUNDS, MOST_ENCODED // per_round)
        if self.opened:
            found += itertools.islice(self.kept_rounds(), most)
        kept, begun = len(found), self.budget.elapsed
        self.training.left = STEPS * (len(source.folds) + 1)
        with Loader(source.make, len(found) * steps, workers) as loader:
            while len(found) < FEWEST_ROUNDS or (len(found) < most and self.budget.until(self.preparing.ends) > 0):
                parts = []
                for step in range(loader.next_step, loader.next_step + steps):
                    parts.append(encode_batch(network, source, step, loader.take()))
                    done = len(found) * per_round + sum(map(len, parts))
                    self.report(TrainingEvent(Phase.PREPARING, done, most * per_round))
                found.append(EncodedPairs.join(parts))
                self.preparing.measure(self.budget.elapsed - begun, len(found) - kept, most - len(found))
                is_measured = self.training.seconds is not None
                if not is_measured and len(found) >= FEWEST_ROUNDS and self.budget.until(PREPARING_ENDS) > 0:
                    self.plan(step_seconds(EncodedPairs.join(found), partial(self.tick, done, most * per_round)))
                    begun, kept = self.budget.elapsed, len(found)
                if self.opened:
                    found[-1].save(self.file(round_file(len(found) - 1)))
        self.preparing.left = 0
        return EncodedPairs.join(found)

    def tick(self, done: int, total: int) -> float:
        """Report that pairs are prepared; return the seconds that passed."""
        self.report(TrainingEvent(Phase.PREPARING, done, total))
        return self.budget.elapsed

    def plan(self, step_seconds: float) -> None:
        """Leave the time that training cannot use to pairs; report an early end, after which time is of no use.

        Args:
            step_seconds: measured duration of a training step.
        """
        self.training.seconds = step_seconds
        needed = (self.training.left * step_seconds + LAST_SECONDS) / self.budget.seconds
        self.preparing.ends = max(PREPARING_ENDS, MEASURING_ENDS - needed)
        expected = self.budget.elapsed + self.seconds_left()
        if expected < EARLY * self.budget.seconds:
            self.announce(TrainingEvent(Phase.PREPARING, 0, None, enough_seconds=expected))

    def kept_rounds(self) -> Iterator[EncodedPairs]:
        """Yield the rounds of pairs that the folder holds, up to the first that is missing or damaged."""
        with contextlib.suppress(OSError, SafetensorError, TypeError):
            for number in itertools.count():
                yield EncodedPairs.load(self.file(round_file(number)))

    def training_progress(self, number: int, count: int) -> Progress:
        """Return the progress of one of several trainings, which share the time until `TRAINING_ENDS` equally.

        Args:
            number: of the training, from 0 on.
            count: of trainings.
        """
        begun = self.budget.elapsed
        left = max(0.0, self.budget.until(TRAINING_ENDS)) / (count - number)

        def progress(step: int, loss: float) -> float:
            self.training.measure(self.budget.elapsed - begun, step, (count - number) * STEPS - step)
            self.report(TrainingEvent(Phase.TRAINING, number * STEPS + step, count * STEPS, loss=loss))
            return (self.budget.elapsed - begun) / left if left else 1.0

        return progress


def round_file(number: int) -> str:
    """Return the name of the file of a round of pairs."""
    return f"pairs-{number}.safetensors"


def prepare_folder(folder: Path, settings: dict[str, Any]) -> None:
    """Create a folder; the files of an earlier call with other settings are removed.

    Raises:
        EngineError: the folder can't be created.
    """
    try:
        if read_settings(folder) != settings:
            shutil.rmtree(folder, ignore_errors=True)
    except EngineError:
        shutil.rmtree(folder, ignore_errors=True)
    ensure_folder(folder)
    write_settings(folder, settings)
