# SPDX-License-Identifier: GPL-3.0-or-later
"""What looks different in two documents, so that no more than that is drawn again."""

from __future__ import annotations

from s2am_editor.document.geometry import Rect, apply, box_of
from s2am_editor.document.mask import Mask
from s2am_editor.document.model import Document, Layer

NOWHERE = Rect(0, 0, 0, 0)


def changed_area(before: Document, after: Document) -> Rect:
    """The part of the canvas that may look different in two documents; of no size if none does."""
    if (before.width, before.height, before.profile) != (after.width, after.height, after.profile):
        return before.rect.with_(after.rect)
    if before.layers == after.layers:
        return NOWHERE
    then = {layer.id: layer for layer in before.layers}
    now = {layer.id: layer for layer in after.layers}
    order = [layer.id for layer in before.layers if layer.id in now]
    reordered = order != [layer.id for layer in after.layers if layer.id in then]
    area = NOWHERE
    for layer_id in then.keys() | now.keys():
        old, new = then.get(layer_id), now.get(layer_id)
        if reordered or old is None or new is None:
            area = area.with_(_shown(old)).with_(_shown(new))
        elif old is not new:
            area = area.with_(_difference(old, new))
    return area.within(after.rect)


def _difference(old: Layer, new: Layer) -> Rect:
    """Where two states of one layer, in one place of the stack, look different."""
    if not old.visible and not new.visible:
        return NOWHERE
    if _look(old) != _look(new):
        return _shown(old).with_(_shown(new))
    if old.mask is new.mask:
        return NOWHERE
    whole = Mask(*old.size, 255)
    part = (old.mask or whole).changed_area(new.mask or whole)
    return NOWHERE if part.is_empty else box_of(apply(new.transform.matrix(new.size), part.corners)).grown(1)


def _look(layer: Layer) -> tuple[object, ...]:
    """All that a layer's look depends on but its mask."""
    return layer.raster, layer.transform, layer.opacity, layer.visible, layer.harmonization


def _shown(layer: Layer | None) -> Rect:
    return layer.box if layer is not None and layer.visible else NOWHERE
