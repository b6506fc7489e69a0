# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages between clients and the engine process; `message_encoding` turns them into bytes.

Each request is self-contained: a color map travels with every request that applies it (about 1 kB of JSON), so the
engine keeps nothing between requests, and a request that failed because the engine was restarted is simply sent again.

Pixels are rows from top to bottom without gaps, in sRGB values unless stated otherwise; planes are H×W bytes, 255 = 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from s2am_common.errors import S2AMError
from s2am_common.shadow_sliders import SHADOW_SLIDERS
from s2am_common.sliders import check_sliders

PROTOCOL_VERSION = 10
"""Version of this module; client and engine must have the same. The handshake compares it."""

MAX_SIDE = 2048
"""Largest width and height of an image in a message; layers go through a shared workspace instead."""

MAX_PHOTOGRAPHS = 20
"""Largest number of reference photographs; `s2am_engine.inference.references` allows the same."""

MAX_WORKSPACE = 512 << 20
"""Largest size of a shared workspace in bytes."""

MAX_SAMPLES = 4096
"""Largest number of color samples of a foreground."""

MAX_MESSAGE = 96 << 20
"""Largest size of a message in bytes."""

MAX_HEADER = 8 << 20
"""Largest size of a message's header in bytes."""

TRANSFER_STEPS = 65536
"""Number of values that describe the transfer function of a color space."""

Depth = Literal["u8", "u16", "float"]
EngineState = Literal["starting", "ready", "broken"]
MaskSource = Literal["layer", "predicted", "layer-or-predicted"]
BYTES_OF: dict[Depth, int] = {"u8": 1, "u16": 2, "float": 4}


class MessageError(Exception):
    """The received bytes are no message of this version."""


@dataclass(frozen=True)
class Message:
    """Base of all messages; invalid values raise ValueError on construction."""

    kind: ClassVar[str] = ""


def check_message_size(width: int, height: int) -> None:
    """Raise ValueError if an image is too large for a message, or empty."""
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise ValueError(f"an image in a message must have 1 to {MAX_SIDE} pixels per side")


# -- requests


@dataclass(frozen=True)
class StatusRequest(Message):
    """Ask for the engine's status. Answered immediately with an `EngineStatus`."""

    kind = "status"


@dataclass(frozen=True)
class ModelsRequest(Message):
    """Ask for all models. Answered with a `ModelList`."""

    kind = "models"


@dataclass(frozen=True, kw_only=True)
class Harmonize(Message):
    """Predict the color map of a composite's foreground. Answered with a `HarmonizeResponse`.

    Errors have the codes `mask.empty` (nothing of the layer is visible), `mask.no-background` (nothing else is
    visible), `mask.not-found` (no foreground was predicted) and those of the engine.

    pixels: H×W×4, RGBA of the visible composite.
    layer_alpha: plane, the layer's own transparency.
    layer_masks: any number of planes, one after another: the layer's mask and those of its groups.
    selection: plane; empty = nothing is selected.
    selection_is_reference: the selection limits the background that the layer is matched to, instead of the layer.
    reference: H×W×4, RGBA of a chosen reference layer on its own. It is placed beside the foreground if the foreground
        covers most of it. Empty = none was chosen.
    photographs: RGBA of further references, one after another; the background counts as one more.
    photograph_sizes: width and height of each of them.
    predicted: plane, the predicted mask of an earlier result for the same image; empty = predict it if needed.
    mask_source: `layer` = alpha × masks × selection; `predicted` = the detector's; `layer-or-predicted` = the
        detector's if the layer covers everything that is visible.
    likeliest: return the likeliest foreground also where the detector would rather report none.
    model: name; empty = the default.
    """

    kind = "harmonize"
    width: int
    height: int
    pixels: bytes
    layer_alpha: bytes
    layer_masks: bytes = b""
    selection: bytes = b""
    selection_is_reference: bool = False
    reference: bytes = b""
    photographs: bytes = b""
    photograph_sizes: tuple[int, ...] = ()
    predicted: bytes = b""
    mask_source: MaskSource = "layer"
    likeliest: bool = False
    model: str = ""

    def __post_init__(self) -> None:
        """Check the sizes."""
        check_message_size(self.width, self.height)
        plane = self.width * self.height
        if len(self.pixels) != 4 * plane or len(self.layer_alpha) != plane or len(self.layer_masks) % plane:
            raise ValueError("pixels, alpha and masks must have the size of the image")
        if len(self.reference) not in (0, 4 * plane):
            raise ValueError("a reference must have the size of the image")
        sizes = list(zip(self.photograph_sizes[::2], self.photograph_sizes[1::2], strict=True))
        if len(sizes) > MAX_PHOTOGRAPHS or not all(1 <= side <= MAX_SIDE for size in sizes for side in size):
            raise ValueError(f"at most {MAX_PHOTOGRAPHS} photographs with 1 to {MAX_SIDE} pixels per side are allowed")
        if len(self.photographs) != 4 * sum(width * height for width, height in sizes):
            raise ValueError("photographs must have their sizes")
        if len(self.selection) not in (0, plane) or len(self.predicted) not in (0, plane):
            raise ValueError("a plane must have the size of the image")


