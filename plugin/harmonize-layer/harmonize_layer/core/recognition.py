# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognizing a harmonized layer and its original after both were changed alike, as by scaling the image.

The digests of their pixels do not match then. But if the one still has the recolored colors of the other, nothing was
painted on it, and a further run starts from the original.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gimp_bridge.client import EngineClient
from gimp_bridge.color_messages import MeasureDeviation
from gimp_bridge.protocol import ProgressUpdate
from gimp_bridge.request_channel import ProgressCallback
from harmonize_layer.core.geometry import PixelArea
from harmonize_layer.core.host import Digests, HostLayer
from harmonize_layer.core.metadata import LayerMetadata, load_metadata
from harmonize_layer.core.starting_point import original_candidates, recognized

_LARGEST_DEVIATION = 4
"""In 8-bit levels: resampling a recolored layer and recoloring a resampled one differ a little."""

_TILE = 1024


def recognize_changed(layers: Sequence[HostLayer], engine: EngineClient, progress: ProgressCallback) -> None:
    """Compare the layers that were changed since they were harmonized with their originals, and keep the result.

    Raises:
        S2AMError: the engine failed.
    """
    for layer in layers:
        metadata = load_metadata(layer)
        if metadata and metadata.original:
            _recognize(layer, metadata, engine, progress)


def _recognize(layer: HostLayer, metadata: LayerMetadata, engine: EngineClient, progress: ProgressCallback) -> None:
    own = layer.digest()
    if own == metadata.digest:
        return
    for candidate in original_candidates(layer, metadata):
        pair = Digests(candidate.digest(), own)
        if pair.read == metadata.original_digest or candidate.size != layer.size or pair in recognized:
            continue
        progress(ProgressUpdate(text="Comparing with the original"))
        if all(_is_recolored(layer, candidate, tile, metadata, engine) for tile in _tiles(layer.size)):
            recognized.add(pair)
            return


def _is_recolored(
    layer: HostLayer, original: HostLayer, tile: PixelArea, metadata: LayerMetadata, engine: EngineClient
) -> bool:
    """Return whether a tile of a layer has the recolored colors of its original."""
    around = PixelArea(tile.x - 1, tile.y - 1, tile.width + 2, tile.height + 2)
    request = MeasureDeviation(
        width=tile.width,
        height=tile.height,
        color_map=metadata.color_map,
        before=original.read("R'G'B'A u8", around),
        after=layer.read("R'G'B'A u8", tile),
    )
    return engine.request(request).levels <= _LARGEST_DEVIATION


def _tiles(size: tuple[int, int]) -> Iterator[PixelArea]:
    width, height = size
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            yield PixelArea(left, top, min(_TILE, width - left), min(_TILE, height - top))
