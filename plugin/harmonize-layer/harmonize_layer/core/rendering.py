# SPDX-License-Identifier: GPL-3.0-or-later
"""The pixels of the preview: a composite, or a part of it, with its foreground recolored by the engine."""

from __future__ import annotations

from collections.abc import Callable

from gimp_bridge.client import EngineClient
from gimp_bridge.layer_pixels import PixelLayout, PixelSource
from gimp_bridge.protocol import AdjustResult, HarmonizeResponse
from harmonize_layer.core.composite import LayerComposite
from harmonize_layer.core.detail import Detail


def render_composite(
    engine: EngineClient, composite: LayerComposite, result: HarmonizeResponse, adjusted: AdjustResult
) -> bytes:
    """Return the composite with its foreground recolored, or the layer of its stack recolored, RGBA."""
    columns, rows = composite.window.columns, composite.window.rows
    if composite.stack is None:
        source = PixelSource(_rows_of(composite.rgba, 4 * columns), predicted=_rows_of(result.mask, columns))
        return _render(engine, adjusted, columns, rows, source)
    part = Detail(
        window=composite.window,
        stack=composite.stack,
        before=composite.stack.before,
        masks=tuple(composite.mask_planes),
        selection=b"" if composite.selection_is_reference else composite.selection,
        predicted=result.mask if result.mask_predicted else b"",
    )
    return render_detail(engine, part, adjusted)


def render_detail(engine: EngineClient, part: Detail, adjusted: AdjustResult) -> bytes:
    """Return the layer of a part recolored, RGBA; its `PreviewStack` blends it with what is below."""
    columns, rows = part.window.columns, part.window.rows
    source = PixelSource(
        _rows_of(part.stack.layer, 4 * columns),
        tuple(_rows_of(mask, columns) for mask in part.masks),
        selection=_rows_of(part.selection, columns) if part.selection else None,
        predicted=_rows_of(part.predicted, columns) if part.predicted else None,
    )
    return _render(engine, adjusted, columns, rows, source)


def with_alpha(rgba: bytes, alpha: bytes) -> bytes:
    """Return RGBA pixels with another alpha."""
    changed = bytearray(rgba)
    changed[3::4] = alpha
    return bytes(changed)


def _render(engine: EngineClient, adjusted: AdjustResult, columns: int, rows: int, source: PixelSource) -> bytes:
    parts: dict[int, bytes] = {}

    def write(top: int, _count: int, data: bytes) -> None:
        parts[top] = data

    engine.render(adjusted.effect or adjusted.color_map, PixelLayout(columns, rows), source, write)
    return b"".join(parts[top] for top in sorted(parts))


def _rows_of(data: bytes, row_bytes: int) -> Callable[[int, int], bytes]:
    return lambda top, count: data[top * row_bytes : (top + count) * row_bytes]
