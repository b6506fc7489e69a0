# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the program lives on each platform (the folders that platformdirs gives, without platformdirs)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from s2am_setup.facts import Facts


@dataclass(frozen=True)
class Places:
    """The user's folders for the program: its data, its settings, and the folder of commands for the PATH."""

    data: Path
    settings: Path
    commands: Path

    @property
    def environments(self) -> Path:
        """Holds the environment in use, and the next one while it is being made."""
        return self.data / "environments"

    @property
    def downloads(self) -> Path:
        """Keeps what was downloaded until it is installed, so that a run after one that broke off need not again."""
        return self.data / "downloads"

    @property
    def manifest(self) -> Path:
        """Names every file that the installer wrote, and which environment is in use."""
        return self.data / "installed.json"

    @property
    def lock(self) -> Path:
        """Is held by the one installer that may work."""
        return self.data / "installer.lock"

    @property
    def log(self) -> Path:
        """What every command of the last run printed."""
        return self.data / "installer.log"

    @property
    def sample(self) -> Path:
        """Receives the sample composite, its result and the before/after sheet."""
        return self.data / "sample"

    @property
    def bridge(self) -> Path:
        """Where GIMP and the engine meet while they run; gimp_bridge.places has the same rule."""
        return self.data / "bridge"

    @property
    def models(self) -> Path:
        """Holds personal models."""
        return self.data / "models"


def find_places(facts: Facts) -> Places:
    """Return the folders for a person on a machine."""
    if facts.system == "win32":
        data = facts.folder("LOCALAPPDATA", facts.home / "AppData" / "Local") / "s2am"
        return Places(data, data, data / "bin")
    commands = facts.home / ".local" / "bin"
    if facts.system == "darwin":
        data = facts.home / "Library" / "Application Support" / "s2am"
        return Places(data, data, commands)
    data = facts.folder("XDG_DATA_HOME", facts.home / ".local" / "share") / "s2am"
    return Places(data, facts.folder("XDG_CONFIG_HOME", facts.home / ".config") / "s2am", commands)
