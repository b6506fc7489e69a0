# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated computers: a home folder, a system and its programs, in the layout of each platform."""

from __future__ import annotations

import plistlib
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from s2am_setup.platform import Platform, run_program

PLUGINRC = """\
# GIMP pluginrc

(protocol-version 279)
(file-version 14)
(plug-in-def "${gimp_plug_in_dir}/plug-ins/file-glob/file-glob" 1789831040
    (proc-def "file-glob" 1
         "Returns a list of matching filenames (as (in) brackets)"))
"""


@dataclass
class Machine:
    """A simulated computer.

    platform: its platform, whose programs run by `answer`.
    answers: output of programs, by name and a word among the arguments ("" = any).
    asked: all commands that were run.
    """

    platform: Platform
    answers: dict[tuple[str, str], str | Callable[[], str]] = field(default_factory=dict)
    asked: list[list[str]] = field(default_factory=list)

    def answer(self, command: Sequence[str]) -> str | None:
        """Return the output of a program; None if the computer does not have it."""
        self.asked.append(list(command))
        for (program, word), said in self.answers.items():
            if Path(command[0]).name == program and (not word or word in command):
                return said() if callable(said) else said
        is_real = self.platform.home in Path(command[0]).parents  # installed by a test
        return run_program(command) if is_real else None

    def program(self, path: str, output: str) -> Path:
        """Add a program that prints its version."""
        file = self.platform.system_path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("", encoding="utf-8")
        self.answers[file.name, "--version"] = output
        return file


def machine(folder: Path, system: str, **environ: str) -> Machine:
    """Return an empty computer of a system (`sys.platform`) in a folder; the user has a name with umlauts."""
    home = folder / "home/Zoë Müller"
    home.mkdir(parents=True)
    (home / "diary.txt").write_text("mine", encoding="utf-8")
    root = folder / "root"
    root.mkdir()
    found = Machine(Platform(system, home, environ, root, free_bytes=lambda _: 10**12))
    found.platform = replace(found.platform, run=found.answer)
    return found


def linux(folder: Path) -> Machine:
    """Return a Linux with GIMP 3.0 and 2.10 from packages; 3.0 has been used."""
    found = machine(folder, "linux", PATH="/usr/bin")
    found.program("/usr/bin/gimp-3.0", "GNU Image Manipulation Program version 3.0.4\n")
    found.program("/usr/bin/gimp", "GNU Image Manipulation Program version 3.0.4\n")
    found.program("/usr/local/bin/gimp-2.10", "GNU Image Manipulation Program version 2.10.36\n")
    used_profile(found.platform.home / ".config/GIMP/3.0")
    (found.platform.home / ".config/GIMP/2.10/plug-ins").mkdir(parents=True)
    return found


def add_nvidia(machine: Machine) -> None:
    """Add an NVIDIA GPU with a driver for CUDA 12.4."""
    machine.answers["nvidia-smi", "--query-gpu=compute_cap"] = "8.6\n"
    machine.answers["nvidia-smi", ""] = "| Driver Version: 550.144.03     CUDA Version: 12.4 |\n"


def flatpak(folder: Path) -> Machine:
    """Return a Linux with GIMP 3.2 from Flatpak, and a profile of 3.0 as well."""
    found = machine(folder, "linux", PATH="/usr/bin")
    found.platform.system_path("/var/lib/flatpak/app/org.gimp.GIMP").mkdir(parents=True)
    found.answers["flatpak", "--show-permissions"] = (
        "[Context]\nshared=network;\nfilesystems=host;/tmp;xdg-config/GIMP;\n"
    )
    found.answers["flatpak", "info"] = "          ID: org.gimp.GIMP\n     Version: 3.2.0\n"
    for version in ("3.0", "3.2"):
        used_profile(found.platform.home / f".var/app/org.gimp.GIMP/config/GIMP/{version}")
    return found


def windows(folder: Path) -> Machine:
    """Return a Windows with GIMP 3.0 by its installer and from the Microsoft Store, which share a profile."""
    home = folder / "home/Zoë Müller"
    found = machine(
        folder,
        "win32",
        LOCALAPPDATA=str(home / "AppData/Local"),
        APPDATA=str(home / "AppData/Roaming"),
        ProgramFiles=str(folder / "root/Program Files"),
    )
    for name in ("gimp-3.0.exe", "gimp-console-3.0.exe", "gimp-3.exe", "gimp.exe"):
        found.program(f"/Program Files/GIMP 3/bin/{name}", "")
    (home / "AppData/Local/Packages/GIMP.43237F745459_nq49gba4h4mx8/LocalCache").mkdir(parents=True)
    used_profile(home / "AppData/Roaming/GIMP/3.0")
    return found


def macos(folder: Path) -> Machine:
    """Return a macOS with GIMP 3.0 as a bundle, and 3.2 from MacPorts."""
    found = machine(folder, "darwin", PATH="/usr/bin")
    contents = found.platform.system_path("/Applications/GIMP.app/Contents")
    contents.mkdir(parents=True)
    (contents / "Info.plist").write_bytes(plistlib.dumps({"CFBundleShortVersionString": "3.0.4"}))
    found.program("/opt/local/bin/gimp-3.2", "GNU Image Manipulation Program version 3.2.0\n")
    for version in ("3.0", "3.2"):
        used_profile(found.platform.home / f"Library/Application Support/GIMP/{version}")
    return found


ALL = {"linux": linux, "flatpak": flatpak, "windows": windows, "macos": macos}


def used_profile(folder: Path) -> Path:
    """Create a profile that has been used and contains another plug-in."""
    other = folder / "plug-ins/other/other.py"
    other.parent.mkdir(parents=True)
    other.write_text("#!/usr/bin/env python3\n", encoding="utf-8")
    (folder / "pluginrc").write_text(PLUGINRC, encoding="utf-8")
    return folder


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return everything in a folder: each path with its mode and its bytes, or the target of a link."""
    found = {}
    for path in sorted(folder.rglob("*")):
        content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (stat.S_IMODE(path.lstat().st_mode), content)
    return found
