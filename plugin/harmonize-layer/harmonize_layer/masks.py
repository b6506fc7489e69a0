# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as pasted: a layer's transparency × its mask × the selection, as planes of bytes (255 = all of it)."""

from __future__ import annotations

from collections.abc import Iterable

from gi.repository import GdkPixbuf, Gimp, GLib

from harmonize_layer.pixels import plane, rectangle, spread
from harmonize_layer.targets import ancestors
from harmonize_layer.window import Window

_ROUNDING = 2  # levels by which the same transparency may differ when it was read in two ways


def multiplied(planes: Iterable[bytes]) -> bytes:
    """The product of planes of the same size, of which there is at least one."""
    result, *others = planes
    for other in others:
        if _is_full(other):
            continue
        if _is_full(result):
            result = other
        elif _is_binary(other) or _is_binary(result):
            result = both(result, other)
        else:
            result = bytes([(a * b + 127) // 255 for a, b in zip(result, other, strict=True)])
    return result


def both(first: bytes, second: bytes) -> bytes:
    """The bits that are in both planes: their product, where one of them holds 0 and 255 alone."""
    return (int.from_bytes(first, "little") & int.from_bytes(second, "little")).to_bytes(len(first), "little")


def either(first: bytes, second: bytes) -> bytes:
    """The bits that are in one of two planes."""
    return (int.from_bytes(first, "little") | int.from_bytes(second, "little")).to_bytes(len(first), "little")


def outside_of(mask: bytes, alpha: bytes) -> bool:
    """Whether more is visible anywhere than the pasted part alone."""
    return any(seen > pasted + _ROUNDING for seen, pasted in zip(alpha, mask, strict=True))


def _is_full(values: bytes) -> bool:
    return values.count(255) == len(values)


def _is_binary(values: bytes) -> bool:
    return values.count(255) + values.count(0) == len(values)


def selection_of(image: Gimp.Image) -> Gimp.Selection | None:
    """The selection, if anything is selected."""
    return None if Gimp.Selection.is_empty(image) else image.get_selection()


def layer_masks(layer: Gimp.Layer) -> list[tuple[Gimp.LayerMask, tuple[int, int]]]:
    """The masks that hide parts of a layer, its groups' included, and their offsets in the picture."""
    hiding = [item for item in (layer, *ancestors(layer)) if item.get_mask() and item.get_apply_mask()]
    return [(item.get_mask(), offsets(item)) for item in hiding]


def offsets(item: Gimp.Item) -> tuple[int, int]:
    """Where an item is in the picture."""
    _, x, y = item.get_offsets()
    return x, y


def enlarged(mask: bytes, window: Window, left: int, top: int, width: int, rows: int) -> bytes:
    """A mask of a window, at the size of the picture, for one area of that."""
    colors, columns = GdkPixbuf.Colorspace.RGB, window.columns
    gray = GLib.Bytes.new(spread(mask, 3))
    small = GdkPixbuf.Pixbuf.new_from_bytes(gray, colors, False, 8, columns, window.rows, 3 * columns)
    wide, high = window.columns / window.width, window.rows / window.height
    large = GdkPixbuf.Pixbuf.new(colors, False, 8, width, rows)
    large.fill(0)
    # Only where the window is: beyond its edges nothing was found.
    x, y = max(0, window.x - left), max(0, window.y - top)
    right, bottom = min(width, window.x + window.width - left), min(rows, window.y + window.height - top)
    if right > x and bottom > y:
        kind = GdkPixbuf.InterpType.NEAREST if window.scale == 1 else GdkPixbuf.InterpType.BILINEAR
        shift = (window.x - left, window.y - top)
        small.scale(large, x, y, right - x, bottom - y, *shift, 1 / wide, 1 / high, kind)
    stride = large.get_rowstride()
    data = large.get_pixels()
    return b"".join(data[row * stride : row * stride + 3 * width : 3] for row in range(rows))


def seen(drawable: Gimp.Drawable, encoding: str, at: tuple[int, int], window: Window) -> bytes:
    """One plane of a drawable that lies at (x, y) of the picture, as it is seen in a window."""
    return plane(drawable, encoding, window.within(*at), window.scale)


def rows_of(drawable: Gimp.Drawable, shift: tuple[int, int], width: int, top: int, rows: int) -> bytes:
    """Rows of a mask or a selection; `shift` is where its origin is, seen from the layer whose rows are meant."""
    return plane(drawable, "Y u8", rectangle(-shift[0], top - shift[1], width, rows))
