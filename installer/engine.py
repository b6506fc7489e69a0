# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's environment: PyTorch in the build that this machine needs, then the program and its libraries."""

from __future__ import annotations

import platform
import sys
import tempfile
from pathlib import Path

from installer import environment, torch_builds
from installer.console import CommandError, Console
from installer.environment import Environment
from installer.packages import NOT_FOUND, Sources
from installer.torch_builds import TorchBuild
from s2am_common.errors import InstallError


def install_torch(new: Environment, build: TorchBuild, sources: Sources, console: Console) -> str:
    """Install PyTorch alone, without what it depends on; return its full version, such as "2.13.0+cpu".

    Falls back to the CPU build where no source has the CUDA or ROCm build, and says so. Raises InstallError if no
    source has either.
    """
    cpu = torch_builds.cpu_build(sys.platform)
    for each in [build, *([cpu] if build.tag != cpu.tag else [])]:
        for source in each.sources:
            if sources.wheels and len(source) > 1:
                continue  # an index on the network
            try:
                sources.install(new, ["--no-deps", *source], console)
            except CommandError as error:
                if not NOT_FOUND.search(error.output):
                    raise
                continue
            if each != build:
                console.say("", f"PyTorch for {build.tag} can't be had here, so it is PyTorch for the CPU.")
            return environment.torch_version(new, console)
    where = f"in {sources.wheels}" if sources.wheels else "in this machine's own package sources"
    raise InstallError(
        f"PyTorch {torch_builds.VERSION} for Python {platform.python_version()} is neither {where} nor can it be had "
        "from download.pytorch.org: check the network connection, then run the same command again."
    )


def install_project(
    new: Environment, project: str, torch: str, sources: Sources, console: Console, editable: bool = False
) -> None:
    """Install the project (a folder or a name, with extras in brackets) and what it needs, keeping PyTorch as it is."""
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text(f"torch=={torch}\n", encoding="utf-8")
        how = ["--editable"] if editable else []
        build = TorchBuild(torch.partition("+")[2], "")
        # ROCm's companions of PyTorch are in PyTorch's index alone.
        index = ["--extra-index-url", build.sources[-1][-1]] if build.tag.startswith("rocm") else []
        sources.install(new, ["--constraint", str(constraints), *index, *how, project], console)


def download(folder: Path, project: Path, build: TorchBuild, console: Console) -> None:
    """Fill a folder with all wheels of an installation, for a machine without a network. Raises InstallError."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        helper = Environment(Path(temporary) / "environment")
        with console.step("Making an environment to download with"):
            environment.make(helper, console)
        with console.step(f"Downloading PyTorch {torch_builds.VERSION} {build.tag}".rstrip()):
            _download_torch(helper, folder, build, console)
        version = next(folder.glob("torch-*.whl")).name.split("-")[1]
        constraints = Path(temporary) / "constraints.txt"
        constraints.write_text(f"torch=={version}\n", encoding="utf-8")
        with console.step("Downloading s2am's libraries"):
            options = ["--wheel-dir", str(folder), "--find-links", str(folder), "--constraint", str(constraints)]
            helper.pip(["wheel", *options, str(project)], console)


def _download_torch(helper: Environment, folder: Path, build: TorchBuild, console: Console) -> None:
    for source in build.sources:
        try:
            helper.pip(["download", "--no-deps", "--dest", str(folder), *source], console)
            return
        except CommandError as error:  # noqa: PERF203
            if not NOT_FOUND.search(error.output):
                raise
    raise InstallError(f"No source has {build.sources[0][0]}: choose another build with --torch.")
