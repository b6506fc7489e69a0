# SPDX-License-Identifier: GPL-3.0-or-later
"""The preview of the dialog: before and after, side by side or split, with zoom (wheel) and panning (drag)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gi.repository import Gdk, GdkPixbuf, GLib, Gtk

from harmonize_layer.core.geometry import (
    PixelArea,
    View,
    Window,
    detail_window,
    fit_view,
    panned,
    preview_crop,
    true_pixels,
    view_of_detail,
    zoomed,
)
from harmonize_layer.core.rendering import with_alpha
from harmonize_layer.gimp.pixels import new_pixbuf
from s2am_common.translation import localized as _

_SMALLEST = (360, 240)
_ZOOM_STEP = 1.25
_TINT = (255, 0, 255, 110)  # RGBA, over a predicted mask
_CHECKERBOARD = (16, 0x999999, 0x666666)  # size and colors, behind transparent pixels
_AROUND = 0x505050FF  # RGBA, outside of the image
_GAP = 6  # pixels between before and after
_SETTLED_MILLISECONDS = 150


@dataclass(frozen=True)
class _Detail:
    """A part of both images at a higher resolution."""

    window: Window
    before: GdkPixbuf.Pixbuf
    after: GdkPixbuf.Pixbuf


class PreviewArea:
    """The widget with both images, which have the same view, and a row of tools below them."""

    def __init__(self, show_part: Callable[[Window | None], None]) -> None:
        """Build the widget.

        Args:
            show_part: called with the part that is shown magnified, soon after the view has changed; None = no part.
        """
        self._show_part = show_part
        self._window = Window(PixelArea(0, 0, 1, 1), 1.0)
        self._detail: _Detail | None = None
        self._part: Window | None = None
        self._waiting = 0
        self._image, self._box = Gtk.Image(), Gtk.EventBox()
        self._before: GdkPixbuf.Pixbuf | None = None
        self._rgba = b""
        self._after: GdkPixbuf.Pixbuf | None = None
        self._crop = PixelArea(0, 0, 1, 1)
        self._view: View | None = None
        self._fitted: View | None = None
        self._size = _SMALLEST
        self._grabbed: tuple[float, float] | None = None
        self._divider = 0.5
        self._split = Gtk.CheckButton(label=_("Split view"))
        self._caption = Gtk.Label(xalign=0)
        self.tools = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=8)
        self.widget = self._build()

    def show_before(self, window: Window, rgba: bytes, mask: bytes, *, tinted: bool) -> None:
        """Show a composite, clear the result, and fit the foreground unless the composite has the size of the last."""
        is_new = self._before is None or (window.columns, window.rows) != _size_of(self._before)
        self._rgba, self._after, self._detail, self._window = rgba, None, None, window
        self._tint_before(mask if tinted else b"")
        self._crop = preview_crop(window, mask)
        if is_new:
            self._view = None
        self._fit_again()

    def show_mask(self, mask: bytes) -> None:
        """Tint another mask in the composite that is shown; empty = nothing is tinted."""
        self._tint_before(mask)
        self._draw()

    def _tint_before(self, mask: bytes) -> None:
        self._before = _flattened(self._rgba, self._window)
        if mask:
            _tint(self._before, mask, self._window)
        self._caption.set_text(_("Before (tinted: the mask) and after") if mask else _("Before and after"))

    def show_after(self, window: Window, rgba: bytes) -> None:
        """Show the result."""
        self._after = _flattened(rgba, window)
        self._draw()

    def show_detail(self, window: Window, before: bytes, after: bytes, mask: bytes) -> None:
        """Show a part of both images at its own resolution; a mask is tinted."""
        flat = _flattened(before, window)
        if mask:
            _tint(flat, mask, window)
        self._detail = _Detail(window, flat, _flattened(after, window))
        self._draw()

    def foreground(self, window: Window, rgba: bytes, size: tuple[int, int]) -> GdkPixbuf.Pixbuf:
        """Return the foreground of a composite as an image of a width and height."""
        drawn = _blank(size)
        _draw_seen(drawn, _flattened(rgba, window), fit_view(self._crop, size))
        return drawn

    def clear_after(self) -> None:
        """Clear the result."""
        self._after = self._detail = None
        self._draw()

    # -- building

    def _build(self) -> Gtk.Widget:
        # Without scrollbars, so that the window can be made smaller than the image that is shown now.
        frame = Gtk.ScrolledWindow(hscrollbar_policy=Gtk.PolicyType.EXTERNAL, vscrollbar_policy=Gtk.PolicyType.EXTERNAL)
        frame.set_size_request(*_SMALLEST)
        self._box.add(self._image)
        frame.add(self._box)
        events = Gdk.EventMask
        self._box.add_events(events.SCROLL_MASK | events.BUTTON_PRESS_MASK | events.BUTTON_RELEASE_MASK)
        self._box.add_events(events.POINTER_MOTION_MASK)
        frame.connect("size-allocate", self._resized)
        self._box.connect("scroll-event", self._scrolled)
        self._box.connect("button-press-event", self._pressed)
        self._box.connect("motion-notify-event", self._moved)
        self._box.connect("button-release-event", self._released)
        self._box.set_tooltip_text(_("Wheel: zoom. Drag: move. In the split view, the line follows the right button."))
        fit = Gtk.Button(label=_("Fit"))
        fit.connect("clicked", self._fit)
        fit.set_tooltip_text(_("Show the whole layer"))
        true = Gtk.Button(label=_("_1:1"), use_underline=True)
        true.connect("clicked", self._show_true_pixels)
        true.set_tooltip_text(_("Show each pixel of the image as one pixel"))
        self._split.connect("toggled", lambda _: self._fit_again())
        self.tools.pack_start(self._caption, True, True, 0)
        self.tools.pack_start(self._split, False, False, 0)
        self.tools.pack_start(true, False, False, 0)
        self.tools.pack_start(fit, False, False, 0)
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        column.pack_start(frame, True, True, 0)
        column.pack_start(self.tools, False, False, 0)
        return column

    # -- signals

    def _resized(self, _frame: Gtk.Widget, allocation: Gdk.Rectangle) -> None:
        size = (max(1, allocation.width), max(1, allocation.height))
        if size != self._size:
            self._size = size
            GLib.idle_add(self._fit_again)

    def _scrolled(self, _box: Gtk.Widget, event: Gdk.EventScroll) -> bool:
        if self._view:
            factor = _ZOOM_STEP if event.direction == Gdk.ScrollDirection.UP else 1 / _ZOOM_STEP
            width, height = self._part_size()
            left = event.x if self._is_split() else event.x % (width + _GAP)
            self._view = zoomed(self._view, factor, (left - width / 2, event.y - height / 2))
            self._draw()
        return True

    def _pressed(self, _box: Gtk.Widget, event: Gdk.EventButton) -> bool:
        self._grabbed = (event.x, event.y)
        self._move_divider(event.x, event.button)
        return True

    def _released(self, *_: object) -> bool:
        self._grabbed = None
        return True

    def _moved(self, _box: Gtk.Widget, event: Gdk.EventMotion) -> bool:
        if self._grabbed and self._view:
            if event.state & Gdk.ModifierType.BUTTON3_MASK:
                self._move_divider(event.x, 3)
            else:
                self._view = panned(self._view, event.x - self._grabbed[0], event.y - self._grabbed[1])
                self._grabbed = (event.x, event.y)
                self._draw()
        return True

    def _move_divider(self, x: float, button: int) -> None:
        if button == 3 and self._is_split():
            self._divider = min(max(x / self._size[0], 0.0), 1.0)
            self._draw()

    def _fit(self, *_: object) -> None:
        self._view = self._fitted = fit_view(self._crop, self._part_size())
        self._draw()

    def _show_true_pixels(self, *_: object) -> None:
        if self._view:
            self._view = true_pixels(self._view, self._window)
            self._draw()

    def _fit_again(self) -> None:
        """Fit the foreground to another size of the widget, unless another view was chosen."""
        if self._view in (None, self._fitted):
            self._fit()
        else:
            self._draw()

    # -- drawing

    def _is_split(self) -> bool:
        return bool(self._split.get_active())

    def _part_size(self) -> tuple[int, int]:
        """Return the size of each image."""
        width, height = self._size
        return (width if self._is_split() else max(1, (width - _GAP) // 2)), height

    def _draw(self, *_: object) -> None:
        if self._before is None or self._view is None:
            return
        width, height = self._size
        part = self._part_size()
        drawn = _blank((width, height))
        before, after = _blank(part), _blank(part) if self._after else None
        _draw_seen(before, self._before, self._view)
        if after:
            _draw_seen(after, self._after, self._view)
        if self._detail and after:
            view = view_of_detail(self._view, self._window, self._detail.window)
            _draw_seen(before, self._detail.before, view)
            _draw_seen(after, self._detail.after, view)
        if not self._is_split():
            before.copy_area(0, 0, *part, drawn, 0, 0)
            if after:
                after.copy_area(0, 0, *part, drawn, part[0] + _GAP, 0)
        else:
            line = int(width * self._divider)
            (after or before).copy_area(0, 0, width, height, drawn, 0, 0)
            if line:
                before.copy_area(0, 0, line, height, drawn, 0, 0)
        self._image.set_from_pixbuf(drawn)
        self._ask_for_part()

    def _ask_for_part(self) -> None:
        """Ask for the part that the view shows once the view is unchanged for a moment."""
        part = detail_window(self._window, self._view, self._part_size()) if self._view else None
        if part == self._part:
            return
        self._part = part
        if self._waiting:
            GLib.source_remove(self._waiting)
        self._waiting = GLib.timeout_add(_SETTLED_MILLISECONDS, self._settled)

    def _settled(self) -> bool:
        self._waiting = 0
        self._show_part(self._part)
        return False

    def close(self) -> None:
        """Ask for nothing more."""
        if self._waiting:
            GLib.source_remove(self._waiting)


def _draw_seen(seen: GdkPixbuf.Pixbuf, source: GdkPixbuf.Pixbuf, view: View) -> None:
    """Draw the part of an image that a view shows."""
    size = _size_of(seen)
    left, top = size[0] / 2 - view.x * view.scale, size[1] / 2 - view.y * view.scale
    x, y = max(0, round(left)), max(0, round(top))
    right = min(size[0], round(left + source.get_width() * view.scale))
    bottom = min(size[1], round(top + source.get_height() * view.scale))
    if right > x and bottom > y:
        kind = GdkPixbuf.InterpType.NEAREST if view.scale >= 3 or view.scale == 1 else GdkPixbuf.InterpType.BILINEAR
        source.scale(seen, x, y, right - x, bottom - y, left, top, view.scale, view.scale, kind)


def _blank(size: tuple[int, int]) -> GdkPixbuf.Pixbuf:
    """Return an image to draw on, with alpha like all that is drawn on it."""
    blank = GdkPixbuf.Pixbuf.new(GdkPixbuf.Colorspace.RGB, True, 8, *size)
    blank.fill(_AROUND)
    return blank


def _size_of(pixbuf: GdkPixbuf.Pixbuf) -> tuple[int, int]:
    return pixbuf.get_width(), pixbuf.get_height()


def _flattened(rgba: bytes, window: Window) -> GdkPixbuf.Pixbuf:
    """Return a composite on a checkerboard."""
    size = (window.columns, window.rows)
    whole = new_pixbuf(rgba, *size, alpha=True)
    return whole.composite_color_simple(*size, GdkPixbuf.InterpType.NEAREST, 255, *_CHECKERBOARD)


def _tint(drawn: GdkPixbuf.Pixbuf, mask: bytes, window: Window) -> None:
    opacity = bytes(level * _TINT[3] // 255 for level in range(256))
    size = (window.columns, window.rows)
    tint = new_pixbuf(with_alpha(bytes(_TINT) * len(mask), mask.translate(opacity)), *size, alpha=True)
    tint.composite(drawn, 0, 0, *size, 0, 0, 1, 1, GdkPixbuf.InterpType.NEAREST, 255)
