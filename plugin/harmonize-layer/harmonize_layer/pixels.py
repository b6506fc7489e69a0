# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading and writing pixels of GIMP's drawables in strips, in a format that loses nothing.

The engine takes sRGB values. 8- and 16-bit pictures whose own values are sRGB travel as they are, bit for bit; all
others (another profile, linear, 32 bits, float) as floats that keep what is out of sRGB's gamut.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gi.repository import Babl, Gegl, Gimp

from gimp_bridge.protocol import Depth

ROWS = 256
"""Rows of a strip: as fast as the whole, and small."""

Read = Callable[[int, int], bytes]
Write = Callable[[int, int, bytes], None]

_NOTHING = Gegl.AbyssPolicy.NONE  # outside of a drawable all is 0
_LATTICE = bytes(itertools.chain.from_iterable(itertools.product((0, 32, 64, 96, 128, 160, 192, 224, 255), repeat=3)))


@dataclass(frozen=True)
class Format:
    """How a drawable's pixels travel: `name` is babl's name of an RGBA format."""

    name: str
    depth: Depth
    native: str  # the name of the drawable's own format
    native_bytes: int  # of a pixel in that
    exact: bool  # whether all pixels come back as they were
    linear: bool = False  # linear light, in floats


def rectangle(x: int, y: int, width: int, height: int) -> Gegl.Rectangle:
    """A rectangle as GEGL wants it."""
    return Gegl.Rectangle.new(x, y, width, height)


def format_of(drawable: Gimp.Drawable) -> Format:
    """The best format for a drawable's pixels."""
    own = drawable.get_format()
    native, size = Babl.get_name(own), Babl.format_get_bytes_per_pixel(own)
    colors, _, kind = Babl.format_get_encoding(own).rpartition(" ")
    if kind in ("u8", "u16") and ("'" in colors or "~" in colors):
        curve = "~" if "~" in colors else "'"
        name = f"R{curve}G{curve}B{curve}A {kind}"
        if drawable.is_gray():
            alike = _same(f"Y{curve} u8", own, b"".join(bytes([gray]) for gray in range(256)), 1)
            name = f"R'G'B'A {kind}"
        else:
            alike = _same(f"R{curve}G{curve}B{curve} u8", own, _LATTICE, 3)
            name = Babl.get_name(Babl.format_with_space(name, own))
        if alike:
            return Format(name, "u8" if kind == "u8" else "u16", native, size, exact=True)
    linear = "'" not in colors and "~" not in colors
    name = "RGBA float" if linear else "R'G'B'A float"
    return Format(name, "float", native, size, exact=name == native or kind == "u8", linear=linear)


def _same(encoding: str, own: Babl.Object, values: bytes, channels: int) -> bool:
    """Whether colors of an encoding, in the color space of a format, are sRGB's own to one 8-bit level."""
    count = len(values) // channels
    area = rectangle(0, 0, count, 1)
    name = Babl.get_name(Babl.format_with_space(encoding, own))
    swatch = Gegl.Buffer.new(name, 0, 0, count, 1)
    swatch.set(area, name, values)
    srgb = swatch.get(area, 1.0, "R'G'B' u8", _NOTHING)
    expected = values if channels == 3 else b"".join(bytes([value] * 3) for value in values)
    return max(abs(a - b) for a, b in zip(srgb, expected, strict=True)) <= 1


def plane(drawable: Gimp.Drawable, encoding: str, area: Gegl.Rectangle, scale: float = 1.0) -> bytes:
    """One area of a drawable; coordinates are the drawable's own, times `scale`."""
    return drawable.get_buffer().get(area, scale, encoding, _NOTHING)


def reader(drawable: Gimp.Drawable, encoding: str) -> Read:
    """A function that gives rows of a drawable, from (top, count)."""
    buffer, width = drawable.get_buffer(), drawable.get_width()
    return lambda top, rows: buffer.get(rectangle(0, top, width, rows), 1.0, encoding, _NOTHING)


def strips(height: int) -> Iterator[tuple[int, int]]:
    """Top and number of rows of all strips."""
    for top in range(0, height, ROWS):
        yield top, min(ROWS, height - top)


def copy(source: Gimp.Drawable, destination: Gegl.Buffer, shift: tuple[int, int] = (0, 0)) -> None:
    """Copy all pixels of a drawable as they are; (x, y) of `shift` is where they go."""
    encoding = Babl.get_name(source.get_format())
    read, width = reader(source, encoding), source.get_width()
    for top, rows in strips(source.get_height()):
        destination.set(rectangle(shift[0], shift[1] + top, width, rows), encoding, read(top, rows))
    destination.flush()


def writer(destination: Gegl.Buffer, width: int, form: Format, keep: Read | None) -> Write:
    """A function that writes rows from (top, count, bytes in `form`).

    keep: gives rows × width bytes that are 0 where the destination keeps its pixels, for formats that are not exact.
    """

    def write(top: int, rows: int, data: bytes) -> None:
        area = rectangle(0, top, width, rows)
        if form.exact or keep is None:
            destination.set(area, form.name, data)
            return
        before = destination.get(area, 1.0, form.native, _NOTHING)
        destination.set(area, form.name, data)
        after = destination.get(area, 1.0, form.native, _NOTHING)
        kept = chosen(before, after, keep(top, rows), form.native_bytes)
        destination.set(area, form.native, kept)

    return write


def chosen(before: bytes, after: bytes, weights: bytes, size: int) -> bytes:
    """Of pixels of `size` bytes, those after where the weight is not 0 and those before elsewhere."""
    changes = spread(weights.translate(NOT_ZERO), size)
    where = int.from_bytes(changes, "little")
    old, new = int.from_bytes(before, "little"), int.from_bytes(after, "little")
    return (old ^ ((old ^ new) & where)).to_bytes(len(before), "little")


def spread(values: bytes, times: int) -> bytes:
    """Each byte repeated."""
    wide = bytearray(len(values) * times)
    for offset in range(times):
        wide[offset::times] = values
    return bytes(wide)


NOT_ZERO = bytes([0]) + bytes([255]) * 255
"""A table for bytes.translate: 0 stays, all else becomes 255."""
