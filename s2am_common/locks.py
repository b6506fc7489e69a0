# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock between processes; the library filelock offers more, but GIMP's Python and the installer lack it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_POLL_SECONDS = 0.02


class ProcessLock:
    """A lock file that one process at a time holds; the system releases it when that process ends, even by a crash."""

    def __init__(self, file: Path) -> None:
        """Name the lock file; its folder must exist."""
        self._file = file
        self._handle: int | None = None

    def acquire(self, timeout: float = 0) -> bool:
        """Try to acquire the lock within `timeout` seconds; return whether it was acquired.

        Raises:
            OSError: the lock file cannot be opened.
        """
        end = time.monotonic() + timeout
        while not self._try():
            if time.monotonic() >= end:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _try(self) -> bool:
        handle = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if sys.platform == "win32":
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def release(self) -> None:
        """Release the lock, if it is held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def is_unlocked(file: Path, timeout: float = 0) -> bool:
    """Return whether no process holds a lock, or releases it within `timeout` seconds.

    The lock is held for an instant to find out.
    """
    lock = ProcessLock(file)
    acquired = lock.acquire(timeout)
    lock.release()
    return acquired
