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
from collections.abc import Iterator
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

from gimp_bridge import channel, places, workspace
from gimp_bridge.protocol import BridgeError
from gimp_bridge.session import Session
from gimp_bridge.warm import Warm
from s2am_engine.errors import EngineError

SILENCE = 20.0
"""Seconds that a plug-in may take in the middle of a message, or to take an answer."""

_LOCK = "engine.lock"
_LONGEST_ADDRESS = 103  # bytes: what macOS allows for a socket's path; Linux allows 4 more


def run(device: str, idle_seconds: float) -> None:
    """Serve until nobody has needed the engine for `idle_seconds` (0: for ever), it is told to leave, or Ctrl-C.

    Raises:
        EngineError: one runs already, or the folder can't be used.
    """
    folder = places.this_bridge_folder()
    try:
        places.make_private(folder)
    except BridgeError as error:
        raise EngineError(str(error)) from error
    with _alone(folder), _listening(folder) as (listener, key):
        server = Server(listener, key, folder, device)
        with _on_termination(server.leave):
            server.run(idle_seconds)


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
        while not self._leaving.wait(min(1.0, idle_seconds / 4) if idle_seconds else None):
            if any(session.busy for session in self._sessions.copy()):
                self._last_use = time.monotonic()
            if time.monotonic() - self._last_use > idle_seconds:
                return

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except OSError:  # the other side was gone before it was taken in; or too many files are open
                time.sleep(0.05)
                continue
            threading.Thread(target=self._serve, args=(connection,), name="session", daemon=True).start()

    def _serve(self, connection: Connection[Any, Any]) -> None:
        try:
            line = channel.welcome(connection, self._key, SILENCE)
        except (channel.LostError, channel.SilentError, channel.RefusedError, channel.VersionError):
            return
        session = Session(line, self._warm, self._folder, self.leave)
        self._sessions.add(session)
        self._last_use = time.monotonic()
        try:
            session.run()
        finally:
            self._sessions.discard(session)
            self._last_use = time.monotonic()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock that one engine has; what a killed one left is cleared away."""
    lock = places.Lock(folder / _LOCK)
    if not lock.take():
        raise EngineError("The engine runs already: end it with “s2am serve --stop” to start another.")
    try:
        workspace.sweep(folder)
        yield
    finally:
        lock.give_back()


@contextlib.contextmanager
def _listening(folder: Path) -> Iterator[tuple[Listener, bytes]]:
    """A socket or pipe that only this person can use, and the secret to be proved; a file says both to the plug-in."""
    key = secrets.token_bytes(32)
    address = str(folder / "socket")
    if sys.platform == "win32":
        address = rf"\\.\pipe\s2am-{secrets.token_hex(16)}"
    elif len(os.fsencode(address)) > _LONGEST_ADDRESS:
        raise EngineError(
            f"The name of {folder} is too long for a socket: set {places.FOLDER_VARIABLE} to a shorter one."
        )
    running = folder / places.RUNNING
    try:
        running.unlink(missing_ok=True)
        if sys.platform != "win32":
            Path(address).unlink(missing_ok=True)
        listener = Listener(address, "AF_PIPE" if sys.platform == "win32" else "AF_UNIX", backlog=16)
        if sys.platform != "win32":
            Path(address).chmod(0o600)
        _write_private(running, json.dumps({"address": address, "key": key.hex(), "process": os.getpid()}))
    except OSError as error:
        raise EngineError(f"{folder} can't be used ({error.strerror}): allow writing there, then try again.") from error
    try:
        yield listener, key
    finally:
        running.unlink(missing_ok=True)
        listener.close()


def _write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    part = file.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as opened:
        opened.write(text)
    part.replace(file)


@contextlib.contextmanager
def _on_termination(leave: Any) -> Iterator[None]:
    """Leave in an orderly way when the system or the person ends the process."""
    signal.signal(signal.SIGTERM, lambda *_: leave())
    yield
