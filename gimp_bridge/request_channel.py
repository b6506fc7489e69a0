# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to the engine and their responses over one channel, and the workspace that both sides share."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, cast

from gimp_bridge import protocol
from gimp_bridge.connection import Channel
from gimp_bridge.protocol import Message, MessageError, ProgressUpdate, Request, ResponseT
from gimp_bridge.strip_messages import OpenWorkspace

ProgressCallback = Callable[[ProgressUpdate], None]
"""Called with each step; an exception of it cancels the request."""


@dataclass(frozen=True)
class SentRequest(Generic[ResponseT]):
    """A request whose response has yet to be received."""

    number: int
    response: type[ResponseT]


class RequestChannel:
    """Requests and responses over one channel."""

    def __init__(self, channel: Channel, silence: float, numbers: Iterator[int]) -> None:
        """Store the channel, the seconds of silence after which the engine counts as hung, and request numbers."""
        self.channel = channel
        self._silence = silence
        self._numbers = numbers
        self._pending: set[int] = set()
        self._early: dict[int, Message] = {}

    def send(self, request: Request[ResponseT]) -> SentRequest[ResponseT]:
        """Send a request, without waiting for its response."""
        number = next(self._numbers)
        self._pending.add(number)
        self.channel.send(number, request)
        return SentRequest(number, cast("type[ResponseT]", request.response))

    def call(self, request: Request[ResponseT], progress: ProgressCallback) -> ResponseT:
        """Send a request and return its response."""
        return self.wait_for(self.send(request), progress)

    def wait_for(self, sent: SentRequest[ResponseT], progress: ProgressCallback) -> ResponseT:
        """Return the response to a request, while those to other pending requests are kept for later."""
        number = sent.number
        while number not in self._early:
            owner, message = self.channel.receive(self._silence)
            if isinstance(message, ProgressUpdate):
                if owner in self._pending:
                    progress(message)
            elif owner in self._pending:
                self._early[owner] = message
        self._pending.discard(number)
        message = self._early.pop(number)
        if isinstance(message, protocol.Failed):
            self.abandon()
            raise message.error()
        if not isinstance(message, sent.response):
            raise MessageError(f"{message.kind} instead of {sent.response.kind}")
        return message

    def abandon(self) -> None:
        """Ignore the responses to all pending requests."""
        self._pending.clear()
        self._early.clear()


@contextlib.contextmanager
def open_workspace(
    requests: RequestChannel, folder: Path, size: int, progress: ProgressCallback
) -> Iterator[mmap.mmap]:
    """Provide a new shared workspace, a file in the bridge folder, in memory."""
    opened = requests.call(OpenWorkspace(size=size), progress)
    if Path(opened.file).name != opened.file:
        raise MessageError(f"{opened.file!r} is not in the bridge folder")
    with (folder / opened.file).open("r+b") as file, mmap.mmap(file.fileno(), size) as shared:
        yield shared


def put_bytes(shared: mmap.mmap, start: int, end: int, data: bytes) -> None:
    """Copy bytes into the workspace. Raises ValueError if their number is wrong."""
    if len(data) != end - start:
        raise ValueError(f"{len(data)} bytes instead of {end - start}")
    shared[start:end] = data
