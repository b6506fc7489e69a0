# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about this machine; all else in this room asks here, so that tests can be any machine."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Answer = Callable[[Sequence[str]], str | None]


def ask(command: Sequence[str]) -> str | None:
    """Run a program and return what it prints (stderr too), or None if it isn't there, fails, or takes a minute."""
    program = shutil.which(command[0])
    if not program:
        return None
    try:
        done = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False,
            text=True, encoding="utf-8", errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def free_bytes(folder: Path) -> int:
    """Return the room on the disk where `folder` is, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def memory_bytes() -> int | None:
    """Return the memory of this machine, or None where that can't be known."""
    if sys.platform == "win32":
        status = (ctypes.c_ulonglong * 8)(64)  # MEMORYSTATUSEX: its length first, the memory's size second
        return int(status[1]) if ctypes.windll.kernel32.GlobalMemoryStatusEx(status) else None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


@dataclass(frozen=True)
class Facts:
    """A machine and a person on it: `system` is a `sys.platform`, `answer` runs a program."""

    system: str
    home: Path
    environ: Mapping[str, str] = field(repr=False)
    root: Path = Path("/")
    answer: Answer = field(default=ask, repr=False)
    free: Callable[[Path], int] = field(default=free_bytes, repr=False)
    memory: Callable[[], int | None] = field(default=memory_bytes, repr=False)

    def at(self, path: str) -> Path:
        """Return where an absolute path of the system's is."""
        return self.root / path.lstrip("/")

    def folder(self, variable: str, otherwise: Path) -> Path:
        """Return the folder that an environment variable names, or another one.

        As the XDG base directory specification asks, a relative one is ignored.
        """
        given = Path(self.environ.get(variable, ""))
        return given if given.is_absolute() else otherwise


def this_machine() -> Facts:
    """Return the machine that this runs on."""
    return Facts(sys.platform, Path.home(), os.environ)
