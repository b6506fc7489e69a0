# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree of layers: which ones to harmonize, and copies of the image in which they are shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from harmonize_layer.core import messages
from harmonize_layer.core.geometry import PixelArea
from harmonize_layer.core.host import HostDrawable, HostImage, HostLayer, OtherDrawable

QUICK_MASK = "Qmask"
"""Name by which GIMP identifies the channel with the quick mask."""


def find_layers(image: HostImage, drawables: Sequence[HostLayer | OtherDrawable]) -> list[HostLayer]:
    """Return the layers to harmonize, in their order, without those inside of selected groups.

    Args:
        image: the image.
        drawables: the selected ones; a layer mask that is being edited stands for its layer.

    Raises:
        LayerError: there is none, or one of them cannot be harmonized.
    """
    if image.is_indexed:
        raise messages.indexed()
    if not drawables:
        raise messages.nothing_selected()
    layers: dict[int, HostLayer] = {}
    present = {layer.id for layer in every_layer(image)}
    for drawable in drawables:
        if isinstance(drawable, OtherDrawable):
            raise messages.quick_mask() if drawable.name == QUICK_MASK else messages.not_a_layer(drawable.name)
        if drawable.id not in present:
            raise messages.not_in_image(drawable.name)
        layers[drawable.id] = drawable
    outermost = [layer for layer in layers.values() if not any(group.id in layers for group in ancestors(layer))]
    for layer in outermost:
        _check_layer(layer)
    return outermost


def _check_layer(layer: HostLayer) -> None:
    if layer.floats_over_channel:
        raise messages.not_a_layer(layer.name)
    for item in (layer, *ancestors(layer)):
        if not item.is_visible:
            raise messages.hidden(layer.name, item.name)
        if item.opacity == 0:
            raise messages.transparent(item.name)


def check_locks(layer: HostLayer, changed: Sequence[HostLayer]) -> None:
    """Check that GIMP allows changing the pixels of layers.

    Args:
        layer: the layer to harmonize.
        changed: the layers whose pixels change: the layer itself, or those of a group.

    Raises:
        LayerError: one of them, or a group around it, is locked.
    """
    for changed_layer in changed:
        for item in (changed_layer, *ancestors(changed_layer)):
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


def every_layer(image: HostImage) -> Iterator[HostLayer]:
    """Yield all layers and groups, each group before its layers."""

    def items(layers: Sequence[HostLayer]) -> Iterator[HostLayer]:
        for layer in layers:
            yield layer
            yield from items(layer.children)

    yield from items(image.layers)


def effect_targets(layer: HostLayer) -> Iterator[HostLayer]:
    """Yield the layers that get the effect: the layer itself, or those of a group that passes through.

    An effect on such a group would change everything below it as well.
    """
    if not layer.passes_through:
        yield layer
        return
    for child in layer.children:
        yield from effect_targets(child)


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
    return [
        layer for layer in every_layer(image) if not any(item.id in excluded for item in (layer, *ancestors(layer)))
    ]


# -- copies


@contextmanager
def temporary(image: HostImage) -> Iterator[HostImage]:
    """Provide a copy, or another image without a window, and delete it at the end."""
    try:
        yield image
    finally:
        image.delete()


def prepare_twin(copy: HostImage, layer: HostLayer, *, keeps_own_effects: bool) -> HostLayer:
    """Return the layer of a copy that corresponds to a layer, as a layer with its effects applied to its pixels.

    Args:
        copy: a copy of the image.
        layer: a layer of the image.
        keeps_own_effects: also apply the effects of earlier runs of the plug-in, instead of removing them.
    """
    twin = layer_at(copy, path_of(layer))
    if twin.is_floating:
        twin.anchor_as_layer()
    for target in effect_targets(twin):
        if not keeps_own_effects:
            target.remove_own_effects()
        if (target.other_effects or target.has_own_effects) and not target.is_group:
            target.merge_effects()
    return twin


def is_exposed(layer: HostLayer) -> bool:
    """Return whether the image shows the layer plainly, with its pixels as they are and nothing visible above it."""
    return (
        layer.is_plain
        and not (layer.is_floating or layer.other_effects or layer.has_own_effects)
        and all(_is_topmost(item) for item in (layer, *ancestors(layer)))
        and not any(other.shows_mask for other in every_layer(layer.image))
    )


def _is_topmost(item: HostLayer) -> bool:
    above = _siblings(item)[: item.index]
    return item.is_visible and not any(other.is_visible for other in above)


def _siblings(item: HostLayer) -> Sequence[HostLayer]:
    return item.parent.children if item.parent else item.image.layers


def expose(layer: HostLayer) -> None:
    """Show a layer of a copy, and hide everything above it."""
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
