# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognizing a harmonized layer and its original after both were changed alike, as by scaling the image.

The digests of their pixels do not match then. But if the one still has the recolored colors of the other, nothing was
painted on it, and a further run starts from the original.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gimp_bridge.client import EngineClient
from gimp_bridge.color_messages import MeasureDeviation
from gimp_bridge.protocol import ProgressUpdate
from gimp_bridge.request_channel import ProgressCallback
from harmonize_layer.core.geometry import PixelArea
from harmonize_layer.core.host import Digests, HostLayer
from harmonize_layer.core.metadata import LayerMetadata, load_metadata
from harmonize_layer.core.starting_point import compared, original_candidates

_LARGEST_DEVIATION = 4
"""In 8-bit levels: resampling a recolored layer and recoloring a resampled one differ a little."""

_TILE = 1024


@dataclass(frozen=True)
class ChangedPair:
    """A harmonized layer, and the layer that it was made from, which were both changed since.

    digests: of their pixels now: of the original and of the layer.
    """

    layer: HostLayer
    original: HostLayer
    metadata: LayerMetadata
    digests: Digests


def find_changed(layers: Sequence[HostLayer]) -> Iterator[ChangedPair]:
    """Yield the pairs of layers that were changed since they were harmonized, and not compared yet."""
    for layer in layers:
        metadata = load_metadata(layer)
        candidates = original_candidates(layer, metadata) if metadata else []
        if metadata is None or not candidates or (own := layer.digest()) == metadata.digest:
            continue
        for original in candidates:
            digests = Digests(original.digest(), own)
            if digests.read != metadata.original_digest and original.size == layer.size and digests not in compared:
                yield ChangedPair(layer, original, metadata, digests)


def recognize_changed(layers: Sequence[HostLayer], engine: EngineClient, progress: ProgressCallback) -> None:
    """Compare layers that were changed since they were harmonized with their originals, for `find_starting_point`.

    Args:
        layers: those that are to be harmonized.
        engine: the engine that compares.
        progress: called for each tile of a layer; may raise to cancel.

    Raises:
        S2AMError: the engine failed.
    """
    for pair in find_changed(layers):
        compared[pair.digests] = _is_recolored_everywhere(pair, engine, progress)


def _is_recolored_everywhere(pair: ChangedPair, engine: EngineClient, progress: ProgressCallback) -> bool:
    tiles = list(_tiles(pair.layer.size))
    for number, tile in enumerate(tiles):
        progress(ProgressUpdate(text="Comparing with the original", fraction=number / len(tiles)))
        if not _is_recolored(pair, tile, engine):
            return False
    return True


def _is_recolored(pair: ChangedPair, tile: PixelArea, engine: EngineClient) -> bool:
    """Return whether a tile of a layer has the recolored colors of its original."""
    around = PixelArea(tile.x - 1, tile.y - 1, tile.width + 2, tile.height + 2)
    request = MeasureDeviation(
        width=tile.width,
        height=tile.height,
        color_map=pair.metadata.color_map,
        before=pair.original.read("R'G'B'A u8", around),
        after=pair.layer.read("R'G'B'A u8", tile),
    )
    return engine.request(request).levels <= _LARGEST_DEVIATION


def _tiles(size: tuple[int, int]) -> Iterator[PixelArea]:
    width, height = size
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            yield PixelArea(left, top, min(_TILE, width - left), min(_TILE, height - top))
