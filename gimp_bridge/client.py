# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as the plug-in sees it: one object whose calls wait for their answer.

    engine = Engine(read_launcher(folder))
    look = engine.harmonize(Harmonize(width=512, height=384, pixels=rgb, mask=mask, preview=True))
    engine.render(Layer(3000, 2000), read, write)

The engine is started when it is first needed. If it is killed, it is started once more, told what it knew, and asked
again; callers notice nothing but the time.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from gimp_bridge import places, protocol, strips
from gimp_bridge.channel import Channel, LostError, SilentError
from gimp_bridge.protocol import BridgeError, CancelledError, Message, Progress
from gimp_bridge.starter import Starter, read_launcher
from gimp_bridge.strips import Layer, Read, Tell, Write
from gimp_bridge.wire import MessageError
from s2am_common.paths import user_paths

__all__ = ["Engine", "Layer", "read_launcher"]

SILENCE_VARIABLE = "S2AM_SILENCE_SECONDS"
"""The environment variable with the seconds without a word after which the engine counts as hung; 60 without it.

The engine says something every second, except for the moments in which a slow disk loads PyTorch.
"""

_Answer = TypeVar("_Answer", bound=Message)
_Result = TypeVar("_Result")


class Engine:
    """A connection to the engine. One thread calls at a time; any thread may `cancel`."""

    def __init__(self, serve: Sequence[str] | None, folder: Path | None = None, silence: float | None = None) -> None:
        """Remember how to reach the engine; nothing is started yet.

        Args:
            serve: the command that runs its server, see `read_launcher`; None = only find one that runs.
            folder: where both sides meet; None = this person's.
            silence: for how many seconds it may say nothing while it works; None = see SILENCE_VARIABLE.
        """
        self._folder = folder or user_paths().bridge
        self._starter = Starter(serve, self._folder, silence or _usual_silence())
        self._line: _Line | None = None
        self._numbers = itertools.count(1)
        self._cancelled = threading.Event()
        self._known: list[Message] = []  # what to tell an engine that is started again

    def status(self, progress: Tell | None = None) -> protocol.Status:
        """How the engine is; it is started if need be, and answers before it is ready."""
        return self._call(protocol.StatusRequest(), protocol.Status, progress)

    def models(self, progress: Tell | None = None) -> tuple[protocol.Model, ...]:
        """All models that can be named, the default first."""
        return self._call(protocol.ModelsRequest(), protocol.Models, progress).models

    def harmonize(self, request: protocol.Harmonize, progress: Tell | None = None) -> protocol.Look:
        """Look at a composite and find its color map; see `protocol.Harmonize`."""
        self._known = []
        look = self._call(request, protocol.Look, progress)
        self._known = [request]
        return look

    def adjust(self, request: protocol.Adjust, progress: Tell | None = None) -> protocol.Look:
        """Set the sliders for the composite that was looked at last; takes a few milliseconds."""
        look = self._call(request, protocol.Look, progress)
        self._known = [*self._known[:1], request]
        return look

    def detect(self, request: protocol.Detect, progress: Tell | None = None) -> protocol.Found:
        """Find what was pasted. Raises `protocol.NothingFoundError` if there is nothing."""
        return self._call(request, protocol.Found, progress)

    def render(
        self, layer: Layer, read: Read, write: Write, read_mask: Read | None = None, progress: Tell | None = None
    ) -> None:
        """Recolor a layer strip by strip with the map as it is now; the engine works on one while the next is read.

        Args:
            layer: its size and depth.
            read: gives RGBA of some rows, from (top, count).
            write: takes them recolored, with (top, count); never before they were read. After a restart of the engine
                all of them come again.
            read_mask: gives how much of the change each pixel gets, 255 = all of it; None = all of it everywhere.
            progress: told after each strip.
        """

        def do(line: _Line) -> None:
            strips.render(line, self._folder, layer, read, write, read_mask, self._tell(progress))

        self._persist(do, progress)

    def leave(self) -> None:
        """Tell the engine to end."""
        self._call(protocol.Leave(), protocol.Done, None)
        self.close()

    def cancel(self) -> None:
        """Let the call that runs raise `CancelledError` soon; from any thread."""
        self._cancelled.set()
        line = self._line
        if line:
            with contextlib.suppress(LostError, SilentError):
                line.channel.send(0, protocol.Cancel())

    def hang_up(self) -> None:
        """Let the call that runs raise `CancelledError` now, whatever the engine does; from any thread."""
        self._cancelled.set()
        line = self._line
        if line:
            line.channel.close()

    def close(self) -> None:
        """Let go of the engine, which stops what it does for us; it goes on for others."""
        if self._line:
            self._line.channel.close()
            self._line = None

    def _call(self, request: Message, kind: type[_Answer], progress: Tell | None) -> _Answer:
        return self._persist(lambda line: line.wait_for(line.ask(request), kind, self._tell(progress)), progress)

    def _persist(self, do: Callable[[_Line], _Result], progress: Tell | None) -> _Result:
        """Do something with the engine; if the engine ends meanwhile, once more with a new one."""
        self._cancelled.clear()
        tell = self._tell(progress)
        try:
            with contextlib.suppress(LostError):
                return do(self._reached(tell))
            self.close()
            tell(Progress(words="The engine has stopped; starting it again"))
            return do(self._reached(tell))
        except LostError as error:
            self.close()
            raise BridgeError(
                "The engine stopped twice while it worked: close other programs, in case memory is short, then try "
                f"again; {self._folder / places.LOG} says more."
            ) from error
        except SilentError as error:
            self.close()
            raise self._starter.silent() from error
        except MessageError as error:
            self.close()
            raise BridgeError(
                f"The engine gave an answer that this plug-in does not understand ({error}): "
                "run the installer again (python3 -m installer), then restart GIMP."
            ) from error
        except BridgeError:  # an answer: the engine is fine
            raise
        except BaseException:  # raised by a callback: the engine stops when it sees that we are gone
            self.close()
            raise

    def _reached(self, tell: Tell) -> _Line:
        """The connection; a new one is told what the engine should know."""
        if not self._line:
            channel = self._starter.reach(lambda words: tell(Progress(words=words)))
            self._line = _Line(channel, self._starter.silence, self._numbers)
            for request in self._known:
                self._line.wait_for(self._line.ask(request), protocol.Look, tell)
        return self._line

    def _tell(self, progress: Tell | None) -> Tell:
        """Pass progress on, unless the call was cancelled."""

        def tell(event: Progress) -> None:
            if self._cancelled.is_set():
                raise CancelledError("Cancelled.")
            if progress:
                progress(event)

        return tell


class _Line:
    """Requests and answers over a channel."""

    def __init__(self, channel: Channel, silence: float, numbers: Iterator[int]) -> None:
        self.channel = channel
        self._silence = silence
        self._numbers = numbers

    def ask(self, request: Message) -> int:
        """Send a request; its number."""
        number = next(self._numbers)
        self.channel.send(number, request)
        return number

    def wait_for(self, number: int, kind: type[_Answer], progress: Tell | None) -> _Answer:
        """The answer to a request; those to others, which nobody waits for any more, are passed over."""
        while True:
            belongs, message = self.channel.receive(self._silence)
            if belongs != number:
                continue
            if isinstance(message, Progress):
                if progress:
                    progress(message)
            elif isinstance(message, protocol.Failed):
                raise message.error()
            elif isinstance(message, kind):
                return message
            else:
                raise MessageError(f"{message.kind} instead of {kind.kind}")


def _usual_silence() -> float:
    try:
        seconds = float(os.environ.get(SILENCE_VARIABLE, ""))
    except ValueError:
        return 60.0
    return seconds if 0 < seconds < 86_400 else 60.0
