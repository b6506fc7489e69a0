# SPDX-License-Identifier: GPL-3.0-or-later
"""TIFF: 8, 16 and 32-bit samples read strip by strip, every descriptive field kept; written with EXIF inside.

Source: TIFF 6.0; Adobe Photoshop TIFF technical notes (deflate, floating-point predictor). tifffile reads neither LZW
nor predictor 3 by itself and cannot write EXIF, OpenCV loses alpha and prints to stderr, Pillow turns 16-bit
colour into 8. Compressed strips other than deflate's are unpacked by libtiff, through Pillow.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import TiffImageFile

from s2am_engine.formats import exif
from s2am_engine.formats.exif import Directory, Entry, TiffBytes
from s2am_engine.formats.photo import samples_of
from s2am_engine.formats.raster import ELSEWHERE, Decoded, Metadata, RefusedError, Rows, check_size

_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
_FILL_ORDER, _STRIPS, _SAMPLES, _ROWS, _STRIP_BYTES, _PLANAR = 266, 273, 277, 278, 279, 284
_PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 317, 322, 323, 324, 325
_EXTRA, _FORMAT, _XMP, _IPTC, _ICC, _DNG = 338, 339, 700, 33723, 34675, 50706
_NONE, _DEFLATE, _OLD_DEFLATE = 1, 8, 32946
_LIBTIFF = {5, 32773, 34925, 50000}  # LZW, PackBits, LZMA, Zstandard
_KINDS = {(1, 8): "u1", (1, 16): "u2", (3, 16): "f2", (3, 32): "f4", (3, 64): "f8"}


@dataclass(frozen=True)
class _Layout:
    """How the samples stand in the file. planes: 1, or one per channel; block: rows and columns of a strip or tile."""

    height: int
    width: int
    channels: int
    kind: np.dtype[Any]
    planes: int
    block: tuple[int, int]
    tiled: bool
    compression: int
    predictor: int
    pieces: list[tuple[int, int]]


def read(data: bytes) -> Decoded:
    """Decode a TIFF file. Raises RefusedError for what is not handled, ValueError where it is damaged."""
    tiff = TiffBytes(data, strict=True)
    main = tiff.directory(tiff.first)
    _refuse_pages(tiff, main)
    _refuse_truncated(tiff, main)

    def value(tag: int, default: int = 0) -> int:
        return (tiff.numbers(main.entries.get(tag)) or [default])[0]

    check_size(value(_WIDTH), value(_HEIGHT))
    photometric = value(_PHOTOMETRIC, 1)
    _refuse_colours(photometric, _DNG in main.entries)
    bits = tiff.numbers(main.entries.get(_BITS), [1])
    direct = value(_COMPRESSION, _NONE) in {_NONE, _DEFLATE, _OLD_DEFLATE, *_LIBTIFF}
    if photometric in (0, 1, 2) and direct and set(bits) <= {8, 16, 32, 64} and value(_FILL_ORDER, 1) == 1:
        colours = 3 if photometric == 2 else 1
        samples = _alpha_settled(_assembled(data, _layout(tiff, main)), colours, value(_EXTRA))
        if photometric == 0:
            _invert(samples[..., 0])
    elif max(bits) <= 8:
        samples = _through_pillow(data, tiff, main)
    else:
        raise RefusedError(f"is stored in a way that is not read: {ELSEWHERE}")
    metadata, orientation = _metadata(tiff, main)
    icc = main.entries.get(_ICC)
    return Decoded(samples, orientation, icc.value if icc and icc.value else None, metadata)


def _refuse_pages(tiff: TiffBytes, main: Directory) -> None:
    """Refuse several pages; thumbnails, masks and smaller versions beside the picture are no pages."""
    pages, seen, page = 0, {tiff.first}, main
    while True:
        reduced = tiff.numbers(page.entries.get(_SUBFILE), [0])[0] & 5
        reduced = reduced or tiff.numbers(page.entries.get(_OLD_SUBFILE), [1])[0] == 2
        if page is main and reduced:
            raise RefusedError(f"begins with a thumbnail, as camera raw files do: develop it and {ELSEWHERE}")
        pages += not reduced
        if not page.next or page.next in seen:
            break
        seen.add(page.next)
        page = tiff.directory(page.next)
    if pages > 1:
        raise RefusedError(f"has {pages} pages: save the one you want as a file of its own first")


def _refuse_colours(photometric: int, raw: bool) -> None:
    if photometric == 5:
        raise RefusedError("is a CMYK picture: convert it to RGB first (in GIMP, Image > Mode > RGB)")
    if photometric in (8, 9, 10):
        raise RefusedError("is a Lab picture: convert it to RGB first (in Photoshop, Image > Mode > RGB Color)")
    if raw or photometric in (32803, 34892):
        raise RefusedError(f"is a camera raw file: develop it and {ELSEWHERE}")


def _refuse_truncated(tiff: TiffBytes, main: Directory) -> None:
    for starts, sizes in ((_STRIPS, _STRIP_BYTES), (_TILES, _TILE_BYTES)):
        places = tiff.numbers(main.entries.get(starts)), tiff.numbers(main.entries.get(sizes))
        if any(size == 0 or start + size > len(tiff.data) for start, size in zip(*places, strict=False)):
            raise ValueError("TIFF ends too early")


def _layout(tiff: TiffBytes, main: Directory) -> _Layout:
    def values(tag: int, *default: int) -> list[int]:
        return tiff.numbers(main.entries.get(tag)) or list(default)

    bits, formats = set(values(_BITS, 1)), set(values(_FORMAT, 1))
    kind = _KINDS.get((min(formats), min(bits))) if len(bits) == len(formats) == 1 else None
    if kind is None:
        raise RefusedError("is neither 8-bit, 16-bit nor floating-point: convert it to 16 bits per channel first")
    height, width, channels = values(_HEIGHT)[0], values(_WIDTH)[0], values(_SAMPLES, 1)[0]
    tiled = _TILES in main.entries
    block = (min(values(_ROWS, height)[0], height), width)
    if tiled:
        block = (values(_TILE_HEIGHT)[0], values(_TILE_WIDTH)[0])
    if min(block) < 1 or not 1 <= channels <= 16:
        raise ValueError("TIFF layout makes no sense")
    planes = channels if values(_PLANAR, 1)[0] == 2 else 1
    starts = values(_TILES if tiled else _STRIPS)
    sizes = values(_TILE_BYTES if tiled else _STRIP_BYTES)
    needed = planes * -(-height // block[0]) * -(-width // block[1])
    compression, predictor = values(_COMPRESSION, _NONE)[0], values(_PREDICTOR, 1)[0]
    if compression == _NONE and not sizes and len(starts) == 1:
        sizes = [len(tiff.data) - starts[0]]  # old scanners leave the byte counts out
    if len(starts) < needed or len(sizes) < needed:
        raise ValueError("TIFF strips are missing")
    order = np.dtype(kind).newbyteorder("<" if tiff.order == "<" else ">")
    pieces = list(zip(starts[:needed], sizes[:needed], strict=True))
    return _Layout(height, width, channels, order, planes, block, tiled, compression, predictor, pieces)


def _assembled(data: bytes, layout: _Layout) -> NDArray[Any]:
    """Samples H×W×C in the machine's byte order, float16 and float64 as float32."""
    native = np.dtype(np.float32) if layout.kind.kind == "f" else layout.kind.newbyteorder("=")
    samples = np.empty((layout.height, layout.width, layout.channels), native)
    for (plane, top, left), (start, size) in zip(_places(layout), layout.pieces, strict=True):
        rows = layout.block[0] if layout.tiled else min(layout.block[0], layout.height - top)
        piece = _piece(memoryview(data)[start : start + size], rows, layout)
        into = samples if layout.planes == 1 else samples[..., plane : plane + 1]
        into = into[top : top + rows, left : left + layout.block[1]]
        with np.errstate(over="ignore"):
            into[:] = piece[: into.shape[0], : into.shape[1]]
    return samples


