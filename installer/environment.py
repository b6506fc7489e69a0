# SPDX-License-Identifier: GPL-3.0-or-later
"""Making a Python environment and installing into it; the installer and the test command share this."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from installer import debian, torch_builds
from installer.console import CommandError, Console
from s2am_common.errors import InstallError


@dataclass(frozen=True)
class Environment:
    """A Python environment in a folder of its own."""

    folder: Path

    @property
    def scripts(self) -> Path:
        """The folder of its programs."""
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.scripts / ("python.exe" if os.name == "nt" else "python")

    def run(self, arguments: Sequence[str], console: Console) -> str:
        """Run its Python, seeing nothing but the environment's own packages (-I); return what it prints."""
        return console.run([str(self.python), "-I", *arguments], clean_environ())

    def pip(self, arguments: Sequence[str], console: Console) -> str:
        """Run its pip; return what it prints."""
        return self.run(["-m", "pip", *arguments], console)

    def pip_version(self, console: Console) -> tuple[int, int]:
        """Return the version of its pip; (0, 0) if it does not say."""
        found = re.match(r"pip (\d+)\.(\d+)", self.pip(["--version"], console))
        return (int(found[1]), int(found[2])) if found else (0, 0)


def clean_environ() -> dict[str, str]:
    """Return `os.environ` without what would lead pip or Python out of the environment."""
    leads_out = {"PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON", "VIRTUAL_ENV"}
    kept = {name: value for name, value in os.environ.items() if name not in leads_out}
    return kept | {"PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def check_python(version: tuple[int, int], is_64_bit: bool) -> None:
    """Raise InstallError if PyTorch has no build for this Python."""
    oldest, newest = (".".join(map(str, bound)) for bound in torch_builds.PYTHONS)
    if not (torch_builds.PYTHONS[0] <= version <= torch_builds.PYTHONS[1] and is_64_bit):
        raise InstallError(
            f"PyTorch {torch_builds.VERSION} needs a 64-bit Python {oldest} to {newest}, and this is "
            f"{platform.python_version()}, {platform.machine()}: run the same command with such a Python."
        )


def make(environment: Environment, console: Console) -> None:
    """Make an empty environment with a recent pip, in whatever way this machine allows without root.

    Debian and Ubuntu take ensurepip, and with it pip, out of the Python that they install. Raises InstallError.
    """
    for way in (_with_ensurepip, _with_uv, _with_pip_wheel):
        shutil.rmtree(environment.folder, ignore_errors=True)
        try:
            if way(environment, console):
                return
        except CommandError as error:
            if error.known:
                raise
    raise InstallError(
        "This Python can make no environments: install the package python3-venv (sudo apt install python3-venv), "
        "then run the same command again."
    )


def _with_ensurepip(environment: Environment, console: Console) -> bool:
    if not importlib.util.find_spec("ensurepip"):
        return False
    console.run([sys.executable, "-I", "-m", "venv", str(environment.folder)], clean_environ())
    # A recent pip reports its progress and has certificates of its own. Without a network, the old one must do.
    with contextlib.suppress(CommandError):
        environment.pip(["install", "--upgrade", "--no-compile", "--no-cache-dir", "pip"], console)
    return True


def _with_uv(environment: Environment, console: Console) -> bool:
    uv = shutil.which("uv")
    if not uv:
        return False
    console.run([uv, "venv", "--seed", "--python", sys.executable, str(environment.folder)], clean_environ())
    return True


def _with_pip_wheel(environment: Environment, console: Console) -> bool:
    """Make an environment without pip, then let a pip that runs straight from its wheel install itself there."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wheel = debian.pip_wheel_on_disk() or _download_pip(folder, console) or debian.fetch_pip_wheel(folder, console)
        if not wheel:
            return False
        console.run([sys.executable, "-I", "-m", "venv", "--without-pip", str(environment.folder)], clean_environ())
        environ = clean_environ() | debian.distutils(folder)
        pip = [str(environment.python), f"{wheel}/pip"]
        if "cert=" not in console.run([*pip, "config", "list"], environ):
            environ |= debian.certificates(folder)
        console.run([*pip, "install", "--no-compile", "--no-index", str(wheel)], environ)
        with contextlib.suppress(CommandError):
            console.run([*pip, "install", "--no-compile", "--upgrade", "pip"], environ)
    return True


def _download_pip(folder: Path, console: Console) -> Path | None:
    if not importlib.util.find_spec("pip"):
        return None
    try:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), "pip"]
        console.run(command, clean_environ())
    except CommandError:
        return None
    return next(folder.glob("pip-*.whl"), None)


def torch_version(environment: Environment, console: Console) -> str:
    """Return the full version of the PyTorch that is installed, such as "2.13.0+cpu"."""
    code = "from importlib.metadata import version; print(version('torch'))"
    return environment.run(["-c", code], console).strip()
