# SPDX-License-Identifier: GPL-3.0-or-later
"""The command on the PATH."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2am_common.errors import InstallError
from s2am_setup import installation
from s2am_setup.installation import InstallPaths, install_paths
from s2am_setup.manifest import Manifest
from s2am_setup.platform import Platform

HOME = Path("/home/zoë m")


@pytest.fixture
def paths(tmp_path: Path) -> InstallPaths:
    return install_paths(Platform("linux", tmp_path / "zoë m", {}))


@pytest.fixture
def manifest(paths: InstallPaths) -> Manifest:
    return Manifest(paths.manifest)


def environment(paths: InstallPaths, name: str) -> Path:
    folder = paths.environments / name
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/s2am").write_text("#!/bin/sh\n", encoding="utf-8")
    return folder


def test_write_command_switches_to_new_environment(paths: InstallPaths, manifest: Manifest) -> None:
    old, new = environment(paths, "old"), environment(paths, "new")
    command = installation.command_path(paths, "linux")
    installation.write_command(command, old, manifest)
    assert command.resolve() == (old / "bin/s2am").resolve()
    installation.write_command(installation.command_path(paths, "linux"), new, manifest)
    assert command.resolve() == (new / "bin/s2am").resolve()
    assert [file.name for file in paths.commands.iterdir()] == ["s2am"]


def test_write_command_replaces_dangling_link(paths: InstallPaths, manifest: Manifest) -> None:
    paths.commands.mkdir(parents=True)
    (paths.commands / "s2am").symlink_to("/gone/s2am/environments/1/bin/s2am")
    new = environment(paths, "new")
    installation.write_command(installation.command_path(paths, "linux"), new, manifest)
    assert (paths.commands / "s2am").resolve() == (new / "bin/s2am").resolve()


def test_command_path_refuses_file_of_other_program(paths: InstallPaths) -> None:
    paths.commands.mkdir(parents=True)
    (paths.commands / "s2am").symlink_to("/usr/bin/theirs")
    with pytest.raises(InstallError, match="move it away"):
        installation.command_path(paths, "linux")


def test_write_command_on_windows_writes_ascii_batch_file(tmp_path: Path) -> None:
    paths = install_paths(Platform("win32", tmp_path, {"LOCALAPPDATA": str(tmp_path / "zoë m")}))
    for name in ("old", "new"):
        command = installation.command_path(paths, "win32")
        installation.write_command(command, paths.environments / name, Manifest(paths.manifest))
    assert command.name == "s2am.cmd"
    assert command.read_bytes() == b'@"%~dp0..\\environments\\new\\Scripts\\s2am.exe" %*\r\n'


def test_path_advice_only_if_folder_is_not_on_path() -> None:
    folder = HOME / ".local/bin"
    assert installation.path_advice(folder, Platform("linux", HOME, {"PATH": f"/usr/bin:{folder}"})) == []
    bash = installation.path_advice(folder, Platform("linux", HOME, {"PATH": "/usr/bin", "SHELL": "/bin/bash"}))
    assert "~/.bashrc" in bash[0]
    assert bash[1].strip() == f'export PATH="{folder}:$PATH"'
    fish = installation.path_advice(folder, Platform("linux", HOME, {"SHELL": "/usr/bin/fish"}))
    assert fish[1].strip() == f"fish_add_path '{folder}'"
    assert "PowerShell" in installation.path_advice(folder, Platform("win32", HOME, {}))[0]