@dataclass(frozen=True, kw_only=True)
class SelectSubject(Message):
    """Select the subject of a layer or a composite. Answered with a `SubjectResponse`.

    Errors have the codes `subject.not-found` (there is no clear subject), `subject.all` (it covers everything that is
    visible) and those of the engine.

    pixels: H×W×4, RGBA of the layer on its own, or of the visible composite.
    likeliest: select the likeliest subject also where the model would rather report none.
    model: `subject`, the built-in one, or the name of an installed one; empty = the installed one if there is one.
    """

    kind = "select-subject"
    width: int
    height: int
    pixels: bytes
    likeliest: bool = False
    model: str = ""

    def __post_init__(self) -> None:
        """Check the sizes."""
        check_message_size(self.width, self.height)
        if len(self.pixels) != 4 * self.width * self.height:
            raise ValueError("pixels must have the size of the image")


@dataclass(frozen=True, kw_only=True)
class Adjust(Message):
    """Apply the sliders to a color map. Answered with an `AdjustResult`.

    color_map: that of a `HarmonizeResponse`.
    sliders: see `s2am_common.sliders`; omitted ones have their default.
    samples: those of the `HarmonizeResponse`, to fit a layer effect as well; empty = no effect.
    """

    kind = "adjust"
    color_map: dict[str, Any]
    sliders: dict[str, float] = field(default_factory=dict)
    samples: bytes = b""

    def __post_init__(self) -> None:
        """Check the sliders and the samples."""
        check_sliders(self.sliders)
        if len(self.samples) % 4 or len(self.samples) > 4 * MAX_SAMPLES:
            raise ValueError(f"samples must be 0 to {MAX_SAMPLES} times 4 bytes")


@dataclass(frozen=True, kw_only=True)
class ExportCube(Message):
    """Convert a color map to a .cube file with a title. Answered with a `CubeFile`."""

    kind = "export-cube"
    color_map: dict[str, Any]
    title: str


