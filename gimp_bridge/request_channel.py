# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to the engine and their responses over one channel, and the workspace that both sides share."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from gimp_bridge import protocol
from gimp_bridge.connection import Channel
from gimp_bridge.protocol import Message, MessageError, ProgressUpdate
from gimp_bridge.strip_messages import OpenWorkspace, WorkspaceOpened

ProgressCallback = Callable[[ProgressUpdate], None]
"""Called with each step; an exception of it cancels the request."""

_Response = TypeVar("_Response", bound=Message)


class RequestChannel:
    """Requests and responses over one channel."""

    def __init__(self, channel: Channel, silence: float, numbers: Iterator[int]) -> None:
        """Store the channel, the seconds of silence after which the engine counts as hung, and request numbers."""
        self.channel = channel
        self._silence = silence
        self._numbers = numbers
        self._pending: set[int] = set()
        self._early: dict[int, Message] = {}

    def send(self, request: Message) -> int:
        """Send a request and return its number."""
        number = next(self._numbers)
        self._pending.add(number)
        self.channel.send(number, request)
        return number

    def wait_for(self, number: int, kind: type[_Response], progress: ProgressCallback) -> _Response:
        """Return the response to a request, while those to other pending requests are kept for later."""
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
        if not isinstance(message, kind):
            raise MessageError(f"{message.kind} instead of {kind.kind}")
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
    request = requests.send(OpenWorkspace(size=size))
    opened = requests.wait_for(request, WorkspaceOpened, progress)
    if Path(opened.file).name != opened.file:
        raise MessageError(f"{opened.file!r} is not in the bridge folder")
    with (folder / opened.file).open("r+b") as file, mmap.mmap(file.fileno(), size) as shared:
        yield shared


def put_bytes(shared: mmap.mmap, start: int, end: int, data: bytes) -> None:
    """Copy bytes into the workspace. Raises ValueError if their number is wrong."""
    if len(data) != end - start:
        raise ValueError(f"{len(data)} bytes instead of {end - start}")
    shared[start:end] = data
