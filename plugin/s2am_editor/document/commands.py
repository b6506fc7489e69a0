# SPDX-License-Identifier: GPL-3.0-or-later
"""Editing commands. Each function returns a command, which `History.do` executes."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from s2am_common.translation import localized
from s2am_editor.document.blend_mode import BlendMode
from s2am_editor.document.geometry import Transform
from s2am_editor.document.history import Command
from s2am_editor.document.measured_finish import MeasuredFinish
from s2am_editor.document.model import (
    Document,
    DocumentError,
    Group,
    Harmonization,
    ImageAdjustment,
    Item,
    Layer,
    new_layer_id,
)
from s2am_editor.document.raster import Raster, TiledMask
from s2am_editor.document.tone_curves import ToneCurves
from s2am_engine.image.rect import Rect
from s2am_engine.shadow.settings import Shadow

Gesture = object
_Item = TypeVar("_Item", bound=Item)

_gestures = itertools.count(1)


def gesture() -> Gesture:
    """Return a new key that merges the commands of one drag or brush stroke into a single undo step."""
    return ("gesture", next(_gestures))


def chain(name: str, commands: Sequence[Command], drag: Gesture = None) -> Command:
    """Execute several commands as one undo step, all of them or, after an error, none."""

    def change(document: Document) -> Document:
        for command in commands:
            document = command.change(document)
        return document

    return Command(name, change, None if drag is None else (drag, name))


def add_layers(layers: Sequence[Layer], name: str = "Add layer") -> Command:
    """Add layers on top, in the given order; the last one becomes active."""

    def change(document: Document) -> Document:
        if not layers:
            return document
        return dataclasses.replace(document, layers=(*document.layers, *layers), active=layers[-1].id)

    return Command(name, change)


def remove_layer(layer_id: int) -> Command:
    """Remove a layer; the one below it, or else the lowest one, becomes active.

    Executing it raises DocumentError if the layer is locked, as all commands that delete, move or cut a layer do.
    """

    def change(document: Document) -> Document:
        index = document.index(layer_id)
        _refuse_locked(document.layers[index])
        rest = document.layers[:index] + document.layers[index + 1 :]
        active = rest[max(0, index - 1)].id if rest else None
        return dataclasses.replace(document.with_layers(rest), active=active)

    return Command("Delete layer", change)


def duplicate_layer(layer_id: int, name: str | None = None) -> Command:
    """Add an unlocked copy directly above a layer. It shares the pixels. `name`: of the copy; None = “… copy”."""

    def change(document: Document) -> Document:
        index = document.index(layer_id)
        layer = document.layers[index]
        copy = dataclasses.replace(layer, id=new_layer_id(), name=name or copy_name(layer), locked=False)
        layers = (*document.layers[: index + 1], copy, *document.layers[index + 1 :])
        return dataclasses.replace(document, layers=layers, active=copy.id)

    return Command("Duplicate layer", change)


def copy_name(item: Item) -> str:
    """Return the name of a copy, in the user's language."""
    return localized("{name} copy").replace("{name}", item.name)


def rename_item(item_id: int, name: str) -> Command:
    """Rename a layer or group; a blank name changes nothing."""
    return _on_item("Rename", item_id, lambda item: _with(item, name=name.strip() or item.name))


def set_visible(item_id: int, visible: bool) -> Command:
    """Show or hide a layer or group."""
    return _on_item("Show" if visible else "Hide", item_id, lambda item: _with(item, visible=visible))


def set_locked(layer_id: int, locked: bool) -> Command:
    """Lock a layer against being moved, cut and deleted, or unlock it."""
    name = "Lock layer" if locked else "Unlock layer"
    return _on_layer(name, layer_id, lambda layer: _with(layer, locked=locked))


def set_opacity(item_id: int, opacity: float, drag: Gesture = None) -> Command:
    """Set the opacity of a layer or group, 0 to 1."""
    return _on_item("Opacity", item_id, lambda item: _with(item, opacity=opacity), drag)


def set_blend_mode(item_id: int, mode: BlendMode) -> Command:
    """Set the blend mode of a layer or a group; the group becomes isolated."""

    def change(item: Item) -> Item:
        return _with(item, blend_mode=mode, isolated=True) if isinstance(item, Group) else _with(item, blend_mode=mode)

    return _on_item("Blend mode", item_id, change)