def _places(layout: _Layout) -> Iterator[tuple[int, int, int]]:
    for plane in range(layout.planes):
        for top in range(0, layout.height, layout.block[0]):
            for left in range(0, layout.width, layout.block[1]):
                yield plane, top, left


def _piece(packed: memoryview, rows: int, layout: _Layout) -> NDArray[Any]:
    """One strip or tile, rows×columns×channels, unpacked and its predictor undone."""
    columns, channels = layout.block[1], layout.channels // layout.planes
    line = columns * channels * layout.kind.itemsize
    if layout.compression == _NONE:
        raw: Any = packed[: rows * line]
    elif layout.compression in _LIBTIFF:
        raw = _libtiff(bytes(packed), layout.compression, rows, line)
    else:
        raw = zlib.decompressobj().decompress(packed, rows * line)
    if len(raw) != rows * line:
        raise ValueError("TIFF strip is too short")
    shape = (rows, columns, channels)
    if layout.predictor == 2 and layout.kind.kind == "u":
        stored = np.frombuffer(raw, layout.kind).reshape(shape)
        native = layout.kind.newbyteorder("=")
        return np.add.accumulate(stored, axis=1, dtype=native)
    if layout.predictor == 3:
        # Byte planes, most significant first, each byte the difference to that one channel before.
        steps = np.frombuffer(raw, np.uint8).reshape(rows, -1, channels)
        whole = np.add.accumulate(steps, axis=1, dtype=np.uint8).reshape(rows, layout.kind.itemsize, -1)
        split = np.ascontiguousarray(whole.transpose(0, 2, 1))
        return split.view(layout.kind.newbyteorder(">")).reshape(shape)
    if layout.predictor != 1:
        raise RefusedError(f"is stored in a way that is not read: {ELSEWHERE}")
    return np.frombuffer(raw, layout.kind).reshape(shape)


