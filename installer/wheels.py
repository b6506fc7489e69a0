# SPDX-License-Identifier: GPL-3.0-or-later
"""Wheels for computers without a network, and the program's own."""

from __future__ import annotations

import tempfile
from pathlib import Path

from installer.environment import make_environment
from s2am_common.errors import InstallError
from s2am_setup import packages, torch_builds
from s2am_setup.console import Console
from s2am_setup.python_environment import Environment
from s2am_setup.torch_builds import TORCH_VERSION, TorchBuild

TORCH_WHEEL = "torch-*.whl"


def check_wheels(folder: Path, tag: str) -> None:
    """Check that a folder of wheels exists, and contains the libraries.

    Args:
        folder: the folder.
        tag: the requested build of PyTorch; "" = none was requested.

    Raises:
        InstallError: it does not.
    """
    advice = "on a computer with a network, “python3 -m installer download FOLDER” makes one"
    if not folder.is_dir():
        raise InstallError(f"There is no folder {folder}: check its name ({advice}).")
    if not any(folder.glob("onnxruntime-*.whl")):
        raise InstallError(f"{folder} has no wheel of ONNX Runtime: name the folder of the wheels ({advice}).")
    if tag not in ("", torch_builds.AUTO_BUILD, torch_builds.NO_TORCH) and not any(folder.glob(TORCH_WHEEL)):
        raise InstallError(
            f"{folder} has no wheel of PyTorch (torch-….whl): leave it out with --torch none, or make the folder again "
            f"with “python3 -m installer download FOLDER --torch {tag}”."
        )


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
        version = ""
        if build.tag != torch_builds.NO_TORCH:
            with console.step(f"Downloading PyTorch {build.name}"):
                _download_torch(helper, folder, build, console)
            version = next(folder.glob(TORCH_WHEEL)).name.split("-")[1]
        with console.step("Downloading the libraries of s2am"):
            # Debian's Python has no pip to start with.
            helper.pip(["download", "--no-deps", "--dest", str(folder), "pip", packages.SAMPLE_PHOTOGRAPHS], console)
            options = ["--wheel-dir", str(folder), "--find-links", str(folder), *packages.exactly(version)]
            helper.pip(["wheel", *options, packages.with_extras(project, build)], console)


def _download_torch(helper: Environment, folder: Path, build: TorchBuild, console: Console) -> None:
    command = ["download", "--no-deps", "--dest", str(folder)]
    if not packages.try_sources(build, lambda source: helper.pip([*command, *source], console)):
        raise InstallError(f"No source has PyTorch {TORCH_VERSION} {build.tag}: choose another build with --torch.")
