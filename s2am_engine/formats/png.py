# SPDX-License-Identifier: GPL-3.0-or-later
"""PNG: chunks and metadata by hand (every one survives), pixels decoded by OpenCV, encoded with numpy and zlib.

Source: PNG specification, third edition. OpenCV alone reads 16-bit colour; nothing at hand writes 16-bit grey with
alpha or keeps the text, and none of them is as fast.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.formats import exif
from s2am_engine.formats.raster import ELSEWHERE, Decoded, Metadata, RefusedError, Rows, check_size

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_CHUNKS = (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI")
_XMP = "XML:com.adobe.xmp"
_MAX_INFLATED = 64 * 2**20
_METRES_PER_INCH = 0.0254


class _Chunk(NamedTuple):
    """One chunk. body: its content (left empty for IDAT, where a copy would cost); whole: as stored."""

    kind: bytes
    body: bytes
    whole: memoryview


def read(data: bytes) -> Decoded:
    """Decode a PNG file. Raises RefusedError, or ValueError where it is damaged."""
    chunks = list(_chunks(data))
    once = {chunk.kind: chunk.body for chunk in reversed(chunks)}
    if chunks[0].kind != b"IHDR" or len(once[b"IHDR"]) != 13:
        raise ValueError("PNG has no header")
    width, height, bits, kind = struct.unpack(">IIBB", once[b"IHDR"][:10])
    check_size(width, height)
    frames = struct.unpack(">I", once[b"acTL"][:4])[0] if b"acTL" in once else 1
    if frames > 1:
        raise RefusedError(f"is an animation of {frames} frames: {ELSEWHERE.replace('it', 'one frame')}")
    key = once.get(b"tRNS")
    samples = _samples(chunks, kind, key is not None, (height, width))
    if kind == 0 and key is not None:
        samples = _keyed(samples, int.from_bytes(key[:2], "big"), bits)
    metadata, orientation = _metadata(chunks, once)
    return Decoded(samples, orientation, _profile(once.get(b"iCCP")), metadata)


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """Every chunk up to IEND, its checksum verified."""
    view, at, kind = memoryview(data), len(SIGNATURE), b""
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


def _samples(chunks: list[_Chunk], kind: int, keyed: bool, size: tuple[int, int]) -> NDArray[Any]:
    # Only what makes up the pixels goes to OpenCV, so that no metadata can turn them or make it print warnings.
    plain = [chunk.whole for chunk in chunks if chunk.kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")]
    alpha = kind in (4, 6) or (keyed and kind in (2, 3))
    flags = cv2.IMREAD_UNCHANGED if alpha or kind in (0, 4) else cv2.IMREAD_COLOR_RGB | cv2.IMREAD_ANYDEPTH
    packed = np.frombuffer(b"".join([SIGNATURE, *plain]), np.uint8)
    found = cv2.imdecode(packed, flags | cv2.IMREAD_IGNORE_ORIENTATION)
    if found is None or found.shape[:2] != size:
        raise ValueError("PNG pixels cannot be decoded")
    samples: NDArray[Any] = found.reshape(*size, -1)
    if kind == 4:
        return samples[..., ::3]
    if samples.shape[2] == 4:
        for row in samples:
            row[:, :3] = row[:, 2::-1].copy()
    return samples


def _keyed(samples: NDArray[Any], key: int, bits: int) -> NDArray[Any]:
    """Grey samples with the alpha that a transparent grey value stands for (OpenCV leaves it out)."""
    top = np.iinfo(samples.dtype).max
    level = key if bits == 16 else key * 255 // (2**bits - 1)
    return np.concatenate([samples, np.where(samples == level, 0, top).astype(samples.dtype)], axis=2)


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
    blob, orientation = exif.normalise(once.get(b"eXIf"))
    text, xmp = [], None
    for kind, body, _ in chunks:
        pair = _text(kind, body) if kind in (b"tEXt", b"zTXt", b"iTXt") else None
        if pair and pair[0] == _XMP:
            xmp = pair[1].encode()
        elif pair:
            text.append(pair)
    dpi = exif.resolution(blob)
    if len(once.get(b"pHYs", b"")) == 9 and once[b"pHYs"][8] == 1:
        across, down = struct.unpack(">II", once[b"pHYs"][:8])
        dpi = (across * _METRES_PER_INCH, down * _METRES_PER_INCH)
    colour = tuple((chunk.kind, chunk.body) for chunk in chunks if chunk.kind in _COLOUR_CHUNKS)
    return Metadata(blob, exif.upright_xmp(xmp, orientation), None, dpi, tuple(text), colour), orientation


def _text(kind: bytes, body: bytes) -> tuple[str, str] | None:
    """Keyword and text of one text chunk; None where it is malformed."""
    keyword, _, rest = body.partition(b"\0")
    inflate = kind == b"zTXt"
    if kind == b"iTXt":
        inflate = rest[:1] == b"\1"
        rest = rest[2:].split(b"\0", 2)[-1]
    content = _inflated(rest[kind == b"zTXt" :]) if inflate else rest
    if content is None or not keyword:
        return None
    return keyword.decode("latin-1"), content.decode("utf-8" if kind == b"iTXt" else "latin-1", "replace")


def write(file: BinaryIO, rows: Rows, profile: bytes | None, metadata: Metadata) -> None:
    """Write a PNG file, strip by strip. Raises RefusedError for floating-point pictures."""
    height, width = rows.pixels.shape[:2]
    if rows.pixels.dtype == np.float32:
        raise RefusedError("cannot be written: PNG cannot hold floating-point pictures; choose TIFF")
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[rows.channels]
    head = struct.pack(">IIBBBBB", width, height, 8 * rows.pixels.itemsize, kind, 0, 0, 0)
    file.write(SIGNATURE + _packed(b"IHDR", head))
    for name, body in _described(profile, metadata):
        file.write(_packed(name, body))
    # Filter "sub" and run-length matching: on photographs smaller and several times faster than zlib's usual search.
    deflate = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    for strip in rows.strips(rows.strip_height(2**20)):
        if body := deflate.compress(_filtered(strip).data):
            file.write(_packed(b"IDAT", body))
    file.write(_packed(b"IDAT", deflate.flush()) + _packed(b"IEND", b""))


def _filtered(strip: NDArray[Any]) -> NDArray[np.uint8]:
    """PNG scan lines with filter type 1 (each byte minus the one a pixel before it)."""
    big = strip if strip.itemsize == 1 else strip.byteswap() if np.little_endian else strip
    lines = big.view(np.uint8).reshape(strip.shape[0], -1)
    step = strip.shape[2] * strip.itemsize
    out = np.empty((lines.shape[0], lines.shape[1] + 1), np.uint8)
    out[:, 0] = 1
    out[:, 1 : step + 1] = lines[:, :step]
    np.subtract(lines[:, step:], lines[:, :-step], out=out[:, step + 1 :])
    return out


def _described(profile: bytes | None, metadata: Metadata) -> Iterator[tuple[bytes, bytes]]:
    for kind, body in metadata.png_colour:
        if not (kind == b"sRGB" and profile):
            yield kind, body
    if profile:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)
    if metadata.dpi:
        across, down = (round(value / _METRES_PER_INCH) for value in metadata.dpi)
        yield b"pHYs", struct.pack(">IIB", across, down, 1)
    if metadata.exif:
        yield b"eXIf", metadata.exif
    if metadata.xmp:
        yield b"iTXt", _XMP.encode() + b"\0\0\0\0\0" + metadata.xmp
    for keyword, text in metadata.text:
        plain = text.encode("latin-1", "replace")
        if plain.decode("latin-1") == text:
            yield b"tEXt", keyword.encode("latin-1", "replace") + b"\0" + plain
        else:
            yield b"iTXt", keyword.encode("latin-1", "replace") + b"\0\0\0\0\0" + text.encode()


def _packed(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))
