# SPDX-License-Identifier: GPL-3.0-or-later
"""PNG: pixels by imagecodecs (libpng), chunks and metadata by this module, to keep every one.

Pillow reduces 16-bit color to 8 bits and refuses files whose texts or profile unpack to more than a megabyte; OpenCV
drops text. Source: PNG specification, third edition.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from imagecodecs import PNG, png_decode, png_encode
from PIL.PngImagePlugin import PngInfo, putchunk

from s2am_common.image_formats import PNG as PNG_INFO
from s2am_engine.image.data import ImageData, Metadata
from s2am_engine.image.formats.common import (
    CONVERT_FIRST,
    Decoded,
    ImageFormat,
    UnsupportedFileError,
    check_image_size,
    check_storable,
)
from s2am_engine.image.formats.exif import exif_resolution, normalize_exif, reset_xmp_orientation

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOR_CHUNKS = (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI")
_HEAD = len(_SIGNATURE) + 25  # signature and IHDR
_XMP = "XML:com.adobe.xmp"
_MAX_INFLATED = 64 * 2**20
_METERS_PER_INCH = 0.0254


class _Chunk(NamedTuple):
    """A chunk. body: its content (empty for IDAT, to avoid a copy); whole: as stored."""

    kind: bytes
    body: bytes
    whole: memoryview


def read_png(data: bytes) -> Decoded:
    """Decode a PNG file. Raises UnsupportedFileError; ValueError, RuntimeError if it is damaged."""
    chunks = list(_chunks(data))
    once = {chunk.kind: chunk.body for chunk in reversed(chunks)}
    if chunks[0].kind != b"IHDR" or len(once[b"IHDR"]) != 13:
        raise ValueError("PNG has no header")
    width, height = struct.unpack(">II", once[b"IHDR"][:8])
    check_image_size(width, height)
    frames = struct.unpack(">I", once[b"acTL"][:4])[0] if b"acTL" in once else 1
    if frames > 1:
        advice = CONVERT_FIRST.replace("it", "one frame")
        raise UnsupportedFileError(f"is an animation of {frames} frames: {advice}")
    # The decoder gets the chunks of the pixels alone, as metadata can make it print warnings.
    plain = [chunk.whole for chunk in chunks if chunk.kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")]
    samples = png_decode(b"".join([_SIGNATURE, *plain])).reshape(height, width, -1)
    metadata, orientation = _metadata(chunks, once)
    return Decoded(samples, orientation, _profile(once.get(b"iCCP")), metadata)


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """Yield every chunk up to IEND, its checksum verified."""
    view, at, kind = memoryview(data), len(_SIGNATURE), b""
    while kind != b"IEND":
        if at + 12 > len(data):
            raise ValueError("PNG ends too early")
        (length,) = struct.unpack_from(">I", data, at)
        whole = view[at : at + 12 + length]
        if zlib.crc32(whole[4:-4]) != int.from_bytes(whole[-4:], "big"):
            raise ValueError("PNG checksum is wrong")
        kind = bytes(whole[4:8])
        yield _Chunk(kind, b"" if kind == b"IDAT" else bytes(whole[8:-4]), whole)
        at += len(whole)


def _profile(body: bytes | None) -> bytes | None:
    if not body:
        return None
    name_end = body.index(b"\0")
    return _inflated(body[name_end + 2 :])


def _inflated(body: bytes) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(body, _MAX_INFLATED)
    except zlib.error:
        return None


def _metadata(chunks: list[_Chunk], once: dict[bytes, bytes]) -> tuple[Metadata, int]:
    blob, orientation = normalize_exif(once.get(b"eXIf"))
    text, xmp = [], None
    for kind, body, _ in chunks:
        pair = _text(kind, body) if kind in (b"tEXt", b"zTXt", b"iTXt") else None
        if pair and pair[0] == _XMP:
            xmp = pair[1].encode()
        elif pair:
            text.append(pair)
    dpi = exif_resolution(blob)
    if len(once.get(b"pHYs", b"")) == 9 and once[b"pHYs"][8] == 1:
        across, down = struct.unpack(">II", once[b"pHYs"][:8])
        dpi = (across * _METERS_PER_INCH, down * _METERS_PER_INCH)
    color = tuple((chunk.kind, chunk.body) for chunk in chunks if chunk.kind in _COLOR_CHUNKS)
    return Metadata(blob, reset_xmp_orientation(xmp, orientation), None, dpi, tuple(text), color), orientation


def _text(kind: bytes, body: bytes) -> tuple[str, str] | None:
    """Return keyword and text of a text chunk; None if it is malformed."""
    keyword, _, rest = body.partition(b"\0")
    inflate = kind == b"zTXt"
    if kind == b"iTXt":
        inflate = rest[:1] == b"\1"
        rest = rest[2:].split(b"\0", 2)[-1]
    content = _inflated(rest[kind == b"zTXt" :]) if inflate else rest
    if content is None or not keyword:
        return None
    return keyword.decode("latin-1"), content.decode("utf-8" if kind == b"iTXt" else "latin-1", "replace")


def write_png(file: BinaryIO, image: ImageData, _quality: int = 100) -> None:
    """Write a PNG file. Raises UnsupportedFileError for floating-point images."""
    check_storable(PNG_INFO, image)
    # Filter "sub" and run-length matching: on photographs smaller and several times faster than zlib's usual search.
    plain = memoryview(png_encode(image.samples(), level=1, strategy=PNG.STRATEGY.RLE, filter=PNG.FILTER.SUB))
    file.write(plain[:_HEAD])
    for kind, body in _metadata_chunks(image.profile, image.metadata):
        putchunk(file, kind, body)
    file.write(plain[_HEAD:])


def _metadata_chunks(profile: bytes | None, metadata: Metadata) -> Iterator[tuple[bytes, bytes]]:
    for kind, body in metadata.png_color:
        if not (kind == b"sRGB" and profile):
            yield kind, body
    if profile:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)
    if metadata.dpi:
        across, down = (round(value / _METERS_PER_INCH) for value in metadata.dpi)
        yield b"pHYs", struct.pack(">IIB", across, down, 1)
    if metadata.exif:
        yield b"eXIf", metadata.exif
    texts = PngInfo()
    if metadata.xmp:
        texts.add_itxt(_XMP, metadata.xmp)
    for keyword, text in metadata.text:
        texts.add_text(keyword, text)
    yield from ((kind, body) for kind, body, *_ in texts.chunks)


PNG_FORMAT = ImageFormat(PNG_INFO, read_png, write_png)
