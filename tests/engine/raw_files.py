# SPDX-License-Identifier: GPL-3.0-or-later
"""Image files and metadata, written byte by byte."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from s2am_engine.image.icc import to_srgb
from tests.engine import icc

RGB = np.random.default_rng(5).integers(0, 256, (40, 50, 3), np.uint8)


IPTC = b"\x1c\x02\x05\0\x05Title\x1c\x02\x19\0\x07Keyword"


def png_chunk(kind: bytes, body: bytes, *, damaged: bool = False) -> bytes:
    """A PNG chunk, on request with a wrong checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ damaged)


def png_with(pixels: NDArray[Any], *chunks: bytes) -> bytes:
    """A PNG file with further chunks after its header."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()[:33] + b"".join(chunks) + file.getvalue()[33:]


def tiff_fields(order: str, *fields: tuple[int, int, int, bytes], announced: int | None = None) -> bytes:
    """EXIF data without prefix: one directory of (tag, kind, count, value)."""
    table, spill = struct.pack(order + "H", len(fields) if announced is None else announced), b""
    values_at = 8 + 2 + 12 * len(fields) + 4
    for tag, kind, count, value in fields:
        stored = value.ljust(4, b"\0")
        if len(value) > 4:
            stored, spill = struct.pack(order + "I", values_at + len(spill)), spill + value
        table += struct.pack(order + "HHI", tag, kind, count) + stored
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", 8) + table + bytes(4) + spill


def orientation_field(order: str, value: int) -> tuple[int, int, int, bytes]:
    """The EXIF field of the orientation."""
    return 274, 3, 1, struct.pack(order + "H", value)


ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def packed_rows(samples: NDArray[Any], bits: int) -> bytes:
    """Unfiltered PNG scan lines of H×W×C samples."""
    rows = b""
    for row in samples:
        values = row.reshape(-1)
        if bits < 8:
            digits = np.unpackbits(values.astype(np.uint8)[:, None], axis=1)[:, 8 - bits :]
            rows += b"\0" + np.packbits(digits.reshape(-1)).tobytes()
        else:
            rows += b"\0" + values.astype(">u2" if bits == 16 else "u1").tobytes()
    return rows


def png_file(samples: NDArray[Any], bits: int, color: int, *chunks: bytes, interlaced: bool) -> bytes:
    """A PNG file of H×W×C samples, plain or in the seven passes of Adam7."""
    height, width, _ = samples.shape
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    parts = [samples[top::down, left::across] for top, left, down, across in passes]
    raw = b"".join(packed_rows(part, bits) for part in parts if part.size)
    head = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, interlaced)
    body = [png_chunk(b"IHDR", head), *chunks, png_chunk(b"IDAT", zlib.compress(raw)), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


GRAY_PROFILE, RGB_PROFILE = icc.gray_profile(icc.adobe_curve), icc.rgb_profile(icc.P3, icc.srgb_curve)


def convert(profile: bytes | None, pixels: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Convert pixels to sRGB."""
    return to_srgb(pixels, profile).astype(np.int16)


CHRM = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)


def jpeg_with(*segments: tuple[int, bytes]) -> bytes:
    """A JPEG file with further segments after its start, and another JPEG behind it."""
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "JPEG")
    data = file.getvalue()
    more = b"".join(bytes([255, mark]) + struct.pack(">H", len(body) + 2) + body for mark, body in segments)
    return data[:2] + more + data[2:] + data
