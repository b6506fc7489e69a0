# SPDX-License-Identifier: GPL-3.0-or-later
"""Where both sides meet: one private folder for each person, and locks in it."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from gimp_bridge.protocol import BridgeError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

FOLDER_VARIABLE = "S2AM_BRIDGE_FOLDER"
"""The environment variable that names another folder; both sides must have the same."""

ENGINE_LOCK = "engine.lock"
"""The lock that the running engine holds."""

RUNNING = "running.json"
"""The file that says how to reach the running engine."""

LOG = "engine.log"
"""The file in which the engine that was started last says what went wrong."""


def bridge_folder(system: str, environ: Mapping[str, str], home: Path) -> Path:
    """The folder for a platform (`sys.platform`), an environment (`os.environ`) and a home folder.

    In the person's data folder, and neither in /tmp nor in the runtime folder: a GIMP from Flatpak sees neither, and
    has data folders of its own, so that it must look at the host's.
    """
    given = environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given)
    if system == "win32":
        local = environ.get("LOCALAPPDATA")
        return (Path(local) if local else home / "AppData" / "Local") / "s2am" / "bridge"
    if system == "darwin":
        return home / "Library" / "Application Support" / "s2am" / "bridge"
    share = Path(environ.get("HOST_XDG_DATA_HOME" if in_flatpak(environ) else "XDG_DATA_HOME", ""))
    return (share if share.is_absolute() else home / ".local" / "share") / "s2am" / "bridge"


def this_bridge_folder() -> Path:
    """The folder for this person on this machine."""
    return bridge_folder(sys.platform, os.environ, Path.home())


def in_flatpak(environ: Mapping[str, str]) -> bool:
    """Whether this is a program from Flatpak, which sees the host's home folder but not its programs."""
    return bool(environ.get("FLATPAK_ID"))


def make_private(folder: Path) -> None:
    """Make a folder that only its owner can enter, or make sure that it is one.

    Raises:
        BridgeError: it can't be made, or belongs to somebody else.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if sys.platform != "win32":
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                raise BridgeError(f"The folder {folder} belongs to somebody else: move it away, then try again.")
            if stat.S_IMODE(found.st_mode) & 0o077:
                folder.chmod(0o700)
    except OSError as error:
        raise BridgeError(
            f"The folder {folder} can't be made ({error.strerror}): allow writing there, then try again."
        ) from error


class Lock:
    """A file that one process at a time holds; it is free again when that process ends, however it ends."""

    def __init__(self, file: Path) -> None:
        """Name the file, in a folder that exists."""
        self._file = file
        self._handle: int | None = None

    def take(self, seconds: float = 0) -> bool:
        """Hold the lock if nobody else does so long; whether it is held now."""
        end = time.monotonic() + seconds
        while not self._take():
            if time.monotonic() >= end:
                return False
            time.sleep(0.02)
        return True

    def _take(self) -> bool:
        handle = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if sys.platform == "win32":
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def give_back(self) -> None:
        """Let go of it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def is_free(file: Path, seconds: float = 0) -> bool:
    """Whether nobody holds a lock, or lets go of it in time; it is held for an instant to find out."""
    lock = Lock(file)
    taken = lock.take(seconds)
    lock.give_back()
    return taken