@dataclass(frozen=True, kw_only=True)
class OpenWorkspace(Message):
    """Create a file that client and engine map into memory. Answered with a `WorkspaceOpened`.

    It replaces the connection's earlier one, and is removed with the connection.
    """

    kind = "open-workspace"
    size: int

    def __post_init__(self) -> None:
        """Check the size."""
        if not 1 <= self.size <= MAX_WORKSPACE:
            raise ValueError(f"a workspace must have 1 to {MAX_WORKSPACE} bytes")


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Some rows of a layer in the workspace: RGBA pixels at `offset`, then the planes that limit the change.

    depth: of the pixels, in the machine's byte order.
    linear: the pixels are linear light (only with float). Float values outside [0, 1] are preserved.
    layer_masks, selection, predicted: the planes that follow, in this order.
    original_bytes: bytes per pixel in the layer's own format, if the strip has space for `RestoreUnchanged`; else 0.
    """

    offset: int
    width: int
    rows: int
    depth: Depth = "u8"
    linear: bool = False
    layer_masks: int = 0
    selection: bool = False
    predicted: bool = False
    original_bytes: int = 0

    def __post_init__(self) -> None:
        """Check the layout."""
        if min(self.width, self.rows) < 1 or self.offset < 0 or self.offset % 4:
            raise ValueError("a strip must lie within its workspace, at a multiple of 4")
        if not 0 <= self.layer_masks <= 64 or not 0 <= self.original_bytes <= 64 or self.end > MAX_WORKSPACE:
            raise ValueError("a strip must lie within its workspace")
        if self.linear and self.depth != "float":
            raise ValueError("linear light must be float")

    @property
    def pixel_count(self) -> int:
        """Number of pixels, which is the size of a plane."""
        return self.width * self.rows

    @property
    def pixels_end(self) -> int:
        """Offset of the first plane."""
        return self.offset + 4 * BYTES_OF[self.depth] * self.pixel_count

    @property
    def planes_end(self) -> int:
        """Offset behind the last plane, where the original pixels begin."""
        return self.pixels_end + (self.layer_masks + self.selection + self.predicted) * self.pixel_count

    @property
    def end(self) -> int:
        """Offset behind the strip, including the space for original and written pixels."""
        return self.planes_end + 2 * self.original_bytes * self.pixel_count


@dataclass(frozen=True)
class ColorSpace:
    """The color space of an RGB profile with primaries and a transfer function.

    transfer: TRANSFER_STEPS floats: the linear light of values that are evenly spaced from 0 to 1.
    primaries: 3×3 row by row, from linear light in this space to linear sRGB.
    """

    transfer: bytes
    primaries: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Render(Message):
    """Apply a color map to a strip, in place; alpha is kept. Answered with a `Done`.

    transfer, primaries: see `ColorSpace`; empty = the pixels are sRGB values.
    """

    kind = "render"
    color_map: dict[str, Any]
    strip: Strip
    transfer: bytes = b""
    primaries: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check the color space."""
        if (len(self.transfer), len(self.primaries)) not in ((0, 0), (4 * TRANSFER_STEPS, 9)):
            raise ValueError(f"a color space must have {TRANSFER_STEPS} values and nine numbers")

    @property
    def space(self) -> ColorSpace | None:
        """The color space of the pixels; None = sRGB."""
        return ColorSpace(self.transfer, self.primaries) if self.transfer else None


@dataclass(frozen=True, kw_only=True)
class RestoreUnchanged(Message):
    """Undo rounding where a rendered strip does not change. Answered with a `Done`.

    Behind the planes lie the strip's pixels in the layer's own format, first the original ones, then the written ones.
    Written pixels that the strip's planes exclude are replaced by the original ones.
    """

    kind = "restore-unchanged"
    strip: Strip


@dataclass(frozen=True, kw_only=True)
class EstimateShadow(Message):
    """Estimate the shadow of a layer. Answered with a `ShadowValues`.

    The error `mask.empty`: nothing of the layer is visible.

    pixels: H×W×4, RGBA of the visible composite, of the whole canvas; the layer's own pixels do not count.
    layer_alpha, layer_masks: see `Harmonize`.
    """

    kind = "estimate-shadow"
    width: int
    height: int
    pixels: bytes
    layer_alpha: bytes
    layer_masks: bytes = b""

    def __post_init__(self) -> None:
        """Check the sizes."""
        check_message_size(self.width, self.height)
        plane = self.width * self.height
        if len(self.pixels) != 4 * plane or len(self.layer_alpha) != plane or len(self.layer_masks) % plane:
            raise ValueError("pixels, alpha and masks must have the size of the image")


