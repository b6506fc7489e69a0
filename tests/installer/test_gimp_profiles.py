# SPDX-License-Identifier: GPL-3.0-or-later
"""GIMPs and their profiles on each platform: found and created."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from s2am_common.errors import InstallError
from s2am_setup.gimp_profiles import GimpProfile, ensure_profile, find_gimp_profiles, find_gimps
from s2am_setup.manifest import Manifest
from tests.installer import machines
from tests.installer.machines import Machine


def found_in(machine: Machine) -> set[str]:
    return {str(gimp) for gimp in find_gimps(machine.platform)}


def profiles_of(machine: Machine) -> list[str]:
    return [
        profile.folder.relative_to(machine.platform.home).as_posix() for profile in find_gimp_profiles(machine.platform)
    ]


@pytest.mark.parametrize(
    ("name", "gimps", "profiles"),
    [
        ("linux", {"GIMP 3.0 (package)", "GIMP 2.10 (package)"}, [".config/GIMP/3.0"]),
        (
            "flatpak",
            {"GIMP 3.2 (Flatpak)"},
            [".var/app/org.gimp.GIMP/config/GIMP/3.0", ".var/app/org.gimp.GIMP/config/GIMP/3.2"],
        ),
        ("windows", {"GIMP 3.0 (installer)", "GIMP 3.0 (Microsoft Store)"}, ["AppData/Roaming/GIMP/3.0"]),
        (
            "macos",
            {"GIMP 3.0 (app)", "GIMP 3.2 (MacPorts)"},
            ["Library/Application Support/GIMP/3.0", "Library/Application Support/GIMP/3.2"],
        ),
    ],
)
def test_find_gimps_and_profiles_on_each_platform(
    name: str, gimps: set[str], profiles: list[str], tmp_path: Path
) -> None:
    machine = machines.ALL[name](tmp_path)
    assert found_in(machine) == gimps
    assert profiles_of(machine) == profiles


def test_find_gimps_lists_gimp_2_as_unsupported(tmp_path: Path) -> None:
    machine = machines.linux(tmp_path)
    assert [str(gimp) for gimp in find_gimps(machine.platform) if not gimp.is_supported] == ["GIMP 2.10 (package)"]


def test_find_gimp_profiles_includes_profile_not_created_yet(tmp_path: Path) -> None:
    machine = machines.machine(tmp_path, "linux")
    machine.program("/usr/bin/gimp", "GNU Image Manipulation Program version 3.2.1\n")
    (profile,) = find_gimp_profiles(machine.platform)
    assert profile.folder == machine.platform.home / ".config/GIMP/3.2"
    assert not profile.exists


def test_find_gimps_includes_appimages_and_snaps(tmp_path: Path) -> None:
    machine = machines.machine(tmp_path, "linux")
    (machine.platform.home / "Downloads").mkdir()
    (machine.platform.home / "Downloads/GIMP-3.0.4-x86_64.AppImage").write_bytes(b"")
    snap = machine.platform.system_path("/snap/gimp/current/meta/snap.yaml")
    snap.parent.mkdir(parents=True)
    snap.write_text("name: gimp\nversion: '3.0.2'\n", encoding="utf-8")
    assert found_in(machine) == {"GIMP 3.0 (AppImage)", "GIMP 3.0 (Snap)"}
    assert sorted(profiles_of(machine)) == [".config/GIMP/3.0", "snap/gimp/current/.config/GIMP/3.0"]


def test_find_gimp_profiles_uses_private_folder_of_store_app(tmp_path: Path) -> None:
    machine = machines.windows(tmp_path)
    package = machine.platform.home / "AppData/Local/Packages/GIMP.43237F745459_nq49gba4h4mx8"
    machines.used_profile(package / "LocalCache/Roaming/GIMP/3.0")
    assert package / "LocalCache/Roaming/GIMP/3.0" in [
        profile.folder for profile in find_gimp_profiles(machine.platform)
    ]


def test_find_gimps_distinguishes_homebrew_from_bundle(tmp_path: Path) -> None:
    machine = machines.macos(tmp_path)
    machine.platform.system_path("/opt/homebrew/Caskroom/gimp").mkdir(parents=True)
    assert "GIMP 3.0 (Homebrew)" in found_in(machine)


def test_find_gimp_profiles_follows_gimp3_directory(tmp_path: Path) -> None:
    machine = machines.machine(tmp_path, "linux", GIMP3_DIRECTORY=str(tmp_path / "elsewhere"))
    machine.program("/usr/bin/gimp", "GNU Image Manipulation Program version 3.0.4\n")
    assert [profile.folder for profile in find_gimp_profiles(machine.platform)] == [tmp_path / "elsewhere"]


def new_profile(tmp_path: Path, console: bool) -> tuple[Machine, GimpProfile]:
    """Return a computer with GIMP 3.2, which was never started, and settings of 2.10; and the profile of 3.2."""
    machine = machines.machine(tmp_path, "linux")
    machine.program("/usr/bin/gimp", "GNU Image Manipulation Program version 3.2.0\n")
    if console:
        machine.program("/usr/bin/gimp-console", "GNU Image Manipulation Program version 3.2.0\n")
    (machine.platform.home / ".config/GIMP/2.10").mkdir(parents=True)
    (profile,) = find_gimp_profiles(machine.platform)
    return machine, profile


def test_ensure_profile_starts_gimp(tmp_path: Path) -> None:
    machine, profile = new_profile(tmp_path, console=True)

    def start() -> str:
        profile.folder.mkdir()
        return ""

    machine.answers["gimp-console", "--quit"] = start
    ensure_profile(profile, machine.platform, Manifest(tmp_path / "installed.json"))
    assert profile.exists
    assert "--no-interface" in machine.asked[-1]


def test_ensure_profile_refuses_when_older_settings_exist(tmp_path: Path) -> None:
    machine, profile = new_profile(tmp_path, console=False)
    with pytest.raises(InstallError, match=r"start GIMP 3\.2 \(package\) once, which takes over the settings of 2\.10"):
        ensure_profile(profile, machine.platform, Manifest(tmp_path / "installed.json"))
    assert not profile.exists


def test_ensure_profile_creates_folder_without_older_settings(tmp_path: Path) -> None:
    machine, profile = new_profile(tmp_path, console=False)
    (machine.platform.home / ".config/GIMP/2.10").rmdir()
    manifest = Manifest(tmp_path / "installed.json")
    ensure_profile(profile, replace(machine.platform), manifest)
    assert (profile.folder / "plug-ins").is_dir()
    assert profile.folder in manifest.folders
