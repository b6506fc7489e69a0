# SPDX-License-Identifier: GPL-3.0-or-later
"""The files with which clients and the engine process find each other, in one private folder for each user."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from gimp_bridge.protocol import BridgeError

ENGINE_LOCK = "engine.lock"
"""The lock that the running engine holds."""

RUNNING = "running.json"
"""The file that says how to reach the running engine."""

LOG = "engine.log"
"""The file in which the engine that was started last says what went wrong."""


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
