# SPDX-License-Identifier: GPL-3.0-or-later
"""Recoloring a layer's pixels with the engine, into a new layer that is in no picture yet."""

from __future__ import annotations

import typing
from contextlib import nullcontext

from gi.repository import Gimp

from gimp_bridge.client import Layer
from harmonize_layer import masks, pixels, scene
from harmonize_layer.pixels import NOT_ZERO, Read
from harmonize_layer.scene import Scene
from harmonize_layer.targets import leaves

if typing.TYPE_CHECKING:
    from harmonize_layer.work import Work


def paint(work: Work, layer: Gimp.Layer, found: Scene | None) -> list[tuple[Gimp.Layer, Gimp.Layer]]:
    """Recolor a layer with the map that the engine has now.

    Args:
        work: what is done; its picture is not touched.
        layer: of a group, each layer in it is recolored if it is done in place, else what they show together.
        found: limits the change to what was found; None = what the layer, its masks and the selection let through.

    Returns:
        Pairs of a layer and one with its new pixels.
    """
    parts = list(leaves(layer)) if work.settings.result == "in-place" else [layer]
    return [(part, _painted(work, part, found)) for part in parts]


def restored(image: Gimp.Image, layer: Gimp.Layer) -> Gimp.Layer:
    """A new layer with the pixels that a harmonized layer had before."""
    with scene.copied(image, layer) as (_, source):
        new = _blank(image, source)
        pixels.copy(source, new.get_buffer())
    return new


def _painted(work: Work, layer: Gimp.Layer, found: Scene | None) -> Gimp.Layer:
    image = work.image
    opened = scene.copied(image, layer) if scene.needs_copy(layer) else nullcontext((image, layer))
    with opened as (_, source):
        form, width, height = pixels.format_of(source), source.get_width(), source.get_height()
        new = _blank(image, source)
        weights = _weights(work, layer, source, found)
        if not form.exact:
            pixels.copy(source, new.get_buffer())
        buffer = new.get_buffer()
        work.engine.render(
            Layer(width, height, form.depth, form.linear),
            pixels.reader(source, form.name),
            pixels.writer(buffer, width, form, _where(source, weights)),
            weights,
            work.tell,
        )
        buffer.flush()
    return new


def _blank(image: Gimp.Image, source: Gimp.Layer) -> Gimp.Layer:
    """A layer of a source's size, kind and place, for a picture in which it is not yet."""
    name, kind = f"{source.get_name()} harmonized", source.type()
    new = Gimp.Layer.new(image, name, source.get_width(), source.get_height(), kind, 100, Gimp.LayerMode.NORMAL)
    new.set_offsets(*masks.offsets(source))
    return new


def _weights(work: Work, layer: Gimp.Layer, source: Gimp.Layer, found: Scene | None) -> Read | None:
    """A function that gives how much of the change each pixel gets, in rows of the layer; None = all of it everywhere.

    Of what is pasted the pixels are recolored wholly, also where they are half transparent: their transparency mixes
    them with what is beneath anyway. A soft selection or a soft edge that was found mixes the pixels themselves.
    """
    (x, y), width = masks.offsets(source), source.get_width()
    selection = masks.selection_of(work.image) if work.settings.reference != "selection" else None
    hiding = [(mask, (at[0] - x, at[1] - y)) for mask, at in masks.layer_masks(layer)]
    if not (selection or hiding or found):
        return None

    def read(top: int, rows: int) -> bytes:
        planes = [masks.rows_of(mask, at, width, top, rows).translate(NOT_ZERO) for mask, at in hiding]
        if selection:
            planes.append(masks.rows_of(selection, (-x, -y), width, top, rows))
        if found:
            planes.append(masks.enlarged(found.mask, found.window, x, y + top, width, rows))
        return masks.multiplied(planes)

    return read


def _where(source: Gimp.Layer, weights: Read | None) -> Read:
    """A function that gives rows of bytes that are 0 where nothing of a layer changes."""
    alpha = pixels.reader(source, "A float")

    def read(top: int, rows: int) -> bytes:
        whole = alpha(top, rows)
        seen = whole[3::4]  # the byte with the exponent: 0 only for 0, or for what is far below any integer's step
        return masks.multiplied([seen.translate(NOT_ZERO), weights(top, rows)]) if weights else seen

    return read
