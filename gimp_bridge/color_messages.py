# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages about color maps: predict one, apply the sliders to it, and export it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from gimp_bridge.protocol import MAX_SIDE, Message, Request, check_message_size
from s2am_common.references import MAX_REFERENCES
from s2am_common.sliders import check_sliders

MAX_SAMPLES = 4096
"""Largest number of color samples of a foreground."""

MaskSource = Literal["layer", "predicted", "layer-or-predicted"]


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
class Harmonize(Request[HarmonizeResponse]):
    """Predict the color map of a composite's foreground.

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
        if len(sizes) > MAX_REFERENCES or not all(1 <= side <= MAX_SIDE for size in sizes for side in size):
            raise ValueError(f"at most {MAX_REFERENCES} photographs with 1 to {MAX_SIDE} pixels per side are allowed")
        if len(self.photographs) != 4 * sum(width * height for width, height in sizes):
            raise ValueError("photographs must have their sizes")
        if len(self.selection) not in (0, plane) or len(self.predicted) not in (0, plane):
            raise ValueError("a plane must have the size of the image")


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
class Adjust(Request[AdjustResult]):
    """Apply the sliders to a color map.

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
class CubeFile(Message):
    """The content of a .cube file."""

    kind = "cube-file"
    content: bytes


@dataclass(frozen=True, kw_only=True)
class ExportCube(Request[CubeFile]):
    """Convert a color map to a .cube file with a title."""

    kind = "export-cube"
    color_map: dict[str, Any]
    title: str


@dataclass(frozen=True, kw_only=True)
class Deviation(Message):
    """The largest difference that `MeasureDeviation` found, of colors or alpha, in 8-bit levels."""

    kind = "deviation"
    levels: int


@dataclass(frozen=True, kw_only=True)
class MeasureDeviation(Request[Deviation]):
    """Measure how far a layer is from the recolored or the unchanged colors of another one, after both were resampled.

    A pixel differs by its distance from the range of those colors among the nine pixels around it, weighted by alpha.
    Only squares of 2×2 pixels count: single pixels at edges differ because a color map and resampling do not commute.

    before: H+2×W+2×4, RGBA of the other layer, with one more pixel at each side.
    after: H×W×4, RGBA of the layer.
    color_map: that of an `AdjustResult`.
    """

    kind = "measure-deviation"
    width: int
    height: int
    color_map: dict[str, Any]
    before: bytes
    after: bytes

    def __post_init__(self) -> None:
        """Check the sizes."""
        check_message_size(self.width, self.height)
        around = (self.width + 2) * (self.height + 2)
        if len(self.after) != 4 * self.width * self.height or len(self.before) != 4 * around:
            raise ValueError("pixels must have the size of the image")
