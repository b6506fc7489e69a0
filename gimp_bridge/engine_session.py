# SPDX-License-Identifier: GPL-3.0-or-later
"""One client's connection to the engine process.

A worker thread carries out the requests in their order, while the connection's own thread notices immediately that the
client cancels or disconnects. Nothing is kept between requests except the shared workspace of a layer's pixels.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gimp_bridge import protocol
from gimp_bridge.color_messages import Adjust, ExportCube, Harmonize, MeasureDeviation
from gimp_bridge.color_requests import HarmonizeJob, adjust_color_map, export_cube, measure_deviation
from gimp_bridge.color_space import in_color_space, is_identity
from gimp_bridge.connection import Channel, DisconnectedError, SilenceError
from gimp_bridge.finish_messages import FinishReach, FinishStrip, MeasureFinish, PlaceWindows
from gimp_bridge.finish_requests import find_reach, measure_finish, place_windows
from gimp_bridge.harmony_messages import ScoreHarmony
from gimp_bridge.harmony_requests import score_harmony
from gimp_bridge.mask_messages import RefineMask, SelectSubject
from gimp_bridge.mask_requests import select_layer_subject
from gimp_bridge.model_cache import ModelCache, ReportText
from gimp_bridge.protocol import Failed, Message, MessageError
from gimp_bridge.shadow_messages import EstimateShadow, RenderShadow
from gimp_bridge.shadow_requests import estimate_layer_shadow
from gimp_bridge.shared_workspace import SharedWorkspace
from gimp_bridge.strip_messages import ColorSpace, OpenWorkspace, Render, RestoreUnchanged, WorkspaceOpened
from s2am_common.errors import CancelledError, EngineError, S2AMError
from s2am_engine.color.map import ColorMap
from s2am_engine.color.map_plans import PreparedMap
from s2am_engine.models.model_store import default_model, list_models

logger = logging.getLogger(__name__)

_MAX_PENDING = 64  # requests of one connection
_HEARTBEAT = 1.0  # seconds


class StoppedError(Exception):
    """The request was canceled, and its response has been sent."""


class PendingRequest:
    """A request that waits or is being carried out."""

    def __init__(self, number: int, request: Message, channel: Channel) -> None:
        """Store a request and the channel for its response."""
        self.number = number
        self.request = request
        self._channel = channel
        self._open = True
        self._responding = threading.Lock()
        self._update = protocol.ProgressUpdate(text="Waiting for the engine")

    def report(self, text: str, fraction: float | None = None) -> None:
        """Send a progress update, if it differs from the last. Raises StoppedError if the request was canceled."""
        self.check()
        update = protocol.ProgressUpdate(text=text, fraction=fraction)
        if update != self._update:
            self._update = update
            self.beat()

    def check(self, _fraction: float = 0.0) -> None:
        """Raise StoppedError if the request was canceled; a progress callback of the engine."""
        if not self._open:
            raise StoppedError

    def beat(self) -> None:
        """Send the last progress update again."""
        with self._responding:
            if self._open:
                self._channel.send(self.number, self._update)

    def respond(self, message: Message) -> None:
        """Send the response, unless one was sent."""
        with self._responding:
            if self._open:
                self._open = False
                self._channel.send(self.number, message)

    def drop(self) -> None:
        """Send no response."""
        self._open = False


class EngineSession:
    """A connected client."""

    def __init__(self, channel: Channel, models: ModelCache, folder: Path, shut_down: Callable[[], None]) -> None:
        """Take ownership of a channel.

        Args:
            channel: to the client.
            models: the loaded models.
            folder: for the workspace.
            shut_down: called when the client ends the engine process.
        """
        self._channel = channel
        self._models = models
        self._folder = folder
        self._shut_down = shut_down
        self._pending: list[PendingRequest] = []
        self._queue: queue.SimpleQueue[PendingRequest | None] = queue.SimpleQueue()
        self._workspace: SharedWorkspace | None = None
        self._last_map: tuple[tuple[dict[str, Any], ColorSpace | None], PreparedMap | None] | None = None
        self._worker = threading.Thread(target=self._work, name="worker", daemon=True)
        self._last_use = time.monotonic()

    def idle_since(self) -> float:
        """Return the time of the last activity on the monotonic clock."""
        if self._pending:
            self._last_use = time.monotonic()
        return self._last_use

    def run(self) -> None:
        """Receive requests until the client disconnects."""
        self._worker.start()
        try:
            while True:
                if self._channel.has_message(_HEARTBEAT):
                    self._receive(*self._channel.receive())
                else:
                    for pending in self._pending[:]:
                        pending.beat()
        except (DisconnectedError, SilenceError):
            pass  # peer disconnected or stopped reading; nothing to answer
        except MessageError as error:
            logger.warning("A client sent an invalid message: %s", error)
        finally:
            for pending in self._pending[:]:
                pending.drop()
            self._queue.put(None)
            self._channel.close()

    def end(self, seconds: float) -> None:
        """Disconnect, and wait up to `seconds` for the current request to stop."""
        self._channel.close()
        self._worker.join(seconds)

    def _receive(self, number: int, request: Message) -> None:
        self._last_use = time.monotonic()
        if isinstance(request, protocol.Cancel):
            canceled = Failed.from_error(CancelledError("Canceled."))
            for pending in self._pending[:]:
                pending.respond(canceled)
        elif isinstance(request, protocol.StatusRequest):
            self._channel.send(number, self._models.status())
        elif isinstance(request, protocol.Shutdown):
            self._channel.send(number, protocol.Done())
            self._shut_down()
        elif len(self._pending) >= _MAX_PENDING:
            raise MessageError("too many requests at once")
        else:
            pending = PendingRequest(number, request, self._channel)
            self._pending.append(pending)
            self._queue.put(pending)

    def _work(self) -> None:
        while pending := self._queue.get():
            started = time.monotonic()
            with contextlib.suppress(StoppedError, DisconnectedError, SilenceError):  # also stops the other thread
                pending.respond(self._response(pending))
                logger.info("%s: %.3f s", pending.request.kind, time.monotonic() - started)
            self._last_use = time.monotonic()
            self._pending.remove(pending)
        if self._workspace:
            self._workspace.close()

    def _prepared_map(self, request: Render) -> PreparedMap | None:
        """Return the map of a request, prepared once for all strips of a layer; None = the identity."""
        wanted = request.color_map, request.space
        if self._last_map is None or self._last_map[0] != wanted:
            color_map = ColorMap.from_json(request.color_map)
            prepared = None
            if not is_identity(color_map):
                prepared = PreparedMap(in_color_space(color_map, request.space) if request.space else color_map)
            self._last_map = wanted, prepared
        return self._last_map[1]

    def _response(self, pending: PendingRequest) -> Message:
        try:
            pending.check()
            return self._carry_out(pending)
        except S2AMError as error:
            logger.info("%s failed: %s (%s)", pending.request.kind, error, error.code)
            return Failed.from_error(error)
        except MemoryError:
            logger.exception("Out of memory")
            message = "There is not enough memory: close other programs, then try again."
            return Failed(message=message, code="engine.memory")
        except (StoppedError, DisconnectedError, SilenceError):
            raise
        except Exception as error:
            logger.exception("%s failed", pending.request.kind)
            return Failed(message=f"The engine failed ({type(error).__name__}: {error}).", code="engine.internal")

    def _carry_out(self, pending: PendingRequest) -> Message:
        request = pending.request
        if compute := _COMPUTATIONS.get(type(request)):
            return compute(request)
        if predict := _PREDICTIONS.get(type(request)):
            self._models.wait(pending.report)
            return predict(request, self._models, pending.report)
        if isinstance(request, OpenWorkspace):
            if self._workspace:
                self._workspace.close()
            self._workspace = SharedWorkspace(self._folder, request.size)
            return WorkspaceOpened(file=self._workspace.file.name)
        if self._workspace:
            return self._use(self._workspace, pending)
        raise _unexpected(request)

    def _use(self, workspace: SharedWorkspace, pending: PendingRequest) -> Message:
        match request := pending.request:
            case Render():
                workspace.render(request.strip, self._prepared_map(request), pending.check)
            case RenderShadow():
                return workspace.render_shadow(request)
            case RefineMask():
                workspace.refine_mask(request, pending.report, pending.check)
            case FinishStrip():
                workspace.finish(request, pending.check)
            case RestoreUnchanged():
                workspace.restore_unchanged(request.strip)
            case _:
                raise _unexpected(request)
        return protocol.Done()


def _unexpected(request: Message) -> EngineError:
    message = f"Unexpected request “{request.kind}” (is a workspace open?)."
    return EngineError(message, code="engine.request")


def list_model_infos() -> protocol.ModelList:
    """Return all models that recolor, the default first."""
    infos = [
        protocol.ModelInfo(name=model.card.name, description=model.card.description, bundled=model.bundled)
        for model in list_models()
        if model.card.recolors
    ]
    default = default_model()
    return protocol.ModelList(models=tuple(sorted(infos, key=lambda info: info.name != default)))


_COMPUTATIONS: Mapping[type[Message], Callable[[Any], Message]] = {
    protocol.ModelsRequest: lambda _: list_model_infos(),
    Adjust: adjust_color_map,
    ExportCube: export_cube,
    MeasureDeviation: measure_deviation,
    EstimateShadow: estimate_layer_shadow,
    PlaceWindows: place_windows,
    MeasureFinish: measure_finish,
    FinishReach: find_reach,
}
"""Functions that carry out requests which need nothing else."""

_PREDICTIONS: Mapping[type[Message], Callable[[Any, ModelCache, ReportText], Message]] = {
    Harmonize: lambda *arguments: HarmonizeJob(*arguments).run(),
    SelectSubject: select_layer_subject,
    ScoreHarmony: score_harmony,
}
"""Functions that carry out requests which need the models."""
