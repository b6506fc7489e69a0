# SPDX-License-Identifier: GPL-3.0-or-later
"""Source pixels of a layer: its present ones, or those before an earlier run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harmonize_layer.core.host import Digests, HostImage, HostLayer, OtherDrawable
from harmonize_layer.core.layers import every_layer
from harmonize_layer.core.metadata import EarlierShadow, LayerMetadata, earlier_shadows, identity_of, load_metadata
from harmonize_layer.core.settings import HarmonizeSettings

compared: dict[Digests, bool] = {}
"""Results of `recognition`: whether an original and a layer with these digests were changed alike."""


@dataclass(frozen=True)
class StartingPoint:
    """Source of the pixels that are harmonized.

    metadata: of the earlier run; None = it was not harmonized.
    original: the layer whose pixels it is harmonized from; None = its own.
    is_own_result: it is a new layer of an earlier run, with the pixels that the run left. A new result replaces them,
        as its original is still there.
    keeps_own_effects: the plug-in's own effects are part of the pixels, and stay.
    original_digest: of the original's pixels; "" unless it is an own result.
    shadows: the layers of its shadow, which are no part of its background.
    """

    metadata: LayerMetadata | None = None
    original: HostLayer | None = None
    is_own_result: bool = False
    keeps_own_effects: bool = False
    original_digest: str = ""
    shadows: tuple[EarlierShadow, ...] = ()


def find_starting_point(image: HostImage, layer: HostLayer, settings: HarmonizeSettings) -> StartingPoint:
    """Return the starting point of harmonizing a layer.

    It is the original of an earlier run if both layers still have the pixels that the run left, or were changed alike
    since (see `recognition`). Otherwise, and within a selection, it is what the layer shows now, so that nothing
    painted since is lost.
    """
    metadata = load_metadata(layer)
    if metadata is None:
        return StartingPoint()
    shadows = earlier_shadows(image, layer, metadata)
    original, digest = _find_original(layer, metadata) or (None, "")
    is_own, within_selection = original is not None, image.selection is not None and settings.reference != "selection"
    if within_selection:
        return StartingPoint(metadata, None, is_own, True, digest, shadows)
    return StartingPoint(metadata, original, is_own, False, digest, shadows)


def original_candidates(layer: HostLayer, metadata: LayerMetadata) -> list[HostLayer]:
    """Return the layers that a new layer may have been made from: that layer and copies of it, first those below.

    There are none for a group: its layers were recolored, and GIMP ends plug-ins that write to a group.
    """
    if layer.is_group:
        return []
    layers = list(every_layer(layer.image))
    place = [other.id for other in layers].index(layer.id)
    others = [*layers[place + 1 :], *layers[:place]]
    return [other for other in others if identity_of(other) == metadata.original] if metadata.original else []


def _find_original(layer: HostLayer, metadata: LayerMetadata) -> tuple[HostLayer, str] | None:
    """Return the layer that a new layer was made from, and its digest, if neither has been changed since."""
    candidates = original_candidates(layer, metadata)
    if not candidates:
        return None
    own = layer.digest()
    for candidate in candidates:
        pair = Digests(candidate.digest(), own)
        if pair == Digests(metadata.original_digest, metadata.digest) or compared.get(pair):
            return candidate, pair.read
    return None


def with_results(drawables: Sequence[HostLayer | OtherDrawable]) -> list[HostLayer | OtherDrawable]:
    """Return selected drawables, with the visible new layer of an earlier run in place of the original below it.

    A second new layer would lie between the two, covered by the first.
    """
    return [item if isinstance(item, OtherDrawable) else (_visible_result(item) or item) for item in drawables]


def _visible_result(layer: HostLayer) -> HostLayer | None:
    """Return the visible layer that was made from a layer, if neither has been changed since."""
    identity = identity_of(layer)
    if not identity:
        return None
    for other in every_layer(layer.image):
        metadata = load_metadata(other)
        if metadata and metadata.original == identity and other.is_visible:
            found = _find_original(other, metadata)
            if found and found[0].id == layer.id:
                return other
    return None
