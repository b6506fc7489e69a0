# SPDX-License-Identifier: GPL-3.0-or-later
"""All that can be done to a document. Each function describes a command; `History.do` carries it out."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from s2am_editor.document.geometry import Transform
from s2am_editor.document.history import Command
from s2am_editor.document.mask import Mask
from s2am_editor.document.model import Document, Harmonization, Layer, new_layer_id
from s2am_editor.document.raster import Raster
from s2am_engine.color.map import Curves
from s2am_engine.errors import EngineError

Gesture = object

_gestures = itertools.count(1)


def gesture() -> Gesture:
    """A key for the commands of one drag or stroke, which are then one step to undo."""
    return ("gesture", next(_gestures))


def add_layers(layers: Sequence[Layer], name: str = "Add layer") -> Command:
    """Put layers on top of all others, the last one uppermost; it becomes the active one."""

    def change(document: Document) -> Document:
        if not layers:
            return document
        return dataclasses.replace(document, layers=(*document.layers, *layers), active=layers[-1].id)

    return Command(name, change)


def remove_layer(layer_id: int) -> Command:
    """Remove a layer; the one beneath, or else above, becomes the active one."""

    def change(document: Document) -> Document:
        index = document.index(layer_id)
        rest = document.layers[:index] + document.layers[index + 1 :]
        active = rest[max(0, index - 1)].id if rest else None
        return dataclasses.replace(document, layers=rest, active=active)

    return Command("Delete layer", change)


def duplicate_layer(layer_id: int, name: str | None = None) -> Command:
    """Put a copy right above a layer; it shares the pixels, and can be moved. name: the copy's; None = “… copy”."""

    def change(document: Document) -> Document:
        index = document.index(layer_id)
        layer = document.layers[index]
        copy = dataclasses.replace(layer, id=new_layer_id(), name=name or f"{layer.name} copy", locked=False)
        layers = (*document.layers[: index + 1], copy, *document.layers[index + 1 :])
        return dataclasses.replace(document, layers=layers, active=copy.id)

    return Command("Duplicate layer", change)


def move_layer(layer_id: int, index: int) -> Command:
    """Put a layer in another place of the stack: 0 = the lowest."""

    def change(document: Document) -> Document:
        at = document.index(layer_id)
        layers = list(document.layers)
        layer = layers.pop(at)
        layers.insert(max(0, index), layer)
        return document if layers.index(layer) == at else dataclasses.replace(document, layers=tuple(layers))

    return Command("Reorder layers", change)


def rename_layer(layer_id: int, name: str) -> Command:
    """Give a layer another name; an empty one changes nothing."""
    return _on_layer("Rename layer", layer_id, lambda layer: _with(layer, name=name.strip() or layer.name))


def set_visible(layer_id: int, visible: bool) -> Command:
    """Show or hide a layer."""
    name = "Show layer" if visible else "Hide layer"
    return _on_layer(name, layer_id, lambda layer: _with(layer, visible=visible))


def set_locked(layer_id: int, locked: bool) -> Command:
    """Protect a layer from being moved, or free it."""
    name = "Lock layer" if locked else "Unlock layer"
    return _on_layer(name, layer_id, lambda layer: _with(layer, locked=locked))


def set_opacity(layer_id: int, opacity: float, drag: Gesture = None) -> Command:
    """Set a layer's opacity, 0 to 1."""
    return _on_layer("Opacity", layer_id, lambda layer: _with(layer, opacity=opacity), drag)


def set_transform(layer_id: int, transform: Transform, name: str = "Transform", drag: Gesture = None) -> Command:
    """Put a layer elsewhere. name: “Move”, “Scale”, “Rotate”, “Flip horizontally”."""
    return _on_layer(name, layer_id, lambda layer: _with(layer, transform=transform), drag)


