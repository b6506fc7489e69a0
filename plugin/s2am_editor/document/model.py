# SPDX-License-Identifier: GPL-3.0-or-later
"""The document: layers on a canvas, as immutable data. Every command creates another document.

Unchanged parts are shared between documents. An undo step therefore costs only the data that it replaced, and caches
can use the identity of an object as their key.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from s2am_common.errors import EngineError
from s2am_editor.document.basis import Basis
from s2am_editor.document.blend_mode import BlendMode
from s2am_editor.document.geometry import Transform
from s2am_editor.document.measured_finish import MeasuredFinish
from s2am_editor.document.raster import MAX_INVISIBLE, Raster, TiledMask
from s2am_editor.document.tone_curves import ToneCurves
from s2am_engine.color.adjustments import Sliders, adjust
from s2am_engine.color.map import IDENTITY, ColorMap
from s2am_engine.image.arrays import to_depth
from s2am_engine.image.data import ImageData, Metadata
from s2am_engine.image.paste import convert_colors
from s2am_engine.image.rect import Rect
from s2am_engine.shadow.settings import Shadow


class DocumentError(EngineError):
    """A command or tool that cannot be applied to the document in its current state."""

    default_code = "document"


MAX_SHADOW_REACH = 1 << 20  # canvas pixels

_UINT8 = np.dtype(np.uint8)
_layer_ids = itertools.count(1)


def new_layer_id() -> int:
    """Return a number that no other layer or group of this process has."""
    return next(_layer_ids)


@dataclass(frozen=True, eq=False)
class Reference:
    """The part of the document that a layer is harmonized with.

    Attributes:
        kind: "beneath": all visible layers below; "layer": one layer; "area": the layers below, inside `area`.
        layer: id of the reference layer, for kind "layer" only.
        area: mask of the canvas's size, for kind "area" only.
        photographs: files of photographs whose look the layer is matched to as well, at most twenty.

    Raises:
        ValueError: `layer` or `area` does not match the kind.
    """

    kind: Literal["beneath", "layer", "area"] = "beneath"
    layer: int | None = None
    area: TiledMask | None = None
    photographs: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        """Check that layer and area match the kind."""
        if (self.kind == "layer") != (self.layer is not None) or (self.kind == "area") != (self.area is not None):
            raise ValueError(f"a reference of kind {self.kind!r} does not match {self.layer=} and {self.area=}")


BENEATH = Reference()


@dataclass(frozen=True, eq=False)
class Harmonization:
    """Recoloring of a layer: the color map from a model, the sliders, and curves drawn by the user.

    Attributes:
        model_map: color map that the model predicted, in the document's own encoding.
        model: name of the model.
        confidence: 0 to 1.
        reference: background that the layer was harmonized with.
        sliders: applied to `model_map`.
        curves: drawn by the user; applied last, at full strength; None = none.
        placement: transform of the layer when the model saw it; None = unknown, in projects of version 0.1.
        likeness: resemblance of the background to the look to which the model was fine-tuned, 0 to 1; None = it was
            not fine-tuned.
        basis: state of the document when the model ran; None = unknown, in projects of earlier versions.
    """

    model_map: ColorMap
    model: str
    confidence: float = 1.0
    reference: Reference = BENEATH
    sliders: Sliders = field(default_factory=Sliders)
    curves: ToneCurves | None = None
    placement: Transform | None = None
    likeness: float | None = None
    basis: Basis | None = None

    @cached_property
    def color_map(self) -> ColorMap:
        """The complete map, which is applied to the layer's pixels."""
        return _adjusted_map(self.model_map, self.sliders, self.curves)


@dataclass(frozen=True, eq=False)
class ImageAdjustment:
    """Adjustment of the whole image, applied to its blended layers as an adjustment layer above them would be.

    Attributes:
        sliders: those of `s2am_common.sliders.IMAGE_SLIDERS`; the others have no effect.
        curves: drawn by the user; applied last; None = none.
    """

    sliders: Sliders = field(default_factory=Sliders)
    curves: ToneCurves | None = None

    @cached_property
    def color_map(self) -> ColorMap:
        """The map that is applied to the blended pixels; their alpha is kept."""
        return _adjusted_map(IDENTITY, self.sliders, self.curves)

    @property
    def changes_nothing(self) -> bool:
        """True if it has neither curves nor a slider that was moved."""
        return self.curves is None and self.sliders == Sliders()


