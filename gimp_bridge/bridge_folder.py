# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder in which clients and the engine process find each other, private to each user.

Its path is `s2am_common.paths.user_paths().bridge`.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from s2am_common.errors import BridgeError

ENGINE_LOCK = "engine.lock"
"""The lock that the running engine holds."""

START_LOCK = "start.lock"
"""The lock of the client that is starting the engine."""

RUNNING = "running.json"
"""The file with the address, the key and the process number of the running engine."""

LOG = "engine.log"
"""The output of the engine that was started last; everything else is in the log of `s2am_common.log`."""


@dataclass(frozen=True)
class EngineAddress:
    """Address of the running engine; `key` is the shared secret of the handshake."""

    address: str
    key: bytes
    process: int

    def to_json(self) -> str:
        """Return the content of the file RUNNING."""
        return json.dumps({"address": self.address, "key": self.key.hex(), "process": self.process})


def read_address(folder: Path) -> EngineAddress | None:
    """Return the address in a bridge folder; None if there is no file, or one that a crash left incomplete."""
    try:
        data = json.loads((folder / RUNNING).read_bytes())
        return EngineAddress(str(data["address"]), bytes.fromhex(data["key"]), int(data["process"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def make_private(folder: Path) -> None:
    """Create a folder that only its owner can enter, or check that an existing one belongs to this user.

    Raises:
        BridgeError: it cannot be created, or belongs to another user.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
        if sys.platform != "win32":
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
                message = f"The folder {folder} belongs to another user: move it away, then try again."
                raise BridgeError(message, code="bridge.folder")
            if stat.S_IMODE(status.st_mode) & 0o077:
                folder.chmod(0o700)
    except OSError as error:
        message = f"The folder {folder} cannot be created ({error.strerror}): allow writing there, then try again."
        raise BridgeError(message, code="bridge.folder") from error
