# SPDX-License-Identifier: GPL-3.0-or-later
"""Time budget of a training run: measure steps, and fit their number into a given time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

VALIDATION_TIME_SHARE = 0.1  # largest share of the time spent on validations
MOST_VALIDATIONS, FEWEST_VALIDATIONS = 20, 2

Now = Callable[[], float]


class StepTimer:
    """Time, speed and mean loss of a run, in windows that end with each validation."""

    def __init__(self, before: float, now: Now = time.perf_counter) -> None:
        """Start measuring.

        Args:
            before: seconds that earlier sessions of the run took.
            now: returns the time in seconds.
        """
        self.now = now
        self.started = self.reported = self.saved = now()
        self.before = before
        self.ends: list[float] = []  # end of each step of this session
        self.waited = 0.0  # seconds spent waiting for pairs in this session
        self.start_window()

    def start_window(self) -> None:
        """Start a new window of measurements."""
        self.window_started, self.waited_before = self.now(), self.waited
        self.images = self.steps = 0
        self.losses: Tensor | float = 0.0  # sum, kept on the device

    def count(self, loss: Tensor, images: int, waited: float) -> None:
        """Count a step.

        Args:
            loss: of the step, a scalar on any device.
            images: number of images in the batch.
            waited: seconds spent waiting for pairs since the start of the session.
        """
        self.ends.append(self.now())
        self.losses = self.losses + loss
        self.images, self.steps, self.waited = self.images + images, self.steps + 1, waited

    @property
    def elapsed(self) -> float:
        """Seconds of training, earlier sessions included."""
        return self.before + self.now() - self.started

    @property
    def loss(self) -> float:
        """Mean loss of the window."""
        return float(self.losses) / max(1, self.steps)

    @property
    def speed(self) -> float:
        """Images per second in the window."""
        return self.images / max(self.now() - self.window_started, 1e-9)

    @property
    def waiting(self) -> float:
        """Share of the window spent waiting for pairs."""
        return (self.waited - self.waited_before) / max(self.now() - self.window_started, 1e-9)

    def seconds_per_step(self, skip: int) -> float:
        """Return the mean duration of this session's steps, without the first `skip`."""
        return (self.ends[-1] - self.ends[skip]) / (len(self.ends) - 1 - skip)


def fit_steps(seconds: float, step: float, validation: float) -> tuple[int, int]:
    """Fit training steps and validations into a time.

    Args:
        seconds: time that is left.
        step: duration of a step in seconds.
        validation: duration of a validation in seconds.

    Returns:
        Number of steps (at least 1) and number of validations.
    """
    affordable = int(VALIDATION_TIME_SHARE * seconds / validation)
    validations = min(MOST_VALIDATIONS, max(FEWEST_VALIDATIONS, affordable))
    return int(max(1.0, (seconds - validations * validation) / step)), validations


class TimeBudget:
    """Time given to a task of several phases, over all its sessions."""

    def __init__(self, seconds: float, now: Now = time.perf_counter) -> None:
        """Start.

        Args:
            seconds: time of the whole task.
            now: returns the time in seconds.
        """
        self.seconds = seconds
        self.before = 0.0  # seconds that earlier sessions took
        self.now = now
        self.started = now()

    @property
    def elapsed(self) -> float:
        """Seconds that passed, earlier sessions included."""
        return self.before + self.now() - self.started

    @property
    def left(self) -> float:
        """Seconds that are left, at least 0."""
        return max(0.0, self.seconds - self.elapsed)

    @property
    def share(self) -> float:
        """Share of the time that passed, 0 to 1."""
        return min(1.0, self.elapsed / self.seconds)

    def until(self, share: float) -> float:
        """Return the seconds until a share of the time has passed; negative if it has."""
        return share * self.seconds - self.elapsed


@dataclass
class PhaseWork:
    """Work of a phase, which ends when no unit is left, or with its share of the time.

    ends: share of the time of all phases at which it ends at the latest.
    left: units that are left.
    seconds: measured time of a unit; None = not yet.
    """

    ends: float
    left: int
    seconds: float | None = None

    def measure(self, seconds: float, done: int, left: int) -> None:
        """Take the speed from the seconds that some units took."""
        self.left = left
        if done:
            self.seconds = seconds / done


def expected_left(budget: TimeBudget, phases: Sequence[PhaseWork], rest: float) -> float | None:
    """Return the seconds until the end of all phases by their measured speed; None as long as one is unknown.

    Args:
        budget: of all phases.
        phases: in order; those that are over have no units left.
        rest: seconds that work of a fixed length takes after them.
    """
    end = budget.elapsed
    for phase in phases:
        if phase.left:
            if phase.seconds is None:
                return None
            end = max(end, min(end + phase.left * phase.seconds, phase.ends * budget.seconds))
    return end + rest - budget.elapsed