def _libtiff(packed: bytes, compression: int, rows: int, line: int) -> bytes:
    """Unpack one strip: as the only strip of a grey TIFF, one byte per pixel, made up around it."""
    fields = {_WIDTH: line, _HEIGHT: rows, _BITS: 8, _COMPRESSION: compression, _PHOTOMETRIC: 1, _STRIPS: 8}
    fields |= {_SAMPLES: 1, _ROWS: rows, _STRIP_BYTES: len(packed)}
    entries = [Entry(tag, 4, 1, struct.pack("<I", number)) for tag, number in fields.items()]
    body = packed + b"\0" * (len(packed) % 2)
    table = exif.pack_directory("<", entries, 8 + len(body))
    file = io.BytesIO(struct.pack("<2sHI", b"II", 42, 8 + len(body)) + body + table)
    with TiffImageFile(file) as image:
        return image.tobytes()


def _alpha_settled(samples: NDArray[Any], colours: int, extra: int) -> NDArray[Any]:
    """Check the number of channels; colours multiplied by their alpha (ExtraSamples 1) are divided again, in place."""
    channels = samples.shape[2]
    if channels < colours:
        raise ValueError("TIFF lacks channels")
    if channels > colours + 1:
        raise RefusedError(f"has {channels} channels: remove the extra ones, or {ELSEWHERE}")
    if channels == colours or extra != 1:
        return samples
    top = 1.0 if samples.dtype == np.float32 else float(np.iinfo(samples.dtype).max)
    for row in samples:
        alpha = row[:, -1:].astype(np.float64)
        colour = row[:, :-1] * np.divide(top, alpha, out=np.ones_like(alpha), where=alpha > 0)
        row[:, :-1] = colour if samples.dtype == np.float32 else np.minimum(np.rint(colour), top)
    return samples


def _invert(grey: NDArray[Any]) -> None:
    np.subtract(1.0 if grey.dtype == np.float32 else np.iinfo(grey.dtype).max, grey, out=grey, casting="unsafe")


def _through_pillow(data: bytes, tiff: TiffBytes, main: Directory) -> NDArray[Any]:
    """Palettes, 1-bit, JPEG-compressed and other rare 8-bit kinds."""
    upright = bytearray(data)
    if (turned := main.entries.get(exif.ORIENTATION)) is not None:
        # Pillow would turn the picture by itself.
        size, at = (8, 12) if tiff.big else (4, 8)
        upright[turned.at + at : turned.at + at + size] = struct.pack(tiff.order + "H", 1).ljust(size, b"\0")
    with TiffImageFile(io.BytesIO(upright)) as image:
        image.load()
        wanted = {"1": "L", "P": "RGB", "PA": "RGBA", "YCbCr": "RGB", "RGBX": "RGB"}.get(image.mode, image.mode)
        if wanted not in ("L", "LA", "RGB", "RGBA"):
            raise RefusedError(f"is stored in a way that is not read: {ELSEWHERE}")
        return samples_of(image if wanted == image.mode else image.convert(wanted))


def _metadata(tiff: TiffBytes, main: Directory) -> tuple[Metadata, int]:
    blob, orientation = exif.normalise(exif.from_tiff(tiff, main))
    raw = {tag: main.entries[tag].value for tag in (_XMP, _IPTC) if tag in main.entries}
    xmp = exif.upright_xmp(raw.get(_XMP), orientation)
    return Metadata(blob, xmp, raw.get(_IPTC), exif.resolution(blob)), orientation


