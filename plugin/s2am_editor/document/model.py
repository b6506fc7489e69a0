# SPDX-License-Identifier: GPL-3.0-or-later
"""The document: layers on a canvas. Nothing in it ever changes; every command makes another document.

What did not change is shared between documents: undo costs what was really replaced, and an object's identity says
whether a cache that was made from it still holds.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from s2am_editor.document.geometry import Rect, Transform
from s2am_editor.document.mask import Mask
from s2am_editor.document.raster import Raster
from s2am_engine.color.adjustments import Sliders, adjust
from s2am_engine.color.map import ColorMap, Curves
from s2am_engine.errors import EngineError
from s2am_engine.image.compositing import convert, to_depth
from s2am_engine.image.data import Metadata
from s2am_engine.image.io import ImageData

EIGHT_BIT = np.dtype(np.uint8)

_serial = itertools.count(1)


def new_layer_id() -> int:
    """A number that no other layer of this process has."""
    return next(_serial)


@dataclass(frozen=True, eq=False)
class Reference:
    """What a layer is harmonized with.

    kind: all layers beneath; one `layer` (its id); or what lies beneath in a painted `area` of the canvas.
    """

    kind: Literal["beneath", "layer", "area"] = "beneath"
    layer: int | None = None
    area: Mask | None = None

    def __post_init__(self) -> None:
        """Take a layer or an area where the kind asks for one, or raise ValueError."""
        if (self.kind == "layer") != (self.layer is not None) or (self.kind == "area") != (self.area is not None):
            raise ValueError(f"a reference of kind {self.kind!r} does not go with {self.layer=} and {self.area=}")


BENEATH = Reference()


@dataclass(frozen=True, eq=False)
class Harmonization:
    """How a layer is recolored: what a model found, the person's curves, and the sliders.

    found: the model's color map, in the document's own encoding.
    confidence: how sure the model was, 0 to 1.
    curves: drawn by the person; they come after all else, strength included. None = none.
    """

    found: ColorMap
    model: str
    confidence: float = 1.0
    reference: Reference = BENEATH
    adjustments: Sliders = field(default_factory=Sliders)
    curves: Curves | None = None

    @cached_property
    def color_map(self) -> ColorMap:
        """The map that is applied to the layer's pixels."""
        adjusted = adjust(self.found, self.adjustments)
        return adjusted if self.curves is None else adjusted.then(self.curves)


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer. Its cover, what of it is seen, is the raster's alpha times the mask times the opacity.

    raster: its original pixels, in the document's depth and profile; harmonizing and transforming never touch them.
    mask: the cut-out made in the editor, of the raster's size; None = all of it.
    locked: not to be moved with the mouse, as a background.
    """

    name: str
    raster: Raster
    transform: Transform
    mask: Mask | None = None
    opacity: float = 1.0
    visible: bool = True
    locked: bool = False
    harmonization: Harmonization | None = None
    id: int = field(default_factory=new_layer_id)

    def __post_init__(self) -> None:
        """Take a mask of the raster's size and an opacity from 0 to 1, or raise ValueError."""
        if self.mask is not None and (self.mask.width, self.mask.height) != self.raster.size:
            raise ValueError(f"a mask of {self.mask.width}×{self.mask.height} does not fit {self.raster.size}")
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity must be from 0 to 1, not {self.opacity}")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its pixels, before the transform."""
        return self.raster.size

    @cached_property
    def box(self) -> Rect:
        """The pixels of the canvas that it touches; it may reach beyond the canvas."""
        return self.transform.box(self.size)


@dataclass(frozen=True, eq=False)
class Document:
    """A canvas and its layers, the lowest first.

    dtype, profile: of all pixels, as the first picture had them. gray: that picture was gray.
    active: the id of the layer that commands are meant for.
    area: of the canvas's size, painted as the reference of what is harmonized next; None = nothing was painted.
    """

    width: int
    height: int
    layers: tuple[Layer, ...] = ()
    dtype: np.dtype[Any] = EIGHT_BIT
    profile: bytes | None = None
    gray: bool = False
    metadata: Metadata = field(default_factory=Metadata)
    active: int | None = None
    area: Mask | None = None

    @classmethod
    def from_picture(cls, picture: ImageData, name: str) -> Document:
        """Open a picture as a canvas of its size, with one locked layer."""
        height, width = picture.pixels.shape[:2]
        raster = Raster(picture.pixels, picture.alpha)
        layer = Layer(name, raster, Transform.at(0, 0, raster.size), locked=True)
        return cls(
            *(width, height, (layer,), picture.pixels.dtype),
            *(picture.profile, picture.gray, picture.metadata, layer.id),
        )

    @property
    def rect(self) -> Rect:
        """The whole canvas."""
        return Rect(0, 0, self.width, self.height)

    def layer(self, layer_id: int | None) -> Layer:
        """The layer of an id. Raises EngineError if there is none."""
        return self.layers[self.index(layer_id)]

    def index(self, layer_id: int | None) -> int:
        """Its place from below. Raises EngineError if there is none."""
        for index, layer in enumerate(self.layers):
            if layer.id == layer_id:
                return index
        raise EngineError("There is no such layer any more: choose one in the list of layers.")

    def with_layer(self, layer: Layer) -> Document:
        """The document with the layer of the same id replaced."""
        index = self.index(layer.id)
        return dataclasses.replace(self, layers=(*self.layers[:index], layer, *self.layers[index + 1 :]))

    def adopt(self, picture: ImageData, name: str, *, center: tuple[float, float] | None = None) -> Layer:
        """Make a layer of a picture, in the document's depth and profile; one larger than the canvas is scaled to fit.

        Args:
            picture: what was opened, dropped or pasted.
            name: the layer's.
            center: where its center goes; None = the middle of the canvas, on whole pixels.

        Raises:
            EngineError: a conversion between profiles that would lose depth.
        """
        like = ImageData(np.empty((1, 1, 3), self.dtype), profile=self.profile)
        alpha = None if picture.alpha is None else to_depth(picture.alpha, self.dtype)
        raster = Raster(convert(picture.pixels, picture.profile, like), alpha)
        width, height = raster.size
        scale = min(1.0, self.width / width, self.height / height)
        if center is not None:
            transform = Transform(*center, scale, scale)
        elif scale < 1:
            transform = Transform(self.width / 2, self.height / 2, scale, scale)
        else:
            transform = Transform.at((self.width - width) // 2, (self.height - height) // 2, raster.size)
        return Layer(name, raster, transform)
