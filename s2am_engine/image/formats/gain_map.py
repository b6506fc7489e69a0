# SPDX-License-Identifier: GPL-3.0-or-later
"""HDR gain maps and other images behind the main one of a JPEG file, which are not kept.

Source: Android “Ultra HDR image format” v1.1; ISO 21496-1; Apple “HDRGainMap” (auxiliary images).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_NAMESPACES = rb"(?:http://ns\.adobe\.com/hdr-gain-map/1\.0/|http://ns\.apple\.com/HDRGainMap/1\.0/)"
_CONTAINER = rb"http://ns\.google\.com/photos/1\.0/container/"
_CAMERA = rb"http://ns\.google\.com/photos/1\.0/camera/"
_VIDEO = rb"(?:MotionPhoto|MicroVideo)[\w.-]*"
GAIN_MAP_NOTE = "has an HDR gain map, which is not kept: its standard colors are used"
_NOTES = {
    rb"http://ns\.adobe\.com/hdr-gain-map/1\.0/|http://ns\.apple\.com/HDRGainMap/|Semantic=\"GainMap\"": GAIN_MAP_NOTE,
    rb":(?:MotionPhoto|MicroVideo)\s*(?:=\s*[\"']|>\s*)1": "has a video (motion photo), which is not kept",
}
"""Patterns in XMP that claim something behind the image, and notes about it."""

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


def without_attachments(xmp: bytes | None) -> tuple[bytes | None, tuple[str, ...]]:
    """Take claims of what follows the image (gain map, depth, video) out of XMP; a written file has none of it.

    Returns:
        The XMP, in which everything else stays as it is, byte for byte; and notes for a person.
    """
    if xmp is None:
        return None, ()
    notes = [note for mark, note in _NOTES.items() if re.search(mark, xmp)]
    for namespace, local in ((_NAMESPACES, rb"[\w.-]+"), (_CONTAINER, rb"[\w.-]+"), (_CAMERA, _VIDEO)):
        for prefix in set(re.findall(rb"xmlns:([\w.-]+)\s*=\s*[\"']" + namespace + rb"[\"']", xmp)):
            name = re.escape(prefix) + rb":" + local
            xmp = re.sub(rb"<(" + name + rb")(?:\s[^<>]*)?(?<!/)>.{0,20000}?</\1\s*>", b"", xmp, flags=re.DOTALL)
            xmp = re.sub(rb"<" + name + rb"(?:\s[^<>]*)?/>", b"", xmp)
            xmp = re.sub(rb"\s+" + name + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')", b"", xmp)
            if not re.search(rb"[<\s]" + re.escape(prefix) + rb":", xmp):
                declaration = rb"\s+xmlns:" + re.escape(prefix) + rb"\s*=\s*[\"']" + namespace + rb"[\"']"
                xmp = re.sub(declaration, b"", xmp)
    return xmp, tuple(notes)
