# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing packages into an environment: PyTorch in the build for this computer, then the program and its libraries.

uv is used if it is installed, else pip; without a network, packages come from a folder of wheels.
"""

from __future__ import annotations

import ast
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from platform import python_version

from installer import torch_builds
from installer.console import CommandError, Console
from installer.environment import Environment, clean_environ, make_environment
from installer.torch_builds import TORCH_VERSION, TorchBuild
from s2am_common.errors import InstallError

_NOT_FOUND = re.compile(r"[Nn]o matching distribution|No solution found|not found in the package registry")
"""Message of pip or uv about a package that no source has."""

INSTALLED_EXTRAS = "editor,train"
"""The optional parts of the program that an installation contains."""

_RETRIES = 10
_TRUE = {"1", "true", "yes", "on"}
# Names of pip's settings and the corresponding options of uv, which does not read pip's configuration.
_UV_OPTIONS = {
    "index-url": "--index-url",
    "extra-index-url": "--extra-index-url",
    "find-links": "--find-links",
    "constraint": "--constraints",
    "trusted-host": "--allow-insecure-host",
}


@dataclass(frozen=True)
class PackageSources:
    """Sources of packages, and the program that installs them.

    Attributes:
        wheels: folder of wheels that is the only source; None = the sources in this computer's configuration.
        uv: path of uv; "" = use pip.
        cache: folder of downloads that is kept until everything is installed; None = the cache of pip or uv.
    """

    wheels: Path | None = None
    uv: str = ""
    cache: Path | None = None

    @property
    def arguments(self) -> list[str]:
        """Arguments for pip or uv."""
        offline = ["--no-index", "--find-links", str(self.wheels)] if self.wheels else []
        return [*offline, "--cache-dir", str(self.cache)] if self.cache else offline

    def install(self, environment: Environment, arguments: Sequence[str], console: Console) -> None:
        """Install packages; an interrupted download is resumed.

        Raises:
            CommandError: pip or uv failed.
        """
        if self.uv:
            uv = [self.uv, "pip", "install", "--python", str(environment.python)]
            console.run([*uv, *self._uv_arguments(environment, console), *self.arguments, *arguments], clean_environ())
            return
        options = ["--no-compile", "--progress-bar", "raw"] if environment.pip_version(console) >= (24, 1) else []
        if environment.pip_version(console) >= (25, 1):
            options += ["--resume-retries", str(_RETRIES)]
        environment.pip(["install", *options, *self.arguments, *arguments], console)

    def _uv_arguments(self, environment: Environment, console: Console) -> list[str]:
        """Return pip's configuration as arguments for uv."""
        if self.wheels:
            return []
        # As pip does: take the best version from all indexes.
        arguments = ["--index-strategy", "unsafe-best-match"]
        for line in environment.pip(["config", "list"], console).splitlines():
            found = re.match(r"[^.]*\.([\w-]+)=(.*)", line)
            name, words = (found[1], str(ast.literal_eval(found[2])).split()) if found else ("", [])
            if name == "no-index" and set(map(str.lower, words)) & _TRUE and "--no-index" not in arguments:
                arguments.append("--no-index")
            elif name in _UV_OPTIONS:
                arguments += [argument for word in words for argument in (_UV_OPTIONS[name], word)]
        return arguments


def check_wheels(folder: Path) -> None:
    """Check that a folder of wheels exists and contains PyTorch.

    Raises:
        InstallError: it does not.
    """
    advice = "on a computer with a network, “python3 -m installer download FOLDER” makes one"
    if not folder.is_dir():
        raise InstallError(f"There is no folder {folder}: check its name ({advice}).")
    if not any(folder.glob("torch-*.whl")):
        raise InstallError(f"{folder} has no wheel of PyTorch (torch-….whl): name the folder of the wheels ({advice}).")


def find_uv() -> str:
    """Return the path of uv, or "" if it is not installed."""
    return shutil.which("uv") or ""


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
        for source in each.sources:
            if sources.wheels and len(source) > 1:
                continue  # an index on the network
            try:
                sources.install(new, ["--no-deps", *source], console)
            except CommandError as error:
                if not _NOT_FOUND.search(error.output):
                    raise
                continue
            if each != build:
                console.say("", f"PyTorch for {build.tag} is not available here; PyTorch for the CPU is used instead.")
            return new.torch_version(console)
    where = f"in {sources.wheels}" if sources.wheels else "in this computer's package sources"
    raise InstallError(
        f"PyTorch {TORCH_VERSION} for Python {python_version()} was found neither {where} nor at "
        "download.pytorch.org: check the network connection, then run the same command again."
    )


def build_wheel(new: Environment, clone: Path, folder: Path, console: Console) -> Path:
    """Build the program's wheel from a clone and return it.

    Raises:
        InstallError: it cannot be built.
    """
    new.pip(["wheel", "--no-deps", "--wheel-dir", str(folder), str(clone)], console)
    return next(folder.glob("s2am-*.whl"))


def install_project(
    new: Environment, project: str, torch: str, sources: PackageSources, console: Console, editable: bool = False
) -> None:
    """Install the project (a folder or wheel, with extras in brackets) and its libraries; PyTorch is not changed."""
    with tempfile.TemporaryDirectory() as folder:
        constraints = _write_constraints(Path(folder), torch)
        how = ["--editable"] if editable else []
        build = TorchBuild(torch.partition("+")[2], "")
        # Only PyTorch's index has the packages that its ROCm build needs.
        index = ["--extra-index-url", build.sources[-1][-1]] if build.tag.startswith("rocm") else []
        sources.install(new, ["--constraint", str(constraints), *index, *how, project], console)


def download_wheels(folder: Path, project: Path, build: TorchBuild, console: Console) -> None:
    """Download all wheels of an installation into a folder, for a computer without a network.

    Raises:
        InstallError: a wheel is not available.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        helper = Environment(Path(temporary) / "environment")
        with console.step("Creating an environment for downloading"):
            make_environment(helper, console)
        with console.step(f"Downloading PyTorch {TORCH_VERSION} {build.tag}".rstrip()):
            _download_torch(helper, folder, build, console)
        version = next(folder.glob("torch-*.whl")).name.split("-")[1]
        constraints = _write_constraints(Path(temporary), version)
        with console.step("Downloading the libraries of s2am"):
            # Debian's Python has no pip to start with.
            helper.pip(["download", "--no-deps", "--dest", str(folder), "pip"], console)
            options = ["--wheel-dir", str(folder), "--find-links", str(folder), "--constraint", str(constraints)]
            helper.pip(["wheel", *options, f"{project}[{INSTALLED_EXTRAS}]"], console)


def _write_constraints(folder: Path, torch: str) -> Path:
    file = folder / "constraints.txt"
    file.write_text(f"torch=={torch}\n", encoding="utf-8")
    return file


def _download_torch(helper: Environment, folder: Path, build: TorchBuild, console: Console) -> None:
    for source in build.sources:
        try:
            helper.pip(["download", "--no-deps", "--dest", str(folder), *source], console)
            return
        except CommandError as error:  # noqa: PERF203
            if not _NOT_FOUND.search(error.output):
                raise
    raise InstallError(f"No source has {build.sources[0][0]}: choose another build with --torch.")
