# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the program lives on each platform (the folders that platformdirs gives, without platformdirs)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """The user's folders for the program: its data, and the folder of commands for the PATH."""

    data: Path
    commands: Path

    @property
    def environments(self) -> Path:
        """Holds the environment in use, and the next one while it is being made."""
        return self.data / "environments"

    @property
    def manifest(self) -> Path:
        """Names what the installer wrote and which environment is in use."""
        return self.data / "installed.json"

    @property
    def log(self) -> Path:
        """What every command of the last run printed."""
        return self.data / "installer.log"

    @property
    def sample(self) -> Path:
        """Receives the sample composite, its result and the before/after sheet."""
        return self.data / "sample"


def find_places(system: str, environ: Mapping[str, str], home: Path) -> Places:
    """Return the folders for a platform (`sys.platform`), an environment (`os.environ`) and a home folder.

    As the XDG base directory specification asks, a relative $XDG_DATA_HOME is ignored.
    """
    if system == "win32":
        local = environ.get("LOCALAPPDATA")
        data = (Path(local) if local else home / "AppData" / "Local") / "s2am"
        return Places(data, data / "bin")
    if system == "darwin":
        return Places(home / "Library" / "Application Support" / "s2am", home / ".local" / "bin")
    given = Path(environ.get("XDG_DATA_HOME", ""))
    share = given if given.is_absolute() else home / ".local" / "share"
    return Places(share / "s2am", home / ".local" / "bin")
