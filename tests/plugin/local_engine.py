# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine in the process of the tests: all of the bridge's code except the connection, and stand-ins for networks."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gimp_bridge import protocol
from gimp_bridge.client import EngineClient
from gimp_bridge.engine_session import EngineSession, PendingRequest
from gimp_bridge.message_encoding import decode_message, encode_message
from gimp_bridge.protocol import Message, Request, ResponseT
from gimp_bridge.request_channel import ProgressCallback, RequestChannel, SentRequest
from s2am_common.errors import EngineError, NoSubjectError, NothingFoundError
from s2am_engine.color.map import Curves

COLOR_MAP = Curves(np.stack([np.linspace(0, 1, 5) ** power for power in (0.7, 0.9, 1.3)]).astype(np.float32))
"""The color map that this engine predicts for every image."""

MODELS = ("default", "other")
_Result = TypeVar("_Result")


class LocalModels:
    """Stand-in for `ModelCache`, whose detector finds the left half."""

    def __init__(self) -> None:
        self.confidence = 0.9
        self.notes: tuple[str, ...] = ()
        self.certain = True
        self.error: EngineError | None = None
        self.detections = 0
        self.references: Any = None
        self.inputs: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []

    def wait(self, report: Callable[[str], None]) -> None:
        report("The engine is starting: loading the model")

    def computing(self) -> threading.Lock:
        return threading.Lock()

    def status(self) -> protocol.EngineStatus:
        return protocol.EngineStatus(state="ready", text="ready on the CPU")

    def harmonizer(self, _model: str, _report: Callable[[str], None]) -> Any:
        if self.error:
            raise self.error
        return self._harmonize

    def _harmonize(self, pixels: NDArray[Any], mask: NDArray[Any], *, alpha: NDArray[Any], references: Any) -> Any:
        self.inputs.append((pixels, mask, alpha))
        self.references = references
        return SimpleNamespace(color_map=COLOR_MAP, confidence=self.confidence, notes=self.notes)

    def detector(self, _report: Callable[[str], None]) -> Any:
        return SimpleNamespace(detect=self._detect, harmony_score=self._harmony_score)

    def _harmony_score(self, image: NDArray[Any], mask: Any, *, alpha: NDArray[Any]) -> float:
        """Return the mean of the foreground, 0 to 1."""
        assert alpha.shape == mask.mask.shape
        return float(image[mask.mask > 0].mean() / 255)

    def _detect(self, pixels: NDArray[Any], *, alpha: NDArray[Any], likeliest: bool) -> Any:
        self.detections += 1
        if not (self.certain or likeliest):
            raise NothingFoundError("Nothing pasted was found in this image.")
        mask = np.zeros(alpha.shape, np.uint8)
        mask[:, : alpha.shape[1] // 2] = 255
        return SimpleNamespace(mask=mask, is_certain=self.certain)

    def subject_selector(self, _model: str, _report: Callable[[str], None]) -> Any:
        return SimpleNamespace(select=self._select)

    def _select(self, pixels: NDArray[Any], *, alpha: NDArray[Any], likeliest: bool) -> Any:
        if not (self.certain or likeliest):
            raise NoSubjectError("This image has no clear subject.", code="subject.not-found")
        found = self._detect(pixels, alpha=alpha, likeliest=True)
        return SimpleNamespace(mask=found.mask, confidence=self.confidence, is_certain=self.certain, model="subject")


class LocalRequests(RequestChannel):
    """Executes each request immediately."""

    def __init__(self, folder: Path, models: LocalModels) -> None:
        channel: Any = SimpleNamespace(send=lambda *_: None, close=lambda: None)
        super().__init__(channel, 0, itertools.count(1))
        self._responses: dict[int, Message] = {}
        self.session = EngineSession(self.channel, models, folder, lambda: None)  # type: ignore[arg-type]
        self.sent: list[Message] = []

    def send(self, request: Request[ResponseT]) -> SentRequest[ResponseT]:
        sent = super().send(request)
        number = sent.number
        _, received = decode_message(encode_message(number, request))
        self.sent.append(received)
        pending = PendingRequest(number, received, self.channel)
        if isinstance(received, protocol.StatusRequest):
            self._responses[number] = self.session._models.status()
        elif isinstance(received, protocol.ModelsRequest):
            infos = tuple(protocol.ModelInfo(name=name, description="text", bundled=True) for name in MODELS)
            self._responses[number] = protocol.ModelList(models=infos)
        else:
            self._responses[number] = self.session._response(pending)
        return sent

    def wait_for(self, sent: SentRequest[ResponseT], progress: ProgressCallback) -> ResponseT:
        progress(protocol.ProgressUpdate(text="Working"))
        _, response = decode_message(encode_message(sent.number, self._responses.pop(sent.number)))
        if isinstance(response, protocol.Failed):
            raise response.error()
        assert isinstance(response, sent.response)
        return response

    def abandon(self) -> None:
        self._responses.clear()


class LocalEngine(EngineClient):
    """A client of an engine in this process."""

    def __init__(self, folder: Path) -> None:
        super().__init__(None, folder)
        self.models_cache = LocalModels()
        self.requests = LocalRequests(folder, self.models_cache)
        self.closed = False

    def _retry(self, do: Callable[[Any], _Result], progress: ProgressCallback | None) -> _Result:
        self._canceled.clear()
        return do(self.requests)

    def close(self) -> None:
        self.closed = True

    @property
    def sent(self) -> list[Message]:
        """All requests."""
        return self.requests.sent


class ImmediateQueue:
    """Stand-in for `BackgroundQueue` that runs each job immediately."""

    def __init__(self) -> None:
        self.keys: list[object] = []

    def submit(
        self,
        job: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
        key: object = None,
    ) -> None:
        self.keys.append(key)
        try:
            result = job()
        except Exception as error:
            failed(error)
        else:
            done(result)

    def post(self, function: Callable[..., object], *arguments: object) -> None:
        function(*arguments)

    def close(self) -> None:
        """Do nothing."""


@contextlib.contextmanager
def replaced(target: Any, name: str, value: Any) -> Iterator[None]:
    """Replace an attribute for a moment."""
    before = getattr(target, name)
    setattr(target, name, value)
    try:
        yield
    finally:
        setattr(target, name, before)
