# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection between the plug-in and the engine: who is there is proved first, then messages go both ways.

`multiprocessing.connection` carries the bytes, over a Unix socket or a Windows pipe.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import Client
from typing import Protocol

from gimp_bridge import protocol, wire
from gimp_bridge.protocol import Message

_GREETING = struct.Struct(">8sI32s")  # who, version, nonce: this layout stays the same in all versions
_WHO = b"s2ambrdg"
_PROOF = 32  # bytes of a SHA-256
_REFUSED = b"no"


class Connection(Protocol):
    """What is used of `multiprocessing.connection`: not its send and recv, which unpickle whatever comes."""

    def poll(self, timeout: float | None = 0) -> bool:
        """Whether there is something to receive within so many seconds; None: wait for ever."""

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        """What was sent at once; OSError, before any of it is read, if that is more than maxlength."""

    def send_bytes(self, buf: bytes) -> None:
        """Send bytes."""

    def fileno(self) -> int:
        """The socket's or pipe's number."""

    def close(self) -> None:
        """End it."""


class LostError(Exception):
    """The other side is gone, or does not behave as one of ours."""


class SilentError(Exception):
    """The other side said nothing for too long."""


class RefusedError(Exception):
    """The other side could not prove that it belongs to the same person."""


class VersionError(Exception):
    """The other side speaks another version, which is the argument."""

    def __init__(self, version: int) -> None:
        """Keep the other side's version."""
        super().__init__(version)
        self.version = version


class Channel:
    """Messages over a connection whose both ends have proved who they are; any thread may send."""

    def __init__(self, connection: Connection) -> None:
        """Take over a connection; close the channel instead of it."""
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, number: int, message: Message) -> None:
        """Send a message. Raises LostError, or SilentError if the other side stops reading."""
        data = wire.encode(number, message)
        with self._sending, _translated():
            self._connection.send_bytes(data)

    def receive(self, seconds: float | None = None) -> tuple[int, Message]:
        """The next message, and the number of its request.

        Raises:
            SilentError: there was none for so many seconds (None: wait for ever).
            LostError: the other side is gone.
            MessageError: it sent something else.
        """
        with _translated():
            if not self._connection.poll(seconds):
                raise SilentError
            data = self._connection.recv_bytes(wire.MOST_BYTES)
        return wire.decode(data)

    def has_message(self, seconds: float) -> bool:
        """Whether a message begins to come within so many seconds. Raises LostError if the other side is gone."""
        with _translated():
            return self._connection.poll(seconds)

    def close(self) -> None:
        """End it; a second time does nothing."""
        with contextlib.suppress(OSError):
            if sys.platform != "win32":
                # Wakes a thread that waits for a message, which closing alone does not.
                with socket.socket(fileno=os.dup(self._connection.fileno())) as same:
                    same.shutdown(socket.SHUT_RDWR)
            self._connection.close()


def reach(address: str, key: bytes, seconds: float) -> Channel:
    """Connect to the engine: both sides prove that they know the key without telling it.

    Args:
        address: of its socket or pipe.
        key: the secret.
        seconds: how long it may say nothing, now and in the middle of a message.

    Raises:
        LostError: nobody is there, or something that is not the engine.
        SilentError, RefusedError, VersionError: see there.
    """
    with _translated():
        connection = Client(address, "AF_PIPE" if sys.platform == "win32" else "AF_UNIX")
    try:
        with _translated():
            _limit_silence(connection, seconds)
            theirs = _read_greeting(connection, seconds)
            ours = secrets.token_bytes(32)
            connection.send_bytes(_GREETING.pack(_WHO, protocol.VERSION, ours))
            connection.send_bytes(_prove(key, b"client", theirs, ours))
            proof = _read(connection, _PROOF, seconds)
            if not hmac.compare_digest(proof, _prove(key, b"engine", ours, theirs)):
                raise RefusedError
    except BaseException:
        connection.close()
        raise
    return Channel(connection)


def welcome(connection: Connection, key: bytes, seconds: float) -> Channel:
    """The engine's side of `reach`, with the same exceptions; the connection is closed if there are any."""
    try:
        with _translated():
            _limit_silence(connection, seconds)
            ours = secrets.token_bytes(32)
            connection.send_bytes(_GREETING.pack(_WHO, protocol.VERSION, ours))
            theirs = _read_greeting(connection, seconds)
            proof = _read(connection, _PROOF, seconds)
            if not hmac.compare_digest(proof, _prove(key, b"client", ours, theirs)):
                connection.send_bytes(_REFUSED)
                raise RefusedError
            connection.send_bytes(_prove(key, b"engine", theirs, ours))
    except BaseException:
        connection.close()
        raise
    return Channel(connection)


def _prove(key: bytes, side: bytes, challenge: bytes, other: bytes) -> bytes:
    return hmac.digest(key, side + challenge + other, "sha256")


def _read_greeting(connection: Connection, seconds: float) -> bytes:
    greeting = _read(connection, _GREETING.size, seconds)
    if len(greeting) != _GREETING.size:
        raise LostError("a greeting of another size")
    who, version, nonce = _GREETING.unpack(greeting)
    if who != _WHO:
        raise LostError("not one of ours")
    if version != protocol.VERSION:
        raise VersionError(version)
    return bytes(nonce)


def _read(connection: Connection, most: int, seconds: float) -> bytes:
    if not connection.poll(seconds):
        raise SilentError
    return connection.recv_bytes(most)


def _limit_silence(connection: Connection, seconds: float) -> None:
    """Let no call wait for ever in the middle of a message. A Windows pipe has no such limit."""
    if sys.platform != "win32":
        limit = struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6))
        with socket.socket(fileno=os.dup(connection.fileno())) as same:
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                same.setsockopt(socket.SOL_SOCKET, option, limit)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """What the system says of a broken connection, in this module's words."""
    try:
        yield
    except BlockingIOError as error:
        raise SilentError from error
    except (OSError, EOFError) as error:
        raise LostError(str(error)) from error
