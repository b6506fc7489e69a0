# SPDX-License-Identifier: GPL-3.0-or-later
"""Differences between two states of a document: typed changes for the panels, and the area to redraw.

history.subscribe(on_change)

def on_change(before: Document, after: Document) -> None:
for change in document_changes(before, after):
match change:
case LayerAdjusted(layer_id):       # a slider or curve moved: adjustment panel and thumbnail
case LayerChanged(layer_id, fields):  # name, opacity, mask, …: one row of the layer list
case LayersChanged():               # added, removed or reordered: the whole layer list
…
dirty = render_session.update(after)        # uses `changed_area`
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from s2am_editor.document.geometry import bounding_rect, transform_points
from s2am_editor.document.model import Document, Harmonization, Layer
from s2am_editor.document.raster import TiledMask
from s2am_engine.image.rect import EMPTY_RECT, Rect


@dataclass(frozen=True)
class CanvasChanged:
    """Size, depth, color profile or metadata of the canvas changed."""


@dataclass(frozen=True)
class LayersChanged:
    """Layers were added, removed or reordered, or groups changed."""


@dataclass(frozen=True)
class LayerChanged:
    """Properties of one layer changed, other than its harmonization.

    Attributes:
        layer_id: the layer.
        fields: names of the changed fields of `Layer`: name, raster, transform, mask, opacity, visible, …
    """

    layer_id: int
    fields: frozenset[str]


@dataclass(frozen=True)
class LayerHarmonized:
    """A layer was harmonized by a model, or its harmonization was removed."""

    layer_id: int


@dataclass(frozen=True)
class LayerAdjusted:
    """Sliders or curves of a harmonized layer changed; the model's color map did not."""

    layer_id: int


@dataclass(frozen=True)
class ImageAdjusted:
    """The adjustment of the whole image changed."""


@dataclass(frozen=True)
class ActiveLayerChanged:
    """Another layer became the active one; None = no layer."""

    layer_id: int | None


@dataclass(frozen=True)
class ReferenceAreaChanged:
    """The painted reference area changed."""


DocumentChange = (
    CanvasChanged
    | LayersChanged
    | LayerChanged
    | LayerHarmonized
    | LayerAdjusted
    | ImageAdjusted
    | ActiveLayerChanged
    | ReferenceAreaChanged
)


def document_changes(before: Document, after: Document) -> tuple[DocumentChange, ...]:
    """Return the typed differences between two states of a document, from the canvas to the active layer."""
    changes: list[DocumentChange] = []
    canvas = ("width", "height", "dtype", "profile", "gray", "metadata")
    if any(getattr(before, name) != getattr(after, name) for name in canvas):
        changes.append(CanvasChanged())
    if [layer.id for layer in before.layers] != [layer.id for layer in after.layers] or before.groups != after.groups:
        changes.append(LayersChanged())
    old_layers = {layer.id: layer for layer in before.layers}
    for new in after.layers:
        old = old_layers.get(new.id, new)
        if old is not new:
            changes += _layer_changes(old, new)
    if before.adjustment is not after.adjustment:
        changes.append(ImageAdjusted())
    if before.active != after.active:
        changes.append(ActiveLayerChanged(after.active))
    if before.area is not after.area:
        changes.append(ReferenceAreaChanged())
    return tuple(changes)


def _layer_changes(old: Layer, new: Layer) -> list[DocumentChange]:
    changes: list[DocumentChange] = []
    names = [field.name for field in dataclasses.fields(Layer) if field.name not in ("id", "harmonization")]
    changed = frozenset(name for name in names if getattr(old, name) != getattr(new, name))
    if changed:
        changes.append(LayerChanged(new.id, changed))
    if old.harmonization is not new.harmonization:
        is_adjusted = _model_result(old.harmonization) == _model_result(new.harmonization)
        changes.append(LayerAdjusted(new.id) if is_adjusted else LayerHarmonized(new.id))
    return changes


def _model_result(harmonization: Harmonization | None) -> tuple[object, ...] | None:
    """Return the parts of a harmonization that a model found; sliders and curves are not among them."""
    if harmonization is None:
        return None
    predicted = harmonization.model, harmonization.confidence, harmonization.likeness
    return id(harmonization.model_map), harmonization.reference, *predicted


def changed_area(before: Document, after: Document) -> Rect:
    """Return the part of the canvas that can differ between two states of a document; it is empty if none does."""
    if (before.width, before.height, before.profile) != (after.width, after.height, after.profile):
        return before.rect.union(after.rect)
    if before.adjustment is not after.adjustment:
        return after.rect
    if before.layers == after.layers and before.groups == after.groups:
        return EMPTY_RECT
    old_layers = {layer.id: layer for layer in before.layers}
    new_layers = {layer.id: layer for layer in after.layers}
    order = [layer.id for layer in before.layers if layer.id in new_layers]
    is_reordered = order != [layer.id for layer in after.layers if layer.id in old_layers]
    area = _changed_groups_area(before, after)
    for layer_id in old_layers.keys() | new_layers.keys():
        old, new = old_layers.get(layer_id), new_layers.get(layer_id)
        if is_reordered or old is None or new is None:
            area = area.union(_visible_box(old)).union(_visible_box(new))
        elif old is not new:
            area = area.union(_changed_layer_area(old, new))
    return area.intersection(after.rect)


def _changed_groups_area(before: Document, after: Document) -> Rect:
    """Return the boxes of all layers in groups that exist or look different in only one of two states."""
    changed = set(before.groups) ^ set(after.groups)
    area = EMPTY_RECT
    for document in (before, after) if changed else ():
        for layer in document.layers:
            if changed.intersection(document.groups_of(layer)):
                area = area.union(_visible_box(layer))
    return area


def _changed_layer_area(old: Layer, new: Layer) -> Rect:
    """Return the area in which two states of a layer, at the same place of the stack, can differ."""
    if not old.visible and not new.visible:
        return EMPTY_RECT
    if _appearance(old) != _appearance(new):
        return _visible_box(old).union(_visible_box(new))
    if old.mask is new.mask:
        return EMPTY_RECT
    full_mask = TiledMask(*old.size, 255)
    part = (old.mask or full_mask).changed_area(new.mask or full_mask)
    if part.is_empty:
        return EMPTY_RECT
    if new.shadow is not None or new.finish is not None:  # both have an effect beyond the changed part
        return new.reach
    return bounding_rect(transform_points(new.transform.matrix(new.size), part.corners)).expanded(1)


def _appearance(layer: Layer) -> tuple[object, ...]:
    """Return everything except the mask that affects the appearance of a layer."""
    return (
        *(layer.raster, layer.transform, layer.opacity, layer.visible, layer.harmonization, layer.blend_mode),
        *(layer.group, layer.shadow, layer.finish),
    )


def _visible_box(layer: Layer | None) -> Rect:
    return layer.reach if layer is not None and layer.visible else EMPTY_RECT
