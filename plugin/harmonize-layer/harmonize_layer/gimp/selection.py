# SPDX-License-Identifier: GPL-3.0-or-later
"""Replacing the selection of an image for a moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gi.repository import Gegl, Gimp

from harmonize_layer.core.geometry import PixelArea, Window
from harmonize_layer.gimp import pixels


@contextmanager
def selected(image: Gimp.Image, mask: bytes | None, window: Window | None) -> Iterator[None]:
    """Replace the selection, see `HostImage.selected`."""
    had_selection = not Gimp.Selection.is_empty(image)
    if not had_selection and mask is None:
        yield
        return
    layers = image.get_selected_layers()
    saved = Gimp.Selection.save(image) if had_selection else None
    Gimp.Selection.none(image)
    try:
        if mask is not None and window is not None:
            _select(image, mask, window)
        yield
    finally:
        Gimp.Selection.none(image)
        if saved:
            image.select_item(Gimp.ChannelOps.REPLACE, saved)
            image.remove_channel(saved)
        image.set_selected_layers(layers)


def _select(image: Gimp.Image, mask: bytes, window: Window) -> None:
    width, height = image.get_width(), image.get_height()
    channel = Gimp.Channel.new(image, "predicted", width, height, 100, Gegl.Color.new("black"))
    image.insert_channel(channel, None, 0)
    buffer = channel.get_buffer()
    for top, rows in pixels.copy_strips(height):
        strip = Window(PixelArea(0, top, width, rows), 1.0)
        buffer.set(pixels.rectangle(strip.area), "Y u8", pixels.enlarge_window_mask(mask, window, strip))
    buffer.flush()
    image.select_item(Gimp.ChannelOps.REPLACE, channel)
    image.remove_channel(channel)
