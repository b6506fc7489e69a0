# SPDX-License-Identifier: GPL-3.0-or-later
"""An authenticated connection between a client and the engine process.

`multiprocessing.connection` carries the bytes, over a Unix socket or a Windows pipe. Both sides prove that they have
the same key (HMAC of the other side's nonce) before any message is exchanged.
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

from gimp_bridge import protocol
from gimp_bridge.message_encoding import decode_message, encode_message
from gimp_bridge.protocol import Message

_GREETING = struct.Struct(">8sI32s")  # program, version, nonce; never change this layout: all versions exchange it
_PROGRAM = b"s2ambrdg"
_PROOF_BYTES = 32  # SHA-256
_REJECTION = b"no"


class Connection(Protocol):
    """The used part of `multiprocessing.connection`, without its send and recv, which unpickle received data."""

    def poll(self, timeout: float | None = 0) -> bool:
        """Return whether data arrives within `timeout` seconds (None = no limit)."""

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        """Receive one block of bytes. Raises OSError, before reading any, if it is longer than `maxlength`."""

    def send_bytes(self, buf: bytes) -> None:
        """Send one block of bytes."""

    def fileno(self) -> int:
        """Return the file descriptor."""

    def close(self) -> None:
        """Close the connection."""


class DisconnectedError(Exception):
    """The peer disconnected, or does not follow the protocol."""


class SilenceError(Exception):
    """The peer sent nothing for too long."""


class AuthenticationError(Exception):
    """The peer does not have the key."""


class VersionMismatchError(Exception):
    """The peer has another version of the protocol."""

    def __init__(self, version: int) -> None:
        """Store the peer's version."""
        super().__init__(version)
        self.version = version


class Channel:
    """Messages over an authenticated connection; any thread may send."""

    def __init__(self, connection: Connection) -> None:
        """Take ownership of a connection."""
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, number: int, message: Message) -> None:
        """Send a message. Raises DisconnectedError, or SilenceError if the peer stops reading."""
        data = encode_message(number, message)
        with self._sending, _translate_errors():
            self._connection.send_bytes(data)

    def receive(self, seconds: float | None = None) -> tuple[int, Message]:
        """Return the number and the content of the next message.

        Raises:
            SilenceError: none arrived within `seconds` (None = no limit).
            DisconnectedError: the peer disconnected.
            MessageError: it sent something else than a message.
        """
        with _translate_errors():
            if not self._connection.poll(seconds):
                raise SilenceError
            data = self._connection.recv_bytes(protocol.MAX_MESSAGE)
        return decode_message(data)

    def has_message(self, seconds: float) -> bool:
        """Return whether a message arrives within `seconds`. Raises DisconnectedError."""
        with _translate_errors():
            return self._connection.poll(seconds)

    def close(self) -> None:
        """Close the connection; closing it again does nothing."""
        with contextlib.suppress(OSError):
            if sys.platform != "win32":
                # Unblocks a thread that waits for a message; closing alone does not.
                with socket.socket(fileno=os.dup(self._connection.fileno())) as duplicate:
                    duplicate.shutdown(socket.SHUT_RDWR)
            self._connection.close()


def connect(address: str, key: bytes, seconds: float) -> Channel:
    """Connect to the engine and authenticate both sides.

    Args:
        address: path of its socket or name of its pipe.
        key: the shared secret.
        seconds: longest silence, now and in the middle of a message.

    Raises:
        DisconnectedError: no process answers, or one that is not the engine.
        SilenceError, AuthenticationError, VersionMismatchError: see these classes.
    """
    with _translate_errors():
        connection = Client(address, "AF_PIPE" if sys.platform == "win32" else "AF_UNIX")
    try:
        with _translate_errors():
            _limit_silence(connection, seconds)
            theirs = _read_greeting(connection, seconds)
            ours = secrets.token_bytes(32)
            connection.send_bytes(_GREETING.pack(_PROGRAM, protocol.PROTOCOL_VERSION, ours))
            connection.send_bytes(_prove(key, b"client", theirs, ours))
            proof = _read(connection, _PROOF_BYTES, seconds)
            if not hmac.compare_digest(proof, _prove(key, b"engine", ours, theirs)):
                raise AuthenticationError
    except BaseException:
        connection.close()
        raise
    return Channel(connection)


def accept(connection: Connection, key: bytes, seconds: float) -> Channel:
    """Authenticate a connecting client; the counterpart of `connect`, with the same exceptions."""
    try:
        with _translate_errors():
            _limit_silence(connection, seconds)
            ours = secrets.token_bytes(32)
            connection.send_bytes(_GREETING.pack(_PROGRAM, protocol.PROTOCOL_VERSION, ours))
            theirs = _read_greeting(connection, seconds)
            proof = _read(connection, _PROOF_BYTES, seconds)
            if not hmac.compare_digest(proof, _prove(key, b"client", ours, theirs)):
                connection.send_bytes(_REJECTION)
                raise AuthenticationError
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
        raise DisconnectedError("greeting of another size")
    program, version, nonce = _GREETING.unpack(greeting)
    if program != _PROGRAM:
        raise DisconnectedError("greeting of another program")
    if version != protocol.PROTOCOL_VERSION:
        raise VersionMismatchError(version)
    return bytes(nonce)


def _read(connection: Connection, most: int, seconds: float) -> bytes:
    if not connection.poll(seconds):
        raise SilenceError
    return connection.recv_bytes(most)


def _limit_silence(connection: Connection, seconds: float) -> None:
    """Limit the wait in the middle of a message. Windows pipes offer no such limit."""
    if sys.platform != "win32":
        limit = struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6))
        with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                duplicate.setsockopt(socket.SOL_SOCKET, option, limit)


@contextlib.contextmanager
def _translate_errors() -> Iterator[None]:
    """Translate the system's errors into those of this module."""
    try:
        yield
    except BlockingIOError as error:
        raise SilenceError from error
    except (OSError, EOFError) as error:
        raise DisconnectedError(str(error)) from error
