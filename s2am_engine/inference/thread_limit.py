# SPDX-License-Identifier: GPL-3.0-or-later
"""Limit of PyTorch's CPU threads."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import torch


class ThreadLimit:
    """Limit of the CPU threads of PyTorch for the duration of a block.

    Networks for inputs of 256 pixels are fastest with one thread: with PyTorch's default of one for each core, each
    parallel region waits for the slowest thread, and where other programs use the cores that takes up to a hundred
    times as long as the computation (0.5 to 10 s instead of 0.15 s on two busy cores).

    PyTorch has one setting for the process. Blocks may overlap in several threads: the value before the first one is
    restored by the last one.
    """

    def __init__(self) -> None:
        """Prepare a limit that is shared by all threads of the process."""
        self._lock = threading.Lock()
        self._running = 0
        self._before = 1

    @contextlib.contextmanager
    def __call__(self, threads: int) -> Iterator[None]:
        """Use `threads` CPU threads inside the block."""
        with self._lock:
            if self._running == 0:
                self._before = torch.get_num_threads()
            self._running += 1
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                # Also before others have ended: OpenMP's setting belongs to the thread that made it.
                torch.set_num_threads(self._before)


thread_limit = ThreadLimit()
"""The limit of this process: `with thread_limit(1): …`."""
