# SPDX-License-Identifier: GPL-3.0-or-later
"""The program's folders on each system.

The result is that of the library platformdirs, which the installer and GIMP's Python do not have; a test compares
both. There is one difference: on macOS the XDG variables are ignored, because programs that are started from the
Finder do not see a shell's variables and would use other folders.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

APP_NAME = "s2am"

BRIDGE_FOLDER_VARIABLE = "S2AM_BRIDGE_FOLDER"
"""Environment variable that overrides `UserPaths.bridge`; the plug-in and the engine must have the same."""


@dataclass(frozen=True)
class UserPaths:
    """One user's folders for the program. They need not exist.

    Attributes:
        data: models and, if the installer was used, the program itself.
        config: settings.
        cache: files that can be made again.
        state: recovery copies of open documents.
        logs: log files.
        bridge: socket, lock and address of the running engine. In the data folder because a GIMP in a Flatpak sandbox
            has access to neither /tmp nor the runtime folder of the host.
        commands: the folder for the command `s2am`.
    """

    data: Path
    config: Path
    cache: Path
    state: Path
    logs: Path
    bridge: Path
    commands: Path

    @property
    def models(self) -> Path:
        """Folder of the personal models."""
        return self.data / "models"


def user_paths(system: str = "", environ: Mapping[str, str] | None = None, home: Path | None = None) -> UserPaths:
    """Return the folders of a user.

    Args:
        system: a value of `sys.platform`; "" = this system.
        environ: environment variables; None = `os.environ`.
        home: the home folder; None = that of this user.
    """
    system = system or sys.platform
    environ = os.environ if environ is None else environ
    home = home or Path.home()
    if system == "win32":
        data = absolute_or(environ.get("LOCALAPPDATA"), home / "AppData" / "Local") / APP_NAME
        found = UserPaths(data, data, data / "Cache", data, data / "Logs", data / "bridge", data / "bin")
    elif system == "darwin":
        library = home / "Library"
        data = library / "Application Support" / APP_NAME
        caches, logs = library / "Caches" / APP_NAME, library / "Logs" / APP_NAME
        found = UserPaths(data, data, caches, data, logs, data / "bridge", home / ".local" / "bin")
    else:
        found = _freedesktop_paths(environ, home)
    override = environ.get(BRIDGE_FOLDER_VARIABLE)
    return UserPaths(**{**vars(found), "bridge": Path(override)}) if override else found


def _freedesktop_paths(environ: Mapping[str, str], home: Path) -> UserPaths:
    data_home = absolute_or(environ.get("XDG_DATA_HOME"), home / ".local" / "share")
    state = absolute_or(environ.get("XDG_STATE_HOME"), home / ".local" / "state") / APP_NAME
    # Inside a sandbox XDG_DATA_HOME is the sandbox's own folder; the engine runs outside.
    host = absolute_or(environ.get("HOST_XDG_DATA_HOME"), home / ".local" / "share")
    return UserPaths(
        data=data_home / APP_NAME,
        config=absolute_or(environ.get("XDG_CONFIG_HOME"), home / ".config") / APP_NAME,
        cache=absolute_or(environ.get("XDG_CACHE_HOME"), home / ".cache") / APP_NAME,
        state=state,
        logs=state / "log",
        bridge=(host if in_flatpak(environ) else data_home) / APP_NAME / "bridge",
        commands=home / ".local" / "bin",
    )


def in_flatpak(environ: Mapping[str, str]) -> bool:
    """Return whether this is a Flatpak sandbox: it can see the host's home folder, but not start its programs."""
    return bool(environ.get("FLATPAK_ID"))


def absolute_or(path: str | None, default: Path) -> Path:
    """Return an absolute path, or the default for any other: the XDG specification ignores relative paths."""
    return Path(path) if path and Path(path).is_absolute() else default
