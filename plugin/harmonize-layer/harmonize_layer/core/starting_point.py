# SPDX-License-Identifier: GPL-3.0-or-later
"""Source pixels of a layer: its present ones, or those before an earlier run."""

from __future__ import annotations

from dataclasses import dataclass

from harmonize_layer.core.host import HostImage, HostLayer
from harmonize_layer.core.layers import every_layer
from harmonize_layer.core.metadata import EarlierShadow, LayerMetadata, earlier_shadows, identity_of, load_metadata
from harmonize_layer.core.settings import HarmonizeSettings


@dataclass(frozen=True)
class StartingPoint:
    """Source of the pixels that are harmonized.

    metadata: of the earlier run; None = it was not harmonized.
    original: the layer whose pixels it is harmonized from; None = its own.
    is_own_result: it is a new layer of an earlier run, with the pixels that the run left. A new result replaces them,
        as its original is still there.
    keeps_own_effects: the plug-in's own effects are part of the pixels, and stay.
    shadows: the layers of its shadow, which are no part of its background.
    """

    metadata: LayerMetadata | None = None
    original: HostLayer | None = None
    is_own_result: bool = False
    keeps_own_effects: bool = False
    shadows: tuple[EarlierShadow, ...] = ()


def find_starting_point(image: HostImage, layer: HostLayer, settings: HarmonizeSettings) -> StartingPoint:
    """Return the starting point of harmonizing a layer.

    It is the original of an earlier run if both layers still have the pixels that the run left. Otherwise, and within a
    selection, it is what the layer shows now, so that nothing painted since is lost.
    """
    metadata = load_metadata(layer)
    if metadata is None:
        return StartingPoint()
    original, shadows = _find_original(layer, metadata), earlier_shadows(image, metadata)
    if image.selection is not None and settings.reference != "selection":
        return StartingPoint(metadata, None, original is not None, keeps_own_effects=True, shadows=shadows)
    return StartingPoint(metadata, original, original is not None, shadows=shadows)


def _find_original(layer: HostLayer, metadata: LayerMetadata) -> HostLayer | None:
    """Return the layer that a new layer was made from, if neither has been changed since."""
    if not metadata.original:
        return None
    candidates = [candidate for candidate in every_layer(layer.image) if identity_of(candidate) == metadata.original]
    if not candidates or layer.digest() != metadata.digest:
        return None
    originals = (
        candidate
        for candidate in candidates
        if candidate.id != layer.id and candidate.digest() == metadata.original_digest
    )
    return next(originals, None)
