# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting results that are ready into the image, in one undo step."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harmonize_layer.core.host import Digests, HostImage, HostLayer, Matrix3
from harmonize_layer.core.layers import area_of, effect_targets, leaves
from harmonize_layer.core.masks import WindowMask, enlarged_rows
from harmonize_layer.core.metadata import LayerMetadata, identity_of, save_metadata, set_identity
from harmonize_layer.core.names import harmonized_name
from harmonize_layer.core.settings import HarmonizeSettings
from harmonize_layer.core.shadows import insert_shadow
from harmonize_layer.core.starting_point import StartingPoint


@dataclass(frozen=True)
class FinishedLayer:
    """A layer whose result is ready.

    start: what it was harmonized from.
    pixels: pairs of a layer and one with its new pixels, which is not in the image yet; several for the layers of a
        group.
    effects: their gains, in the order in which they are applied.
    mask: predicted, or with refined edges: it limits the effect; None = the selection limits it.
    subject: the subject of the layer, its edges refined, which becomes its layer mask; None = the layer has a mask or
        transparency.
    shadow: the layer of its shadow, which is not in the image yet; None = it has none.
    digests: of the pixels that were read from the layer (or its original) and written; None = unknown.
    """

    layer: HostLayer
    start: StartingPoint
    metadata: LayerMetadata
    pixels: Sequence[tuple[HostLayer, HostLayer]] = ()
    effects: Sequence[Matrix3] = ()
    mask: WindowMask | None = None
    subject: WindowMask | None = None
    shadow: HostLayer | None = None
    digests: Digests | None = None


def insert_results(image: HostImage, finished: Sequence[FinishedLayer], settings: HarmonizeSettings) -> list[HostLayer]:
    """Put all results into the image, in one undo step; return the layers that hold them."""
    results, is_new = [], False
    with image.undo_group():
        for harmonized in finished:
            if harmonized.layer.is_floating:
                harmonized.layer.anchor_as_layer()
            if harmonized.metadata.result == "effect":
                _insert_effect(image, harmonized, limit_to_selection=settings.reference != "selection")
                results.append(harmonized.layer)
            elif harmonized.metadata.result == "in-place" or harmonized.start.is_own_result:
                _replace_pixels(image, harmonized)
                results.append(harmonized.layer)
            else:
                results.append(_insert_above(image, harmonized, hide_original=settings.hide_original))
                is_new = True
            insert_shadow(image, harmonized.layer, harmonized.start, harmonized.metadata, harmonized.shadow)
            is_new = is_new or harmonized.shadow is not None
            if harmonized.subject:
                results[-1].add_mask(enlarged_rows(image, harmonized.subject, area_of(results[-1])))
        if is_new:
            image.select_layers(results)
    return results


def _insert_above(image: HostImage, finished: FinishedLayer, *, hide_original: bool) -> HostLayer:
    layer, name = finished.layer, harmonized_name(finished.layer.name)
    if layer.passes_through:
        new = image.insert_copy(layer, layer, name)
        for copied, (_, pixels) in zip(leaves(new), finished.pixels, strict=True):
            _overwrite(image, copied, pixels)
    else:
        ((_, pixels),) = finished.pixels
        new = image.insert_copy(pixels, layer, name)
        new.copy_attributes(layer)
    identity = identity_of(layer) or secrets.token_hex(16)
    set_identity(layer, identity)
    digests = finished.digests or Digests(layer.digest(), new.digest())
    metadata = replace(finished.metadata, original=identity, original_digest=digests.read, digest=digests.written)
    save_metadata(new, metadata)
    if hide_original:
        layer.set_visible(False)
    return new


def _replace_pixels(image: HostImage, finished: FinishedLayer) -> None:
    for layer, new in finished.pixels:
        _overwrite(image, layer, new)
    _save_with_digest(finished)


def _overwrite(image: HostImage, layer: HostLayer, new: HostLayer) -> None:
    layer.remove_own_effects()
    with image.selected(None, None):
        layer.replace_pixels(new)


def _insert_effect(image: HostImage, finished: FinishedLayer, *, limit_to_selection: bool) -> None:
    mask = finished.mask
    for layer, new in finished.pixels:
        _overwrite(image, layer, new)
    for target in effect_targets(finished.layer):
        if not finished.start.keeps_own_effects:
            target.remove_own_effects()
        if mask is None and limit_to_selection:
            target.append_effects(finished.effects)
        else:
            with image.selected(mask.plane if mask else None, mask.window if mask else None):
                target.append_effects(finished.effects)
    _save_with_digest(finished)


def _save_with_digest(finished: FinishedLayer) -> None:
    """Store the metadata with the layer; the digest is needed only to find out whether its original still counts."""
    layer, metadata = finished.layer, finished.metadata
    if metadata.original:
        metadata = replace(metadata, digest=finished.digests.written if finished.digests else layer.digest())
    save_metadata(layer, metadata)
