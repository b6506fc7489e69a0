# SPDX-License-Identifier: GPL-3.0-or-later
"""Leaving the result in the picture: all at the end, in one undo step, so that a cancel before finds it untouched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from gi.repository import Gegl, Gimp

from harmonize_layer import effect, masks, pixels
from harmonize_layer.memory import Memory, original_of, recall, remember
from harmonize_layer.scene import Scene

KEPT = (
    *("opacity", "mode", "blend_space", "composite_space", "composite_mode"),
    *("lock_alpha", "lock_position", "lock_visibility", "color_tag", "visible"),
)
"""What a new layer has from its original, beside its mask, offsets and parent."""


@dataclass(frozen=True)
class Finished:
    """A layer whose result is ready.

    painted: pairs of a layer and one with its new pixels, which is in no picture yet; several for a group in place.
    values: of the effect.
    area: limits the effect to what was found; None = the effect covers the layer, within the selection.
    """

    layer: Gimp.Layer
    memory: Memory
    painted: Sequence[tuple[Gimp.Layer, Gimp.Layer]] = ()
    values: str = ""
    area: Scene | None = None


def leave(image: Gimp.Image, finished: Sequence[Finished], keep_selection: bool, hide_original: bool) -> None:
    """Put all results into the picture, in one undo step.

    Args:
        image: the picture.
        finished: the results.
        keep_selection: whether the selection limits effects; if not, it was the reference.
        hide_original: hide the layers that new layers were made from.
    """
    image.undo_group_start()
    try:
        for each in finished:
            if each.layer.is_floating_sel():
                Gimp.floating_sel_to_layer(each.layer)
            if each.memory.result == "effect":
                _leave_effect(image, each, keep_selection)
            elif each.memory.result == "in-place" or original_of(each.layer):
                _leave_in_place(image, each)
            else:
                _leave_above(image, each, hide_original)
    finally:
        image.undo_group_end()


def _leave_above(image: Gimp.Image, finished: Finished, hide_original: bool) -> None:
    layer, ((_, new),) = finished.layer, finished.painted
    for old in effect.ours(layer):
        old.delete()
    image.insert_layer(new, layer.get_parent(), image.get_item_position(layer))
    _dress(layer, new)
    remember(new, replace(finished.memory, original=layer.get_tattoo()))
    if hide_original:
        layer.set_visible(False)
    image.set_selected_layers([new])


def _dress(layer: Gimp.Layer, new: Gimp.Layer) -> None:
    """Give a new layer what its original has: mode, opacity, locks, mask."""
    at, mask = masks.offsets(layer), layer.get_mask()
    if mask:
        hiding = new.create_mask(Gimp.AddMaskType.WHITE)
        new.add_mask(hiding)
        shift = (at[0] - masks.offsets(new)[0], at[1] - masks.offsets(new)[1])
        pixels.copy(mask, hiding.get_buffer(), shift)
        hiding.update(0, 0, hiding.get_width(), hiding.get_height())
        new.set_apply_mask(layer.get_apply_mask())
        new.set_show_mask(layer.get_show_mask())
        new.set_edit_mask(False)
    for name in KEPT:
        getattr(new, f"set_{name}")(getattr(layer, f"get_{name}")())
    if layer.get_mode() == Gimp.LayerMode.PASS_THROUGH:  # only groups can have it
        new.set_mode(Gimp.LayerMode.NORMAL)


def _leave_in_place(image: Gimp.Image, finished: Finished) -> None:
    before = recall(finished.layer)
    for layer, new in finished.painted:
        _overwrite(image, layer, new)
    original = before.original if before and original_of(finished.layer) else 0
    remember(finished.layer, replace(finished.memory, original=original))


def _overwrite(image: Gimp.Image, layer: Gimp.Layer, new: Gimp.Layer) -> None:
    """Give a layer the pixels of another one, undoably."""
    for old in effect.ours(layer):
        old.delete()
    if layer.get_filters():
        layer.merge_filters()  # as in the copy that the pixels come from
    shadow: Gegl.Buffer = layer.get_shadow_buffer()
    pixels.copy(new, shadow)
    with _selected(image, None):
        layer.merge_shadow(True)
    layer.update(0, 0, layer.get_width(), layer.get_height())
    new.delete()


def _leave_effect(image: Gimp.Image, finished: Finished, keep_selection: bool) -> None:
    layer = finished.layer
    for old in effect.ours(layer):
        old.delete()
    for target, new in finished.painted:
        _overwrite(image, target, new)
    if finished.area:
        with _selected(image, finished.area):
            effect.append(layer, finished.values)
    elif keep_selection:
        effect.append(layer, finished.values)
    else:
        with _selected(image, None):
            effect.append(layer, finished.values)
    before = recall(layer)
    remember(layer, replace(finished.memory, original=before.original if before else 0))


@contextmanager
def _selected(image: Gimp.Image, area: Scene | None) -> Iterator[None]:
    """Select what was found in a scene, or nothing, for a moment."""
    had = not Gimp.Selection.is_empty(image)
    if not had and area is None:
        yield
        return
    layers = image.get_selected_layers()
    saved = Gimp.Selection.save(image) if had else None
    Gimp.Selection.none(image)
    try:
        if area:
            _select(image, area)
        yield
    finally:
        Gimp.Selection.none(image)
        if saved:
            image.select_item(Gimp.ChannelOps.REPLACE, saved)
            image.remove_channel(saved)
        image.set_selected_layers(layers)


def _select(image: Gimp.Image, area: Scene) -> None:
    width, height = image.get_width(), image.get_height()
    channel = Gimp.Channel.new(image, "found", width, height, 100, Gegl.Color.new("black"))
    image.insert_channel(channel, None, 0)
    buffer = channel.get_buffer()
    for top, rows in pixels.strips(height):
        data = masks.enlarged(area.mask, area.window, 0, top, width, rows)
        buffer.set(pixels.rectangle(0, top, width, rows), "Y u8", data)
    buffer.flush()
    image.select_item(Gimp.ChannelOps.REPLACE, channel)
    image.remove_channel(channel)
