# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's server: one for each person, which leaves when nobody has needed it for a while."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Listener
from pathlib import Path

from gimp_bridge import channel, places, workspace
from gimp_bridge.client import Engine
from gimp_bridge.protocol import BridgeError
from gimp_bridge.session import Session
from gimp_bridge.warm import Warm
from s2am_common.atomic import atomic_write
from s2am_common.locks import ProcessLock, is_unlocked
from s2am_common.paths import BRIDGE_FOLDER_VARIABLE, user_paths
from s2am_engine.errors import EngineError

SILENCE = 20.0
"""Seconds that a plug-in may take in the middle of a message, or to take an answer."""

_SECONDS_TO_LEAVE = 3.0
_LONGEST_ADDRESS = 103  # bytes: what macOS allows for a socket's path; Linux allows 4 more


def run(device: str, idle_seconds: float, ready: Callable[[Path], None]) -> None:
    """Serve until nobody has needed the engine for `idle_seconds` (0: for ever), it is told to leave, or Ctrl-C.

    Args:
        device: see `Harmonizer`.
        idle_seconds: 0 = for ever.
        ready: called when plug-ins can connect, with the folder where they do.

    Raises:
        EngineError: one runs already, or the folder can't be used.
    """
    folder = _folder()
    # GIMP works on the same processors: threads that spin while they wait would slow down both, and themselves.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    # At the end nobody can connect any more, then the connections end, and then another engine may start.
    with _alone(folder), contextlib.ExitStack() as connections, _listening(folder) as (listener, key):
        server = Server(listener, key, folder, device)
        connections.callback(server.hang_up)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: server.leave())
        ready(folder)
        server.run(idle_seconds)


def stop() -> bool:
    """End the running engine, in an orderly way if it still listens; whether there was one.

    Raises:
        EngineError: it can't be ended.
    """
    folder = _folder()
    lock = folder / places.ENGINE_LOCK
    if is_unlocked(lock):
        return False
    with contextlib.suppress(BridgeError):
        Engine(None, folder, silence=_SECONDS_TO_LEAVE).leave()
        if is_unlocked(lock, _SECONDS_TO_LEAVE):
            return True
    # It hangs, or speaks another version. Who holds the lock has written the file: the number is no other process's.
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        process = int(json.loads((folder / places.RUNNING).read_bytes())["process"])
        os.kill(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    if not is_unlocked(lock, _SECONDS_TO_LEAVE):
        raise EngineError("The engine can't be ended: log out and in again.")
    return True


def _folder() -> Path:
    """This person's folder, made if it is missing."""
    folder = user_paths().bridge
    try:
        places.make_private(folder)
    except BridgeError as error:
        raise EngineError(str(error)) from error
    return folder


class Server:
    """Takes connections in, each in a thread of its own."""

    def __init__(self, listener: Listener, key: bytes, folder: Path, device: str) -> None:
        """Begin to load the engine; `run` takes connections in meanwhile."""
        self._listener = listener
        self._key = key
        self._folder = folder
        self._leaving = threading.Event()
        self._sessions: set[Session] = set()
        self._last_use = time.monotonic()
        self._warm = Warm(device)

    def leave(self) -> None:
        """Let `run` return; from any thread."""
        self._leaving.set()

    def run(self, idle_seconds: float) -> None:
        """Serve until nobody has asked for anything for so long, or `leave` is called."""
        threading.Thread(target=self._accept, name="accept", daemon=True).start()
        while not self._leaving.wait(min(1.0, idle_seconds / 4) if idle_seconds else 1.0):
            if self._warm.is_starting():
                self._last_use = time.monotonic()
            idle_since = max([self._last_use, *(session.idle_since() for session in self._sessions.copy())])
            if idle_seconds and time.monotonic() - idle_since > idle_seconds:
                self.leave()

    def hang_up(self) -> None:
        """End all connections and what is being done for them."""
        for session in self._sessions.copy():
            session.end(_SECONDS_TO_LEAVE)

    def _accept(self) -> None:
        while not self._leaving.is_set():
            try:
                connection = self._listener.accept()
            except OSError:  # the other side was gone before it was taken in; or too many files are open
                time.sleep(0.05)
                continue
            threading.Thread(target=self._serve, args=(connection,), name="session", daemon=True).start()

    def _serve(self, connection: channel.Connection) -> None:
        self._last_use = time.monotonic()
        try:
            line = channel.welcome(connection, self._key, SILENCE)
        except (channel.LostError, channel.SilentError, channel.RefusedError, channel.VersionError):
            return
        session = Session(line, self._warm, self._folder, self.leave)
        self._sessions.add(session)
        try:
            session.run()
        finally:
            self._sessions.discard(session)
            self._last_use = time.monotonic()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock that one engine has; what a killed one left is cleared away."""
    lock = ProcessLock(folder / places.ENGINE_LOCK)
    if not lock.acquire(0.5):  # who only looks whether it is free holds it for an instant
        raise EngineError("The engine runs already: end it with “s2am serve --stop” to start another.")
    try:
        workspace.sweep(folder)
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _listening(folder: Path) -> Iterator[tuple[Listener, bytes]]:
    """A socket or pipe that only this person can use, and the secret to be proved; a file says both to the plug-in."""
    key = secrets.token_bytes(32)
    address = str(folder / "socket")
    if sys.platform == "win32":
        address = rf"\\.\pipe\s2am-{secrets.token_hex(16)}"
    elif len(os.fsencode(address)) > _LONGEST_ADDRESS:
        raise EngineError(
            f"The name of {folder} is too long for a socket: set {BRIDGE_FOLDER_VARIABLE} to a shorter one."
        )
    running = folder / places.RUNNING
    try:
        running.unlink(missing_ok=True)
        if sys.platform != "win32":
            Path(address).unlink(missing_ok=True)
        listener = Listener(address, "AF_PIPE" if sys.platform == "win32" else "AF_UNIX", backlog=16)
        if sys.platform != "win32":
            Path(address).chmod(0o600)
        with atomic_write(running, mode=0o600) as file:  # the key is for its owner alone
            file.write(json.dumps({"address": address, "key": key.hex(), "process": os.getpid()}).encode())
    except OSError as error:
        raise EngineError(f"{folder} can't be used ({error.strerror}): allow writing there, then try again.") from error
    try:
        yield listener, key
    finally:
        running.unlink(missing_ok=True)
        listener.close()
