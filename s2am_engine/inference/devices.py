# SPDX-License-Identifier: GPL-3.0-or-later
"""Choice of the device and of the number of CPU threads for a network."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

import torch

from s2am_common.settings import load_settings
from s2am_engine.errors import DeviceError

logger = logging.getLogger(__name__)


def choose_device(name: str | None = None) -> torch.device:
    """Return the PyTorch device of a name.

    Args:
        name: `auto` (a CUDA GPU if there is one, else the CPU), `cpu`, `cuda`, `cuda:1` …; None = as in the settings.

    Raises:
        DeviceError: this machine has no such device.
    """
    name = name or load_settings().device
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(f"There is no device “{name}” on this machine: use “auto” or “cpu”.", device=name) from error
    return device


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
