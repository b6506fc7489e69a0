# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages about masks: select a subject, and refine the edges of a mask."""

from __future__ import annotations

from dataclasses import dataclass, field

from gimp_bridge.protocol import Done, Message, Request, check_message_size
from gimp_bridge.strip_messages import MAX_WORKSPACE
from s2am_common.edge_sliders import EDGE_SLIDERS
from s2am_common.sliders import check_sliders


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
class SelectSubject(Request[SubjectResponse]):
    """Select the subject of a layer or a composite.

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
class RefineMask(Request[Done]):
    """Refine the edges of a layer's mask.

    The workspace holds the layer's pixels, height×width RGBA with 8 bits, and after them these planes, 255 = 1: the
    layer masks, the selection, and the predicted mask or the subject. At `result_offset` the engine writes two planes:
    the mask, which is the foreground's weight on the canvas, and its share of the layer's opacity.

    layer_masks: number of the masks of the layer and its groups.
    selection, predicted: whether there is such a plane.
    edges: values by name of `s2am_common.edge_sliders`; lengths are in pixels of this image.
    """

    kind = "refine-mask"
    width: int
    height: int
    layer_masks: int = 0
    selection: bool = False
    predicted: bool = False
    edges: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check sizes and values."""
        if min(self.width, self.height) < 1 or self.layer_masks < 0 or self.end > MAX_WORKSPACE:
            raise ValueError(f"a mask must have at least one pixel, and at most {MAX_WORKSPACE} bytes with the layer")
        check_sliders(self.edges, EDGE_SLIDERS)

    @property
    def plane_bytes(self) -> int:
        """Size of a plane."""
        return self.width * self.height

    @property
    def plane_count(self) -> int:
        """Number of the planes after the pixels."""
        return self.layer_masks + self.selection + self.predicted

    @property
    def result_offset(self) -> int:
        """Offset of the two results."""
        return (4 + self.plane_count) * self.plane_bytes

    @property
    def end(self) -> int:
        """End of the results."""
        return self.result_offset + 2 * self.plane_bytes
