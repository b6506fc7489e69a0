# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training loop measures of itself, and how it is asked to stop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from torch import Tensor


class Clock:
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
