# SPDX-License-Identifier: GPL-3.0-or-later
"""Adding optional parts, such as PyTorch, to an installed program."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from installer import install
from s2am_common.optional_parts import OPTIONAL_PARTS, SAMPLE, TRAIN, OptionalPart
from s2am_setup import add_part, command, packages
from s2am_setup.console import Console
from s2am_setup.installation import Installation, find_installation
from s2am_setup.python_environment import Environment
from tests.installer import fakes, machines


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """Return an installation without PyTorch, in whose environment this process seems to run."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    fakes.make_torch(wheels, "2.13.0", "2.13.0+cpu")
    fakes.make_wheel(wheels, "onnxruntime", "1.20", {})
    machine = machines.linux(tmp_path)
    fakes.isolate(monkeypatch, machine)
    monkeypatch.setattr(install, "IMPORT_TEST", "import s2am_engine.cli.main")
    fakes.install(machine, wheels, fakes.make_project(wheels))
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setattr(add_part, "__version__", "0.1")
    found = find_installation(machine.platform, None, "s2am doctor")
    assert found.environment is not None
    monkeypatch.setattr(sys, "prefix", str(found.environment))
    return found


def test_add_part_adds_torch_to_the_same_environment(installation: Installation) -> None:
    before = installation.environment
    add_part.add_part(TRAIN, installation, Console(io.StringIO()))
    now = find_installation(installation.platform, None, "s2am doctor")
    assert now.environment == before
    assert now.manifest.torch == "2.13.0+cpu"
    assert not installation.paths.downloads.exists()


@pytest.mark.parametrize("is_by_installer", [True, False])
def test_add_part_records_the_part(
    is_by_installer: bool, installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uv and pipx drop added parts when they reinstall the program: the doctor must know which."""
    fakes.make_wheel(tmp_path / "wheels", "rawpy", "0.25", {"rawpy.py": ""})
    if not is_by_installer:
        installation.paths = replace(installation.paths, environments=tmp_path / "elsewhere")
    add_part.add_part(OPTIONAL_PARTS["raw"], installation, Console(io.StringIO()))
    add_part.add_part(TRAIN, installation, Console(io.StringIO()))
    manifest = find_installation(installation.platform, None, "s2am doctor").manifest
    assert manifest.parts == ["raw"]
    assert manifest.torch == "2.13.0+cpu"


def test_add_part_adds_the_photographs_of_the_sample_without_libraries(
    installation: Installation, tmp_path: Path
) -> None:
    """They are 14 MB, and the libraries of their package 38 MB more."""
    fakes.make_wheel(tmp_path / "wheels", "scipy", "1.0", {"scipy.py": ""})
    fakes.make_wheel(tmp_path / "wheels", "scikit-image", "0.24", {"skimage/__init__.py": ""}, ["scipy"])
    environment = Environment(Path(sys.prefix))
    environment.pip(["uninstall", "--yes", "scikit-image"], Console(io.StringIO()))
    add_part.add_part(SAMPLE, installation, Console(io.StringIO()))
    assert (environment.version("scikit-image"), environment.version("scipy")) == ("0.24", "")
    assert find_installation(installation.platform, None, "s2am doctor").manifest.parts == ["sample"]


def test_add_part_adds_the_editor_to_the_menus(installation: Installation) -> None:
    launchers = list(installation.launchers)
    installation.manifest.editor = False
    for file in launchers:
        installation.manifest.remove_file(file)
    add_part.add_part(OPTIONAL_PARTS["editor"], installation, Console(io.StringIO()))
    assert all(file.is_file() for file in launchers)
    assert find_installation(installation.platform, None, "s2am doctor").manifest.editor


def test_add_part_leaves_nothing_of_an_interrupted_torch(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(environment: Environment, *_: object) -> str:
        (environment.packages / "torch").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(packages, "install_torch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        add_part.add_part(TRAIN, installation, Console(io.StringIO()))
    assert not (Environment(Path(sys.prefix)).packages / "torch").exists()


def test_parts_are_the_extras_of_the_package() -> None:
    text = (fakes.CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    assert set(OPTIONAL_PARTS) == set(re.findall(r"^(\w+) = \[", section, re.MULTILINE)) - {"test", "docs"}


def test_install_command_lists_parts_with_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    from s2am_engine.cli.main import main

    assert main(["install", "--json"]) == 0
    parts = {part["name"]: part for part in json.loads(capsys.readouterr().out)["parts"]}
    assert parts["train"]["installed"] is True
    assert parts["train"]["download"] > 100e6
    assert all(part["disk"] >= part["download"] > 0 for part in parts.values())


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are there on Linux and macOS only")
@pytest.mark.parametrize(("typed", "parts"), [(b"n\n", []), (b"\n", [TRAIN])])
def test_install_asks_in_a_terminal_with_the_size(
    typed: bytes,
    parts: list[OptionalPart],
    installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    added: list[OptionalPart] = []
    monkeypatch.setattr(add_part, "add_part", lambda part, *_: added.append(part))
    monkeypatch.setattr(add_part, "is_installed", lambda _: False)
    monkeypatch.setattr(add_part, "with_sizes", lambda part, *_: replace(part, download=2 * 10**8, disk=10**9))
    monkeypatch.setattr("s2am_setup.installation.find_installation", lambda *_: installation)
    parser = argparse.ArgumentParser()
    command.add_commands(parser.add_subparsers())
    options = parser.parse_args(["install", "train"])
    terminal, end = os.openpty()
    os.write(terminal, typed)
    with os.fdopen(end, encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert options.run(options) == int(not parts)
    os.close(terminal)
    assert added == parts
    assert "about 200 MB to download, 1.0 GB on the disk. Install it? [Y/n]" in capsys.readouterr().err


def test_install_can_be_interrupted_by_the_program_that_started_it(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if that was started in the background of a shell, where Ctrl-C is ignored."""
    monkeypatch.setattr(add_part, "add_part", lambda *_: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr(add_part, "is_installed", lambda _: False)
    monkeypatch.setattr("s2am_setup.installation.find_installation", lambda *_: installation)
    parser = argparse.ArgumentParser()
    command.add_commands(parser.add_subparsers())
    options = parser.parse_args(["install", "train", "--yes", "--json"])
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt):
            options.run(options)
    finally:
        signal.signal(signal.SIGINT, before)
