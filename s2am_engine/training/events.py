# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress events of training, which the terminal and the editor display.

An event callback is called in the thread that trains. An exception raised in it cancels the work: the run is saved
first, and the exception leaves the call that trains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray


class Phase(Enum):
    """Stages of a training or a fine-tuning."""

    READING = "reading photographs"
    PREPARING = "learning what sets the look apart"
    TRAINING = "training"
    MEASURING = "measuring"
    SAVING = "saving"


@dataclass(frozen=True)
class Validation:
    """Measurement of the averaged weights on the held-out pairs."""

    step: int
    gain: float  # dB over the untouched composites; of a detector, the mean IoU
    is_best: bool  # whether the gain is the highest so far
    samples: NDArray[np.uint8]  # H×W×3 contact sheet of composites, results and ground truths


@dataclass(frozen=True)
class TrainingEvent:
    """Progress within one phase."""

    phase: Phase
    done: int  # photographs read, steps trained, or pairs measured, for example
    total: int | None  # None while the number of steps that fit into the time is unknown
    subject: str = ""  # of the measurement
    loss: float = 0.0  # mean since the last validation
    images_per_second: float = 0.0
    waiting: float = 0.0  # share of the time since the last validation spent waiting for pairs, 0 to 1
    seconds_left: float | None = None  # of all phases of a fine-tuning; else of this phase
    validation: Validation | None = None  # set when the weights have just been measured
    overall: float | None = None  # share of all phases of a fine-tuning that is done, 0 to 1
    enough_seconds: float | None = None  # for all phases of a fine-tuning; set once if more time changes nothing


EventCallback = Callable[[TrainingEvent], None]


def ignore_events(event: TrainingEvent) -> None:
    """Receive events without doing anything."""


def reading_progress(report: EventCallback) -> Callable[[int, int], None]:
    """Return a (done, total) callback that reports photographs as they are read."""
    return lambda done, total: report(TrainingEvent(Phase.READING, done, total))
