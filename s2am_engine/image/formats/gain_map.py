# SPDX-License-Identifier: GPL-3.0-or-later
"""HDR gain maps and other images behind the main one of a JPEG file, which are not kept.

Source: Android “Ultra HDR image format” v1.1; ISO 21496-1; Apple “HDRGainMap” (auxiliary images).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_NAMESPACES = rb"(?:http://ns\.adobe\.com/hdr-gain-map/1\.0/|http://ns\.apple\.com/HDRGainMap/1\.0/)"
_CONTAINER = rb"http://ns\.google\.com/photos/1\.0/container/"
_MARKS = (
    b"http://ns.adobe.com/hdr-gain-map/1.0/",
    b"http://ns.apple.com/HDRGainMap/",
    b"urn:com:apple:photo:2020:aux:hdrgainmap",
    b'Semantic="GainMap"',
)
_XMP, _ISO = b"http://ns.adobe.com/xap/1.0/\0", b"urn:iso:std:iso:ts:21496:-1"


def has_gain_map(data: bytes) -> bool:
    """Return whether a segment of the main image of a JPEG file announces a gain map."""
    bodies = [body for number, body in jpeg_segments(data) if 0xE1 <= number <= 0xEF]
    return any(
        body.startswith(_ISO) or (body.startswith(_XMP) and any(mark in body for mark in _MARKS)) for body in bodies
    )


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of each segment of a JPEG file before the pixels."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        if data[at + 1] == 0xFF:  # a fill byte
            at += 1
            continue
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at + 1], data[at + 4 : at + 2 + size]
        at += 2 + max(2, size)


def without_attachments(xmp: bytes | None) -> bytes | None:
    """Return XMP without claims of images (gain map, depth, video) that follow the main one; a written file has none.

    Everything else stays as it is, byte for byte.
    """
    if xmp is None:
        return None
    for namespace in (_NAMESPACES, _CONTAINER):
        for prefix in set(re.findall(rb"xmlns:([\w.-]+)\s*=\s*[\"']" + namespace + rb"[\"']", xmp)):
            name = re.escape(prefix) + rb":[\w.-]+"
            xmp = re.sub(rb"<(" + name + rb")(?:\s[^<>]*)?(?<!/)>.*?</\1\s*>", b"", xmp, flags=re.DOTALL)
            xmp = re.sub(rb"<" + name + rb"(?:\s[^<>]*)?/>", b"", xmp)
            xmp = re.sub(rb"\s+xmlns:" + re.escape(prefix) + rb"\s*=\s*[\"']" + namespace + rb"[\"']", b"", xmp)
            xmp = re.sub(rb"\s+" + name + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')", b"", xmp)
    return xmp
