# SPDX-License-Identifier: GPL-3.0-or-later
"""PNG: pixels are read by imagecodecs (libpng); this module writes them, and handles all chunks, to keep every one.

Pillow reduces 16-bit color to 8 bits and refuses files whose texts or profile unpack to more than a megabyte; OpenCV
drops text. Source: PNG specification, third edition.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np
from imagecodecs import DeflateError, deflate_decode, png_decode
from PIL.PngImagePlugin import PngInfo, putchunk

from s2am_common.image_formats import PNG as PNG_INFO
from s2am_engine.image.data import ImageData, IndexedColors, Metadata
from s2am_engine.image.formats.color_space import hdr_curve_of_cicp, profile_of_cicp, profile_of_gamma
from s2am_engine.image.formats.common import (
    CONVERT_FIRST,
    Decoded,
    ImageFormat,
    UnsupportedFileError,
    check_image_size,
    check_storable,
    ignore_progress,
    omitted_contents,
    storable_resolution,
)
from s2am_engine.image.formats.exif import exif_resolution, normalize_exif
from s2am_engine.image.formats.iptc import iptc_of_resources, iptc_resource
from s2am_engine.image.formats.xmp import reset_xmp_orientation
from s2am_engine.types import Bytes, FractionCallback, Pixels

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOR_CHUNKS = (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI")
_STRIP_PIXELS = 1 << 20  # of rows that are compressed at a time
_SUB = 1  # number of a filter: the difference to the pixel on the left
_XMP = "XML:com.adobe.xmp"
_MAX_INFLATED = 64 * 2**20  # bytes of all compressed texts together, and of the profile
_MAX_CHUNKS = 2**20
_MAX_DENSITY = 2**31 - 1
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""Adam7: first row, first column, and steps of both, of each pass."""
_GRAY, _PALETTE = 0, 3
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by color type
_RAW_PROFILE = "Raw profile type "  # keyword of ImageMagick, ExifTool and exiv2 for metadata in hexadecimal
_IPTC_NAMES, _EXIF_NAMES = ("iptc", "8bim"), ("exif", "APP1")
_IPTC_MARK = 0x1C  # first byte of each record
_MAX_EXIV2_TEXT = 128 * 1024  # bytes; exiv2 rejects a file with a compressed text that unpacks to more
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
    if chunks[0].kind == b"CgBI":
        raise UnsupportedFileError(
            f"is a PNG file that Xcode changed for iOS apps: open the original, or {CONVERT_FIRST}"
        )
    if chunks[0].kind != b"IHDR" or len(once[b"IHDR"]) != 13:
        raise ValueError("PNG has no header")
    width, height = struct.unpack(">II", once[b"IHDR"][:8])
    check_image_size(width, height)
    frames = struct.unpack(">I", once[b"acTL"][:4])[0] if b"acTL" in once else 1
    if frames > 1:
        advice = CONVERT_FIRST.replace("it", "one frame")
        raise UnsupportedFileError(f"is an animation of {frames} frames: {advice}")
    samples = _pixels(once, [chunk.whole for chunk in chunks if chunk.kind == b"IDAT"])
    indexed = None
    if once[b"IHDR"][9] == _PALETTE:
        indexed = _indexed(samples, once)
        samples = _palette(once)[indexed.indices]
    metadata, orientation = _metadata(chunks, once)
    profile, notes = _color_space(once, samples.shape[2] < 3)
    return Decoded(samples, orientation, profile, metadata, notes=notes, indexed=indexed)


def _indexed(grays: Pixels, once: dict[bytes, bytes]) -> IndexedColors:
    """Return the indices of an image with a palette that was decoded as a gray one, H×W×1, scaled to 8 bits."""
    if once[b"IHDR"][8] not in (1, 2, 4, 8):
        raise ValueError("PNG has an invalid depth for a palette")
    scale = 255 // (2 ** once[b"IHDR"][8] - 1)
    indices = grays[..., 0] // np.uint8(scale)
    return IndexedColors(np.ascontiguousarray(indices), np.ascontiguousarray(_palette(once)[:, :3]))


