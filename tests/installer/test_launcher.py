# SPDX-License-Identifier: GPL-3.0-or-later
"""The command on the PATH."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2am_common.errors import InstallError
from s2am_setup import launcher
from s2am_setup.facts import Facts
from s2am_setup.manifest import Manifest
from s2am_setup.paths import InstallPaths, install_paths

HOME = Path("/home/zoë m")


@pytest.fixture
def paths(tmp_path: Path) -> InstallPaths:
    return install_paths(Facts("linux", tmp_path / "zoë m", {}))


@pytest.fixture
def manifest(paths: InstallPaths) -> Manifest:
    return Manifest(paths.manifest)


def environment(paths: InstallPaths, name: str) -> Path:
    folder = paths.environments / name
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/s2am").write_text("#!/bin/sh\n", encoding="utf-8")
    return folder


def test_command_starts_the_new_environment_after_an_upgrade(paths: InstallPaths, manifest: Manifest) -> None:
    old, new = environment(paths, "old"), environment(paths, "new")
    command = launcher.command_path(paths, "linux")
    launcher.put(command, old, manifest)
    assert command.resolve() == (old / "bin/s2am").resolve()
    launcher.put(launcher.command_path(paths, "linux"), new, manifest)
    assert command.resolve() == (new / "bin/s2am").resolve()
    assert [file.name for file in paths.commands.iterdir()] == ["s2am"]


def test_dangling_command_of_an_installation_that_moved_is_replaced(paths: InstallPaths, manifest: Manifest) -> None:
    paths.commands.mkdir(parents=True)
    (paths.commands / "s2am").symlink_to("/gone/s2am/environments/1/bin/s2am")
    new = environment(paths, "new")
    launcher.put(launcher.command_path(paths, "linux"), new, manifest)
    assert (paths.commands / "s2am").resolve() == (new / "bin/s2am").resolve()


def test_command_of_someone_else_is_left_alone(paths: InstallPaths) -> None:
    paths.commands.mkdir(parents=True)
    (paths.commands / "s2am").symlink_to("/usr/bin/theirs")
    with pytest.raises(InstallError, match="move it away"):
        launcher.command_path(paths, "linux")


def test_windows_gets_a_batch_file_in_ascii(tmp_path: Path) -> None:
    paths = install_paths(Facts("win32", tmp_path, {"LOCALAPPDATA": str(tmp_path / "zoë m")}))
    for name in ("old", "new"):
        command = launcher.command_path(paths, "win32")
        launcher.put(command, paths.environments / name, Manifest(paths.manifest))
    assert command.name == "s2am.cmd"
    assert command.read_bytes() == b'@"%~dp0..\\environments\\new\\Scripts\\s2am.exe" %*\r\n'


def test_advice_only_if_the_folder_is_not_on_the_path() -> None:
    folder = HOME / ".local/bin"
    assert launcher.path_advice(folder, Facts("linux", HOME, {"PATH": f"/usr/bin:{folder}"})) == []
    bash = launcher.path_advice(folder, Facts("linux", HOME, {"PATH": "/usr/bin", "SHELL": "/bin/bash"}))
    assert "~/.bashrc" in bash[0]
    assert bash[1].strip() == f'export PATH="{folder}:$PATH"'
    fish = launcher.path_advice(folder, Facts("linux", HOME, {"SHELL": "/usr/bin/fish"}))
    assert fish[1].strip() == f"fish_add_path '{folder}'"
    assert "PowerShell" in launcher.path_advice(folder, Facts("win32", HOME, {}))[0]
