# SPDX-License-Identifier: GPL-3.0-or-later
"""Access to the pixels of GIMP's drawables, in a format that the engine takes and that loses nothing.

8- and 16-bit RGB layers are exchanged as they are, bit for bit, with a description of their color space if that is not
sRGB. All others (32 bits, float, gray in another profile) are exchanged as sRGB values in floats, which keep colors
outside of sRGB's gamut.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
import struct
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from gi.repository import Babl, GdkPixbuf, Gegl, Gimp, GLib

from gimp_bridge.layer_pixels import NativeFormat, PixelLayout, ReadRows, WriteRows
from gimp_bridge.strip_messages import BYTES_OF, TRANSFER_STEPS, ColorSpace, Depth
from harmonize_layer.core.geometry import PixelArea, Window, crop_plane
from harmonize_layer.core.host import Digests, Matrix3, PixelAccess

_COPY_ROWS = 256
_NOTHING = Gegl.AbyssPolicy.NONE  # pixels outside of a drawable are 0
_LATTICE = bytes(itertools.chain.from_iterable(itertools.product((0, 32, 64, 96, 128, 160, 192, 224, 255), repeat=3)))
_SRGB_FORMATS = {1: "Y' u8", 2: "Y'A u8", 3: "R'G'B' u8", 4: "R'G'B'A u8"}
_FLOATS = "RGBA float"
_ALPHA = "A u8"
_U16_RGB_BYTES = 6
_LARGEST_REDUCED_SIDE = 1024
"""Largest side that GIMP reduces a drawable to."""
_TRANSFER_SIZE = (256, TRANSFER_STEPS // 256)
"""Width and height of the values of a transfer function, as pixels."""
_RGB = GdkPixbuf.Colorspace.RGB


@dataclass(frozen=True)
class PixelFormat:
    """Format in which a layer's pixels are exchanged with the engine.

    name: babl's name of an RGBA format.
    native: babl's name of the layer's own format; native_bytes: its size per pixel.
    exact: converting to `name` and back keeps all bits.
    linear: linear light.
    space: the color space of `name`; None = sRGB.
    """

    name: str
    depth: Depth
    native: str
    native_bytes: int
    exact: bool
    linear: bool = False
    space: ColorSpace | None = None


def choose_format(drawable: Gimp.Drawable) -> PixelFormat:
    """Return the format for a layer's pixels."""
    own = drawable.get_format()
    native, size = Babl.get_name(own), Babl.format_get_bytes_per_pixel(own)
    colors, _, kind = Babl.format_get_encoding(own).rpartition(" ")
    curve = next((mark for mark in "'~" if mark in colors), "")
    if kind in ("u8", "u16"):
        depth: Depth = "u8" if kind == "u8" else "u16"
        if not drawable.is_gray():
            encoding = f"R{curve}G{curve}B{curve}"
            name = Babl.get_name(Babl.format_with_space(f"{encoding}A {kind}", own))
            is_srgb = _is_srgb(f"{encoding} u8", own, _LATTICE, 3)
            space = None if is_srgb else _color_space(drawable, f"{encoding} u16")
            return PixelFormat(name, depth, native, size, exact=True, space=space)
        if curve and _is_srgb(f"Y{curve} u8", own, bytes(range(256)), 1):
            return PixelFormat(f"R'G'B'A {kind}", depth, native, size, exact=True)
    name = "R'G'B'A float" if curve else "RGBA float"
    return PixelFormat(name, "float", native, size, exact=name == native or kind == "u8", linear=not curve)


def _color_space(drawable: Gimp.Drawable, encoding: str) -> ColorSpace:
    """Return the color space of an encoding with the primaries of a drawable."""
    own = drawable.get_format()
    source, linear = (Babl.get_name(Babl.format_with_space(name, own)) for name in (encoding, "RGB float"))
    grays = array("H", bytes(6 * TRANSFER_STEPS))
    for channel in range(3):
        grays[channel::3] = array("H", range(TRANSFER_STEPS))
    floats = array("f", convert_pixels(grays.tobytes(), _TRANSFER_SIZE, source, linear))
    _, to_srgb = color_matrices(drawable)
    return ColorSpace(floats[::3].tobytes(), tuple(itertools.chain.from_iterable(to_srgb)))