def _adjusted_map(color_map: ColorMap, sliders: Sliders, curves: ToneCurves | None) -> ColorMap:
    adjusted = adjust(color_map, sliders)
    return adjusted if curves is None else adjusted.then(curves.curves)


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer: original pixels, and everything that is applied to them when it is rendered.

    Its coverage is the raster's alpha × mask × opacity.

    Attributes:
        name: label in the list of layers.
        raster: original pixels in the document's depth and profile. Harmonizing and transforming do not change them.
        transform: placement on the canvas.
        mask: cutout made in the editor, of the raster's size; None = the whole layer.
        opacity: 0 to 1.
        blend_mode: how it is mixed with the layers below.
        group: id of the innermost group that contains it; None = no group.
        shadow: cast on the layers below; None = none.
        finish: light, grain, sharpness and edges, applied to the recolored pixels; None = as they are.
        visible: hidden layers are not rendered.
        locked: protected against being moved, cut and deleted, as a background is.
        harmonization: recoloring; None = original colors.
        id: identifies the layer across states of the document.

    Raises:
        ValueError: the mask has another size than the raster, or the opacity is out of range.
    """

    name: str
    raster: Raster
    transform: Transform
    mask: TiledMask | None = None
    opacity: float = 1.0
    visible: bool = True
    locked: bool = False
    harmonization: Harmonization | None = None
    blend_mode: BlendMode = BlendMode.NORMAL
    group: int | None = None
    shadow: Shadow | None = None
    finish: MeasuredFinish | None = None
    id: int = field(default_factory=new_layer_id)

    def __post_init__(self) -> None:
        """Check mask size and opacity."""
        if self.mask is not None and (self.mask.width, self.mask.height) != self.raster.size:
            raise ValueError(f"a mask of {self.mask.width}×{self.mask.height} does not fit {self.raster.size}")
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity must be from 0 to 1, not {self.opacity}")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the raster, before the transform."""
        return self.raster.size

    @cached_property
    def content(self) -> Rect:
        """Bounding box of the pixels that alpha and mask show, in the raster's own pixels; all of it if none is."""
        whole = Rect(0, 0, *self.size)
        shown = self.raster.opaque_box if self.mask is None else self.mask.box(above=MAX_INVISIBLE)
        found = shown.intersection(self.raster.opaque_box)
        return whole if found.is_empty else found

    @cached_property
    def box(self) -> Rect:
        """Bounding box of the whole raster on the canvas; it can extend beyond the canvas."""
        return self.transform.box(self.size)

    @property
    def reach(self) -> Rect:
        """Everything on the canvas that the layer can change: its box, or, as a shadow can fall anywhere, far more."""
        return self.box if self.shadow is None else self.box.expanded(MAX_SHADOW_REACH)


@dataclass(frozen=True, eq=False)
class Group:
    """Consecutive layers with a common opacity, visibility and blend mode; it exists as long as it contains layers.

    An isolated group is rendered by itself and then mixed with the layers below, like a single layer. The layers of
    any other group ("pass through") are mixed with the layers below the group one by one.

    Attributes:
        name: label in the list of layers.
        opacity: 0 to 1.
        visible: False hides all its layers.
        blend_mode: how an isolated group is mixed with the layers below.
        isolated: see above.
        parent: id of the innermost group that contains it; None = no group.
        id: identifies the group across states of the document; no layer has the same one.

    Raises:
        ValueError: the opacity is out of range, or a group that is not isolated has a blend mode.
    """

    name: str
    opacity: float = 1.0
    visible: bool = True
    blend_mode: BlendMode = BlendMode.NORMAL
    isolated: bool = False
    parent: int | None = None
    id: int = field(default_factory=new_layer_id)

    def __post_init__(self) -> None:
        """Check opacity and blend mode."""
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity must be from 0 to 1, not {self.opacity}")
        if not self.isolated and self.blend_mode is not BlendMode.NORMAL:
            raise ValueError(f"only an isolated group can have the blend mode {self.blend_mode.name}")


Item = Layer | Group
"""A row of the list of layers."""


