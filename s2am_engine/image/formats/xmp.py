# SPDX-License-Identifier: GPL-3.0-or-later
"""XMP packets: their copy of the orientation, and JPEG's division of large ones into a main and an extended packet.

Edited as bytes, so that everything else stays as it is. Source: XMP specification, part 3 (2020), section 1.1.3.1.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import ParseError

import defusedxml
import defusedxml.ElementTree

MAX_MAIN_PACKET = 65502
"""Bytes of the packet that fits in one segment of a JPEG file, behind its signature."""

EXTENDED_SIGNATURE = b"http://ns.adobe.com/xmp/extension/\0"

_CHUNK = 65400  # bytes of an extended packet in one segment
_HEADER = len(EXTENDED_SIGNATURE) + 40  # signature, digest, length of the packet, offset
_NOTE = rb"(?:xmpNote:)?HasExtendedXMP"
_REFERENCE = re.compile(_NOTE + rb"\s*(?:=\s*[\"']|>\s*)([0-9A-Fa-f]{32})")
_RDF = re.compile(rb"<(rdf:RDF)((?:\s[^<>]*)?)>(.*)</rdf:RDF\s*>", re.DOTALL)
_NAMESPACE = re.compile(rb"(xmlns:[\w.-]+)\s*=\s*(\"[^\"]*\"|'[^']*')")
_MAIN_PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="%s"/>'
    b"</rdf:RDF></x:xmpmeta>"
)


def reset_xmp_orientation(xmp: bytes | None, orientation: int) -> bytes | None:
    """Return XMP with its own copy of an applied orientation set to 1."""
    if xmp is None or orientation == 1:
        return xmp
    return re.sub(rb"(tiff:Orientation(?:\s*=\s*[\"']|>)\s*)[2-8](?=\D)", rb"\g<1>1", xmp)


def split_xmp(xmp: bytes) -> tuple[bytes, list[bytes]]:
    """Divide a packet for a JPEG file: the main packet, and the contents of segments with the extended one."""
    if len(xmp) <= MAX_MAIN_PACKET:
        return xmp, []
    digest = hashlib.md5(xmp, usedforsecurity=False).hexdigest().upper().encode()
    head = EXTENDED_SIGNATURE + digest + len(xmp).to_bytes(4, "big")
    starts = range(0, len(xmp), _CHUNK)
    return _MAIN_PACKET % digest, [head + start.to_bytes(4, "big") + xmp[start : start + _CHUNK] for start in starts]


def join_xmp(main: bytes | None, segments: Iterable[bytes]) -> tuple[bytes | None, bool]:
    """Put main and extended packet together.

    Args:
        main: the main packet.
        segments: contents of all segments of the file that start with EXTENDED_SIGNATURE.

    Returns:
        The packet without its reference to an extended one, and False if the extended packet is missing or damaged.
    """
    reference = _REFERENCE.search(main) if main else None
    if main is None or reference is None:
        return main, True
    rest = _without_reference(main)
    extended = _assembled(reference[1].upper(), segments)
    joined = None if extended is None else _merged(rest, extended)
    return (rest, False) if joined is None else (joined, True)


def _assembled(digest: bytes, segments: Iterable[bytes]) -> bytes | None:
    """Return the extended packet of a digest; None unless every byte of it is there, once."""
    parts: dict[int, bytes] = {}
    size = None
    for segment in segments:
        head = segment[len(EXTENDED_SIGNATURE) : _HEADER]
        if len(head) == 40 and head[:32].upper() == digest:
            size = int.from_bytes(head[32:36], "big")
            parts.setdefault(int.from_bytes(head[36:], "big"), segment[_HEADER:])
    at = 0
    for start in sorted(parts):
        if start != at:
            return None
        at += len(parts[start])
    return b"".join(parts[start] for start in sorted(parts)) if size and at == size else None


def _without_reference(xmp: bytes) -> bytes:
    xmp = re.sub(rb"\s+xmpNote:HasExtendedXMP\s*=\s*(?:\"[^\"]*\"|'[^']*')", b"", xmp)
    return re.sub(rb"<xmpNote:HasExtendedXMP>[^<]*</xmpNote:HasExtendedXMP\s*>", b"", xmp)


def _merged(main: bytes, extended: bytes) -> bytes | None:
    """Return a packet with the descriptions of both; None if they do not form valid XML."""
    inside, more = _RDF.search(main), _RDF.search(extended)
    if inside is None or more is None:
        return None
    if not _descriptions(main):
        return extended
    declared = dict(_NAMESPACE.findall(main[: inside.start(3)]))
    added = [pair for pair in _NAMESPACE.findall(extended[: more.start(3)]) if pair[0] not in declared]
    names = b"".join(b" " + name + b"=" + value for name, value in dict(added).items())
    start, end = inside.span(3)
    joined = main[: inside.end(2)] + names + b">" + main[start:end] + more[3] + main[end:]
    try:
        defusedxml.ElementTree.fromstring(joined)
    except (ParseError, ValueError, defusedxml.DefusedXmlException):
        return None
    return joined


def _descriptions(xmp: bytes) -> bool:
    """Return whether a packet describes anything: an element or attribute besides those of RDF itself."""
    return any(not name.startswith((b"rdf:", b"x:", b"xmlns", b"xml:")) for name in _names(xmp))


def _names(xmp: bytes) -> Iterator[bytes]:
    for element in re.finditer(rb"<([\w.-]+:[\w.-]+)((?:\s[^<>]*)?)>", xmp):
        yield element[1]
        yield from re.findall(rb"\s([\w.-]+:[\w.-]+)\s*=", element[2])
