# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plug-in and the engine say to each other: requests and answers; `wire` makes bytes of them.

All pixels are RGB in sRGB values, unless it says otherwise, in rows from top to bottom without gaps.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

VERSION = 2
"""Of everything in this module, and of `wire`; both sides must speak the same."""

MOST_SIDE = 2048
"""Of a picture that travels in a message; larger ones are scaled down first, or go through a workspace."""

MOST_WORKSPACE = 512 << 20
"""Bytes of the mapped file through which a layer's pixels go, strip by strip."""

Depth = Literal["u8", "u16", "float"]
State = Literal["starting", "ready", "broken"]
BYTES_OF: dict[Depth, int] = {"u8": 1, "u16": 2, "float": 4}


class BridgeError(Exception):
    """Something could not be done; the message is one sentence for people that says what to do next."""


class CancelledError(BridgeError):
    """It was cancelled."""


class NothingFoundError(BridgeError):
    """Detection found nothing that was pasted."""


@dataclass(frozen=True)
class Message:
    """One thing that is said; what can't be meant raises ValueError when it is made."""

    kind: ClassVar[str] = ""


@dataclass(frozen=True)
class Sliders:
    """How to change the harmonizing map: `strength` from 0 to 1, the others from -1 to 1 with 0 for nothing."""

    strength: float = 1.0
    brightness: float = 0.0
    contrast: float = 0.0
    warmth: float = 0.0
    tint: float = 0.0
    saturation: float = 0.0

    def __post_init__(self) -> None:
        """Take values in their ranges, or raise ValueError."""
        for each in dataclasses.fields(self):
            lowest = 0 if each.name == "strength" else -1
            if not lowest <= getattr(self, each.name) <= 1:
                raise ValueError(f"{each.name} must be from {lowest} to 1")


# -- requests


@dataclass(frozen=True)
class StatusRequest(Message):
    """How is the engine? Answered at once, with a `Status`."""

    kind = "status"


@dataclass(frozen=True)
class ModelsRequest(Message):
    """Which models are there? Answered with `Models`."""

    kind = "models"


@dataclass(frozen=True, kw_only=True)
class SmallPicture(Message):
    """A picture of MOST_SIDE pixels a side at most, 8 bits."""

    width: int
    height: int
    pixels: bytes  # H×W×3
    alpha: bytes = b""  # H×W; where it is 0 a pixel never counts; empty = opaque

    def __post_init__(self) -> None:
        """Take sizes that belong together, or raise ValueError."""
        if not (1 <= self.width <= MOST_SIDE and 1 <= self.height <= MOST_SIDE):
            raise ValueError(f"a picture in a message must have 1 to {MOST_SIDE} pixels a side")
        self._check("pixels", self.pixels, 3)
        if self.alpha:
            self._check("alpha", self.alpha, 1)

    def _check(self, name: str, given: bytes, channels: int) -> None:
        if len(given) != self.width * self.height * channels:
            raise ValueError(f"{name} must be {self.width}×{self.height}×{channels} bytes")


@dataclass(frozen=True, kw_only=True)
class Harmonize(SmallPicture):
    """Look at a composite, keep it for `Adjust` and `Render`, and find its color map. Answered with a `Look`."""

    kind = "harmonize"
    mask: bytes  # H×W, 255 = foreground
    model: str = ""  # "" = the default
    sliders: Sliders = field(default_factory=Sliders)
    preview: bool = False
    effect: bool = False

    def __post_init__(self) -> None:
        """Take sizes that belong together, or raise ValueError."""
        super().__post_init__()
        self._check("mask", self.mask, 1)


@dataclass(frozen=True, kw_only=True)
class Adjust(Message):
    """Set all sliders for the composite that was looked at. Answered with a `Look`.

    preview: also send the composite with its foreground recolored.
    effect: also fit the map to one matrix in linear light, and recolor the preview by that matrix.
    """

    kind = "adjust"
    sliders: Sliders
    preview: bool = False
    effect: bool = False


@dataclass(frozen=True, kw_only=True)
class Detect(SmallPicture):
    """Find what was pasted. Answered with a `Found`; `NothingFoundError` if there is nothing.

    likeliest: take for granted that something was pasted, as one may where people look at what is found.
    """

    kind = "detect"
    likeliest: bool = False


