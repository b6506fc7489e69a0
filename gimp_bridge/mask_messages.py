# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages about the edges of a mask."""

from __future__ import annotations

from dataclasses import dataclass, field

from gimp_bridge.protocol import Message, check_message_size
from s2am_common.edge_sliders import EDGE_SLIDERS
from s2am_common.sliders import check_sliders


@dataclass(frozen=True, kw_only=True)
class RefineMask(Message):
    """Refine the edges of a mask. Answered with a `MaskRefined`.

    pixels: H×W×4, RGBA of the layer on its own, or of the visible composite.
    mask: plane, 255 = foreground.
    edges: values by name of `s2am_common.edge_sliders`; lengths are in pixels of this image.
    """

    kind = "refine-mask"
    width: int
    height: int
    pixels: bytes
    mask: bytes
    edges: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check sizes and values."""
        check_message_size(self.width, self.height)
        plane = self.width * self.height
        if len(self.pixels) != 4 * plane or len(self.mask) != plane:
            raise ValueError("pixels and mask must have the size of the image")
        check_sliders(self.edges, EDGE_SLIDERS)


@dataclass(frozen=True, kw_only=True)
class MaskRefined(Message):
    """The mask with refined edges: a plane, 255 = foreground."""

    kind = "mask-refined"
    mask: bytes