def _is_srgb(encoding: str, own: Babl.Object, values: bytes, channels: int) -> bool:
    """Return whether values of an encoding, in the color space of a format, equal those of sRGB to one 8-bit level."""
    side = math.isqrt(len(values) // channels)
    name = Babl.get_name(Babl.format_with_space(encoding, own))
    srgb = convert_pixels(values, (side, side), name, "R'G'B' u8")
    expected = values if channels == 3 else b"".join(bytes([value] * 3) for value in values)
    return max(abs(a - b) for a, b in zip(srgb, expected, strict=True)) <= 1


def convert_pixels(values: bytes, size: tuple[int, int], source: str, target: str) -> bytes:
    """Convert pixels of a width and height from one format to another.

    GEGL stores them in square tiles: a single long row would take a hundred times their memory. From 8 bits to
    another color space babl builds a table of all colors, which takes 350 MB and half a second; from 16 bits it does
    not.
    """
    if target == _ALPHA and Babl.format_get_encoding(Babl.format(source)).endswith(_ALPHA):
        step = Babl.format_get_bytes_per_pixel(Babl.format(source))
        return values[step - 1 :: step]
    if _needs_table(source, target):
        colors, _, _ = Babl.format_get_encoding(Babl.format(source)).rpartition(" ")
        wide, wide_source = bytearray(2 * len(values)), Babl.format_with_space(f"{colors} u16", Babl.format(source))
        wide[::2] = wide[1::2] = values  # times 257
        return convert_pixels(bytes(wide), size, Babl.get_name(wide_source), target)
    area = rectangle(PixelArea(0, 0, *size))
    buffer = Gegl.Buffer.new(source, 0, 0, *size)
    buffer.set(area, source, values)
    converted: bytes = buffer.get(area, 1.0, target, _NOTHING)
    return converted


@functools.cache
def _needs_table(source: str, target: str) -> bool:
    """Return whether two formats have 8 bits, and are not in the same color space."""
    formats = [Babl.format(name) for name in (source, target)]
    spaces = [Babl.get_name(Babl.format_with_space(_FLOATS, each)) for each in formats]
    return spaces[0] != spaces[1] and all(Babl.format_get_encoding(each).endswith(" u8") for each in formats)


def color_matrices(drawable: Gimp.Drawable) -> tuple[Matrix3, Matrix3]:
    """Return the matrices from linear sRGB to the drawable's linear color space and back."""
    own: str = Babl.get_name(Babl.format_with_space("RGB float", drawable.get_format()))
    return _conversion_matrix("RGB float", own), _conversion_matrix(own, "RGB float")


def _conversion_matrix(source: str, target: str) -> Matrix3:
    """Return the matrix between two linear formats, from the converted primaries."""
    columns = struct.unpack("9f", convert_pixels(struct.pack("9f", 1, 0, 0, 0, 1, 0, 0, 0, 1), (3, 1), source, target))
    return [[columns[3 * column + row] for column in range(3)] for row in range(3)]


def rectangle(area: PixelArea) -> Gegl.Rectangle:
    """Return an area as GEGL's type."""
    return Gegl.Rectangle.new(area.x, area.y, area.width, area.height)


def read_area(drawable: Gimp.Drawable, encoding: str, area: PixelArea, scale: float = 1.0) -> bytes:
    """Return the pixels of an area, in the drawable's own coordinates times `scale`."""
    own = Babl.get_name(drawable.get_format())
    read = own if _needs_table(own, encoding) else encoding
    data: bytes = drawable.get_buffer().get(rectangle(area), scale, read, _NOTHING)
    return data if read == encoding else convert_pixels(data, (area.width, area.height), read, encoding)


def write_area(drawable: Gimp.Drawable, buffer: Gegl.Buffer, encoding: str, area: PixelArea, data: bytes) -> None:
    """Write pixels of an area to a buffer of a drawable, without babl's table of all colors; see `convert_pixels`."""
    own = Babl.get_name(drawable.get_format())
    if _needs_table(encoding, own):
        data, encoding = convert_pixels(data, (area.width, area.height), encoding, own), own
    buffer.set(rectangle(area), encoding, data)


@functools.cache
def _hashing() -> ThreadPoolExecutor:
    """Return the threads of the two digests of a layer before and after."""
    return ThreadPoolExecutor(2, "digest")


class PixelDigest:
    """A digest of a drawable's size, format and pixels, from rows in its own format.

    It is SHA-256, for which most processors have instructions: twice as fast as BLAKE2 in GIMP's Python. Each strip is
    added in another thread while the next one is read; hashlib works without Python's lock.
    """

    def __init__(self, drawable: Gimp.Drawable) -> None:
        """Start without any row."""
        self.encoding = Babl.get_name(drawable.get_format())
        self.width, self._height = drawable.get_width(), drawable.get_height()
        self._adding: Future[None] | None = None
        self._restart()

    def _restart(self) -> None:
        self._wait()
        self._rows, start = 0, f"{self.width} {self._height} {self.encoding}"
        self._hash = hashlib.sha256(start.encode())

    def _wait(self) -> None:
        """Wait for the last strip, so that at most one is kept."""
        if self._adding:
            self._adding.result()

    def add(self, top: int, rows: int, data: bytes) -> None:
        """Add rows from top to bottom; those that were added before are left out, and row 0 starts again."""
        if top == 0:
            self._restart()
        known = self._rows - top
        if 0 <= known < rows:
            self._wait()
            self._adding = _hashing().submit(self._hash.update, memoryview(data)[known * (len(data) // rows) :])
            self._rows = top + rows

    def result(self) -> str | None:
        """Return the digest; None if rows are missing."""
        self._wait()
        return self._hash.hexdigest() if self._rows == self._height else None


def digest(drawable: Gimp.Drawable) -> str:
    """Return a digest of a drawable's size, format and pixels."""
    found, height = PixelDigest(drawable), drawable.get_height()
    read = rows_reader(drawable.get_buffer(), found.width, found.encoding)
    for top, rows in copy_strips(height):
        found.add(top, rows, read(top, rows))
    return found.result() or ""  # a drawable has one row or more


def read_visible_reduced(image: Gimp.Image, width: int, height: int) -> bytes | None:
    """Return all that is visible in an image, reduced by GIMP itself: RGBA, 8-bit sRGB; None if GIMP chose other sizes.

    This is much faster than reading all pixels, and gives the same.
    """
    data, columns, rows, size = image.get_thumbnail_data(width, height)
    if _reduces_to_srgb():
        name = _SRGB_FORMATS.get(size, "")
    else:
        own = image.get_layers()[0].get_format()
        colors, _, kind = Babl.format_get_encoding(own).rpartition(" ")
        name = Babl.get_name(Babl.format_with_space(f"{colors.removesuffix('A')}A {kind}", own))
    if not name or (columns, rows, size) != (width, height, Babl.format_get_bytes_per_pixel(Babl.format(name))):
        return None
    return convert_pixels(bytes(data.get_data()), (width, height), name, "R'G'B'A u8")


@functools.cache
def _reduces_to_srgb() -> bool:
    """Return whether GIMP gives thumbnails in 8-bit sRGB, as 3.2 does, rather than in the format of the layers."""
    image = Gimp.Image.new_with_precision(1, 1, Gimp.ImageBaseType.RGB, Gimp.Precision.U16_NON_LINEAR)
    try:
        layer = Gimp.Layer.new(image, "probe", 1, 1, Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL)
        image.insert_layer(layer, None, 0)
        return int(image.get_thumbnail_data(1, 1)[3]) < _U16_RGB_BYTES
    finally:
        image.delete()


def read_reduced_alpha(drawable: Gimp.Drawable, area: PixelArea, scale: float) -> bytes | None:
    """Return the alpha of an area as `read_area` does, reduced by GIMP itself, one byte per pixel.

    GIMP keeps reduced pixels, while this process would read and reduce all of them each time.

    Args:
        drawable: a layer.
        area: in its own coordinates times `scale`; outside of the layer alpha is 0.
        scale: 1/2, 1/4, …

    Returns:
        The plane; None if GIMP cannot reduce it so.
    """
    step, (width, height) = round(1 / scale), (drawable.get_width(), drawable.get_height())
    left, top = max(0, area.x), max(0, area.y)
    size = min(area.x + area.width, width // step) - left, min(area.y + area.height, height // step) - top
    if step * scale != 1 or min(size) < 1 or max(size) > _LARGEST_REDUCED_SIDE:
        return None
    data, columns, rows, depth = drawable.get_sub_thumbnail_data(
        left * step, top * step, size[0] * step, size[1] * step, *size
    )
    name = _SRGB_FORMATS.get(depth, "") if _reduces_to_srgb() else Babl.get_name(drawable.get_format())
    if not name or (columns, rows, depth) != (*size, Babl.format_get_bytes_per_pixel(Babl.format(name))):
        return None
    plane = bytearray(area.width * area.height)
    _put_plane(plane, area, PixelArea(left, top, *size), convert_pixels(bytes(data.get_data()), size, name, "A u8"))
    right, bottom = width // step, height // step
    for edge in (PixelArea(right, top, 1, bottom - top + 1), PixelArea(left, bottom, right - left, 1)):
        if edge.x * step < width and edge.y * step < height:
            _put_plane(plane, area, edge, _mean_alpha(drawable, edge, step))
    return bytes(plane)


def _mean_alpha(drawable: Gimp.Drawable, area: PixelArea, step: int) -> bytes:
    """Return the mean alpha of squares with a side of `step` pixels; pixels outside of the drawable count as 0."""
    width = area.width * step
    data = read_area(drawable, "A u8", PixelArea(area.x * step, area.y * step, width, area.height * step))
    starts = (row * step * width + column * step for row in range(area.height) for column in range(area.width))
    return bytes(
        sum(sum(data[start + line * width : start + line * width + step]) for line in range(step)) // step**2
        for start in starts
    )


def _put_plane(plane: bytearray, area: PixelArea, part: PixelArea, data: bytes) -> None:
    """Copy the plane of one area to that of another, where they overlap."""
    left, right = max(area.x, part.x), min(area.x + area.width, part.x + part.width)
    for row in range(max(area.y, part.y), min(area.y + area.height, part.y + part.height)):
        start, source = (row - area.y) * area.width - area.x, (row - part.y) * part.width - part.x
        if left < right:
            plane[start + left : start + right] = data[source + left : source + right]


def rows_reader(buffer: Gegl.Buffer, width: int, encoding: str) -> ReadRows:
    """Return a function that reads rows of a buffer."""
    return lambda top, rows: buffer.get(rectangle(PixelArea(0, top, width, rows)), 1.0, encoding, _NOTHING)


def rows_writer(buffer: Gegl.Buffer, width: int, encoding: str) -> WriteRows:
    """Return a function that writes rows of a buffer."""

    def write(top: int, rows: int, data: bytes) -> None:
        buffer.set(rectangle(PixelArea(0, top, width, rows)), encoding, data)

    return write


def access_pixels(source: Gimp.Drawable, target: Gimp.Drawable) -> PixelAccess:
    """Return functions that read one layer and write another of the same size and format."""
    form, width, height = choose_format(source), source.get_width(), source.get_height()
    before, after = source.get_buffer(), target.get_buffer()
    read, write = rows_reader(before, width, form.name), rows_writer(after, width, form.name)
    read_digest, written_digest = PixelDigest(source), PixelDigest(target)

    def read_and_add(top: int, rows: int) -> bytes:
        data = read(top, rows)
        read_digest.add(top, rows, data)
        return data

    def write_and_add(top: int, rows: int, data: bytes) -> None:
        write(top, rows, data)
        written_digest.add(top, rows, data)

    def digests() -> Digests | None:
        found = read_digest.result(), written_digest.result()
        return Digests(found[0], found[1]) if found[0] and found[1] else None

    is_own, native = form.name == form.native, None
    if not form.exact:
        original, written = (rows_reader(buffer, width, form.native) for buffer in (before, after))
        native = NativeFormat(form.native_bytes, original, written, rows_writer(after, width, form.native))
    return PixelAccess(
        PixelLayout(width, height, form.depth, form.linear, form.space),
        read_and_add if is_own else read,
        write_and_add if is_own else write,
        native,
        after.flush,
        digests,
    )


def copy_strips(height: int) -> Iterator[tuple[int, int]]:
    """Yield top and number of rows of strips that are fast to copy and small."""
    for top in range(0, height, _COPY_ROWS):
        yield top, min(_COPY_ROWS, height - top)


def copy_buffer(source: Gimp.Drawable, target: Gegl.Buffer, shift: tuple[int, int] = (0, 0)) -> None:
    """Copy all pixels of a drawable; `shift` is the position of its corner in the target."""
    encoding, width = Babl.get_name(source.get_format()), source.get_width()
    read = rows_reader(source.get_buffer(), width, encoding)
    for top, rows in copy_strips(source.get_height()):
        target.set(rectangle(PixelArea(shift[0], shift[1] + top, width, rows)), encoding, read(top, rows))
    target.flush()


def fill_drawable(
    drawable: Gimp.Drawable, size: tuple[int, int], color: Sequence[float], opacity: bytes, depth: Depth
) -> None:
    """Write one color with an opacity to all pixels of a drawable.

    Args:
        drawable: the drawable.
        size: its width and height.
        color: red, green and blue, sRGB values from 0 to 1.
        opacity: one value per pixel; depth: "u8" or "u16", in the byte order of this computer.
        depth: of the opacity.
    """
    (width, height), code = size, {"u8": "B", "u16": "H"}[depth]
    full, row_bytes = (1 << 8 * BYTES_OF[depth]) - 1, width * BYTES_OF[depth]
    buffer = drawable.get_buffer()
    levels = array(code, [*(round(value * full) for value in color), 0])
    for top, rows in copy_strips(height):
        strip = levels * (width * rows)
        strip[3::4] = array(code, opacity[top * row_bytes : (top + rows) * row_bytes])
        write_area(drawable, buffer, f"R'G'B'A {depth}", PixelArea(0, top, width, rows), strip.tobytes())
    buffer.flush()


def pixbuf_bytes(pixbuf: GdkPixbuf.Pixbuf, channels: int) -> bytes:
    """Return a pixbuf's pixels without the padding at the end of its rows."""
    stride, width, data = pixbuf.get_rowstride(), channels * pixbuf.get_width(), pixbuf.get_pixels()
    return b"".join(data[stride * row : stride * row + width] for row in range(pixbuf.get_height()))


def new_pixbuf(data: bytes, width: int, height: int, *, alpha: bool) -> GdkPixbuf.Pixbuf:
    """Return a pixbuf with RGB or RGBA pixels."""
    return GdkPixbuf.Pixbuf.new_from_bytes(
        GLib.Bytes.new(data), _RGB, alpha, 8, width, height, (4 if alpha else 3) * width
    )


def enlarge_window_mask(mask: bytes, window: Window, wanted: Window) -> bytes:
    """Enlarge a mask of a window to the scale of another, and return that part of it; outside the window it is 0."""
    if window.scale == wanted.scale:
        return crop_plane(mask, window, wanted)
    gray = bytearray(3 * len(mask))
    for channel in range(3):
        gray[channel::3] = mask
    small = new_pixbuf(bytes(gray), window.columns, window.rows, alpha=False)
    large = GdkPixbuf.Pixbuf.new(_RGB, False, 8, wanted.columns, wanted.rows)
    large.fill(0)
    inside = window.area
    left, top = ((inside.x - wanted.area.x) * wanted.scale, (inside.y - wanted.area.y) * wanted.scale)
    width, height = inside.width * wanted.scale, inside.height * wanted.scale
    x, y = max(0, round(left)), max(0, round(top))
    right, bottom = min(wanted.columns, round(left + width)), min(wanted.rows, round(top + height))
    if right > x and bottom > y:
        scales = (width / window.columns, height / window.rows)
        small.scale(large, x, y, right - x, bottom - y, left, top, *scales, GdkPixbuf.InterpType.BILINEAR)
    return pixbuf_bytes(large, 3)[::3]