@dataclass(frozen=True, kw_only=True)
class OpenWorkspace(Message):
    """Make a file of so many bytes that both sides map. Answered with a `Workspace`; it goes with the connection."""

    kind = "open-workspace"
    size: int

    def __post_init__(self) -> None:
        """Take a size within bounds, or raise ValueError."""
        if not 1 <= self.size <= MOST_WORKSPACE:
            raise ValueError(f"a workspace must have 1 to {MOST_WORKSPACE} bytes")


@dataclass(frozen=True, kw_only=True)
class Render(Message):
    """Recolor a strip in the workspace, in place, with the map as it is now. Answered with a `Done`.

    At `offset` lie the pixels, rows × width RGBA of `depth` in the machine's byte order; alpha is kept. If `masked`,
    rows × width bytes follow: how much of the change each pixel gets, 255 = all of it.
    linear: the pixels are linear light (float alone). Values outside [0,1] survive in floats.
    effect: recolor by the matrix that a `Look` with `effect` told, instead of the map.
    """

    kind = "render"
    offset: int
    width: int
    rows: int
    depth: Depth = "u8"
    linear: bool = False
    masked: bool = False
    effect: bool = False

    def __post_init__(self) -> None:
        """Take sizes within bounds, or raise ValueError."""
        if min(self.width, self.rows) < 1 or self.offset < 0 or self.offset % 4 or self.end > MOST_WORKSPACE:
            raise ValueError("a strip must lie within its workspace, at a multiple of 4")
        if self.linear and self.depth != "float":
            raise ValueError("linear light is float")

    @property
    def pixel_bytes(self) -> int:
        """How many bytes the pixels take."""
        return self.width * self.rows * 4 * BYTES_OF[self.depth]

    @property
    def end(self) -> int:
        """Where the strip ends, its mask included."""
        return self.offset + self.pixel_bytes + (self.width * self.rows if self.masked else 0)


@dataclass(frozen=True)
class Cancel(Message):
    """Stop what this connection asked for: each of its requests is answered with `Failed`, this one with nothing."""

    kind = "cancel"


@dataclass(frozen=True)
class Leave(Message):
    """End the engine. Answered with a `Done`."""

    kind = "leave"


# -- answers


@dataclass(frozen=True, kw_only=True)
class Progress(Message):
    """What is being done, for people; comes before the answer, at least every few seconds."""

    kind = "progress"
    words: str
    fraction: float | None = None


@dataclass(frozen=True, kw_only=True)
class Failed(Message):
    """It could not be done."""

    kind = "failed"
    reason: Literal["cancelled", "nothing-found", "refused"]
    sentence: str

    def error(self) -> BridgeError:
        """The exception to raise for it."""
        kinds = {"cancelled": CancelledError, "nothing-found": NothingFoundError}
        return kinds.get(self.reason, BridgeError)(self.sentence)


@dataclass(frozen=True, kw_only=True)
class Status(Message):
    """How the engine is; `words` say it to people ("ready on the CPU")."""

    kind = "status-is"
    state: State
    words: str
    device: str = ""
    program: str = ""  # the version of s2am
    process: int = 0


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model that can be named in `Harmonize`."""

    name: str
    description: str
    bundled: bool  # else personal


@dataclass(frozen=True, kw_only=True)
class Models(Message):
    """All models, the default first."""

    kind = "models-are"
    models: tuple[Model, ...]


@dataclass(frozen=True, kw_only=True)
class Look(Message):
    """What the engine makes of the composite.

    color_map: the map with the sliders, as `s2am_engine.color.map` writes it.
    confidence: 0 to 1; where the network is unsure, the map does less.
    matrix: 3×4 row by row, in linear light with sRGB primaries, if `effect` was asked for.
    misfit: how far the matrix is from the map on the foreground's colors: root mean square, in 8-bit levels.
    preview: H×W×3, if asked for.
    """

    kind = "look"
    color_map: dict[str, Any]
    confidence: float
    matrix: tuple[float, ...] | None = None
    misfit: float | None = None
    preview: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Found(Message):
    """What was detected.

    sure: whether the engine would say that it was pasted, had it not been asked for what is likeliest.
    """

    kind = "found"
    mask: bytes  # H×W of the picture that was sent; 255 = foreground
    confidence: float  # 0 to 1
    sure: bool = True


@dataclass(frozen=True, kw_only=True)
class Workspace(Message):
    """Where the workspace is."""

    kind = "workspace"
    file: str  # its name in the bridge's folder


@dataclass(frozen=True)
class Done(Message):
    """It is done."""

    kind = "done"