@dataclass(frozen=True, eq=False)
class Document:
    """A canvas and its layers, from bottom to top.

    Attributes:
        width: of the canvas, in pixels.
        height: of the canvas, in pixels.
        layers: from bottom to top.
        dtype: depth of all pixels: uint8, uint16 or float32.
        profile: ICC profile of all pixels; None = sRGB.
        gray: True if the image that the document was opened from was grayscale.
        metadata: of the image that the document was opened from.
        active: id of the layer or group that commands apply to.
        area: mask of the canvas's size, painted as the reference for the next harmonization; None = not painted.
        groups: all groups, in any order; the layers of each are consecutive in `layers` (see `layer_tree`).
        adjustment: of the whole image; None = none.
    """

    width: int
    height: int
    layers: tuple[Layer, ...] = ()
    dtype: np.dtype[Any] = _UINT8
    profile: bytes | None = None
    gray: bool = False
    metadata: Metadata = field(default_factory=Metadata)
    active: int | None = None
    area: TiledMask | None = None
    groups: tuple[Group, ...] = ()
    adjustment: ImageAdjustment | None = None

    @classmethod
    def from_image(cls, image: ImageData, name: str) -> Document:
        """Create a document of an image's size, with the image as its only, locked layer."""
        height, width = image.pixels.shape[:2]
        raster = Raster(image.pixels, image.alpha)
        layer = Layer(name, raster, Transform.at(0, 0, raster.size), locked=True)
        return cls(
            width,
            height,
            (layer,),
            image.pixels.dtype,
            image.profile,
            image.gray,
            image.metadata,
            layer.id,
        )

    @property
    def rect(self) -> Rect:
        """The whole canvas."""
        return Rect(0, 0, self.width, self.height)

    def layer(self, layer_id: int | None) -> Layer:
        """Return a layer by its id. Raises DocumentError if it does not exist."""
        return self.layers[self.index(layer_id)]

    def index(self, layer_id: int | None) -> int:
        """Return a layer's position from the bottom. Raises DocumentError if it does not exist."""
        for index, layer in enumerate(self.layers):
            if layer.id == layer_id:
                return index
        raise DocumentError(
            "This layer no longer exists: choose another one in the list of layers.", code="document.no-layer"
        )

    @property
    def items(self) -> tuple[Item, ...]:
        """All layers, followed by all groups."""
        return (*self.layers, *self.groups)

    def item(self, item_id: int | None) -> Item:
        """Return a layer or group by its id. Raises DocumentError if it does not exist."""
        return next((group for group in self.groups if group.id == item_id), None) or self.layer(item_id)

    def group(self, group_id: int | None) -> Group:
        """Return a group by its id. Raises DocumentError if it does not exist."""
        item = self.item(group_id)
        if isinstance(item, Layer):
            raise DocumentError(f"“{item.name}” is not a group: select a group first.", code="document.no-group")
        return item

    def groups_of(self, item: Item) -> tuple[Group, ...]:
        """Return the groups that contain a layer or group, from the outermost to the innermost."""
        known = {group.id: group for group in self.groups}
        found: list[Group] = []
        parent = item.group if isinstance(item, Layer) else item.parent
        while parent is not None:
            found.insert(0, known.pop(parent))  # a damaged file, in which groups contain each other, ends the loop
            parent = found[0].parent
        return tuple(found)

    def shows(self, layer: Layer) -> bool:
        """Return True if a layer and all groups that contain it are visible."""
        return layer.visible and all(group.visible for group in self.groups_of(layer))

    def with_item(self, item: Item) -> Document:
        """Return the document with the layer or group of the same id replaced."""
        if isinstance(item, Layer):
            return self.with_layer(item)
        groups = tuple(item if group.id == item.id else group for group in self.groups)
        return dataclasses.replace(self, groups=groups)

    def with_layers(self, layers: tuple[Layer, ...]) -> Document:
        """Return the document with other layers, without the groups that contain none of them."""
        found = dataclasses.replace(self, layers=layers)
        used = {group.id for layer in layers for group in found.groups_of(layer)}
        return dataclasses.replace(found, groups=tuple(group for group in self.groups if group.id in used))

    def with_layer(self, layer: Layer) -> Document:
        """Return the document with the layer of the same id replaced."""
        index = self.index(layer.id)
        return dataclasses.replace(self, layers=(*self.layers[:index], layer, *self.layers[index + 1 :]))

    def new_layer(self, image: ImageData, name: str, *, center: tuple[float, float] | None = None) -> Layer:
        """Create a layer from an image, converted to the document's depth and profile. The document does not change.

        An image larger than the canvas is scaled down to fit.

        Args:
            image: the opened, dropped or pasted image.
            name: of the layer.
            center: position of its center on the canvas; None = the canvas's center, rounded to whole pixels.
        """
        target = ImageData(np.empty((1, 1, 3), self.dtype), profile=self.profile)
        alpha = None if image.alpha is None else to_depth(image.alpha, self.dtype)
        raster = Raster(convert_colors(image.pixels, image.profile, target), alpha)
        width, height = raster.size
        scale = min(1.0, self.width / width, self.height / height)
        if center is not None:
            transform = Transform(*center, scale, scale)
        elif scale < 1:
            transform = Transform(self.width / 2, self.height / 2, scale, scale)
        else:
            transform = Transform.at((self.width - width) // 2, (self.height - height) // 2, raster.size)
        return Layer(name, raster, transform)
