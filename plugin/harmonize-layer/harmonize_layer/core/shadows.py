# SPDX-License-Identifier: GPL-3.0-or-later
"""The shadow of a harmonized layer: a layer of its own beneath it, in mode Multiply; sometimes two in groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gimp_bridge.client import EngineClient
from gimp_bridge.layer_pixels import ReadRows, bytes_reader
from gimp_bridge.protocol import ProgressUpdate
from gimp_bridge.request_channel import ProgressCallback
from gimp_bridge.shadow_messages import EstimateShadow, RenderShadow, ShadowValues
from gimp_bridge.strip_messages import Depth
from harmonize_layer.core import messages
from harmonize_layer.core.composite import LayerComposite
from harmonize_layer.core.geometry import PixelArea, Window, crop_plane
from harmonize_layer.core.host import HostImage, HostLayer
from harmonize_layer.core.layers import area_of
from harmonize_layer.core.metadata import LayerMetadata, mark_shadow
from harmonize_layer.core.names import shadow_name
from harmonize_layer.core.rendering import with_alpha
from harmonize_layer.core.settings import ShadowSettings
from harmonize_layer.core.shadow_places import shadow_places
from harmonize_layer.core.starting_point import StartingPoint
from s2am_common.shadow_sliders import SHADOW_SLIDERS


@dataclass(frozen=True)
class CastingLayer:
    """The layer that casts a shadow.

    area: of the layer in the image.
    alpha: reads rows of its alpha, one byte per pixel.
    masks: read rows of the masks that hide parts of it.
    """

    area: PixelArea
    alpha: ReadRows
    masks: Sequence[ReadRows] = ()


@dataclass(frozen=True)
class ShadowPlane:
    """A shadow on a window of the image, for the preview.

    color: red, green and blue, sRGB values from 0 to 1.
    opacity: a plane of the window.
    window: the window.
    """

    color: tuple[float, ...]
    opacity: bytes
    window: Window

    def rgba(self, image: HostImage, window: Window) -> bytes:
        """Return the shadow on a part of the window at any scale, RGBA."""
        opacity = image.enlarge(self.opacity, self.window, window)
        color = bytes(round(255 * value) for value in self.color)
        return with_alpha((color + b"\0") * len(opacity), opacity)


def request_shadow_values(engine: EngineClient, composite: LayerComposite, progress: ProgressCallback) -> ShadowValues:
    """Ask the engine for automatic values of the shadow of a composite's layer.

    Raises:
        S2AMError: the engine failed.
    """
    return engine.request(
        EstimateShadow(
            width=composite.window.columns,
            height=composite.window.rows,
            pixels=composite.rgba,
            layer_alpha=composite.layer_alpha,
            layer_masks=composite.layer_masks,
        ),
        progress,
    )


def automatic_values(values: ShadowValues) -> dict[str, float]:
    """Return the values by slider name that were estimated from the image."""
    return {name: values.sliders[name] for name, spec in SHADOW_SLIDERS.items() if spec.automatic}


def chosen_values(chosen: ShadowSettings, automatic: ShadowValues) -> ShadowValues:
    """Return the values of a shadow: those of the settings, or the automatic ones where the settings ask for them."""
    estimated = automatic_values(automatic) if chosen.automatic else {}
    return replace(automatic, sliders=chosen.sliders | estimated)


def new_shadow_layer(
    engine: EngineClient,
    silhouette: CastingLayer,
    values: ShadowValues,
    staging: HostImage,
    progress: ProgressCallback,
) -> HostLayer | None:
    """Render the shadow of a layer at full resolution.

    Args:
        engine: the engine.
        silhouette: the layer.
        values: see `chosen_values`.
        staging: an image of the canvas's size without a window.
        progress: called with each step.

    Returns:
        A new layer of `staging`; None if no shadow falls on the canvas.

    Raises:
        LayerError: the image is too large.
        S2AMError: the engine failed.
    """
    progress(ProgressUpdate(text="Rendering the shadow"))
    depth: Depth = "u8" if staging.has_8_bits else "u16"
    request = _render_request(silhouette, staging.size, values, depth)
    rendered, opacity = engine.render_shadow(request, silhouette.alpha, progress, silhouette.masks)
    if not opacity:
        return None
    shadow_area = PixelArea(rendered.left, rendered.top, rendered.width, rendered.height)
    return staging.add_filled(shadow_area, rendered.color, opacity, depth)


def render_shadow_plane(
    engine: EngineClient,
    composite: LayerComposite,
    masks: Sequence[bytes],
    values: ShadowValues,
    progress: ProgressCallback,
) -> ShadowPlane:
    """Render the shadow of a composite's layer at the scale of the composite.

    Args:
        engine: the engine.
        composite: the composite.
        masks: planes of the masks that hide parts of the layer.
        values: see `chosen_values`.
        progress: called with each step.

    Raises:
        S2AMError: the engine failed.
    """
    columns, rows = composite.window.columns, composite.window.rows
    planes = [bytes_reader(plane, columns) for plane in (composite.layer_alpha, *masks)]
    silhouette = CastingLayer(PixelArea(0, 0, columns, rows), planes[0], planes[1:])
    request = _render_request(silhouette, (columns, rows), values, "u8")
    rendered, opacity = engine.render_shadow(request, silhouette.alpha, progress, silhouette.masks)
    part = Window(PixelArea(rendered.left, rendered.top, rendered.width, rendered.height), 1.0)
    whole = crop_plane(opacity, part, Window(silhouette.area, 1.0)) if opacity else bytes(columns * rows)
    return ShadowPlane(rendered.color, whole, composite.window)


def _render_request(
    silhouette: CastingLayer, canvas: tuple[int, int], values: ShadowValues, depth: Depth
) -> RenderShadow:
    """Return the request for the shadow on a canvas of a size. Raises LayerError if they are too large."""
    area, (width, height) = silhouette.area, canvas
    try:
        return RenderShadow(
            width=area.width,
            height=area.height,
            left=area.x,
            top=area.y,
            canvas_width=width,
            canvas_height=height,
            sliders=values.sliders,
            color=values.color,
            depth=depth,
            layer_masks=len(silhouette.masks),
        )
    except ValueError as error:
        raise messages.too_large_for_shadow() from error


def insert_shadow(
    image: HostImage, layer: HostLayer, start: StartingPoint, metadata: LayerMetadata, shadow: HostLayer | None
) -> None:
    """Put the shadow of a layer on what is below it, undoably, in place of the one of an earlier run.

    An earlier shadow that was painted on since is hidden instead of removed.

    Args:
        image: the image.
        layer: the layer that was harmonized: of a new layer, its original.
        start: what it was harmonized from.
        metadata: of the result.
        shadow: the layer of another image; None = none.
    """
    for earlier in start.shadows:
        if earlier.is_unchanged:
            image.remove(earlier.layer)
        else:
            earlier.layer.set_visible(False)
    if shadow is None:
        return
    name = shadow_name((start.original or layer).name)
    for place in shadow_places(layer, start, area_of(shadow)):
        new = image.insert_copy(shadow, place, name, below=True)
        new.multiply()
        mark_shadow(new, metadata.shadow_identity)
