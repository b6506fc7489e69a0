# SPDX-License-Identifier: GPL-3.0-or-later
"""`s2am install PART`: add an optional part, such as PyTorch for training, to the environment of this program."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from s2am_common.errors import InstallError
from s2am_common.optional_parts import SAMPLE, TRAIN, OptionalPart
from s2am_common.version import __version__
from s2am_setup import packages, torch_builds
from s2am_setup.console import Console, format_bytes
from s2am_setup.desktop import write_launchers
from s2am_setup.installation import Installation, exclusive, run_repair
from s2am_setup.platform import Platform
from s2am_setup.python_environment import Environment


def is_installed(part: OptionalPart) -> bool:
    """Return whether all libraries of a part are in this process's environment."""
    return all(importlib.util.find_spec(name) for name in part.libraries)


def with_sizes(part: OptionalPart, platform: Platform, tag: str = torch_builds.AUTO_BUILD) -> OptionalPart:
    """Return a part with its sizes on this computer, where PyTorch's depend on the build.

    Args:
        part: the part.
        platform: the computer and user.
        tag: build of PyTorch, see `torch_builds.training_build`.

    Raises:
        InstallError: there is no such build.
    """
    if part is not TRAIN:
        return part
    (download, disk), (base_download, base_disk) = (
        torch_builds.training_build(platform, tag).sizes,
        torch_builds.without_torch().sizes,
    )
    return replace(part, download=download - base_download, disk=disk - base_disk)


def describe_sizes(part: OptionalPart) -> str:
    """Return the sizes of a part as text."""
    return f"about {format_bytes(part.download)} to download, {format_bytes(part.disk)} on the disk"


def add_part(
    part: OptionalPart, installation: Installation, console: Console, tag: str = torch_builds.AUTO_BUILD
) -> None:
    """Add a part to this process's environment; the packages in it are not changed.

    Args:
        part: the part.
        installation: of this process.
        console: prints the steps.
        tag: build of PyTorch for `TRAIN`, see `with_sizes`.

    Raises:
        InstallError: the part cannot be added here; PyTorch is there completely or not at all.
    """
    platform = installation.platform
    if platform.environ.get("APPIMAGE"):
        raise InstallError(
            "An AppImage cannot be extended: install s2am with the installer, then run this command again."
        )
    environment = Environment(Path(sys.prefix))
    has_pip = bool(importlib.util.find_spec("pip"))
    uv = "" if has_pip else shutil.which("uv") or ""
    if not (has_pip or uv):
        raise InstallError("This environment has no pip: install uv, then run the same command again.")
    with contextlib.ExitStack() as stack:
        cache = None
        if installation.is_by_installer:
            stack.enter_context(exclusive(installation.paths))
            console.open_log(installation.paths.install_log)
            cache = installation.paths.downloads
            stack.callback(shutil.rmtree, cache, ignore_errors=True)
        sources = packages.PackageSources(uv=uv, cache=cache)
        torch = environment.version("torch")
        if part is TRAIN and not torch:
            build = torch_builds.training_build(platform, tag)
            with console.step(f"Installing PyTorch {build.name}"), _whole_torch(environment):
                torch = packages.install_torch(environment, build, sources, console)
        with console.step(f"Installing the libraries for {part.purpose}"):
            if part is SAMPLE:
                packages.install_sample_photographs(environment, sources, console)
            else:
                project = f"s2am[{part.name}]=={__version__}"
                packages.install_project(environment, project, torch, sources, console)
        _record(part, torch, installation)
        if installation.is_by_installer and part.name == "editor":
            write_launchers(platform, installation.launchers, installation.manifest)


def add_part_again(part: OptionalPart, installation: Installation) -> None:
    """Add a part that was added earlier, by the program in the installation's environment.

    Raises:
        InstallError: it failed; its message has been printed.
    """
    command = [str(installation.program("s2am")), "install", part.name, "--yes"]
    build = installation.manifest.torch.partition("+")[2]
    if part is TRAIN and build:
        command += ["--torch", build]
    run_repair(command, f"The libraries for {part.purpose} could not be added")


def _record(part: OptionalPart, torch: str, installation: Installation) -> None:
    """Record what was added for the doctor: uv and pipx drop it when they reinstall or upgrade the program."""
    manifest = installation.manifest
    if installation.is_by_installer or part is TRAIN:
        manifest.torch = torch
    if part is not TRAIN and part.name not in manifest.parts:
        manifest.parts.append(part.name)
    manifest.editor |= part.name == "editor"
    manifest.save()


@contextlib.contextmanager
def _whole_torch(environment: Environment) -> Iterator[None]:
    """Remove what an interrupted installation of PyTorch has left."""
    try:
        yield
    except BaseException:
        for folder in (environment.packages / "torch", *environment.packages.glob("torch-*.dist-info")):
            shutil.rmtree(folder, ignore_errors=True)
        raise
