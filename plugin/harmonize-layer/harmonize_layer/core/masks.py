# SPDX-License-Identifier: GPL-3.0-or-later
"""The mask of a layer, with edges that the engine refines, and saving it in the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gimp_bridge.client import EngineClient
from gimp_bridge.layer_pixels import PixelSource, ReadRows
from gimp_bridge.mask_messages import RefineMask
from gimp_bridge.request_channel import ProgressCallback
from harmonize_layer.core import messages
from harmonize_layer.core.geometry import PixelArea, Window
from harmonize_layer.core.host import HostDrawable, HostImage, HostLayer
from harmonize_layer.core.layers import ancestors, area_of
from s2am_common.edge_sliders import EDGE_SLIDERS

_SURROUNDINGS = 64  # pixels around a layer in which its mask is 0; further ones would change nothing


@dataclass(frozen=True)
class WindowMask:
    """A mask of a window of the image: a plane, 255 = 1."""

    plane: bytes
    window: Window


@dataclass(frozen=True)
class RefinedMask:
    """A layer's mask with refined edges.

    mask: weight of the foreground on the canvas, nowhere above the layer's opacity.
    share: share of the layer's opacity, so that the layer, blended with it as a further mask, has the weight `mask`.
    """

    mask: WindowMask
    share: WindowMask


def request_refined_mask(
    engine: EngineClient,
    window: Window,
    source: PixelSource,
    edges: Mapping[str, float],
    progress: ProgressCallback | None = None,
) -> RefinedMask:
    """Ask the engine to refine the edges of a layer's mask.

    Args:
        engine: the engine.
        window: the part of the image.
        source: reads its pixels and planes: the layer on its own, 8-bit RGBA, and what limits it.
        edges: values by name of `EDGE_SLIDERS`, lengths in pixels of the image; none = the mask as it is.
        progress: called with each step.

    Raises:
        LayerError: the window is too large.
        S2AMError: the engine failed.
    """
    try:
        request = RefineMask(
            width=window.columns,
            height=window.rows,
            layer_masks=len(source.layer_masks),
            selection=source.selection is not None,
            predicted=source.predicted is not None,
            edges=_scaled(edges, window.scale),
        )
    except ValueError as error:
        raise messages.too_large_for_mask() from error
    mask, share = engine.refine_mask(request, source, progress)
    return RefinedMask(WindowMask(mask, window), WindowMask(share, window))


def _scaled(edges: Mapping[str, float], scale: float) -> dict[str, float]:
    """Return values with lengths in pixels of a reduced image."""
    return {name: value * scale if EDGE_SLIDERS[name].unit == "px" else value for name, value in edges.items()}


def full_window(canvas: tuple[int, int], layer: PixelArea) -> Window:
    """Return the window of a layer, at full resolution, with its surroundings on the canvas (width, height)."""
    left, top = min(layer.x, max(0, layer.x - _SURROUNDINGS)), min(layer.y, max(0, layer.y - _SURROUNDINGS))
    right, bottom = layer.x + layer.width, layer.y + layer.height
    right = max(right, min(canvas[0], right + _SURROUNDINGS))
    bottom = max(bottom, min(canvas[1], bottom + _SURROUNDINGS))
    return Window(PixelArea(left, top, right - left, bottom - top), 1.0)


def pixel_rows(layer: HostLayer, position: tuple[int, int], window: Window) -> ReadRows:
    """Return a function that reads rows of a window from a layer at a position, 8-bit RGBA."""
    area = window.relative_to(position)
    return lambda row, rows: layer.read("R'G'B'A u8", PixelArea(area.x, area.y + row, area.width, rows), window.scale)


def plane_rows(plane: HostDrawable, area: PixelArea) -> ReadRows:
    """Return a function that reads rows of an area of the image from a mask or selection."""
    left, top = plane.position
    return lambda row, rows: plane.read("Y u8", PixelArea(area.x - left, area.y - top + row, area.width, rows))


def enlarged_rows(image: HostImage, mask: WindowMask, area: PixelArea) -> ReadRows:
    """Return a function that reads rows of an area of the image from the mask of a window."""

    def read(row: int, rows: int) -> bytes:
        return image.enlarge(mask.plane, mask.window, Window(PixelArea(area.x, area.y + row, area.width, rows), 1.0))

    return read


# -- saving


def save_as_channel(image: HostImage, layer: HostLayer, mask: WindowMask) -> None:
    """Add a channel with the mask of a layer to the image, in one undo step."""
    with image.undo_group():
        image.add_channel(f"{layer.name} mask", enlarged_rows(image, mask, PixelArea(0, 0, *image.size)))


def save_as_layer_mask(image: HostImage, layer: HostLayer, share: WindowMask) -> None:
    """Give a layer a layer mask, in one undo step. `check_layer_mask` must have passed."""
    with image.undo_group():
        layer.add_mask(enlarged_rows(image, share, area_of(layer)))


def check_layer_mask(layer: HostLayer, *, predicted: bool) -> None:
    """Check that a layer can get a layer mask.

    Args:
        layer: the layer.
        predicted: its mask was predicted, because the layer holds the background as well.

    Raises:
        LayerError: it has one, holds the background, is a floating selection, or is locked.
    """
    if layer.has_mask:
        raise messages.has_layer_mask(layer.name)
    if predicted:
        raise messages.mask_would_hide_background(layer.name)
    if layer.is_floating:
        raise messages.floating_without_mask(layer.name)
    for item in (layer, *ancestors(layer)):
        if item.is_locked:
            raise messages.locked(layer.name, item.name)
