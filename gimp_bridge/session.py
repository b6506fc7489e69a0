# SPDX-License-Identifier: GPL-3.0-or-later
"""One connected plug-in: its requests are done one after the other; that it cancels, or is gone, is heard at once."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gimp_bridge import protocol
from gimp_bridge.channel import Channel, LostError, SilentError
from gimp_bridge.protocol import Failed, Message
from gimp_bridge.warm import Warm
from gimp_bridge.wire import MessageError
from gimp_bridge.workspace import Workspace
from s2am_engine.errors import EngineError

if TYPE_CHECKING:
    from gimp_bridge.look import Looking

_MOST_WAITING = 64  # requests of one connection
_HEARTBEAT = 1.0  # seconds
_CANCELLED = Failed(reason="cancelled", sentence="Cancelled.")


class StoppedError(Exception):
    """The request was cancelled: its answer is sent already."""


class Ticket:
    """A request that waits, or is being worked on."""

    def __init__(self, number: int, request: Message, channel: Channel) -> None:
        """Take a request in."""
        self.number = number
        self.request = request
        self._channel = channel
        self._open = True
        self._answering = threading.Lock()
        self._words = "Waiting for the engine"
        self._fraction: float | None = None

    def tell(self, words: str, fraction: float | None = None) -> None:
        """Say what is being done, if it is something else. Raises StoppedError if the request was cancelled."""
        if not self._open:
            raise StoppedError
        if (words, fraction) != (self._words, self._fraction):
            self._words, self._fraction = words, fraction
            self.beat()

    def check(self, fraction: float) -> None:  # noqa: ARG002 (a progress callback of the engine)
        """Raise StoppedError if the request was cancelled."""
        if not self._open:
            raise StoppedError

    def beat(self) -> None:
        """Say again what is being done."""
        with self._answering:
            if self._open:
                self._channel.send(self.number, protocol.Progress(words=self._words, fraction=self._fraction))

    def answer(self, message: Message) -> None:
        """Send the answer, unless there was one already."""
        with self._answering:
            if self._open:
                self._open = False
                self._channel.send(self.number, message)

    def drop(self) -> None:
        """Nobody waits for it any more."""
        self._open = False


class Session:
    """A connection."""

    def __init__(self, channel: Channel, warm: Warm, folder: Path, leave: Callable[[], None]) -> None:
        """Take over a connection.

        Args:
            channel: to the plug-in.
            warm: the loaded models.
            folder: for the mapped file.
            leave: called when the plug-in tells the engine to end.
        """
        self._channel = channel
        self._warm = warm
        self._folder = folder
        self._leave = leave
        self._tickets: list[Ticket] = []
        self._queue: queue.SimpleQueue[Ticket | None] = queue.SimpleQueue()
        self._looking: Looking | None = None
        self._workspace: Workspace | None = None
        self._worker = threading.Thread(target=self._work, name="worker", daemon=True)
        self._last_use = time.monotonic()

    def idle_since(self) -> float:
        """When there was something to do last, on the monotonic clock."""
        if self._tickets:
            self._last_use = time.monotonic()
        return self._last_use

    def run(self) -> None:
        """Listen until the plug-in is gone."""
        self._worker.start()
        try:
            while True:
                if self._channel.has_message(_HEARTBEAT):
                    self._hear(*self._channel.receive())
                else:
                    for ticket in self._tickets[:]:
                        ticket.beat()
        except (LostError, SilentError):
            pass  # it has gone, or isn't one of ours: there is nobody to tell
        finally:
            for ticket in self._tickets[:]:
                ticket.drop()
            self._queue.put(None)
            self._channel.close()

    def end(self, seconds: float) -> None:
        """Hang up, and wait so long for what is being done to stop."""
        self._channel.close()
        self._worker.join(seconds)

    def _hear(self, number: int, request: Message) -> None:
        self._last_use = time.monotonic()
        if isinstance(request, protocol.Cancel):
            for ticket in self._tickets[:]:
                ticket.answer(_CANCELLED)
        elif isinstance(request, protocol.StatusRequest):
            self._channel.send(number, self._warm.status())
        elif isinstance(request, protocol.Leave):
            self._channel.send(number, protocol.Done())
            self._leave()
        elif len(self._tickets) >= _MOST_WAITING:
            raise MessageError("too many requests at once")
        else:
            ticket = Ticket(number, request, self._channel)
            self._tickets.append(ticket)
            self._queue.put(ticket)

    def _work(self) -> None:
        while ticket := self._queue.get():
            with contextlib.suppress(StoppedError, LostError, SilentError):  # who listens sees it too
                ticket.answer(self._answer(ticket))
            self._last_use = time.monotonic()
            self._tickets.remove(ticket)
        if self._workspace:
            self._workspace.close()

    def _answer(self, ticket: Ticket) -> Message:
        try:
            ticket.check(0)
            return self._do(ticket)
        except EngineError as error:
            return Failed(reason="refused", sentence=str(error))
        except MemoryError:
            sentence = "There is not enough memory: close other programs, then try again."
            return Failed(reason="refused", sentence=sentence)
        except (StoppedError, LostError, SilentError):
            raise
        except Exception as error:
            traceback.print_exc()
            what = f"{type(error).__name__}: {error}"
            sentence = f"This should not have happened ({what}): report it with the engine's log."
            return Failed(reason="refused", sentence=sentence)

    def _do(self, ticket: Ticket) -> Message:
        request = ticket.request
        if isinstance(request, protocol.ModelsRequest):
            return _models()
        if isinstance(request, protocol.OpenWorkspace):
            if self._workspace:
                self._workspace.close()
            self._workspace = Workspace(self._folder, request.size)
            return protocol.Workspace(file=self._workspace.file.name)
        self._warm.wait(ticket.tell)
        from gimp_bridge import look  # brings PyTorch along

        if isinstance(request, protocol.Detect):
            return look.detect(request, self._warm, ticket.tell)
        if isinstance(request, protocol.Harmonize):
            self._looking = None
            self._looking = look.Looking(request, self._warm, ticket.tell)
            return self._looking.answer(request)
        if self._looking is None:
            raise EngineError("There is no picture to harmonize yet: send one first.")
        if isinstance(request, protocol.Adjust):
            return self._looking.answer(request)
        if isinstance(request, protocol.Render) and self._workspace:
            self._workspace.recolor(request, self._looking.color_map(request.effect), ticket.check)
            return protocol.Done()
        raise EngineError(f"This is no time for “{request.kind}”: update the plug-in.")


def _models() -> protocol.Models:
    from s2am_engine.models.model_store import list_models

    return protocol.Models(
        models=tuple(
            protocol.Model(name=each.card.name, description=each.card.description, bundled=each.bundled)
            for each in list_models()
            if each.card.recolors
        )
    )
