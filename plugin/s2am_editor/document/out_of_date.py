# SPDX-License-Identifier: GPL-3.0-or-later
"""Detection of outdated results in a document: their layer was moved or cut, or its background changed since.

States are compared by the identity of pixels and masks, so undoing a change makes a result current again. Places count
only relative to each other: a layer that is moved together with its background keeps its results.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable

from s2am_editor.document.basis import Basis, Outdated
from s2am_editor.document.geometry import Transform
from s2am_editor.document.model import BENEATH, Document, Harmonization, Layer, Reference

_PLACE_DIGITS = 3  # decimals of a pixel to which places are compared: cropping the canvas rounds them


def basis_of(document: Document, layer: Layer, placement: Transform, reference: Reference = BENEATH) -> Basis:
    """Return the state that a result of a layer depends on, apart from the layer's place.

    Args:
        document: contains the layer.
        layer: a layer of the document.
        placement: of the layer when the result was computed, on the current canvas.
        reference: what the layer was matched to.
    """
    if reference.layer is not None:
        below: Iterable[Layer] = (other for other in document.layers if other.id == reference.layer)
    else:
        below = (other for other in document.layers[: document.index(layer.id)] if document.shows(other))
    return Basis((layer.raster, layer.mask), tuple(_appearance(document, other, placement) for other in below))


def _appearance(document: Document, layer: Layer, origin: Transform) -> Hashable:
    """Return everything that affects the appearance of a layer, with its place relative to another."""
    transform = layer.transform
    place = round(transform.x - origin.x, _PLACE_DIGITS), round(transform.y - origin.y, _PLACE_DIGITS)
    colors = finish = None
    if found := layer.harmonization:
        colors = found.model_map, found.sliders, found.curves
    if measured := layer.finish:
        finish = measured.values, measured.measurement, measured.surroundings
    groups = tuple((group.opacity, group.blend_mode, group.isolated) for group in document.groups_of(layer))
    mixing = layer.opacity, layer.blend_mode, layer.shadow, finish, groups
    return layer.raster, layer.mask, place, dataclasses.replace(transform, x=0.0, y=0.0), colors, mixing


def harmonization_outdated(document: Document, layer: Layer) -> tuple[Outdated, ...]:
    """Return why the harmonization of a layer is out of date; empty if it is not, or if there is none."""
    found = layer.harmonization
    if found is None or found.placement is None:
        return ()
    return _outdated(document, layer, found.basis, found.placement, found.reference)


def finish_outdated(document: Document, layer: Layer) -> tuple[Outdated, ...]:
    """Return why the finish of a layer is out of date; empty if it is not, or if there is none."""
    found = layer.finish
    return () if found is None else _outdated(document, layer, found.basis, found.placement, BENEATH)


def _outdated(
    document: Document, layer: Layer, basis: Basis | None, placement: Transform, reference: Reference
) -> tuple[Outdated, ...]:
    moved = layer.transform != placement
    if basis is None:
        return (Outdated.PLACEMENT,) if moved else ()
    current = basis_of(document, layer, placement, reference)
    changed = basis.background != current.background
    if moved and changed and _keeps_its_place(document, layer, basis, placement, reference):
        moved = changed = False
    reasons = {
        Outdated.PLACEMENT: moved,
        Outdated.CUTOUT: basis.cutout != current.cutout,
        Outdated.BACKGROUND: changed,
    }
    return tuple(reason for reason, applies in reasons.items() if applies)


def _keeps_its_place(
    document: Document, layer: Layer, basis: Basis, placement: Transform, reference: Reference
) -> bool:
    """Return whether a layer was moved together with its background; a painted reference area is not moved with it."""
    transform = layer.transform
    if reference.area is not None or dataclasses.replace(placement, x=transform.x, y=transform.y) != transform:
        return False
    return basis.background == basis_of(document, layer, transform, reference).background


def restored_basis(
    document: Document,
    layer: Layer,
    placement: Transform,
    outdated: Iterable[Outdated],
    reference: Reference = BENEATH,
) -> Basis:
    """Return the basis of a result that is read from a file, where it was out of date for some reasons."""
    reasons = set(outdated)
    origin = placement if Outdated.PLACEMENT in reasons else layer.transform
    current = basis_of(document, layer, origin, reference)
    return Basis(
        None if Outdated.CUTOUT in reasons else current.cutout,
        None if Outdated.BACKGROUND in reasons else current.background,
    )


def with_basis(found: Harmonization, document: Document, layer: Layer) -> Harmonization:
    """Return a harmonization that was just computed for a layer of a document, with place and basis."""
    basis = basis_of(document, layer, layer.transform, found.reference)
    return dataclasses.replace(found, placement=layer.transform, basis=basis)
