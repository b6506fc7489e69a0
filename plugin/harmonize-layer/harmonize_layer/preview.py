# SPDX-License-Identifier: GPL-3.0-or-later
"""Before and after, side by side, around the pasted part."""

from __future__ import annotations

from gi.repository import GdkPixbuf, GLib, Gtk

from harmonize_layer.scene import Scene

WIDTH, HEIGHT = 372, 300
"""Pixels at most of each of the two pictures."""

_MARGIN = 0.3  # of the pasted part's side, shown around it
_LARGEST = 8.0  # times that small parts are enlarged
_TINT = (255, 0, 255, 110)  # over what was found; RGBA
_CHECKS = (16, 0x999999, 0x666666)  # size and colors of what shines through

_RGB = GdkPixbuf.Colorspace.RGB
_Box = tuple[int, int, int, int]


class Preview(Gtk.Box):
    """Two pictures with their captions."""

    def __init__(self) -> None:
        """Show two empty pictures."""
        super().__init__(orientation=Gtk.Orientation.HORIZONTAL, spacing=12, homogeneous=True)
        self._before, self._after = Gtk.Image(), Gtk.Image()
        self._captions = []
        for image, caption in ((self._before, "Before"), (self._after, "After")):
            image.set_size_request(WIDTH, HEIGHT)
            label = Gtk.Label(label=caption)
            column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
            column.pack_start(label, False, False, 0)
            column.pack_start(image, True, True, 0)
            self.pack_start(column, True, True, 0)
            self._captions.append(label)

    def show_before(self, view: Scene) -> None:
        """Show a scene as it is; what was found in it is tinted. The picture after it is emptied."""
        box = _box(view)
        self._before.set_from_pixbuf(_drawn(view, view.rgb, box, view.mask if view.found else b""))
        self._captions[0].set_text("Before (tinted: what was found)" if view.found else "Before")
        self.clear_after()

    def show_after(self, view: Scene, pixels: bytes) -> None:
        """Show the same scene recolored."""
        self._after.set_from_pixbuf(_drawn(view, pixels, _box(view), b""))

    def clear_after(self) -> None:
        """Show nothing as the picture after."""
        self._after.clear()


def _box(view: Scene) -> _Box:
    """Left, top, right and bottom of the pasted part with some surroundings, in the scene's own pixels."""
    columns, rows = view.window.columns, view.window.rows
    lines = [view.mask[columns * row : columns * (row + 1)] for row in range(rows)]
    filled = [row for row, line in enumerate(lines) if any(line)]
    if not filled:
        return 0, 0, columns, rows
    left = min(columns - len(lines[row].lstrip(b"\0")) for row in filled)
    right = max(len(lines[row].rstrip(b"\0")) for row in filled)
    top, bottom = filled[0], filled[-1] + 1
    margin = 2 * max(4, int(_MARGIN * max(right - left, bottom - top)))
    # As wide or high as its place allows, and with less margin where the picture ends, so that no place stays empty.
    wide, high = right - left + margin, bottom - top + margin
    wide, high = max(wide, high * WIDTH // HEIGHT), max(high, wide * HEIGHT // WIDTH)
    wide = min(wide, columns, max(right - left, min(high, rows) * WIDTH // HEIGHT))
    high = min(high, rows, max(bottom - top, wide * HEIGHT // WIDTH))
    left, right = _around(left, right, wide, columns)
    top, bottom = _around(top, bottom, high, rows)
    return left, top, right, bottom


def _around(start: int, end: int, length: int, limit: int) -> tuple[int, int]:
    """A stretch of a length with another in its middle, moved into 0 … limit."""
    first = min(max(0, (start + end - length) // 2), limit - length)
    return first, first + length


def _drawn(view: Scene, rgb: bytes, box: _Box, tinted: bytes) -> GdkPixbuf.Pixbuf:
    """One box of a scene, scaled to its place; checks shine through what is transparent."""
    left, top, right, bottom = box
    picture = _pixbuf(_with_alpha(rgb, view.alpha), view).new_subpixbuf(left, top, right - left, bottom - top)
    factor = min(WIDTH / (right - left), HEIGHT / (bottom - top), _LARGEST)
    size = (max(1, int((right - left) * factor)), max(1, int((bottom - top) * factor)))
    drawn = picture.composite_color_simple(*size, GdkPixbuf.InterpType.BILINEAR, 255, *_CHECKS)
    if tinted:
        red, green, blue, opacity = _TINT
        color = bytes([red, green, blue]) * len(tinted)
        shares = bytes(level * opacity // 255 for level in range(256))
        tint = _pixbuf(_with_alpha(color, tinted.translate(shares)), view)
        part = tint.new_subpixbuf(left, top, right - left, bottom - top)
        scale = (size[0] / (right - left), size[1] / (bottom - top))
        part.composite(drawn, 0, 0, *size, 0, 0, *scale, GdkPixbuf.InterpType.BILINEAR, 255)
    return drawn


def _with_alpha(rgb: bytes, alpha: bytes) -> bytes:
    rgba = bytearray(len(alpha) * 4)
    for channel in range(3):
        rgba[channel::4] = rgb[channel::3]
    rgba[3::4] = alpha
    return bytes(rgba)


def _pixbuf(rgba: bytes, view: Scene) -> GdkPixbuf.Pixbuf:
    columns, rows = view.window.columns, view.window.rows
    return GdkPixbuf.Pixbuf.new_from_bytes(GLib.Bytes.new(rgba), _RGB, True, 8, columns, rows, 4 * columns)
