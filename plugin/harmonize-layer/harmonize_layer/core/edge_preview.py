# SPDX-License-Identifier: GPL-3.0-or-later
"""The refined mask of the preview."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gimp_bridge.client import EngineClient
from gimp_bridge.layer_pixels import PixelSource, bytes_reader
from harmonize_layer.core.composite import PredictedComposite
from harmonize_layer.core.detail import Detail
from harmonize_layer.core.geometry import Window
from harmonize_layer.core.host import HostLayer
from harmonize_layer.core.masks import RefinedMask, pixel_rows, request_refined_mask
from harmonize_layer.core.rendering import with_alpha


@dataclass
class EdgePreview:
    """A part of the image, and its mask for the edges that were asked for last.

    window: the part.
    source: its pixels and planes, see `RefineMask`.
    """

    window: Window
    source: PixelSource
    _last: tuple[dict[str, float], RefinedMask] | None = field(default=None, init=False)

    def refined(self, engine: EngineClient, edges: Mapping[str, float]) -> RefinedMask | None:
        """Return the mask with refined edges; None if no edges are to be refined.

        Raises:
            S2AMError: the engine failed.
        """
        if not edges:
            return None
        if self._last is None or self._last[0] != edges:
            self._last = dict(edges), request_refined_mask(engine, self.window, self.source, edges)
        return self._last[1]


def edges_of_composite(layer: HostLayer, predicted: PredictedComposite) -> EdgePreview:
    """Return the edges of a composite, whose layer is read now."""
    composite = predicted.composite
    window, start = composite.window, composite.start
    pixels = pixel_rows(start.original or layer, layer.position, window)(0, window.rows)
    selection = b"" if composite.selection_is_reference or composite.subject else composite.selection
    masks = composite.mask_planes
    mask = masks.pop() if composite.subject else predicted.predicted_mask
    return _preview(window, with_alpha(pixels, composite.layer_alpha), masks, selection, mask)


def edges_of_detail(part: Detail) -> EdgePreview:
    """Return the edges of a magnified part."""
    masks = list(part.masks)
    predicted = masks.pop() if part.subject else part.predicted
    return _preview(part.window, part.stack.layer, masks, b"" if part.subject else part.selection, predicted)


def _preview(window: Window, pixels: bytes, masks: list[bytes], selection: bytes, predicted: bytes) -> EdgePreview:
    columns = window.columns
    source = PixelSource(
        pixels=bytes_reader(pixels, 4 * columns),
        layer_masks=tuple(bytes_reader(mask, columns) for mask in masks),
        selection=bytes_reader(selection, columns) if selection else None,
        predicted=bytes_reader(predicted, columns) if predicted else None,
    )
    return EdgePreview(window, source)
