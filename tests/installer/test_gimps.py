# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding every GIMP and its profiles on each platform, and choosing among them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from s2am_common.errors import InstallError
from s2am_setup.gimps import find_gimps
from s2am_setup.making import ensure_profile
from s2am_setup.manifest import Manifest
from s2am_setup.profiles import Profile, choose, find_profiles
from tests.installer import machines
from tests.installer.machines import Machine


def found_in(machine: Machine) -> set[str]:
    return {str(gimp) for gimp in find_gimps(machine.facts)}


def profiles_of(machine: Machine) -> list[str]:
    return [profile.folder.relative_to(machine.facts.home).as_posix() for profile in find_profiles(machine.facts)]


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
def test_every_gimp_is_found_with_its_profiles(name: str, gimps: set[str], profiles: list[str], tmp_path: Path) -> None:
    machine = machines.ALL[name](tmp_path)
    assert found_in(machine) == gimps
    assert profiles_of(machine) == profiles


def test_gimp_2_is_seen_and_not_usable(tmp_path: Path) -> None:
    machine = machines.linux(tmp_path)
    assert [str(gimp) for gimp in find_gimps(machine.facts) if not gimp.is_usable] == ["GIMP 2.10 (package)"]


def test_profile_that_gimp_will_make_counts(tmp_path: Path) -> None:
    machine = machines.machine(tmp_path, "linux")
    machine.program("/usr/bin/gimp", "GNU Image Manipulation Program version 3.2.1\n")
    (profile,) = find_profiles(machine.facts)
    assert profile.folder == machine.facts.home / ".config/GIMP/3.2"
    assert not profile.is_made


def test_appimages_and_snaps_are_found(tmp_path: Path) -> None:
    machine = machines.machine(tmp_path, "linux")
    (machine.facts.home / "Downloads").mkdir()
    (machine.facts.home / "Downloads/GIMP-3.0.4-x86_64.AppImage").write_bytes(b"")
    snap = machine.facts.at("/snap/gimp/current/meta/snap.yaml")
    snap.parent.mkdir(parents=True)
    snap.write_text("name: gimp\nversion: '3.0.2'\n", encoding="utf-8")
    assert found_in(machine) == {"GIMP 3.0 (AppImage)", "GIMP 3.0 (Snap)"}
    assert sorted(profiles_of(machine)) == [".config/GIMP/3.0", "snap/gimp/current/.config/GIMP/3.0"]


def test_store_gimp_with_folders_of_its_own_gets_the_plugin_there(tmp_path: Path) -> None:
    machine = machines.windows(tmp_path)
    package = machine.facts.home / "AppData/Local/Packages/GIMP.43237F745459_nq49gba4h4mx8"
    machines.used_profile(package / "LocalCache/Roaming/GIMP/3.0")
    assert package / "LocalCache/Roaming/GIMP/3.0" in [profile.folder for profile in find_profiles(machine.facts)]


def test_homebrew_is_told_from_a_plain_bundle(tmp_path: Path) -> None:
    machine = machines.macos(tmp_path)
    machine.facts.at("/opt/homebrew/Caskroom/gimp").mkdir(parents=True)
    assert "GIMP 3.0 (Homebrew)" in found_in(machine)


def test_gimp_that_keeps_its_profile_elsewhere_is_followed(tmp_path: Path) -> None:
    machine = machines.machine(tmp_path, "linux", GIMP3_DIRECTORY=str(tmp_path / "elsewhere"))
    machine.program("/usr/bin/gimp", "GNU Image Manipulation Program version 3.0.4\n")
    assert [profile.folder for profile in find_profiles(machine.facts)] == [tmp_path / "elsewhere"]


@pytest.mark.parametrize(
    ("wanted", "versions"),
    [
        (["all"], ["3.0", "3.2"]),
        (["none"], []),
        (["3.0"], ["3.0"]),
        (["flatpak"], ["3.2"]),
        (["3.0", "3.2"], ["3.0", "3.2"]),
    ],
)
def test_profiles_are_chosen_by_version_or_kind(wanted: list[str], versions: list[str], tmp_path: Path) -> None:
    profiles = find_profiles(machines.flatpak(tmp_path).facts)
    assert [profile.folder.name for profile in choose(profiles, wanted)] == versions


def test_word_that_means_no_gimp_lists_those_that_there_are(tmp_path: Path) -> None:
    profiles = find_profiles(machines.flatpak(tmp_path).facts)
    with pytest.raises(InstallError, match=r"“snap”: give one of all, none, 3\.0, 3\.2, flatpak\."):
        choose(profiles, ["snap"])


def new_profile(tmp_path: Path, console: bool) -> tuple[Machine, Profile]:
    """GIMP 3.2 that was never started, and settings of 2.10."""
    machine = machines.machine(tmp_path, "linux")
    machine.program("/usr/bin/gimp", "GNU Image Manipulation Program version 3.2.0\n")
    if console:
        machine.program("/usr/bin/gimp-console", "GNU Image Manipulation Program version 3.2.0\n")
    (machine.facts.home / ".config/GIMP/2.10").mkdir(parents=True)
    (profile,) = find_profiles(machine.facts)
    return machine, profile


def test_gimp_itself_makes_its_profile(tmp_path: Path) -> None:
    machine, profile = new_profile(tmp_path, console=True)

    def start() -> str:
        profile.folder.mkdir()
        return ""

    machine.answers["gimp-console", "--quit"] = start
    ensure_profile(profile, machine.facts, Manifest(tmp_path / "installed.json"))
    assert profile.is_made
    assert "--no-interface" in machine.asked[-1]


def test_settings_of_an_older_gimp_are_never_kept_from_the_new_one(tmp_path: Path) -> None:
    machine, profile = new_profile(tmp_path, console=False)
    with pytest.raises(
        InstallError, match=r"start GIMP 3\.2 \(package\) once, so that it takes over the settings of 2\.10"
    ):
        ensure_profile(profile, machine.facts, Manifest(tmp_path / "installed.json"))
    assert not profile.is_made


def test_without_older_settings_a_folder_is_enough(tmp_path: Path) -> None:
    machine, profile = new_profile(tmp_path, console=False)
    (machine.facts.home / ".config/GIMP/2.10").rmdir()
    manifest = Manifest(tmp_path / "installed.json")
    ensure_profile(profile, replace(machine.facts), manifest)
    assert profile.plugins.is_dir()
    assert profile.folder in manifest.folders
