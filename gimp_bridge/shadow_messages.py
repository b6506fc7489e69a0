# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages about the shadow of a layer: estimate its values, and render it."""

from __future__ import annotations

from dataclasses import dataclass, field

from gimp_bridge.protocol import Message, Request, check_message_size
from gimp_bridge.strip_messages import BYTES_OF, MAX_WORKSPACE, Depth
from s2am_common.shadow_sliders import SHADOW_SLIDERS
from s2am_common.sliders import check_sliders


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
class EstimateShadow(Request[ShadowValues]):
    """Estimate the shadow of a layer.

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
class RenderShadow(Request[ShadowRendered]):
    """Render the shadow of a silhouette in the workspace.

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
        if len(self.color) != 3 or not all(0 <= channel <= 1 for channel in self.color):
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
