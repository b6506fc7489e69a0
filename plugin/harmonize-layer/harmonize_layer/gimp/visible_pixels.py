# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the visible pixels of an image, blended by GIMP."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Generator, Sequence

from gi.repository import Gimp, Gio, GLib

from harmonize_layer.core.geometry import PixelArea, Window
from harmonize_layer.core.photographs import reduced_area
from harmonize_layer.gimp import pixels
from harmonize_layer.gimp.copies import mark_copy
from s2am_common.references import MAX_REFERENCES

_GLIMPSE_SIDE = 256
_VISIBLE = "R'G'B'A u8"


def glimpse(image: Gimp.Image) -> str:
    """Return a number that changes with the visible pixels, roughly, and with the selection."""
    width, height = image.get_width(), image.get_height()
    factor = min(1.0, _GLIMPSE_SIDE / max(width, height))
    small = (max(1, int(width * factor)), max(1, int(height * factor)))
    data, *_ = image.get_thumbnail_data(*small)
    found = hashlib.blake2b(bytes(data.get_data()), digest_size=16)
    if not Gimp.Selection.is_empty(image):
        found.update(pixels.read_area(image.get_selection(), "Y u8", PixelArea(0, 0, *small), factor))
        found.update(repr(tuple(Gimp.Selection.bounds(image))).encode())
    return found.hexdigest()


def read_visible(image: Gimp.Image, window: Window) -> bytes:
    """Return RGBA, 8-bit sRGB, of everything that is visible in a window."""
    if (window.area.width, window.area.height) == (image.get_width(), image.get_height()):
        reduced = pixels.read_visible_reduced(image, window.columns, window.rows)
        if reduced is not None:
            return reduced
    return _read_canvas(image, window)


def visible_parts(image: Gimp.Image, areas: Sequence[PixelArea], *, crops: bool) -> Generator[bytes, None, None]:
    """Yield RGBA, 8-bit sRGB, of everything that is visible in areas; see `HostImage.visible_parts`."""
    return _cropped_parts(image, areas) if crops else _canvas_parts(image, areas)


def _canvas_parts(image: Gimp.Image, areas: Sequence[PixelArea]) -> Generator[bytes, None, None]:
    visible = Gimp.Layer.new_from_visible(image, image, "visible")
    try:
        for area in areas:
            yield pixels.read_area(visible, _VISIBLE, area)
    finally:
        visible.delete()


def _cropped_parts(image: Gimp.Image, areas: Sequence[PixelArea]) -> Generator[bytes, None, None]:
    size, (left, top) = (image.get_width(), image.get_height()), (0, 0)
    try:
        for area in areas:
            inside = area.within(size)
            image.resize(max(1, inside.width), max(1, inside.height), left - inside.x, top - inside.y)
            left, top = inside.x, inside.y
            yield _read_canvas(image, Window(PixelArea(area.x - left, area.y - top, area.width, area.height), 1.0))
    finally:
        image.resize(*size, left, top)


def _read_canvas(image: Gimp.Image, window: Window) -> bytes:
    visible = Gimp.Layer.new_from_visible(image, image, "visible")
    try:
        return pixels.read_area(visible, _VISIBLE, window.relative_to((0, 0)), window.scale)
    finally:
        visible.delete()


@functools.lru_cache(MAX_REFERENCES)
def read_file(path: str, _modified: int, side: int) -> tuple[int, int, bytes]:
    """Return an image file, see `HostImage.read_file`; the dialog reads it again whenever the layer changes."""
    try:
        opened = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(path))
    except GLib.Error as error:
        raise OSError(str(error)) from error
    if opened is None:
        raise OSError(path)
    try:
        mark_copy(opened)
        area, scale = reduced_area((opened.get_width(), opened.get_height()), side)
        whole = PixelArea(0, 0, opened.get_width(), opened.get_height())
        return area.width, area.height, read_visible(opened, Window(whole, scale))
    finally:
        opened.delete()
