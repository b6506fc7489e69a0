# SPDX-License-Identifier: GPL-3.0-or-later
"""The reduced composite that the engine gets: the layer on the visible background, read without changing the image."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from gimp_bridge import protocol
from gimp_bridge.client import EngineClient, ProgressCallback
from harmonize_layer.core import messages
from harmonize_layer.core.geometry import INPUT_SIDE, PixelArea, Window, choose_window
from harmonize_layer.core.host import HostDrawable, HostImage, HostLayer
from harmonize_layer.core.layers import (
    area_of,
    expose,
    is_exposed,
    is_single_layer,
    layer_at,
    layer_masks,
    path_of,
    show_on_reference,
    source_copy,
)
from harmonize_layer.core.settings import HarmonizeSettings
from s2am_common.errors import MaskError


@dataclass(frozen=True)
class LayerComposite:
    """The reduced composite of one layer; the planes have the size of the window.

    name: of the layer, for messages.
    window: the part of the image.
    rgba: the visible pixels.
    layer_alpha, layer_masks, selection: see `protocol.Harmonize`.
    mask_source: which mask the engine should use.
    is_empty: the layer has no visible pixel, on the canvas or outside of it.
    """

    name: str
    window: Window
    rgba: bytes
    layer_alpha: bytes
    layer_masks: bytes = b""
    selection: bytes = b""
    selection_is_reference: bool = False
    mask_source: protocol.MaskSource = "layer"
    is_empty: bool = False

    def request(self, model: str, *, likeliest: bool, predicted: bytes = b"") -> protocol.Harmonize:
        """Return the request to predict its color map, see `protocol.Harmonize`."""
        return protocol.Harmonize(
            width=self.window.columns,
            height=self.window.rows,
            pixels=self.rgba,
            layer_alpha=self.layer_alpha,
            layer_masks=self.layer_masks,
            selection=self.selection,
            selection_is_reference=self.selection_is_reference,
            predicted=predicted,
            mask_source=self.mask_source,
            likeliest=likeliest,
            model=model,
        )


def read_composite(
    image: HostImage, layer: HostLayer, others: Sequence[HostLayer], settings: HarmonizeSettings
) -> LayerComposite:
    """Read the composite for a layer.

    Args:
        image: the image.
        layer: the layer to harmonize.
        others: layers that are harmonized in the same call, and therefore no reference.
        settings: reference and mask.

    Raises:
        LayerError: the reference is missing.
    """
    selection, as_reference = image.selection, settings.reference == "selection"
    if as_reference and selection is None:
        raise messages.no_reference_area()
    exposed = settings.reference != "layer" and not others and is_exposed(layer)
    with nullcontext((image, layer)) if exposed else source_copy(image, layer) as (shown, twin):
        window = choose_window(image.size, area_of(twin))
        alpha = _read_plane(twin, "A u8", window)
        for other in others:
            layer_at(shown, path_of(other)).set_visible(False)
        if settings.reference == "layer":
            show_on_reference(shown, twin, settings.reference_layer, image)
        elif not exposed:
            expose(twin)
        rgba = shown.read_visible(window if exposed else _crop_to(shown, window))
    automatic: protocol.MaskSource = "layer-or-predicted" if is_single_layer(image) else "layer"
    return LayerComposite(
        name=layer.name,
        window=window,
        rgba=rgba,
        layer_alpha=alpha,
        layer_masks=b"".join(_read_plane(mask, "Y u8", window) for mask in layer_masks(layer)),
        selection=_read_plane(selection, "Y u8", window) if selection else b"",
        selection_is_reference=as_reference,
        mask_source="predicted" if settings.mask == "detect" else automatic,
        is_empty=not any(alpha) and _is_empty(layer),
    )


def predict_color_map(
    engine: EngineClient,
    composite: LayerComposite,
    model: str,
    progress: ProgressCallback,
    *,
    likeliest: bool,
    predicted: bytes = b"",
) -> protocol.HarmonizeResponse:
    """Ask the engine for the color map of a composite.

    Args:
        engine: the engine.
        composite: the composite.
        model: name; "" = the default.
        progress: called with each step.
        likeliest: see `protocol.Harmonize`.
        predicted: the predicted mask of an earlier result for the same composite.

    Raises:
        LayerError: the layer is empty, or nothing else is visible.
        S2AMError: other errors of the engine.
    """
    try:
        return engine.harmonize(composite.request(model, likeliest=likeliest, predicted=predicted), progress)
    except MaskError as error:
        if error.code == "mask.empty":
            failed = messages.empty if composite.is_empty else messages.outside
            raise failed(composite.name) from error
        if error.code == "mask.no-background":
            raise messages.no_reference(composite.name) from error
        raise


def _read_plane(drawable: HostDrawable, encoding: str, window: Window) -> bytes:
    return drawable.read(encoding, window.relative_to(drawable.position), window.scale)


def _crop_to(copy: HostImage, window: Window) -> Window:
    """Crop a copy to the window, so GIMP composites only that part, and return the window in it."""
    if (window.area.width, window.area.height) == copy.size:
        return window
    copy.crop(window.area)
    return replace(window, area=replace(window.area, x=0, y=0))


def _is_empty(layer: HostLayer) -> bool:
    """Return whether a layer has no visible pixel, on the canvas or outside of it."""
    width, height = layer.size
    scale = min(1.0, INPUT_SIDE / max(width, height))
    area = PixelArea(0, 0, max(1, int(width * scale)), max(1, int(height * scale)))
    return not any(layer.read("A u8", area, scale))
