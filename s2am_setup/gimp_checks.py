# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor asks about GIMP: is there one, does it have the plug-in, has it seen it, can they meet the engine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from gimp_bridge.bridge_folder import RUNNING
from gimp_bridge.starter import read_launcher
from s2am_common.errors import BridgeError
from s2am_setup import making, plugins
from s2am_setup.check import Check, State
from s2am_setup.gimps import FLATPAK, Gimp, find_gimps
from s2am_setup.installation import Installation
from s2am_setup.manifest import digest, is_there
from s2am_setup.plugin_folder import NAME
from s2am_setup.profiles import Profile, find_profiles


def check_gimps(installation: Installation) -> Iterator[Check]:
    """Is there a GIMP 3?"""
    gimps = find_gimps(installation.facts)
    usable = [gimp for gimp in gimps if gimp.is_usable]
    for gimp in usable:
        yield Check("GIMP", "ok", f"{gimp}, {gimp.where}")
    for gimp in gimps:
        if not gimp.is_usable:
            state: State = "note" if usable else "wrong"
            yield Check("GIMP", state, f"{gimp} at {gimp.where} is too old: the plug-in needs GIMP 3")
    if not gimps:
        yield Check("GIMP", "note", "no GIMP was found; the editor and the command work without")


def check_plugins(installation: Installation) -> Iterator[Check]:
    """Has each GIMP the plug-in, whole and of this version, and has it seen it?"""
    for profile in find_profiles(installation.facts):
        yield check_plugin(installation, profile)


def check_plugin(installation: Installation, profile: Profile) -> Check:
    """The same for one profile."""
    name = f"plug-in for {profile}"
    if profile.folder not in installation.manifest.profiles and not is_there(plugins.folder(profile.folder)):
        if installation.manifest.profiles:
            return Check(name, "note", f"left out when s2am was installed; {installation.repair} asks again")
        if not profile.is_made:
            return Check(name, "note", f"start this GIMP once, so that it makes its folder, then {_fix(installation)}")
    wrong = _fault(installation, profile)
    if wrong:
        return Check(name, "wrong", wrong, _fix(installation), lambda: _put(installation, profile))
    if plugins.seen(profile) == "seen":
        return Check(name, "ok", "there, and GIMP has loaded it: Filters > Harmonize Layer")
    return Check(name, "ok", "there; GIMP has not been started since")


def _fix(installation: Installation) -> str:
    return f"{installation.doctor} --fix"


def _put(installation: Installation, profile: Profile) -> None:
    making.ensure_profile(profile, installation.facts, installation.manifest)
    plugins.put(profile.folder, installation.serve, installation.manifest)


def _fault(installation: Installation, profile: Profile) -> str:
    """What is wrong with the plug-in in a profile; "" if nothing is."""
    folder = plugins.folder(profile.folder)
    file = folder / f"{NAME}.py"
    if older := plugins.older(profile.folder):
        return f"an older version is in the way ({', '.join(entry.name for entry in older)})"
    if not folder.is_dir():
        return "it is missing"
    if damaged := _damaged(installation, folder):
        return f"{damaged[0].relative_to(folder)} is missing or not as it was installed"
    if installation.facts.system != "win32" and not os.access(file, os.X_OK):
        return f"{file.name} has lost its executable bit, without which GIMP passes over it"
    if wrong := _wrong_engine(installation, folder):
        return wrong
    why = plugins.last_error() or "start GIMP from a terminal to see why"
    return {
        "passed over": "GIMP has started since it was installed, and passed over it",
        "failed": f"GIMP could not load it: {why}",
    }.get(plugins.seen(profile), "")


def _damaged(installation: Installation, folder: Path) -> list[Path]:
    known = {file: told for file, told in installation.manifest.files.items() if folder in file.parents}
    if not known:  # copied there by hand
        return [file for file in (folder / f"{NAME}.py", folder / "gimp_bridge/client.py") if not file.is_file()]
    return [file for file, told in known.items() if file.name != "engine.json" and digest(file) != told]


def _wrong_engine(installation: Installation, folder: Path) -> str:
    """What is wrong with the note that says where the engine is."""
    try:
        serve = read_launcher(folder)
    except BridgeError:
        return "its engine.json is missing or damaged, so that it can't find the engine"
    if serve != installation.serve:
        return f"it looks for the engine at {serve[0]}, and that is not where it is"
    return ""


def check_sandboxes(installation: Installation) -> Iterator[Check]:
    """Can a GIMP in a sandbox meet the engine?"""
    for gimp in find_gimps(installation.facts):
        if gimp.is_usable and gimp.kind == "Flatpak":
            yield _check_flatpak(installation, gimp)
        elif gimp.is_usable and gimp.kind == "Snap":
            says = "Snap hides the engine's folder from GIMP: take GIMP from Flatpak or from your system's packages"
            yield Check(f"{gimp} and the engine", "wrong", says)


def _check_flatpak(installation: Installation, gimp: Gimp) -> Check:
    name, bridge = f"{gimp} and the engine", installation.paths.bridge
    told = installation.facts.answer(["flatpak", "info", "--show-permissions", FLATPAK]) or ""
    if not _sees(told, bridge, installation.facts.home):
        override = ["flatpak", "override", "--user", f"--filesystem={bridge}", FLATPAK]

        def allow() -> None:
            installation.facts.answer(override)

        return Check(name, "wrong", f"its sandbox hides {bridge}, where they meet", " ".join(override), allow)
    if (bridge / RUNNING).exists():
        return Check(name, "ok", "its sandbox shows the engine, which runs")
    # From inside its sandbox GIMP can start no program of the host's.
    return Check(name, "note", "they can meet; before you use it there, start the engine in a terminal: s2am serve")


def _sees(permissions: str, folder: Path, home: Path) -> bool:
    """Whether a sandbox may write in a folder, as `flatpak info --show-permissions` tells it."""
    found = re.search(r"^filesystems=(.*)$", permissions, flags=re.MULTILINE)
    granted = [word for word in (found[1] if found else "").split(";") if word and not word.endswith(":ro")]
    opened = {"host": Path("/"), "home": home, "~": home, "xdg-data": home / ".local/share"}
    folders = [opened.get(word, Path(word.replace("~", str(home), 1))) for word in granted if not word.startswith("!")]
    return any(each == folder or each in folder.parents for each in folders)
