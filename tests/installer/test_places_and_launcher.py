# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things go on each platform, and the command on the PATH."""

from __future__ import annotations

from pathlib import Path

import pytest

from gimp_bridge.places import bridge_folder
from s2am_setup import launcher
from s2am_setup.errors import InstallError
from s2am_setup.facts import Facts
from s2am_setup.manifest import Manifest
from s2am_setup.places import Places, find_places

HOME = Path("/home/zoë m")


@pytest.mark.parametrize(
    ("system", "environ", "data", "settings", "commands"),
    [
        ("linux", {}, HOME / ".local/share/s2am", HOME / ".config/s2am", HOME / ".local/bin"),
        ("linux", {"XDG_DATA_HOME": "/big"}, Path("/big/s2am"), HOME / ".config/s2am", HOME / ".local/bin"),
        ("linux", {"XDG_DATA_HOME": "big"}, HOME / ".local/share/s2am", HOME / ".config/s2am", HOME / ".local/bin"),
        ("linux", {"XDG_CONFIG_HOME": "/c"}, HOME / ".local/share/s2am", Path("/c/s2am"), HOME / ".local/bin"),
        ("darwin", {}, *[HOME / "Library/Application Support/s2am"] * 2, HOME / ".local/bin"),
        ("win32", {"LOCALAPPDATA": "/c/Local"}, *[Path("/c/Local/s2am")] * 2, Path("/c/Local/s2am/bin")),
        ("win32", {}, *[HOME / "AppData/Local/s2am"] * 2, HOME / "AppData/Local/s2am/bin"),
    ],
)
def test_places_follow_the_platform(
    system: str, environ: dict[str, str], data: Path, settings: Path, commands: Path
) -> None:
    found = find_places(Facts(system, HOME, environ))
    assert found == Places(data, settings, commands)
    assert found.bridge == bridge_folder(system, environ, HOME)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return find_places(Facts("linux", tmp_path / "zoë m", {}))


@pytest.fixture
def manifest(places: Places) -> Manifest:
    return Manifest(places.manifest)


def environment(places: Places, name: str) -> Path:
    folder = places.environments / name
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/s2am").write_text("#!/bin/sh\n", encoding="utf-8")
    return folder


def test_command_starts_the_new_environment_after_an_upgrade(places: Places, manifest: Manifest) -> None:
    old, new = environment(places, "old"), environment(places, "new")
    command = launcher.command_path(places, "linux")
    launcher.put(command, old, manifest)
    assert command.resolve() == (old / "bin/s2am").resolve()
    launcher.put(launcher.command_path(places, "linux"), new, manifest)
    assert command.resolve() == (new / "bin/s2am").resolve()
    assert [file.name for file in places.commands.iterdir()] == ["s2am"]


def test_dangling_command_of_an_installation_that_moved_is_replaced(places: Places, manifest: Manifest) -> None:
    places.commands.mkdir(parents=True)
    (places.commands / "s2am").symlink_to("/gone/s2am/environments/1/bin/s2am")
    new = environment(places, "new")
    launcher.put(launcher.command_path(places, "linux"), new, manifest)
    assert (places.commands / "s2am").resolve() == (new / "bin/s2am").resolve()


def test_command_of_someone_else_is_left_alone(places: Places) -> None:
    places.commands.mkdir(parents=True)
    (places.commands / "s2am").symlink_to("/usr/bin/theirs")
    with pytest.raises(InstallError, match="move it away"):
        launcher.command_path(places, "linux")


def test_windows_gets_a_batch_file_in_ascii(tmp_path: Path) -> None:
    places = find_places(Facts("win32", tmp_path, {"LOCALAPPDATA": str(tmp_path / "zoë m")}))
    for name in ("old", "new"):
        command = launcher.command_path(places, "win32")
        launcher.put(command, places.environments / name, Manifest(places.manifest))
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
