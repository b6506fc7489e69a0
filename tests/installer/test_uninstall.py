# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing and uninstalling on each platform: files in the right folders, and none afterwards."""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gimp_bridge.starter import read_launcher
from installer import __main__ as command
from installer import install
from s2am_setup import gimp_plugin
from s2am_setup.gimp_profiles import find_gimp_profiles
from s2am_setup.installation import exclusive, find_installation
from s2am_setup.uninstall import run_uninstall
from tests.installer import fakes, machines
from tests.installer.machines import Machine, contents


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    fakes.make_wheel(folder, "onnxruntime", "1.20", {})
    fakes.make_project(folder)
    return folder


@pytest.fixture(params=machines.ALL)
def machine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = machines.ALL[request.param](tmp_path)
    fakes.isolate(monkeypatch, found)
    monkeypatch.setattr(install, "IMPORT_TEST", "import s2am_engine.cli.main")
    return found


def install_all(machine: Machine, wheels: Path) -> None:
    fakes.install(machine, wheels, next(wheels.glob("s2am-*.whl")))


def test_uninstall_leaves_home_byte_identical(
    machine: Machine, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(machine.platform.home)
    install_all(machine, wheels)
    installed = find_installation(machine.platform, None, "s2am doctor")
    profiles = find_gimp_profiles(machine.platform)
    assert installed.manifest.profiles == [profile.folder for profile in profiles]
    for profile in profiles:
        assert read_launcher(gimp_plugin.plugin_folder(profile.folder)) == installed.serve
    assert set(installed.launchers) <= set(installed.manifest.files)
    install_all(machine, wheels)  # an upgrade
    settings = installed.paths.config / "editor.ini"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("", encoding="utf-8")
    assert command.main(["uninstall", "--yes", "--purge"], machine.platform) == 0
    assert contents(machine.platform.home) == before
    assert capsys.readouterr().out.rstrip().endswith("s2am is uninstalled.")


def test_uninstall_keeps_own_files_unless_purged(
    machine: Machine, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(machine.platform.home)
    install_all(machine, wheels)
    paths = find_installation(machine.platform, None, "").paths
    for file in (paths.models / "mine.json", paths.config / "editor.ini"):
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text("mine", encoding="utf-8")
    assert command.main(["uninstall", "--json"], machine.platform) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["stayed"] == sorted([str(paths.models), str(paths.config / "editor.ini")])
    assert (paths.models / "mine.json").read_text(encoding="utf-8") == "mine"
    install_all(machine, wheels)
    assert (paths.models / "mine.json").is_file()
    assert command.main(["uninstall", "--yes", "--purge"], machine.platform) == 0
    left = contents(machine.platform.home)
    # The second installation has found the folder of settings.
    assert {name: left[name] for name in before} == before
    assert not paths.models.exists()
    assert not paths.config.exists()


def test_uninstall_dry_run_removes_nothing(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = machines.linux(tmp_path)
    fakes.isolate(monkeypatch, machine)
    monkeypatch.setattr(install, "IMPORT_TEST", "import s2am_engine.cli.main")
    install_all(machine, wheels)
    before = contents(machine.platform.home)
    assert command.main(["uninstall", "--dry-run"], machine.platform) == 0
    assert contents(machine.platform.home) == before


def test_uninstall_without_installation_fails_with_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["uninstall", "--yes"], machines.machine(tmp_path, "linux").platform) == 1
    assert "The installer has installed nothing here" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are there on Linux and macOS only")
@pytest.mark.parametrize(("typed", "is_kept"), [(b"n\n", True), (b"\n", False)])
def test_uninstall_asks_in_a_terminal(typed: bytes, is_kept: bool, tmp_path: Path) -> None:
    """The question is in a real terminal; without one (in a pipe) the default is taken."""
    settings = tmp_path / ".config/s2am/settings.ini"
    settings.parent.mkdir(parents=True)
    settings.write_text("", encoding="utf-8")
    terminal, end = os.openpty()
    os.write(terminal, typed)
    words = [sys.executable, "-m", "installer", "uninstall", "--purge"]
    environ = fakes.clean_environ() | {"HOME": str(tmp_path)}
    done = subprocess.run(words, stdin=end, capture_output=True, text=True, check=True, env=environ, cwd=fakes.CHECKOUT)
    os.close(terminal)
    os.close(end)
    assert f"{settings.parent}\nRemove it? [Y/n]" in done.stdout
    assert settings.exists() == is_kept


@pytest.mark.parametrize(
    ("file", "command"),
    [("uv-receipt.toml", "uv tool uninstall"), ("pipx_metadata.json", "pipx uninstall"), ("x", "pip uninstall")],
)
def test_uninstall_names_the_command_of_the_tool_that_installed(file: str, command: str, tmp_path: Path) -> None:
    machine = machines.linux(tmp_path)
    (tmp_path / file).touch()
    own = find_installation(machine.platform, tmp_path, "")
    own.paths.config.mkdir(parents=True)
    out, options = io.StringIO(), argparse.Namespace(purge=True, yes=True, json=False, dry_run=False)
    assert run_uninstall(own, io.StringIO(), out, options) == 0
    assert out.getvalue().endswith(f"To remove the program itself, run “{command} s2am”.\n")


def test_uninstall_of_a_tool_leaves_home_byte_identical(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The engine's folder and the log, which uv and pipx do not remove, go also where no plug-in was installed."""
    machine = machines.linux(tmp_path)
    before = contents(machine.platform.home)
    (tmp_path / "pipx_metadata.json").touch()
    own = find_installation(machine.platform, tmp_path, "")
    for file in (own.paths.logs / "s2am.log", own.paths.bridge / "engine.lock", own.paths.cache / "photos/a.npy"):
        file.parent.mkdir(parents=True)
        file.touch()
    options = argparse.Namespace(purge=False, yes=True, json=False, dry_run=False)
    assert run_uninstall(own, io.StringIO(), sys.stdout, options) == 0
    assert "s2am is uninstalled" not in capsys.readouterr().out, "pipx still has the program"
    assert contents(machine.platform.home) == before


class TypedAnswers(io.StringIO):
    """A terminal with typed answers."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "editor", "versions"),
    [("\n\n\n", True, ["3.0", "3.2"]), ("n\nn\ny\n", False, ["3.2"]), ("Yes\nno\nx\n", True, [])],
)
def test_install_asks_for_editor_and_each_gimp(
    typed: str, editor: bool, versions: list[str], tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = machines.flatpak(tmp_path)
    fakes.isolate(monkeypatch, machine)
    monkeypatch.setattr(install, "IMPORT_TEST", "import s2am_engine.cli.main")
    monkeypatch.setattr("sys.stdin", TypedAnswers(typed))
    said = fakes.install(machine, wheels, next(wheels.glob("s2am-*.whl")), ask=True)
    found = find_installation(machine.platform, None, "")
    assert [profile.name for profile in found.manifest.profiles] == versions
    assert found.is_in_menus == editor
    assert ("“s2am install editor” adds the editor." in said) == (not editor)


def test_purge_works_after_a_plain_uninstall_and_removes_what_use_left(
    machine: Machine, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(machine.platform.home)
    install_all(machine, wheels)
    paths = find_installation(machine.platform, None, "").paths
    left = [paths.cache / "photos/pixels.npy", paths.state / "recovery/1/layer.npy", paths.models / "mine.json"]
    for file in left:
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text("mine", encoding="utf-8")
    capsys.readouterr()
    assert command.main(["uninstall", "--yes"], machine.platform) == 0
    said = capsys.readouterr().out
    assert not left[0].exists(), "prepared photographs go with the program"
    assert str(paths.state / "recovery") in said
    assert "--purge" in said
    assert command.main(["uninstall", "--yes"], machine.platform) == 1
    assert str(paths.state) in capsys.readouterr().err
    assert command.main(["uninstall", "--yes", "--purge"], machine.platform) == 0
    assert str(paths.state) in capsys.readouterr().out
    after = contents(machine.platform.home)
    assert {name: after[name] for name in before} == before
    assert not any("s2am" in name for name in after)


def test_uninstall_waits_for_no_running_installation(
    machine: Machine, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install_all(machine, wheels)
    paths = find_installation(machine.platform, None, "").paths
    before = contents(machine.platform.home)
    with exclusive(paths):
        assert command.main(["uninstall", "--yes"], machine.platform) == 1
    assert "Another installation is running" in capsys.readouterr().err
    assert contents(machine.platform.home) == before
