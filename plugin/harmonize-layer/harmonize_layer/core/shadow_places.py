# SPDX-License-Identifier: GPL-3.0-or-later
"""Places of a shadow in the layer tree, so that it falls on everything that the canvas shows below a layer.

A layer in mode Multiply darkens only what lies below it in the nearest group that does not pass through. Where that is
partly transparent, a second layer below the group darkens what shines through: together they darken the canvas by the
same factor, whatever the opacities and the mask of the group are.
"""

from __future__ import annotations

from harmonize_layer.core.geometry import PixelArea, Window, reduced_scale
from harmonize_layer.core.host import HostLayer
from harmonize_layer.core.layers import ancestors
from harmonize_layer.core.starting_point import StartingPoint

_OPAQUE = 254
"""Lowest alpha value of an opaque layer; reducing it may round."""


def shadow_places(layer: HostLayer, start: StartingPoint, area: PixelArea) -> list[HostLayer]:
    """Return the layers and groups directly below which the shadow of a layer belongs, from the inside out.

    A shadow below the layer in its group, and one below the group unless the group is opaque there. Where nothing is
    below the layer in its group, there is only the outer one, and so for a group whose mode mixes its colors with those
    below it.

    Args:
        layer: the layer that was harmonized: of a new layer, its original.
        start: what it was harmonized from.
        area: of the shadow, in the image.
    """
    window = Window(area, reduced_scale((area.width, area.height)))
    places: list[HostLayer] = []
    place = item = _lowest(layer, start)
    is_shown = is_covered = False
    for group in ancestors(layer):
        below = [other for other in group.children[item.index + 1 :] if other.is_visible]
        is_shown = is_shown or any(any(_alpha(other, window)) for other in below)
        is_complete = group.opacity == 100 and group.mask is None and not group.other_effects
        is_covered = is_complete and (is_covered or any(_is_opaque(other, window) for other in below))
        item = group
        if group.passes_through:
            if group.mask and not is_shown:
                place = group  # inside, the mask would cut the shadow off
            continue
        if not group.is_normal:
            places.clear()
        elif is_shown:
            places.append(place)
            if is_covered:
                return places
        place, is_shown, is_covered = group, False, False
    return [*places, place]


def _lowest(layer: HostLayer, start: StartingPoint) -> HostLayer:
    """Return the original of a layer if it is the next one below it, else the layer itself."""
    original = start.original
    is_next = original is not None and _position(original) == (*_position(layer)[:-1], layer.index + 1)
    return original if original is not None and is_next else layer


def _position(layer: HostLayer) -> tuple[int, int]:
    return (layer.parent.id if layer.parent else 0), layer.index


def _is_opaque(layer: HostLayer, window: Window) -> bool:
    """Return whether a layer hides everything below it in a window; edges of a reduced one are partly transparent."""
    if not layer.is_plain or layer.mask:
        return False
    alpha, columns, edge = _alpha(layer, window), window.columns, int(window.scale < 1)
    rows = (alpha[columns * row + edge : columns * (row + 1) - edge] for row in range(edge, window.rows - edge))
    return min((min(row, default=0) for row in rows), default=0) >= _OPAQUE


def _alpha(layer: HostLayer, window: Window) -> bytes:
    return layer.read("A u8", window.relative_to(layer.position), window.scale)
