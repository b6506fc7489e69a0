# SPDX-License-Identifier: GPL-3.0-or-later
"""The pixels of the preview: a composite, or a part of it, with its foreground recolored by the engine."""

from __future__ import annotations

from dataclasses import replace

from gimp_bridge.client import EngineClient
from gimp_bridge.color_messages import AdjustResult
from gimp_bridge.finish_messages import LayerFinish
from gimp_bridge.layer_pixels import PixelLayout, PixelSource, bytes_reader
from harmonize_layer.core.composite import PredictedComposite
from harmonize_layer.core.detail import Detail
from harmonize_layer.core.masks import RefinedMask


def render_composite(
    engine: EngineClient,
    predicted: PredictedComposite,
    adjusted: AdjustResult,
    refined: RefinedMask | None = None,
    finish: LayerFinish | None = None,
) -> bytes:
    """Return the composite with its foreground recolored, or the layer of its stack recolored, RGBA.

    Args:
        engine: the engine.
        predicted: the composite, and its prediction.
        adjusted: the color map.
        refined: the mask with refined edges; None = the composite's own.
        finish: of the layer of a stack; not of a composite, whose soft edges are mixed with the background.
    """
    composite = predicted.composite
    columns, rows = composite.window.columns, composite.window.rows
    if composite.stack is None:
        mask = refined.mask.plane if refined else predicted.result.mask
        source = PixelSource(bytes_reader(composite.rgba, 4 * columns), predicted=bytes_reader(mask, columns))
        return _render(engine, adjusted, PixelLayout(columns, rows), source)
    part = Detail(
        window=composite.window,
        stack=composite.stack,
        before=composite.stack.before,
        masks=tuple(composite.mask_planes),
        selection=b"" if composite.selection_is_reference else composite.selection,
        predicted=predicted.predicted_mask,
        subject=composite.subject,
    )
    return render_detail(engine, part, adjusted, refined, finish)


def render_detail(
    engine: EngineClient,
    part: Detail,
    adjusted: AdjustResult,
    refined: RefinedMask | None = None,
    finish: LayerFinish | None = None,
) -> bytes:
    """Return the layer of a part recolored, RGBA; its `PreviewStack` blends it with the layers below.

    Args:
        engine: the engine.
        part: the part.
        adjusted: the color map.
        refined: the mask with refined edges; None = the part's own.
        finish: of the part's pixels; left out if they are reduced.
    """
    if refined and part.subject:
        part = replace(part, masks=(*part.masks[:-1], refined.share.plane))
    elif refined:
        part = replace(part, selection=b"", predicted=refined.share.plane)
    columns, rows = part.window.columns, part.window.rows
    source = PixelSource(
        bytes_reader(part.stack.layer, 4 * columns),
        tuple(bytes_reader(mask, columns) for mask in part.masks),
        selection=bytes_reader(part.selection, columns) if part.selection else None,
        predicted=bytes_reader(part.predicted, columns) if part.predicted else None,
    )
    applied = finish if part.window.scale == 1 else None
    return _render(engine, adjusted, PixelLayout(columns, rows), source, applied)


def with_alpha(rgba: bytes, alpha: bytes) -> bytes:
    """Return RGBA pixels with another alpha."""
    changed = bytearray(rgba)
    changed[3::4] = alpha
    return bytes(changed)


def _render(
    engine: EngineClient,
    adjusted: AdjustResult,
    layout: PixelLayout,
    source: PixelSource,
    finish: LayerFinish | None = None,
) -> bytes:
    parts: dict[int, bytes] = {}

    def write(top: int, _count: int, data: bytes) -> None:
        parts[top] = data

    engine.render(adjusted.effect or adjusted.color_map, layout, source, write, finish=finish)
    return b"".join(parts[top] for top in sorted(parts))
