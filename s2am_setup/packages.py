# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing packages into an environment: PyTorch in the build for this computer, then the program and its libraries.

pip installs them, or uv in environments that uv created without pip; without a network, from a folder of wheels. uv
alone would not do: it reads no configuration of pip, has no command to download wheels, and its `--torch-backend` takes
PyTorch from one index only, without regard to mirrors and to the compute capability of the GPU.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from platform import python_version

from s2am_common.errors import InstallError
from s2am_setup import torch_builds
from s2am_setup.console import CommandError, Console
from s2am_setup.python_environment import Environment, clean_environ
from s2am_setup.torch_builds import TORCH_VERSION, TorchBuild

_NOT_FOUND = re.compile(r"[Nn]o matching distribution|No solution found|not found in the package registry")
"""Message of pip or uv about a package that no source has."""

SAMPLE_PHOTOGRAPHS = "scikit-image"
"""The package with the photographs of the sample (14 MB); its libraries (38 MB) are for training only."""

TORCH_NOT_FOUND = "install.torch-not-found"
"""Code of the error that no source has PyTorch for this Python."""

_RETRIES = 10


@dataclass(frozen=True)
class PackageSources:
    """Sources of packages, and the program that installs them.

    Attributes:
        wheels: folder of wheels that is the only source; None = the sources that pip or uv is configured for.
        uv: path of uv, which its user has configured; "" = use the environment's pip.
        cache: folder of downloads that is kept until everything is installed; None = the cache of pip or uv.
    """

    wheels: Path | None = None
    uv: str = ""
    cache: Path | None = None

    def install(self, environment: Environment, arguments: Sequence[str], console: Console) -> None:
        """Install packages; an interrupted download is resumed.

        Raises:
            CommandError: pip or uv failed.
        """
        given = ["--no-index", "--find-links", str(self.wheels)] if self.wheels else []
        given += ["--cache-dir", str(self.cache)] if self.cache else []
        if self.uv:
            uv = [self.uv, "pip", "install", "--python", str(environment.python)]
            console.run([*uv, *given, *arguments], clean_environ())
            return
        version = tuple(map(int, re.findall(r"\d+", environment.version("pip"))))
        options = ["--no-compile", "--progress-bar", "raw"] if version >= (24, 1) else []
        options += ["--resume-retries", str(_RETRIES)] if version >= (25, 1) else []
        environment.pip(["install", *options, *given, *arguments], console)


def try_sources(build: TorchBuild, install: Callable[[list[str]], object]) -> bool:
    """Try the sources of a build of PyTorch in their order; return whether one has it.

    Args:
        build: the build.
        install: installs or downloads it with arguments of pip.

    Raises:
        CommandError: pip or uv failed for another reason.
    """
    for source in build.sources:
        try:
            install(source)
        except CommandError as error:  # noqa: PERF203
            if not _NOT_FOUND.search(error.output):
                raise
        else:
            return True
    return False


def with_extras(project: str | Path, build: TorchBuild, editor: bool = True) -> str:
    """Return the requirement for the program (its name, a folder or a wheel) with the parts of an installation."""
    parts = [*(["editor"] if editor else []), *(["train"] if build.tag != torch_builds.NO_TORCH else [])]
    return f"{project}[{','.join(parts)}]" if parts else str(project)


def install_torch(new: Environment, build: TorchBuild, sources: PackageSources, console: Console) -> str:
    """Install PyTorch without its dependencies.

    Falls back to the CPU build, with a message, if no source has the CUDA or ROCm build.

    Returns:
        The full version, such as "2.13.0+cpu".

    Raises:
        InstallError: no source has either build.
    """
    cpu = torch_builds.cpu_build(sys.platform)
    for each in [build, *([cpu] if build.tag != cpu.tag else [])]:
        if try_sources(each, lambda source: sources.install(new, ["--no-deps", *source], console)):
            if each != build:
                console.say("", f"PyTorch for {build.tag} is not available here; PyTorch for the CPU is used instead.")
            return new.version("torch")
    where = f"in {sources.wheels}" if sources.wheels else "in this computer's package sources"
    raise InstallError(
        f"PyTorch {TORCH_VERSION} for Python {python_version()} was found neither {where} nor at "
        "download.pytorch.org: check the network connection, then run the same command again.",
        code=TORCH_NOT_FOUND,
    )


def install_project(
    new: Environment, project: str, torch: str, sources: PackageSources, console: Console, editable: bool = False
) -> None:
    """Install the project and its libraries; PyTorch is not changed.

    Args:
        new: the environment.
        project: the program's name with its version, a folder or a wheel, with extras in brackets.
        torch: the full version of the installed PyTorch; "" = none.
        sources: of the packages.
        console: runs the commands.
        editable: install a folder in editable mode.
    """
    how = ["--editable"] if editable else []
    build = TorchBuild(torch.partition("+")[2], "")
    # Only PyTorch's index has the packages that its ROCm build needs.
    index = ["--extra-index-url", build.sources[-1][-1]] if build.tag.startswith("rocm") else []
    sources.install(new, [*index, *exactly(torch), *how, project], console)


def install_sample_photographs(new: Environment, sources: PackageSources, console: Console) -> None:
    """Install the package with the photographs of the sample, without its libraries."""
    sources.install(new, ["--no-deps", SAMPLE_PHOTOGRAPHS], console)


def exactly(torch: str) -> list[str]:
    """Return the requirement that keeps pip or uv from changing PyTorch's version; "" = it is not installed."""
    return [f"torch=={torch}"] if torch else []
