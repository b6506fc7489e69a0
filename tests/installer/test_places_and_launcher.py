# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things go on each platform, and the command on the PATH."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer import launcher
from installer.console import InstallError
from installer.places import Places, find_places

HOME = Path("/home/zoë m")


@pytest.mark.parametrize(
    ("system", "environ", "data", "commands"),
    [
        ("linux", {}, HOME / ".local/share/s2am", HOME / ".local/bin"),
        ("linux", {"XDG_DATA_HOME": "/big/data"}, Path("/big/data/s2am"), HOME / ".local/bin"),
        ("linux", {"XDG_DATA_HOME": "relative"}, HOME / ".local/share/s2am", HOME / ".local/bin"),
        ("darwin", {}, HOME / "Library/Application Support/s2am", HOME / ".local/bin"),
        ("win32", {"LOCALAPPDATA": "/c/Local"}, Path("/c/Local/s2am"), Path("/c/Local/s2am/bin")),
        ("win32", {}, HOME / "AppData/Local/s2am", HOME / "AppData/Local/s2am/bin"),
    ],
)
def test_places_follow_the_platform(system: str, environ: dict[str, str], data: Path, commands: Path) -> None:
    assert find_places(system, environ, HOME) == Places(data, commands)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return find_places("linux", {}, tmp_path / "zoë m")


def program(places: Places, name: str, scripts: str = "bin") -> Path:
    folder = places.environments / name / scripts
    folder.mkdir(parents=True)
    (folder / "s2am").write_text("#!/bin/sh\n", encoding="utf-8")
    return folder


def test_command_starts_the_new_environment_after_an_upgrade(places: Places) -> None:
    old, new = program(places, "old"), program(places, "new")
    command = launcher.command_path(places, "linux")
    launcher.put(command, old)
    assert command.resolve() == (old / "s2am").resolve()
    launcher.put(launcher.command_path(places, "linux"), new)
    assert command.resolve() == (new / "s2am").resolve()
    assert [file.name for file in places.commands.iterdir()] == ["s2am"]


def test_dangling_command_of_an_installation_that_moved_is_replaced(places: Places) -> None:
    places.commands.mkdir(parents=True)
    (places.commands / "s2am").symlink_to("/gone/s2am/environments/1/bin/s2am")
    new = program(places, "new")
    launcher.put(launcher.command_path(places, "linux"), new)
    assert (places.commands / "s2am").resolve() == (new / "s2am").resolve()


def test_command_of_someone_else_is_left_alone(places: Places) -> None:
    places.commands.mkdir(parents=True)
    (places.commands / "s2am").symlink_to("/usr/bin/theirs")
    with pytest.raises(InstallError, match="move it away"):
        launcher.command_path(places, "linux")


def test_windows_gets_a_batch_file_in_ascii(tmp_path: Path) -> None:
    places = find_places("win32", {"LOCALAPPDATA": str(tmp_path / "zoë m")}, tmp_path)
    for name in ("old", "new"):
        command = launcher.command_path(places, "win32")
        launcher.put(command, program(places, name, "Scripts"))
    assert command.name == "s2am.cmd"
    assert command.read_bytes() == b'@"%~dp0..\\environments\\new\\Scripts\\s2am.exe" %*\r\n'


def test_advice_only_if_the_folder_is_not_on_the_path() -> None:
    folder = HOME / ".local/bin"
    assert launcher.path_advice(folder, "linux", {"PATH": f"/usr/bin:{folder}"}) == []
    bash = launcher.path_advice(folder, "linux", {"PATH": "/usr/bin", "SHELL": "/bin/bash"})
    assert "~/.bashrc" in bash[0]
    assert bash[1].strip() == f'export PATH="{folder}:$PATH"'
    fish = launcher.path_advice(folder, "linux", {"SHELL": "/usr/bin/fish"})
    assert fish[1].strip() == f"fish_add_path '{folder}'"
    assert "PowerShell" in launcher.path_advice(folder, "win32", {})[0]