@dataclass(frozen=True, kw_only=True)
class RenderShadow(Message):
    """Render the shadow of a silhouette in the workspace. Answered with a `ShadowRendered`.

    The workspace contains the silhouette at 0, one byte per pixel (255 = opaque), then as many masks of its size as
    `layer_masks`, by which it is multiplied, and has space for the shadow's opacity at `result_offset`, as large as
    the canvas.

    sliders, color: those of a `ShadowValues`; omitted ones have their default.
    width, height: of the silhouette. left, top: its position on the canvas, which it may exceed.
    layer_masks: number of masks.
    depth: of the opacity.
    """

    kind = "render-shadow"
    width: int
    height: int
    left: int
    top: int
    canvas_width: int
    canvas_height: int
    sliders: dict[str, float] = field(default_factory=dict)
    color: tuple[float, ...] = (0.0, 0.0, 0.0)
    depth: Depth = "u8"
    layer_masks: int = 0

    def __post_init__(self) -> None:
        """Check values and layout."""
        check_sliders(self.sliders, SHADOW_SLIDERS)
        if self.layer_masks < 0:
            raise ValueError("the number of masks must not be negative")
        if len(self.color) != 3 or not all(0 <= each <= 1 for each in self.color):
            raise ValueError("a color must be three numbers from 0 to 1")
        if min(self.width, self.height, self.canvas_width, self.canvas_height) < 1 or self.end > MAX_WORKSPACE:
            raise ValueError("silhouette and canvas must have 1 pixel or more, and fit in a workspace")

    @property
    def result_offset(self) -> int:
        """Offset of the shadow's opacity."""
        return -(-self.width * self.height * (1 + self.layer_masks) // 4) * 4

    @property
    def end(self) -> int:
        """Offset behind the space for the opacity."""
        return self.result_offset + BYTES_OF[self.depth] * self.canvas_width * self.canvas_height


@dataclass(frozen=True)
class Cancel(Message):
    """Stop all requests of this connection: each is answered with a `Failed`; this one is not answered."""

    kind = "cancel"


@dataclass(frozen=True)
class Shutdown(Message):
    """End the engine process. Answered with a `Done`."""

    kind = "shutdown"


# -- responses


@dataclass(frozen=True, kw_only=True)
class ProgressUpdate(Message):
    """A description of the current step, sent before the response at least every few seconds."""

    kind = "progress"
    text: str
    fraction: float | None = None


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


@dataclass(frozen=True, kw_only=True)
class HarmonizeResponse(Message):
    """The predicted color map.

    color_map: the map before the sliders, as `ColorMap.to_json` returns it.
    confidence: 0 to 1; agreement of the augmented views.
    samples: K×4 bytes, RGB and weight of the foreground's colors, for `Adjust`.
    mask: plane, the foreground that was used.
    alpha: plane, transparency of the composite, limited to the reference.
    mask_predicted: the detector predicted the mask.
    mask_certain: the detector would have reported it also without `likeliest`.
    notes: what should be known about the result, one sentence each.
    """

    kind = "harmonize-result"
    color_map: dict[str, Any]
    confidence: float
    samples: bytes
    mask: bytes
    alpha: bytes
    mask_predicted: bool = False
    mask_certain: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SubjectResponse(Message):
    """The selected subject.

    mask: plane, 255 = subject.
    confidence: 0 to 1, that the image has a clear subject.
    certain: the subject would have been selected also without `likeliest`.
    model: name of the model that was used.
    """

    kind = "subject"
    mask: bytes
    confidence: float
    certain: bool
    model: str


@dataclass(frozen=True, kw_only=True)
class ShadowValues(Message):
    """Automatic values of a shadow.

    sliders: see `s2am_common.shadow_sliders`.
    color: red, green and blue of the ambient light, sRGB values from 0 to 1.
    evidence: what the direction was estimated from: `light-source`, `brighter-side` or `none`.
    notes: what should be known about the values, one sentence each.
    """

    kind = "shadow-values"
    sliders: dict[str, float]
    color: tuple[float, ...]
    evidence: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ShadowRendered(Message):
    """The layer of a shadow, which covers only the shadow's part of the canvas; 0×0 if there is none.

    Its opacity is in the workspace, see `RenderShadow`: rows without gaps, of this width.

    color: of all its pixels, sRGB values from 0 to 1. The layer is multiplied with those beneath the foreground, in
        encoded (perceptual, non-linear) values.
    """

    kind = "shadow-rendered"
    left: int
    top: int
    width: int
    height: int
    color: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class AdjustResult(Message):
    """The color map with the sliders.

    color_map: for `Render`.
    effect: if samples were given, the matrix in linear light that is nearest to the map, as a map for `Render`.
    matrix: its 3×3 gains row by row, with sRGB primaries.
    rmse: its root mean square error on the samples, in 8-bit levels.
    """

    kind = "adjust-result"
    color_map: dict[str, Any]
    effect: dict[str, Any] | None = None
    matrix: tuple[float, ...] = ()
    rmse: float = 0.0


@dataclass(frozen=True, kw_only=True)
class CubeFile(Message):
    """The content of a .cube file."""

    kind = "cube-file"
    content: bytes


@dataclass(frozen=True, kw_only=True)
class WorkspaceOpened(Message):
    """Name of the workspace's file in the bridge folder."""

    kind = "workspace-opened"
    file: str


@dataclass(frozen=True)
class Done(Message):
    """The request was carried out."""

    kind = "done"