def merge_layers(upper_id: int, lower_id: int, raster: Raster, left: int, top: int) -> Command:
    """Replace two layers by one at the place, and with the name, of the lower one.

    Args:
        upper_id: the layer that disappears.
        lower_id: the layer that gets the pixels.
        raster: the merged pixels.
        left: position of the pixels on the canvas.
        top: position of the pixels on the canvas.
    """

    def change(document: Document) -> Document:
        merged = dataclasses.replace(
            document.layer(lower_id),
            raster=raster,
            transform=Transform.at(left, top, raster.size),
            mask=None,
            opacity=1.0,
            visible=True,
            harmonization=None,
            shadow=None,
            finish=None,
        )
        rest = tuple(layer for layer in document.with_layer(merged).layers if layer.id != upper_id)
        return dataclasses.replace(document.with_layers(rest), active=lower_id)

    return Command("Merge down", change)


def set_transform(layer_id: int, transform: Transform, name: str = "Transform", drag: Gesture = None) -> Command:
    """Set the transform of a layer. `name`: label of the undo step (“Move”, “Rotate”, …)."""
    return _on_layer(name, layer_id, lambda layer: _with(_refuse_locked(layer), transform=transform), drag)


def set_mask(layer_id: int, mask: TiledMask | None, name: str = "Mask", stroke: Gesture = None) -> Command:
    """Set the mask of a layer; None = no mask. `name`: label of the undo step (“Brush”, “Cut out”, …)."""
    return _on_layer(name, layer_id, lambda layer: _with(_refuse_locked(layer), mask=mask), stroke)


def set_raster(layer_id: int, raster: Raster, name: str) -> Command:
    """Replace the pixels of a layer by others of the same size, as edge decontamination does."""

    def change(layer: Layer) -> Layer:
        if raster.size != layer.raster.size:
            raise ValueError(f"pixels of {raster.size} do not fit a layer of {layer.raster.size}")
        return _with(_refuse_locked(layer), raster=raster)

    return _on_layer(name, layer_id, change)


def set_harmonization(layer_id: int, harmonization: Harmonization | None, name: str = "Harmonize") -> Command:
    """Set the harmonization of a layer, which applies to its original pixels; None = original colors.

    Executing it raises DocumentError if the canvas has another size than the harmonization's reference area: it was
    changed after the prediction.
    """
    on_layer = _on_layer(name, layer_id, lambda layer: _with(layer, harmonization=harmonization))
    area = harmonization.reference.area if harmonization else None

    def change(document: Document) -> Document:
        if area is not None and (area.width, area.height) != (document.width, document.height):
            raise DocumentError(
                "The canvas has changed since these colors were computed: harmonize again.", code="document.canvas"
            )
        return on_layer.change(document)

    return Command(name, change)


def set_shadow(layer_id: int, shadow: Shadow | None, name: str = "Shadow", drag: Gesture = None) -> Command:
    """Set the shadow of a layer; None = none."""
    return _on_layer(name, layer_id, lambda layer: _with(layer, shadow=shadow), drag)


def set_finish(layer_id: int, finish: MeasuredFinish | None, name: str = "Finish", drag: Gesture = None) -> Command:
    """Set light, grain, sharpness and edges of a layer; None = as they are."""
    return _on_layer(name, layer_id, lambda layer: _with(layer, finish=finish), drag)


def set_sliders(layer_id: int, drag: Gesture = None, **values: float) -> Command:
    """Set sliders of a harmonized layer by name (see `Sliders`); the other sliders keep their values.

    Executing it raises DocumentError if the layer is not harmonized, and ValueError if a value is out of range.
    """

    def change(harmonization: Harmonization) -> Harmonization:
        return dataclasses.replace(harmonization, sliders=harmonization.sliders.replace(**values))

    name = next(iter(values)).capitalize() if len(values) == 1 else "Adjust"
    return _on_harmonization(name, layer_id, change, drag)


def set_curves(layer_id: int, curves: ToneCurves | None, drag: Gesture = None) -> Command:
    """Set the user's curves of a harmonized layer; None = none. Executing it raises DocumentError as `set_sliders`."""
    return _on_harmonization("Curves", layer_id, lambda current: dataclasses.replace(current, curves=curves), drag)


def set_image_adjustment(adjustment: ImageAdjustment | None, drag: Gesture = None) -> Command:
    """Set the adjustment of the whole image; None, or one that changes nothing, removes it."""
    wanted = None if adjustment is None or adjustment.changes_nothing else adjustment

    def change(document: Document) -> Document:
        unchanged = wanted is document.adjustment
        return document if unchanged else dataclasses.replace(document, adjustment=wanted)

    return Command("Adjust image", change, drag)


