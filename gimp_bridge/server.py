# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine process: one for each user, which ends by itself when it has been idle for a while."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Listener
from pathlib import Path

from gimp_bridge import connection
from gimp_bridge.bridge_folder import ENGINE_LOCK, RUNNING, EngineAddress, make_private, read_address
from gimp_bridge.client import EngineClient
from gimp_bridge.engine_session import EngineSession
from gimp_bridge.model_cache import ModelCache
from gimp_bridge.shared_workspace import remove_leftovers
from s2am_common.atomic import atomic_write
from s2am_common.errors import BridgeError
from s2am_common.locks import ProcessLock, is_unlocked
from s2am_common.paths import BRIDGE_FOLDER_VARIABLE, user_paths

SILENCE = 20.0
"""Seconds that a client may take in the middle of a message, or to receive a response."""

logger = logging.getLogger(__name__)

_END_SECONDS = 3.0
_MAX_ADDRESS_BYTES = 103  # limit of macOS for the path of a socket; Linux allows 4 more


def run_engine(device: str, idle_seconds: float, ready: Callable[[Path], None]) -> None:
    """Serve clients until the engine was idle for `idle_seconds`, a client ends it, or Ctrl-C.

    Args:
        device: see `Harmonizer`.
        idle_seconds: 0 = never end by itself.
        ready: called with the bridge folder when clients can connect.

    Raises:
        BridgeError: an engine is running already, or the bridge folder cannot be used.
    """
    folder = user_paths().bridge
    make_private(folder)
    # GIMP uses the same processors: threads that spin while they wait would slow down both.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    # On exit, first no client can connect any more, then the sessions end, and only then another engine may start.
    with _hold_engine_lock(folder), contextlib.ExitStack() as sessions, _listen(folder) as (listener, key):
        # Logged before the lock is released: uninstalling removes the log as soon as the engine has ended.
        sessions.callback(logger.info, "The engine has ended")
        server = EngineServer(listener, key, folder, device)
        sessions.callback(server.disconnect_all)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: server.shut_down())
        logger.info("The engine is listening in %s", folder)
        ready(folder)
        server.run(idle_seconds)


def stop_engine() -> bool:
    """End the running engine; one that hangs or has another version is killed. Return whether one was running.

    Raises:
        BridgeError: it cannot be ended.
    """
    folder = user_paths().bridge
    make_private(folder)
    lock = folder / ENGINE_LOCK
    if is_unlocked(lock):
        return False
    with contextlib.suppress(BridgeError):
        EngineClient(None, folder, silence=_END_SECONDS).shutdown()
        if is_unlocked(lock, _END_SECONDS):
            return True
    # The process that holds the lock has written the address, so its number cannot belong to another program.
    running = read_address(folder)
    if running:
        with contextlib.suppress(OSError):
            os.kill(running.process, getattr(signal, "SIGKILL", signal.SIGTERM))
    if not is_unlocked(lock, _END_SECONDS):
        raise BridgeError("The engine cannot be ended: log out and in again.", code="bridge.unstoppable")
    return True


class EngineServer:
    """Accepts clients, each in its own thread."""

    def __init__(self, listener: Listener, key: bytes, folder: Path, device: str) -> None:
        """Start loading the default model; clients are accepted by `run`."""
        self._listener = listener
        self._key = key
        self._folder = folder
        self._ending = threading.Event()
        self._sessions: set[EngineSession] = set()
        self._last_use = time.monotonic()
        self._models = ModelCache(device)

    def shut_down(self) -> None:
        """Make `run` return; may be called from any thread."""
        self._ending.set()

    def run(self, idle_seconds: float) -> None:
        """Serve until no client has sent a request for `idle_seconds` (0 = no limit), or `shut_down` is called."""
        threading.Thread(target=self._accept, name="accept", daemon=True).start()
        while not self._ending.wait(min(1.0, idle_seconds / 4) if idle_seconds else 1.0):
            if self._models.is_starting():
                self._last_use = time.monotonic()
            idle_since = max([self._last_use, *(session.idle_since() for session in self._sessions.copy())])
            if idle_seconds and time.monotonic() - idle_since > idle_seconds:
                logger.info("Idle for %.0f s", idle_seconds)
                self.shut_down()

    def disconnect_all(self) -> None:
        """End all sessions and their requests."""
        for session in self._sessions.copy():
            session.end(_END_SECONDS)

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                accepted = self._listener.accept()
            except OSError:  # the client disconnected immediately, or too many files are open
                time.sleep(0.05)
                continue
            threading.Thread(target=self._serve, args=(accepted,), name="session", daemon=True).start()

    def _serve(self, accepted: connection.Connection) -> None:
        self._last_use = time.monotonic()
        try:
            channel = connection.accept(accepted, self._key, SILENCE)
        except connection.VersionMismatchError as error:
            logger.warning("Refused a client with version %d of the bridge", error.version)
            return
        except connection.AuthenticationError:
            logger.warning("Refused a client without the key")
            return
        except (connection.DisconnectedError, connection.SilenceError):
            return
        logger.info("A client has connected")
        session = EngineSession(channel, self._models, self._folder, self.shut_down)
        self._sessions.add(session)
        try:
            session.run()
        finally:
            self._sessions.discard(session)
            self._last_use = time.monotonic()


@contextlib.contextmanager
def _hold_engine_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of the one running engine, and remove the files of a killed one."""
    lock = ProcessLock(folder / ENGINE_LOCK)
    if not lock.acquire(0.5):  # `is_unlocked` holds it for an instant
        raise BridgeError("The engine is running already.", code="bridge.running")
    try:
        remove_leftovers(folder)
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _listen(folder: Path) -> Iterator[tuple[Listener, bytes]]:
    """Create a socket or pipe that only this user can use and the key of the handshake, and publish both in a file."""
    key = secrets.token_bytes(32)
    address = str(folder / "socket")
    if sys.platform == "win32":
        address = rf"\\.\pipe\s2am-{secrets.token_hex(16)}"
    elif len(os.fsencode(address)) > _MAX_ADDRESS_BYTES:
        message = f"The path {folder} is too long for a socket: set {BRIDGE_FOLDER_VARIABLE} to a shorter one."
        raise BridgeError(message, code="bridge.folder")
    running = folder / RUNNING
    try:
        running.unlink(missing_ok=True)
        if sys.platform != "win32":
            Path(address).unlink(missing_ok=True)
        listener = Listener(address, "AF_PIPE" if sys.platform == "win32" else "AF_UNIX", backlog=16)
        if sys.platform != "win32":
            Path(address).chmod(0o600)
        with atomic_write(running, mode=0o600) as file:  # only its owner may read the key
            file.write(EngineAddress(address, key, os.getpid()).to_json().encode())
    except OSError as error:
        message = f"{folder} cannot be used ({error.strerror}): allow writing there, then try again."
        raise BridgeError(message, code="bridge.folder") from error
    try:
        yield listener, key
    finally:
        running.unlink(missing_ok=True)
        listener.close()
