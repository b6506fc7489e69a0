# SPDX-License-Identifier: GPL-3.0-or-later
"""What training tells while it works, for whoever draws it: a terminal, the editor, a plug-in.

A receiver is called in the training's own thread. Raising an exception in it cancels the work: the run is saved first,
and the exception comes out of the call that trains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Reading:
    """Photographs are being read and their regions found."""

    done: int
    total: int


@dataclass(frozen=True)
class Stepped:
    """Some steps further."""

    step: int
    steps: int | None  # in all; None while it is not known yet how many fit into the time
    loss: float  # mean since the last validation
    pictures_per_second: float
    waiting: float  # share of the time since the last validation in which the network waited for pairs
    seconds_left: float | None


@dataclass(frozen=True)
class Validated:
    """The averaged weights were measured on the held-out pairs, logged, and kept if they are the best so far."""

    step: int
    gain: float  # dB over the untouched composites
    best: bool
    waiting: float  # share of the time since the last validation in which the network waited for pairs
    picture: Path  # curves and samples


@dataclass(frozen=True)
class Measuring:
    """Models are being compared, picture by picture."""

    what: str
    done: int
    total: int


Event = Reading | Stepped | Validated | Measuring
Report = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Receive events without doing anything."""