def write(file: BinaryIO, rows: Rows, profile: bytes | None, metadata: Metadata) -> None:
    """Write a TIFF file, deflate-compressed strip by strip.

    The file begins with the EXIF data as they are: they are a TIFF structure themselves, so that every pointer in them
    (the maker note's too) stays true. The picture's own directory, at the end, takes over their first one's fields.
    """
    start, order, entries = _head(metadata.exif)
    file.write(start[:4] + bytes(4) + start[8:])
    at, pieces = len(start), []
    height = rows.strip_height(2**18)
    predictor = 1 if rows.pixels.dtype == np.float32 else 2
    for strip in rows.strips(height):
        body = _packed_strip(strip, order, predictor)
        file.write(body)
        pieces.append((at, len(body)))
        at += len(body)
    entries |= _fields(order, rows, profile, metadata)
    for tag, numbers in ((_STRIPS, [p[0] for p in pieces]), (_STRIP_BYTES, [p[1] for p in pieces])):
        if at >= 2**32 - 2**24:
            raise RefusedError("cannot be written: TIFF holds at most 4 GB; choose PNG or scale the picture down")
        entries[tag] = Entry(tag, 4, len(numbers), struct.pack(f"{order}{len(numbers)}I", *numbers))
    entries |= _numbers(order, {_ROWS: [height], _PREDICTOR: [predictor]})
    file.write(b"\0" * (at % 2))
    at += at % 2
    file.write(exif.pack_directory(order, entries.values(), at))
    file.seek(4)
    file.write(struct.pack(order + "I", at))


def _head(blob: bytes | None) -> tuple[bytes, str, dict[int, Entry]]:
    """What the file begins with, its byte order, and the fields to take over."""
    try:
        tiff = TiffBytes(blob or b"II*\0\x08\0\0\0")
        entries = tiff.directory(tiff.first).entries if blob else {}
    except ValueError:
        return _head(None)
    kept = {tag: entry for tag, entry in entries.items() if tag not in exif.STRUCTURE}
    return tiff.data + b"\0" * (len(tiff.data) % 2), tiff.order, kept


def _packed_strip(strip: NDArray[Any], order: str, predictor: int) -> bytes:
    if predictor == 2:
        steps = strip.copy()
        np.subtract(strip[:, 1:], strip[:, :-1], out=steps[:, 1:])
        strip = steps
    deflate = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    stored = strip.astype(strip.dtype.newbyteorder("<" if order == "<" else ">"), copy=False)
    return deflate.compress(stored.data) + deflate.flush()


def _fields(order: str, rows: Rows, profile: bytes | None, metadata: Metadata) -> dict[int, Entry]:
    height, width = rows.pixels.shape[:2]
    count, real = rows.channels, rows.pixels.dtype == np.float32
    numbers = {_WIDTH: [width], _HEIGHT: [height], _BITS: [8 * rows.pixels.itemsize] * count}
    numbers |= {_COMPRESSION: [_DEFLATE], _PHOTOMETRIC: [1 if rows.grey else 2], exif.ORIENTATION: [1]}
    numbers |= {_SAMPLES: [count], _PLANAR: [1], _FORMAT: [3 if real else 1] * count}
    if rows.alpha is not None:
        numbers[_EXTRA] = [2]
    if metadata.dpi:
        numbers[exif.RESOLUTION_UNIT] = [2]
    entries = _numbers(order, numbers)
    for tag, raw, kind in ((_ICC, profile, 7), (_XMP, metadata.xmp, 1), (_IPTC, metadata.iptc, 7)):
        if raw:
            entries[tag] = Entry(tag, kind, len(raw), raw)
    for tag, dots in zip((exif.X_RESOLUTION, exif.Y_RESOLUTION), metadata.dpi or (), strict=False):
        ratio = Fraction(dots).limit_denominator(1000)
        entries[tag] = Entry(tag, 5, 1, struct.pack(order + "II", ratio.numerator, ratio.denominator))
    return entries


def _numbers(order: str, numbers: dict[int, list[int]]) -> dict[int, Entry]:
    """Fields of type SHORT, or LONG where a number needs it."""
    entries = {}
    for tag, values in numbers.items():
        kind, code = (3, "H") if max(values) < 65536 else (4, "I")
        entries[tag] = Entry(tag, kind, len(values), struct.pack(f"{order}{len(values)}{code}", *values))
    return entries
