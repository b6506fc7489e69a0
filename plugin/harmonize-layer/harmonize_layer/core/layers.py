# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree of layers: which ones to harmonize, and copies of the image in which they are shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from harmonize_layer.core import messages
from harmonize_layer.core.geometry import PixelArea
from harmonize_layer.core.host import HostDrawable, HostImage, HostLayer
from harmonize_layer.core.metadata import original_of


@dataclass(frozen=True)
class OtherDrawable:
    """A selected drawable that is no layer, such as a channel."""

    name: str


def find_layers(image: HostImage, drawables: Sequence[HostLayer | OtherDrawable], result: str) -> list[HostLayer]:
    """Return the layers to harmonize, in their order, without those inside of selected groups.

    Args:
        image: the image.
        drawables: the selected ones; a layer mask that is being edited stands for its layer.
        result: a key of `settings.RESULTS`.

    Raises:
        LayerError: there is none, or one of them cannot be harmonized.
    """
    if image.is_indexed:
        raise messages.indexed()
    if not drawables:
        raise messages.nothing_selected()
    layers: dict[int, HostLayer] = {}
    for drawable in drawables:
        if isinstance(drawable, OtherDrawable):
            raise messages.not_a_layer(drawable.name)
        layers[drawable.id] = drawable
    found = [layer for layer in layers.values() if not any(group.id in layers for group in ancestors(layer))]
    for layer in found:
        _check_layer(layer, result)
    return found


def _check_layer(layer: HostLayer, result: str) -> None:
    if layer.floats_over_channel:
        raise messages.not_a_layer(layer.name)
    for item in [layer, *ancestors(layer), *(leaves(layer) if result == "in-place" else ())]:
        if item.is_locked:
            raise messages.locked(layer.name, item.name)


def ancestors(layer: HostLayer) -> Iterator[HostLayer]:
    """Yield the groups that contain a layer, from the inside out."""
    group = layer.parent
    while group is not None:
        yield group
        group = group.parent


def leaves(layer: HostLayer) -> Iterator[HostLayer]:
    """Yield the layer itself, or all layers with pixels in a group."""
    if not layer.is_group:
        yield layer
        return
    for child in layer.children:
        yield from leaves(child)


def is_single_layer(image: HostImage) -> bool:
    """Return whether the image has only one layer with pixels."""
    return sum(1 for layer in image.layers for _ in leaves(layer)) == 1


def layer_masks(layer: HostLayer) -> list[HostDrawable]:
    """Return the masks that hide parts of a layer: its own and those of its groups."""
    return [item.mask for item in (layer, *ancestors(layer)) if item.mask is not None]


def area_of(layer: HostDrawable) -> PixelArea:
    """Return position and size of a drawable in the image."""
    return PixelArea(*layer.position, *layer.size)


def path_of(layer: HostLayer) -> list[int]:
    """Return the position of a layer in each list from the top level down."""
    return [item.index for item in (layer, *ancestors(layer))][::-1]


def layer_at(image: HostImage, path: Sequence[int]) -> HostLayer:
    """Return the layer at a path, in the same image or a copy."""
    siblings = image.layers
    for index in path:
        layer = siblings[index]
        siblings = layer.children
    return layer


def reference_candidates(image: HostImage, pasted: Sequence[HostLayer]) -> list[HostLayer]:
    """Return all layers except those to harmonize and their contents."""
    excluded = {layer.id for layer in pasted}

    def candidates(layers: Sequence[HostLayer]) -> Iterator[HostLayer]:
        for layer in layers:
            if layer.id not in excluded:
                yield layer
                yield from candidates(layer.children)

    return list(candidates(image.layers))


# -- copies


def needs_copy(layer: HostLayer) -> bool:
    """Return whether the pixels to start from differ from those of the layer."""
    return layer.has_effects or layer.is_floating or original_of(layer) is not None


@contextmanager
def source_copy(image: HostImage, layer: HostLayer) -> Iterator[tuple[HostImage, HostLayer]]:
    """Provide a copy of the image, and in it the layer as it was before it was harmonized.

    Its effects are merged, except the plug-in's own, and a floating selection is a layer there.
    """
    path, original = path_of(layer), original_of(layer)
    copy = image.duplicate()
    try:
        twin = layer_at(copy, path)
        if twin.is_floating:
            twin.anchor_as_layer()
        _merge_other_effects(twin)
        if original is not None:
            before = layer_at(copy, path_of(original))
            _merge_other_effects(before)
            before.set_visible(False)
            if not before.is_group:
                twin.copy_pixels(before)
        yield copy, twin
    finally:
        copy.delete()


def _merge_other_effects(layer: HostLayer) -> None:
    layer.remove_own_effects()
    if layer.has_effects and not layer.is_group:
        layer.merge_effects()


def is_exposed(layer: HostLayer) -> bool:
    """Return whether the image shows the composite to read: a plain layer with nothing visible above it.

    Then no copy is needed, and GIMP has the visible pixels ready.
    """
    return layer.is_plain and not needs_copy(layer) and all(_is_topmost(item) for item in (layer, *ancestors(layer)))


def _is_topmost(item: HostLayer) -> bool:
    above = _siblings(item)[: item.index]
    return item.is_visible and not any(other.is_visible for other in above)


def _siblings(item: HostLayer) -> Sequence[HostLayer]:
    return item.parent.children if item.parent else item.image.layers


def expose(layer: HostLayer) -> None:
    """Show a layer of a copy plainly, and hide everything above it."""
    layer.show_plainly()
    for item in (layer, *ancestors(layer)):
        for above in _siblings(item)[: item.index]:
            above.set_visible(False)
        item.set_visible(True)


def show_on_reference(copy: HostImage, layer: HostLayer, reference: HostLayer | None, image: HostImage) -> None:
    """Show a layer of a copy above a reference layer, and nothing else.

    Args:
        copy: a copy of the image.
        layer: the layer in the copy.
        reference: the chosen reference layer in the image.
        image: the image.

    Raises:
        LayerError: no reference layer, or the layer itself, was chosen.
    """
    if reference is None or reference.image.id != image.id:
        raise messages.no_reference_layer()
    twin = layer_at(copy, path_of(reference))
    if any(leaf.id == twin.id for leaf in (layer, *leaves(layer))):
        raise messages.no_reference_layer()
    copy.raise_to_top(layer, 0)
    copy.raise_to_top(twin, 1)
    for item in copy.layers:
        item.set_visible(item.id in (layer.id, twin.id))
    for item in (layer, twin):
        item.show_plainly()
