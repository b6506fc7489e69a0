# SPDX-License-Identifier: GPL-3.0-or-later
"""Connecting to the running engine, or starting it; clients that start at the same time share one engine."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gimp_bridge import connection
from gimp_bridge.bridge_folder import ENGINE_LOCK, LOG, START_LOCK, make_private, read_address
from gimp_bridge.connection import Channel
from gimp_bridge.protocol import PROTOCOL_VERSION
from s2am_common.errors import BridgeError
from s2am_common.locks import ProcessLock, is_unlocked
from s2am_common.paths import BRIDGE_FOLDER_VARIABLE, in_flatpak

LAUNCHER = "engine.json"
"""The file in the plug-in's folder with the command that runs the engine's server."""

logger = logging.getLogger(__name__)

_START_SECONDS = 60.0  # of a slow disk that reads all libraries for the first time
_HOST_VARIABLES = ("PYTHON", "LD_", "DYLD_", "GI_TYPELIB", "VIRTUAL_ENV")
"""Prefixes of variables that GIMP sets for its own Python and libraries; the engine must not inherit them."""

_WINDOWS_FLAGS = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
"""The counterpart of `start_new_session` on Windows."""


def read_launcher(folder: Path) -> list[str]:
    """Return the command that runs the engine's server, from the file that the installer wrote.

    Raises:
        BridgeError: the file is missing or damaged.
    """
    file = folder / LAUNCHER
    try:
        launcher = json.loads(file.read_bytes())
        serve = launcher["serve"]
        if launcher["version"] != 1 or not serve or not all(isinstance(part, str) for part in serve):
            raise ValueError("unknown version")
    except (OSError, ValueError, LookupError, TypeError) as error:
        message = f"{file} does not name the engine's command ({error})."
        raise BridgeError(message, code="bridge.installation") from error
    return list(serve)


def engine_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables for the engine, without those for GIMP's own Python and libraries."""
    return {name: value for name, value in environ.items() if not name.startswith(_HOST_VARIABLES)}


@dataclass(frozen=True)
class EngineStarter:
    """Connects to the engine.

    serve: the command that runs its server; None = never start it.
    folder: the bridge folder.
    silence: seconds without a message after which the engine counts as hung.
    """

    serve: Sequence[str] | None
    folder: Path
    silence: float

    def connect(self, progress: Callable[[str], None]) -> Channel:
        """Connect to the running engine, or start one.

        Args:
            progress: called repeatedly with the current step; an exception of it ends the waiting.

        Raises:
            BridgeError: the engine cannot be reached.
        """
        make_private(self.folder)
        channel = self._find()
        if channel:
            return channel
        progress("Starting the engine")
        lock = ProcessLock(self.folder / START_LOCK)
        end = time.monotonic() + _START_SECONDS
        while not lock.acquire():  # another client is starting it
            channel = self._find()
            if channel:
                return channel
            self._wait(end, progress)
        try:
            return self._find() or self._start(end, progress)
        finally:
            lock.release()

    def _find(self) -> Channel | None:
        """Connect to the running engine; None if there is none."""
        running = read_address(self.folder)
        if running is None:
            return None
        try:
            return connection.connect(running.address, running.key, self.silence)
        except connection.DisconnectedError:
            return None  # it was killed and left its address behind
        except connection.SilenceError as error:
            raise self.silence_error() from error
        except connection.AuthenticationError as error:
            message = f"A program that is not the engine answers at {running.address}: end it, then try again."
            raise BridgeError(message, code="bridge.impostor") from error
        except connection.VersionMismatchError as error:
            code = "bridge.client-outdated" if error.version > PROTOCOL_VERSION else "bridge.engine-outdated"
            versions = f"version {error.version} of the bridge and this program version {PROTOCOL_VERSION}"
            raise BridgeError(f"The running engine has {versions}.", code=code, process=running.process) from error

    def silence_error(self) -> BridgeError:
        """Return the error for an engine that does not answer."""
        running = read_address(self.folder)
        return BridgeError(
            f"The engine has not answered for {self.silence:.0f} s.",
            code="bridge.silent",
            process=running.process if running else 0,
        )

    def _start(self, end: float, progress: Callable[[str], None]) -> Channel:
        log = self.folder / LOG
        process: subprocess.Popen[bytes] | None = None
        while not (channel := self._find()):
            alone = is_unlocked(self.folder / ENGINE_LOCK)
            if process is None:
                if alone:  # an engine that is ending holds the lock a little longer
                    process = self._run(log)
            elif process.poll() is not None:
                if alone:
                    raise _startup_error(log, killed=process.returncode < 0)
                process = None  # another engine was started at the same time
            self._wait(end, progress)
        return channel

    def _wait(self, end: float, progress: Callable[[str], None]) -> None:
        if time.monotonic() > end:
            raise BridgeError(
                f"The engine has not started within {_START_SECONDS:.0f} seconds: close other programs, then try again "
                f"(its output is in {self.folder / LOG}).",
                code="bridge.slow",
            )
        progress("Starting the engine")
        time.sleep(0.05)

    def _run(self, log: Path) -> subprocess.Popen[bytes]:
        """Start the engine in its own session, in which it outlives a plug-in that GIMP kills."""
        if in_flatpak(os.environ):
            raise BridgeError("A program in a Flatpak sandbox cannot start the engine.", code="bridge.not-running")
        if not self.serve:
            raise BridgeError("The engine is not running.", code="bridge.not-running")
        environ = engine_environ(os.environ) | {BRIDGE_FOLDER_VARIABLE: str(self.folder)}
        logger.info("Starting the engine: %s", " ".join(self.serve))
        try:
            with log.open("wb") as output:
                return subprocess.Popen(
                    list(self.serve),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=environ,
                    cwd=self.folder,
                    start_new_session=True,
                    creationflags=_WINDOWS_FLAGS,
                )
        except OSError as error:
            message = f"The engine cannot be started ({self.serve[0]}: {error.strerror})."
            raise BridgeError(message, code="bridge.installation") from error


def _startup_error(log: Path, *, killed: bool) -> BridgeError:
    """Return the error for an engine that ended while it started: its own message, if its output ends with one.

    Args:
        log: its output.
        killed: the system or another program ended it.
    """
    if killed:
        message = (
            "The engine was ended while it was starting: close other programs in case memory is short, then try again."
        )
        return BridgeError(message, code="bridge.stopped")
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    last = lines[-1] if lines else "no output"
    if last.startswith("error: "):
        return BridgeError(last.removeprefix("error: "), code="bridge.start")
    message = f"The engine ended while it was starting ({last[:200].rstrip('.')}); its output is in {log}."
    return BridgeError(message, code="bridge.installation")