def set_canvas(rect: Rect, name: str) -> Command:
    """Make a rectangle the canvas: a part of it, or a larger one; layers keep their pixels outside.

    Args:
        rect: in pixels of the canvas before; not empty.
        name: of the undo step.
    """
    if rect.is_empty:
        raise ValueError(f"{rect} has no pixels")

    def change(document: Document) -> Document:
        if rect == document.rect:
            return document
        return dataclasses.replace(
            document,
            width=rect.width,
            height=rect.height,
            layers=tuple(_on_canvas(layer, rect) for layer in document.layers),
            area=_read_mask(document.area, rect),
        )

    return Command(name, change)


def _on_canvas(layer: Layer, rect: Rect) -> Layer:
    """Return a layer at the same place of the image on another canvas."""
    found = layer.harmonization
    if found is not None:
        found = dataclasses.replace(
            found,
            reference=dataclasses.replace(found.reference, area=_read_mask(found.reference.area, rect)),
            placement=found.placement and found.placement.moved(-rect.left, -rect.top),
        )
    return dataclasses.replace(
        layer,
        transform=layer.transform.moved(-rect.left, -rect.top),
        harmonization=found,
        finish=layer.finish and layer.finish.moved(-rect.left, -rect.top),
    )


def _read_mask(mask: TiledMask | None, rect: Rect) -> TiledMask | None:
    """Return a rectangle of a mask, 0 beyond its edges."""
    return None if mask is None else TiledMask.from_array(mask.read(rect))


def set_area(area: TiledMask | None, name: str = "Paint reference", stroke: Gesture = None) -> Command:
    """Set the painted reference area, a mask of the canvas's size; None = none."""

    def change(document: Document) -> Document:
        if area is not None and (area.width, area.height) != (document.width, document.height):
            raise ValueError(f"an area of {area.width}×{area.height} does not fit {document.width}×{document.height}")
        return document if area is document.area else dataclasses.replace(document, area=area)

    return Command(name, change, None if stroke is None else (stroke, name))


def cut_out_layer(layer_id: int, mask: TiledMask, name: str) -> Command:
    """Add a masked copy of a layer directly above it, to harmonize the foreground of a flattened image.

    The copy shares the pixels of the original layer, which stays unchanged.
    """

    def change(document: Document) -> Document:
        copied = duplicate_layer(layer_id, name).change(document)
        return copied.with_layer(_with(copied.layer(copied.active), mask=mask))

    return Command("Cut out to new layer", change)


def _refuse_locked(layer: Layer) -> Layer:
    """Return the layer; raises DocumentError if it is locked."""
    if layer.locked:
        raise DocumentError(
            f"“{layer.name}” is locked, like every background: select a layer above it, or unlock it in the Layer "
            "menu.",
            code="document.locked",
        )
    return layer


def _with(item: _Item, **changes: Any) -> _Item:
    """Return a layer or group with fields replaced; the same object if all fields have these values already."""
    if all(getattr(item, key) == value for key, value in changes.items()):
        return item
    return dataclasses.replace(item, **changes)


def _on_item(name: str, item_id: int, change: Callable[[Item], Item], drag: Gesture = None) -> Command:
    def change_document(document: Document) -> Document:
        before = document.item(item_id)
        after = change(before)
        return document if after is before else document.with_item(after)

    return Command(name, change_document, None if drag is None else (drag, name, item_id))


def _on_layer(name: str, layer_id: int, change: Callable[[Layer], Layer], drag: Gesture = None) -> Command:
    def change_document(document: Document) -> Document:
        before = document.layer(layer_id)
        after = change(before)
        return document if after is before else document.with_layer(after)

    return Command(name, change_document, None if drag is None else (drag, name, layer_id))


def _on_harmonization(
    name: str, layer_id: int, change: Callable[[Harmonization], Harmonization], drag: Gesture = None
) -> Command:
    def on_layer(layer: Layer) -> Layer:
        if layer.harmonization is None:
            raise DocumentError(
                f"“{layer.name}” is not harmonized yet: press Harmonize first.", code="document.not-harmonized"
            )
        return _with(layer, harmonization=change(layer.harmonization))

    return _on_layer(name, layer_id, on_layer, drag)
