# SPDX-License-Identifier: GPL-3.0-or-later
"""A Python environment in its own folder, and the variables of programs that run in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from s2am_setup.console import Console


@dataclass(frozen=True)
class Environment:
    """A Python environment in its own folder."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.program("python")

    def program(self, name: str) -> Path:
        """Return one of its programs."""
        return program_path(self.folder, name, sys.platform)

    @property
    def packages(self) -> Path:
        """Folder of its packages; it does not exist before the environment."""
        found = [*self.folder.glob("lib/python*/site-packages"), *self.folder.glob("Lib/site-packages")]
        return found[0] if found else self.folder / "site-packages"

    def run(self, arguments: Sequence[str], console: Console) -> str:
        """Run its Python, isolated from packages outside the environment (-I); return the output."""
        return console.run([str(self.python), "-I", *arguments], clean_environ())

    def pip(self, arguments: Sequence[str], console: Console) -> str:
        """Run its pip; return the output."""
        return self.run(["-m", "pip", *arguments], console)

    def version(self, package: str) -> str:
        """Return the full version of a package, such as "2.13.0+cpu" of PyTorch; "" if it is not installed."""
        return next((one.version for one in distributions(name=package, path=[str(self.packages)])), "")


def program_path(environment: Path, name: str, system: str) -> Path:
    """Return the path of an environment's program; `system` is a value of `sys.platform`."""
    return environment / f"Scripts/{name}.exe" if system == "win32" else environment / "bin" / name


def clean_environ() -> dict[str, str]:
    """Return the environment variables without those that redirect pip or Python out of an environment."""
    redirecting = {"PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON", "VIRTUAL_ENV"}
    kept = {name: value for name, value in os.environ.items() if name not in redirecting}
    return kept | {"PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