def set_mask(layer_id: int, mask: Mask | None, name: str = "Mask", stroke: Gesture = None) -> Command:
    """Give a layer another cut-out; None = all of it. name: “Brush”, “Eraser”, “Cut out”, “Feather”."""
    return _on_layer(name, layer_id, lambda layer: _with(layer, mask=mask), stroke)


def set_raster(layer_id: int, raster: Raster, name: str) -> Command:
    """Give a layer other pixels of the same size (edge decontamination)."""

    def change(layer: Layer) -> Layer:
        if raster.size != layer.raster.size:
            raise ValueError(f"pixels of {raster.size} do not fit a layer of {layer.raster.size}")
        return _with(layer, raster=raster)

    return _on_layer(name, layer_id, change)


def set_harmonization(layer_id: int, harmonization: Harmonization | None, name: str = "Harmonize") -> Command:
    """Recolor a layer, always from its original pixels; None = as it was."""
    return _on_layer(name, layer_id, lambda layer: _with(layer, harmonization=harmonization))


def set_adjustments(layer_id: int, drag: Gesture = None, **sliders: float) -> Command:
    """Move sliders of a harmonized layer: strength, brightness, contrast, warmth, tint, saturation; others stay.

    Carrying it out raises EngineError for a layer that is not harmonized, ValueError for a value out of its range.
    """

    def change(harmonization: Harmonization) -> Harmonization:
        return dataclasses.replace(harmonization, adjustments=harmonization.adjustments.replace(**sliders))

    name = next(iter(sliders)).capitalize() if len(sliders) == 1 else "Adjust"
    return _on_harmonization(name, layer_id, change, drag)


def set_curves(layer_id: int, curves: Curves | None, drag: Gesture = None) -> Command:
    """Give a harmonized layer curves drawn by the person; None = none. Raises as `set_adjustments` does."""
    return _on_harmonization("Curves", layer_id, lambda found: dataclasses.replace(found, curves=curves), drag)


def set_area(area: Mask | None, name: str = "Paint reference", stroke: Gesture = None) -> Command:
    """Paint the reference area, a mask of the canvas's size; None = none."""

    def change(document: Document) -> Document:
        if area is not None and (area.width, area.height) != (document.width, document.height):
            raise ValueError(f"an area of {area.width}×{area.height} does not fit {document.width}×{document.height}")
        return document if area is document.area else dataclasses.replace(document, area=area)

    return Command(name, change, None if stroke is None else (stroke, name))


def cut_out_layer(layer_id: int, mask: Mask, name: str) -> Command:
    """Put what a mask marks in a flattened picture on a layer of its own, right above it; the picture stays whole.

    The new layer shares the picture's pixels. Harmonizing it changes the foreground alone.
    """

    def change(document: Document) -> Document:
        copied = duplicate_layer(layer_id, name).change(document)
        return copied.with_layer(_with(copied.layer(copied.active), mask=mask))

    return Command("Cut out to new layer", change)


def _with(layer: Layer, **changes: Any) -> Layer:
    """The layer with fields replaced; the layer itself where they have these values already."""
    if all(getattr(layer, key) == value for key, value in changes.items()):
        return layer
    return dataclasses.replace(layer, **changes)


def _on_layer(name: str, layer_id: int, change: Callable[[Layer], Layer], drag: Gesture = None) -> Command:
    def whole(document: Document) -> Document:
        before = document.layer(layer_id)
        after = change(before)
        return document if after is before else document.with_layer(after)

    return Command(name, whole, None if drag is None else (drag, name, layer_id))


def _on_harmonization(
    name: str, layer_id: int, change: Callable[[Harmonization], Harmonization], drag: Gesture = None
) -> Command:
    def on_layer(layer: Layer) -> Layer:
        if layer.harmonization is None:
            raise EngineError(f"“{layer.name}” is not harmonized yet: press Harmonize first.")
        return _with(layer, harmonization=change(layer.harmonization))

    return _on_layer(name, layer_id, on_layer, drag)
