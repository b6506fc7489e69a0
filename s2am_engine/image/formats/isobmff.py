# SPDX-License-Identifier: GPL-3.0-or-later
"""Boxes of ISO base media files, of which HEIC, AVIF and JPEG XL files consist.

Source: ISO/IEC 14496-12 (boxes), ISO/IEC 23008-12 (images), AV1 codec ISO media file format binding, section 2.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from s2am_engine.image.formats.color_space import hdr_curve_of_cicp, profile_of_cicp

_MAX_BOXES = 10_000
_TEXT_AT = {2: 12, 3: 14}  # offset of the name in an item's entry, by its version; 8 for others


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content of each top-level box; ends at a damaged one."""
    at = 0
    for _ in range(_MAX_BOXES):
        size, kind, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        end = len(data) if size == 0 else at + size
        if len(kind) < 4 or end > len(data) or end < at + head:
            return
        yield kind, data[at + head : end]
        at = end


def image_properties(data: bytes) -> bytes:
    """Return the content of the box that describes the images of a HEIC or AVIF file; b"" if it is missing."""
    return next((body for kind, body in boxes(data) if kind == b"meta"), b"")


def check_texts(properties: bytes) -> None:
    """Raise ValueError if a name or type in the description of the images is not UTF-8: pi-heif crashes on such."""
    children = dict(boxes(properties[4:]))
    items = children.get(b"iinf", b"\0")
    texts = [body[_TEXT_AT.get(body[0], 8) :] for _, body in boxes(items[6 if items[0] == 0 else 8 :]) if body]
    stored = dict(boxes(children.get(b"iprp", b""))).get(b"ipco", b"")
    texts += [body[4:] for kind, body in boxes(stored) if kind == b"auxC"]
    for text in texts:
        for part in text.split(b"\0")[:3]:  # name, type and encoding; other data may follow
            part.decode()


def color_space(properties: bytes, gray: bool) -> tuple[bytes | None, tuple[str, ...]]:
    """Return the profile for the code points of a HEIC or AVIF file, and notes about HDR; see `Decoded`."""
    at = properties.find(b"colrnclx") + 8
    if at < 8:
        return None, ()
    codes = bytes([properties[at + 1], properties[at + 3], 0, 1]) if at + 4 <= len(properties) else b""
    hdr = hdr_curve_of_cicp(codes)
    if hdr:
        return None, (f"is an HDR image ({hdr}): its colors are treated as standard ones",)
    return profile_of_cicp(codes, gray), ()


def av1_bits(properties: bytes) -> int:
    """Return the bits per channel of the images of an AVIF file: 8, 10 or 12."""
    flags = properties[properties.find(b"av1C") + 6 :][:1]
    high, twelve = (bool(flags and flags[0] & mark) for mark in (0x40, 0x20))
    return 8 if not high else 12 if twelve else 10