def _palette(once: dict[bytes, bytes]) -> Bytes:
    """Return the palette, 256×3, or ×4 if it has transparent entries; missing entries are black, as libpng has them."""
    stored, alphas = once.get(b"PLTE", b""), once.get(b"tRNS")
    if not stored or len(stored) % 3 or len(stored) > 768:
        raise ValueError("PNG has no valid palette")
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(stored) // 3] = np.frombuffer(stored, np.uint8).reshape(-1, 3)
    if alphas is None:
        return palette
    opacity = np.frombuffer(alphas[: len(stored) // 3].ljust(256, b"\xff"), np.uint8)
    return np.column_stack([palette, opacity])


def _color_space(once: dict[bytes, bytes], gray: bool) -> tuple[bytes | None, tuple[str, ...]]:
    """Return the profile of the first valid color chunk, in the order of the specification, and notes about HDR."""
    cicp = once.get(b"cICP", b"")
    hdr = hdr_curve_of_cicp(cicp)
    if hdr:
        return _profile(once.get(b"iCCP")), (f"is an HDR image ({hdr}): its colors are treated as standard ones",)
    profile = profile_of_cicp(cicp, gray) or _profile(once.get(b"iCCP"))
    if profile is None and b"sRGB" not in once and b"cICP" not in once:
        profile = profile_of_gamma(once.get(b"gAMA"), once.get(b"cHRM"), gray)
    return profile, ()


def _pixels(once: dict[bytes, bytes], stored: list[memoryview]) -> Pixels:
    """Decode the pixels, H×W×C; those of an image with a palette as if they were gray.

    The decoder gets the chunks that it needs, in order: it prints a warning on stderr about any other, and about
    interlaced images and surplus data. Of such files it gets each pass, packed again, as an image of its own.
    """
    width, height, bits, color, *_, interlaced = struct.unpack(">IIBBBBB", once[b"IHDR"])
    kind = bytes([bits, _GRAY if color == _PALETTE else color]) + once[b"IHDR"][10:12]
    parts = []
    if b"tRNS" in once and color in (0, 2):
        parts.append(_packed(b"tRNS", once[b"tRNS"][: 2 if color == 0 else 6]))
    if color not in _CHANNELS:
        raise ValueError("PNG has an unknown color type")
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    pixel_bits = bits * _CHANNELS[color]
    sizes = [(-(-(height - top) // down), -(-(width - left) // across)) for top, left, down, across in passes]
    sizes = [(max(0, rows), max(0, columns)) for rows, columns in sizes]
    lengths = [rows * (1 + (columns * pixel_bits + 7) // 8) if columns else 0 for rows, columns in sizes]
    stream = b"".join(whole[8:-4] for whole in stored)
    if not interlaced and _inflates_to(stream, lengths[0]):
        return _decode(sizes[0], kind, [*parts, *stored])
    # Without the two bytes of its header, the checksum behind the stream does not count: each chunk has one as well.
    scanlines = zlib.decompressobj(-zlib.MAX_WBITS).decompress(stream[2:], sum(lengths) or 1)
    if len(scanlines) < sum(lengths):
        raise ValueError("PNG ends too early")
    samples: Pixels | None = None
    at = 0
    for (top, left, down, across), size, length in zip(passes, sizes, lengths, strict=True):
        if not length:
            continue
        body = _packed(b"IDAT", zlib.compress(memoryview(scanlines)[at : at + length], 0))
        decoded = _decode(size, kind, [*parts, body])
        if samples is None:
            samples = np.empty((height, width, decoded.shape[2]), decoded.dtype)
        samples[top::down, left::across] = decoded
        at += length
    if samples is None:
        raise ValueError("PNG has no pixels")
    return samples


def _decode(size: tuple[int, int], kind: bytes, chunks: Sequence[bytes | memoryview]) -> Pixels:
    """Decode an image, H×W×C, that is not interlaced.

    Args:
        size: its rows and columns.
        kind: bits per sample, color type, compression and filter method.
        chunks: packed, between the header and the end.
    """
    rows, columns = size
    header = _packed(b"IHDR", struct.pack(">II", columns, rows) + kind + b"\0")
    samples = png_decode(b"".join([_SIGNATURE, header, *chunks, _packed(b"IEND", b"")]))
    return np.asarray(samples).reshape(rows, columns, -1)


def _inflates_to(stream: bytes, length: int) -> bool:
    """Return whether a zlib stream inflates to exactly a number of bytes, with nothing behind it.

    libdeflate does so in a fraction of the time that the decoder takes.
    """
    try:
        inflated = deflate_decode(stream, out=length)
    except DeflateError:
        return False
    return len(inflated) == length and zlib.adler32(inflated) == int.from_bytes(stream[-4:], "big")


def _packed(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """Yield every chunk before IEND, without ancillary ones whose checksum is wrong: the pixels do not need them."""
    view, at, count = memoryview(data), len(_SIGNATURE), 0
    while True:
        if at + 12 > len(data) or count >= _MAX_CHUNKS:
            raise ValueError("PNG ends too early, or has too many chunks")
        count += 1
        (length,) = struct.unpack_from(">I", data, at)
        whole = view[at : at + 12 + length]
        kind = bytes(whole[4:8])
        if kind == b"IEND" and length == 0:
            return
        right = zlib.crc32(whole[4:-4]) == int.from_bytes(whole[-4:], "big")
        if not right and not (kind.isalpha() and kind[:1].islower()):
            raise ValueError("PNG checksum is wrong")
        if right:
            yield _Chunk(kind, b"" if kind == b"IDAT" else bytes(whole[8:-4]), whole)
        at += 12 + length


def _profile(body: bytes | None) -> bytes | None:
    if not body:
        return None
    name_end = body.index(b"\0")
    return _inflated(body[name_end + 2 :], _MAX_INFLATED)


def _inflated(body: bytes, limit: int) -> bytes | None:
    """Decompress a text or profile; None if it is damaged or larger than a limit."""
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(body, max(1, limit))
    except zlib.error:
        return None
    return None if inflater.unconsumed_tail else content


def _metadata(chunks: list[_Chunk], once: dict[bytes, bytes]) -> tuple[Metadata, int]:
    exif = once.get(b"eXIf")
    text, xmp, iptc = [], None, None
    room = _MAX_INFLATED
    for kind, body, _ in chunks:
        pair = _text(kind, body, room) if kind in (b"tEXt", b"zTXt", b"iTXt") else None
        if pair is None:
            continue
        room -= len(pair[1])
        raw = _raw_profile(pair[1]) if pair[0].startswith(_RAW_PROFILE) else None
        raw_name = pair[0].removeprefix(_RAW_PROFILE)
        if pair[0] == _XMP:
            xmp = pair[1].encode()
        elif raw and raw_name in _IPTC_NAMES:
            iptc = iptc or iptc_of_resources(raw)
        elif raw and raw_name in _EXIF_NAMES:
            exif = exif or raw
        else:
            text.append(pair)
    blob, orientation = normalize_exif(exif)
    dpi = exif_resolution(blob)
    if len(once.get(b"pHYs", b"")) == 9 and once[b"pHYs"][8] == 1:
        across, down = struct.unpack(">II", once[b"pHYs"][:8])
        dpi = (across * _METERS_PER_INCH, down * _METERS_PER_INCH)
    color = tuple((chunk.kind, chunk.body) for chunk in chunks if chunk.kind in _COLOR_CHUNKS)
    return Metadata(blob, reset_xmp_orientation(xmp, orientation), iptc, dpi, tuple(text), color), orientation


def _raw_profile(text: str) -> bytes | None:
    """Return the content of a “raw profile”: name, length, and hexadecimal digits, on lines; None if malformed."""
    parts = text.split(None, 2)
    try:
        return bytes.fromhex(parts[2])[: int(parts[1])]
    except (IndexError, ValueError):
        return None


def _as_raw_profile(name: str, content: bytes) -> str:
    digits = content.hex()
    lines = [digits[start : start + 72] for start in range(0, len(digits), 72)]
    return "\n".join(["", name, f"{len(content):8}", *lines, ""])


def _text(kind: bytes, body: bytes, limit: int) -> tuple[str, str] | None:
    """Return keyword and text of a text chunk; None if it is malformed or larger than a limit."""
    keyword, _, rest = body.partition(b"\0")
    inflate = kind == b"zTXt"
    if kind == b"iTXt":
        inflate = rest[:1] == b"\1"
        rest = rest[2:].split(b"\0", 2)[-1]
    content = _inflated(rest[kind == b"zTXt" :], limit) if inflate else rest
    if content is None or not keyword:
        return None
    return keyword.decode("latin-1"), content.decode("utf-8" if kind == b"iTXt" else "latin-1", "replace")


def write_png(
    file: BinaryIO, image: ImageData, _quality: int = 100, progress: FractionCallback = ignore_progress
) -> tuple[str, ...]:
    """Write a PNG file; see `ImageFormat`. Raises UnsupportedFileError for floating-point images."""
    check_storable(PNG_INFO, image)
    if image.gray and image.profile and image.profile[16:20] != b"GRAY":
        image = dataclasses.replace(image, gray=False)  # a gray PNG must not have a profile for colors
    height, width = image.pixels.shape[:2]
    kind = {(True, False): 0, (False, False): 2, (True, True): 4, (False, True): 6}[image.gray, image.alpha is not None]
    file.write(_SIGNATURE)
    putchunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 8 * image.pixels.itemsize, kind, 0, 0, 0))
    for name, body in _metadata_chunks(image.profile, image.metadata):
        putchunk(file, name, body)
    for done, part in _compressed(image):
        if part:
            putchunk(file, b"IDAT", part)
        progress(done)
    putchunk(file, b"IEND", b"")
    dpi = _storable(image.metadata) or exif_resolution(image.metadata.exif)
    return omitted_contents(image, {"exif", "xmp", "iptc", "text"} | ({"dpi"} if dpi else set()))


def _compressed(image: ImageData) -> Iterator[tuple[float, bytes]]:
    """Yield the fraction done and the compressed rows, strip by strip: libpng could not be interrupted.

    Filter "sub" and run-length matching: on photographs smaller and several times faster than zlib's usual search.
    """
    stream = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    height, width = image.pixels.shape[:2]
    step = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, step):
        rows = slice(top, min(top + step, height))
        alpha = None if image.alpha is None else image.alpha[rows]
        part = ImageData(image.pixels[rows], alpha, gray=image.gray)
        yield rows.stop / height, stream.compress(_filtered(part.samples()).data)
    yield 1.0, stream.flush()


def _filtered(samples: Pixels) -> Bytes:
    """Return rows of H×W×C (or H×W) samples as PNG stores them before compression, with the filter "sub"."""
    height, width = samples.shape[:2]
    rows = samples.astype(samples.dtype.newbyteorder(">"), copy=False).view(np.uint8).reshape(height, -1)
    pixel = rows.shape[1] // width
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = _SUB
    filtered[:, 1 : 1 + pixel] = rows[:, :pixel]
    np.subtract(rows[:, pixel:], rows[:, :-pixel], out=filtered[:, 1 + pixel :])
    return filtered


def _storable(metadata: Metadata) -> tuple[float, float] | None:
    return storable_resolution(metadata.dpi, _METERS_PER_INCH, _MAX_DENSITY * _METERS_PER_INCH)


def _metadata_chunks(profile: bytes | None, metadata: Metadata) -> Iterator[tuple[bytes, bytes]]:
    for kind, body in metadata.png_color:
        if not (kind == b"sRGB" and profile):
            yield kind, body
    if profile:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)
    dpi = _storable(metadata)
    if dpi:
        across, down = (round(value / _METERS_PER_INCH) for value in dpi)
        yield b"pHYs", struct.pack(">IIB", across, down, 1)
    if metadata.exif:
        yield b"eXIf", metadata.exif
    texts = PngInfo()
    if metadata.xmp:
        texts.add_itxt(_XMP, metadata.xmp)
    if metadata.iptc:
        # exiv2 takes a size of 0x…1C for the first record; like ExifTool, it also reads bare records.
        bare = len(metadata.iptc) & 0xFF == _IPTC_MARK
        raw = _as_raw_profile("iptc", metadata.iptc if bare else iptc_resource(metadata.iptc))
        texts.add_text(_RAW_PROFILE + "iptc", raw, zip=len(raw) < _MAX_EXIV2_TEXT)
    for keyword, text in metadata.text:
        texts.add_text(keyword, text)
    yield from ((kind, body) for kind, body, *_ in texts.chunks)


PNG_FORMAT = ImageFormat(PNG_INFO, read_png, write_png)
