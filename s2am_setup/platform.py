# SPDX-License-Identifier: GPL-3.0-or-later
"""The computer and the user that an installation is for.

All of `s2am_setup` and `installer` ask this module about the system, so tests can simulate any system.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from s2am_common.paths import absolute_or

RunProgram = Callable[[Sequence[str]], str | None]

_TIMEOUT_SECONDS = 240  # a busy computer needs minutes to load PyTorch


def run_program(command: Sequence[str]) -> str | None:
    """Run a program; return stdout and stderr, or None if it is missing, fails or takes over four minutes."""
    program = shutil.which(command[0])
    if not program:
        return None
    try:
        done = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_TIMEOUT_SECONDS,
            check=False, text=True, encoding="utf-8", errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def free_disk_bytes(folder: Path) -> int:
    """Return the free space on the disk of a folder, which need not exist."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


@dataclass(frozen=True)
class Platform:
    """A computer and one of its users.

    Attributes:
        system: a value of `sys.platform`.
        home: the user's home folder.
        environ: environment variables.
        root: root folder of the file system; another one in tests.
        run: runs a program, see `run_program`.
        free_bytes: returns the free space on the disk of a folder.
    """

    system: str
    home: Path
    environ: Mapping[str, str] = field(repr=False)
    root: Path = Path("/")
    run: RunProgram = field(default=run_program, repr=False)
    free_bytes: Callable[[Path], int] = field(default=free_disk_bytes, repr=False)

    def system_path(self, path: str) -> Path:
        """Return an absolute path of the system, below `root`."""
        return self.root / path.lstrip("/")

    def folder(self, variable: str, default: Path) -> Path:
        """Return the folder in an environment variable, or the default if it is unset or relative."""
        return absolute_or(self.environ.get(variable), default)


def this_platform() -> Platform:
    """Return the computer and user that this process runs on and for."""
    return Platform(sys.platform, Path.home(), os.environ)
