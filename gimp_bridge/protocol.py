# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of all messages, and those about the engine process itself; `message_encoding` turns them into bytes.

Each request is self-contained: a color map travels with every request that applies it (about 1 kB of JSON), so the
engine keeps nothing between requests, and a request that failed because the engine was restarted is simply sent again.

Pixels are rows from top to bottom without gaps, in sRGB values unless stated otherwise; planes are H×W bytes, 255 = 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_args

from s2am_common.errors import S2AMError

PROTOCOL_VERSION = 11
"""Version of all messages; client and engine must have the same. The handshake compares it."""

MAX_SIDE = 2048
"""Largest width and height of an image in a message; layers go through a shared workspace instead."""

MAX_MESSAGE = 96 << 20
"""Largest size of a message in bytes."""

MAX_HEADER = 8 << 20
"""Largest size of a message's header in bytes."""

EngineState = Literal["starting", "ready", "broken"]


class MessageError(Exception):
    """The received bytes are no message of this version."""


@dataclass(frozen=True)
class Message:
    """Base of all messages; invalid values raise ValueError on construction."""

    kind: ClassVar[str] = ""


ResponseT = TypeVar("ResponseT", bound=Message)


@dataclass(frozen=True)
class Request(Message, Generic[ResponseT]):
    """Base of all messages that are answered: with a message of the class in brackets, or with `Failed`."""

    response: ClassVar[type[Message]]

    def __init_subclass__(cls) -> None:
        """Store the class in brackets."""
        super().__init_subclass__()
        (base,) = vars(cls)["__orig_bases__"]
        (cls.response,) = get_args(base)


def check_message_size(width: int, height: int) -> None:
    """Raise ValueError if an image is too large for a message, or empty."""
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise ValueError(f"an image in a message must have 1 to {MAX_SIDE} pixels per side")


@dataclass(frozen=True)
class Cancel(Message):
    """Stop all requests of this connection: each is answered with a `Failed`; this one is not answered."""

    kind = "cancel"


@dataclass(frozen=True, kw_only=True)
class ProgressUpdate(Message):
    """A description of the current step, sent before the response at least every few seconds."""

    kind = "progress"
    text: str
    fraction: float | None = None


@dataclass(frozen=True)
class Done(Message):
    """The request was carried out."""

    kind = "done"


@dataclass(frozen=True, kw_only=True)
class Failed(Message):
    """The request failed; the fields are those of `S2AMError`."""

    kind = "failed"
    message: str
    code: str = ""
    fields: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_error(cls, error: S2AMError) -> Failed:
        """Describe an error."""
        return cls(**error.to_dict())

    def error(self) -> S2AMError:
        """Return the exception to raise."""
        return S2AMError.from_dict({"message": self.message, "code": self.code, "fields": self.fields})


@dataclass(frozen=True, kw_only=True)
class EngineStatus(Message):
    """State of the engine; `text` describes it ("ready on the CPU")."""

    kind = "engine-status"
    state: EngineState
    text: str
    device: str = ""
    version: str = ""
    process: int = 0


@dataclass(frozen=True)
class StatusRequest(Request[EngineStatus]):
    """Ask for the engine's status. Answered immediately, also while the engine is loading."""

    kind = "status"


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """A model that can be named in `Harmonize`."""

    name: str
    description: str
    bundled: bool


@dataclass(frozen=True, kw_only=True)
class ModelList(Message):
    """All models, the default first."""

    kind = "model-list"
    models: tuple[ModelInfo, ...]


@dataclass(frozen=True)
class ModelsRequest(Request[ModelList]):
    """Ask for all models."""

    kind = "models"


@dataclass(frozen=True)
class Shutdown(Request[Done]):
    """End the engine process."""

    kind = "shutdown"
