# SPDX-License-Identifier: GPL-3.0-or-later
"""From what is selected in GIMP to the layers to harmonize, or a sentence on why not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gi.repository import Gimp

from harmonize_layer import messages


def find(image: Gimp.Image, drawables: Sequence[Gimp.Drawable], result: str) -> list[Gimp.Layer]:
    """The layers that are meant by the selected drawables, in their order.

    A layer mask that is being edited means its layer; a layer within a selected group is part of that.

    Raises:
        RefusedError: there is none, or one of them can't be harmonized into `result`.
    """
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        raise messages.indexed()
    if not drawables:
        raise messages.nothing_selected()
    layers = {layer.get_id(): layer for layer in (_layer_of(drawable) for drawable in drawables)}
    found = [layer for layer in layers.values() if not any(group.get_id() in layers for group in ancestors(layer))]
    for layer in found:
        _check(image, layer, result)
    return found


def ancestors(layer: Gimp.Layer) -> Iterator[Gimp.GroupLayer]:
    """The groups that a layer is in, the nearest first."""
    group = layer.get_parent()
    while group is not None:
        yield group
        group = group.get_parent()


def leaves(layer: Gimp.Layer) -> Iterator[Gimp.Layer]:
    """The layer itself, or all layers with pixels in a group."""
    if not layer.is_group():
        yield layer
        return
    for child in layer.get_children():
        yield from leaves(child)


def place_of(layer: Gimp.Layer) -> list[int]:
    """Where a layer is in its picture: its position in each list from the top level down."""
    image = layer.get_image()
    return [image.get_item_position(item) for item in (layer, *ancestors(layer))][::-1]


def layer_at(image: Gimp.Image, place: Sequence[int]) -> Gimp.Layer:
    """The layer at a place that `place_of` told, in a copy of the picture."""
    first, *rest = place
    layer = image.get_layers()[first]
    for position in rest:
        layer = layer.get_children()[position]
    return layer


def _layer_of(drawable: Gimp.Drawable) -> Gimp.Layer:
    if isinstance(drawable, Gimp.LayerMask):
        return Gimp.Layer.from_mask(drawable)
    if not isinstance(drawable, Gimp.Layer):
        raise messages.not_a_layer(drawable.get_name())
    return drawable


def _check(image: Gimp.Image, layer: Gimp.Layer, result: str) -> None:
    name = layer.get_name()
    if layer.is_floating_sel() and not isinstance(image.floating_sel_attached_to(), Gimp.Layer):
        raise messages.not_a_layer(name)
    touched = [layer, *ancestors(layer), *(leaves(layer) if result == "in-place" else ())]
    for item in touched:
        if item.get_lock_content():
            raise messages.locked(name, item.get_name())
