# SPDX-License-Identifier: GPL-3.0-or-later
"""Reaching the engine from the plug-in: the one that runs, or one that is started now, and never a second one."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gimp_bridge import channel, places
from gimp_bridge.channel import Channel
from gimp_bridge.protocol import VERSION, BridgeError
from s2am_common.locks import ProcessLock, is_unlocked
from s2am_common.paths import BRIDGE_FOLDER_VARIABLE, in_flatpak

LAUNCHER = "engine.json"
"""The file beside the plug-in that says how to run the engine's server."""

_SECONDS_TO_START = 60.0  # of a slow disk that has not seen PyTorch since it was switched on
_LEADS_ASTRAY = ("PYTHON", "LD_", "DYLD_", "GI_TYPELIB", "VIRTUAL_ENV")
"""Beginnings of the variables with which GIMP sets up its own Python and libraries: the engine has others."""

_WITHOUT_A_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
"""On Windows, and as outliving its parent as `start_new_session` makes it elsewhere."""


def read_launcher(folder: Path) -> list[str]:
    """The command that runs the engine's server, from the file that the installer put beside the plug-in.

    Raises:
        BridgeError: there is none, or it is damaged.
    """
    file = folder / LAUNCHER
    try:
        told = json.loads(file.read_bytes())
        serve = told["serve"]
        if told["version"] != 1 or not serve or not all(isinstance(part, str) for part in serve):
            raise ValueError("it is of another version")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BridgeError(
            f"{file} does not say where the engine is ({error}): run the installer again (python3 -m installer)."
        ) from error
    return list(serve)


@dataclass(frozen=True)
class Starter:
    """How to reach the engine.

    serve: the command that runs its server; None = only find one that runs.
    folder: where both sides meet.
    silence: for how many seconds it may say nothing.
    """

    serve: Sequence[str] | None
    folder: Path
    silence: float

    def reach(self, tell: Callable[[str], None]) -> Channel:
        """Connect to the running engine, or start one.

        Args:
            tell: called now and then with words for people; what it raises ends the waiting.

        Raises:
            BridgeError: it can't be reached; the sentence says what to do.
        """
        places.make_private(self.folder)
        found = self._find()
        if found:
            return found
        tell("Starting the engine")
        lock = ProcessLock(self.folder / "start.lock")
        end = time.monotonic() + _SECONDS_TO_START
        while not lock.acquire():  # another plug-in is starting it
            found = self._find()
            if found:
                return found
            self._wait(end, tell)
        try:
            return self._find() or self._start(end, tell)
        finally:
            lock.release()

    def _find(self) -> Channel | None:
        """Connect to the engine if one runs."""
        try:
            told = json.loads((self.folder / places.RUNNING).read_bytes())
            address, key = str(told["address"]), bytes.fromhex(told["key"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError):
            return None  # half of what a dead engine wrote; one that lives has written all of it
        try:
            return channel.reach(address, key, self.silence)
        except channel.LostError:
            return None  # it was killed, and what it wrote is left over
        except channel.SilentError as error:
            raise self.silent() from error
        except channel.RefusedError as error:
            raise BridgeError(
                f"Something that is not the engine answers at {address}: end it, then try again."
            ) from error
        except channel.VersionError as error:
            what = "end it with “s2am serve --stop” in a terminal, then try again"
            if error.version > VERSION:
                what = "run the installer again (python3 -m installer), then restart GIMP"
            raise BridgeError(
                f"The running engine speaks version {error.version} of the bridge and this plug-in version {VERSION}: "
                f"{what}."
            ) from error

    def silent(self) -> BridgeError:
        """What to say when the engine does not answer."""
        return BridgeError(
            f"The engine has not answered for {self.silence:.0f} s: "
            "end it with “s2am serve --stop” in a terminal, then try again."
        )

    def _start(self, end: float, tell: Callable[[str], None]) -> Channel:
        log = self.folder / places.LOG
        process: subprocess.Popen[bytes] | None = None
        while not (found := self._find()):
            alone = is_unlocked(self.folder / places.ENGINE_LOCK)
            if process is None:
                if alone:  # one that is leaving holds the lock a little longer
                    process = self._run(log)
            elif process.poll() is not None:
                if alone:
                    raise BridgeError(_why_it_ended(log))
                process = None  # it left because somebody else has just started one
            self._wait(end, tell)
        return found

    def _wait(self, end: float, tell: Callable[[str], None]) -> None:
        if time.monotonic() > end:
            raise BridgeError(
                f"The engine has not started within {_SECONDS_TO_START:.0f} seconds: "
                f"close other programs, then try again; {self.folder / places.LOG} says more."
            )
        tell("Starting the engine")
        time.sleep(0.05)

    def _run(self, log: Path) -> subprocess.Popen[bytes]:
        """Start the engine in a session of its own: it outlives the plug-in, which GIMP may kill."""
        if in_flatpak(os.environ):
            raise BridgeError(
                "GIMP from Flatpak can't start the engine: run “s2am serve” in a terminal, then try again."
            )
        if not self.serve:
            raise BridgeError("The engine does not run: start it with “s2am serve” in a terminal, then try again.")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(_LEADS_ASTRAY)}
        environ[BRIDGE_FOLDER_VARIABLE] = str(self.folder)
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
                    creationflags=_WITHOUT_A_WINDOW,
                )
        except OSError as error:
            raise BridgeError(
                f"The engine can't be started ({self.serve[0]}: {error.strerror}): "
                "run the installer again (python3 -m installer)."
            ) from error


def _why_it_ended(log: Path) -> str:
    """A sentence on an engine that ended before it could be reached: its own, if its log ends with one."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    last = lines[-1] if lines else "it said nothing"
    if last.startswith("error: "):
        return last.removeprefix("error: ")
    return (
        f"The engine's environment is damaged ({last[:200].rstrip('.')}): "
        f"run the installer again (python3 -m installer); {log} says more."
    )
