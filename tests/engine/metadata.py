# SPDX-License-Identifier: GPL-3.0-or-later
"""Random metadata of image files, for property-based tests."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from xml.sax.saxutils import escape

from hypothesis import strategies as st

from s2am_engine.image.data import Metadata
from s2am_engine.image.formats.exif import TiffBytes

Field = tuple[int, int, bytes]
"""TIFF type, count and value as bytes."""

ASCII = 2
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8, 11: 4, 12: 8}
POINTERS = {"exif": 34665, "gps": 34853}
RESOLUTION_TAGS = {282, 283, 296}
DIRECTORY_TAGS = {
    # descriptive fields without special meaning for pixels or for another directory
    "main": [271, 272, 305, 306, 315, 316, 33432, 36864, 40091, 40092, 50706 + 1, 50827, 60000, 65000],
    "exif": [33434, 33437, 34850, 36867, 37121, 37377, 37378, 37386, 37510, 41486, 42034, 59932],
    "gps": [0, 1, 2, 3, 4, 5, 6, 29],
}


@st.composite
def fields(draw: st.DrawFn, tags: list[int]) -> dict[int, Field]:
    """Random fields of a directory."""
    found = {}
    for tag in draw(st.lists(st.sampled_from(tags), unique=True, max_size=6)):
        kind = draw(st.sampled_from(sorted(SIZES)))
        count = draw(st.integers(1, 12))
        size = SIZES[kind] * count
        value = draw(st.binary(min_size=size, max_size=size))
        if kind == ASCII:
            value = bytes(32 + byte % 95 for byte in value[1:]) + b"\0"
        found[tag] = (kind, count, value)
    return found


@st.composite
def exif_blobs(draw: st.DrawFn) -> bytes:
    """EXIF data with a camera's make, a time, and random fields in three directories."""
    main = draw(fields(DIRECTORY_TAGS["main"])) | {271: (2, 7, b"Camera\0")}
    exif = draw(fields(DIRECTORY_TAGS["exif"])) | {36867: (2, 20, b"2026:01:02 03:04:05\0")}
    return pack_exif(draw(st.sampled_from("<>")), main, exif, draw(fields(DIRECTORY_TAGS["gps"])))


def pack_exif(
    order: str, main: Mapping[int, Field], exif: Mapping[int, Field], gps: Mapping[int, Field] | None = None
) -> bytes:
    """Return EXIF data of three directories."""
    children = [(POINTERS["exif"], exif), (POINTERS["gps"], gps or {})]
    children = [(tag, child) for tag, child in children if child]
    pointers = {tag: (4, 1, bytes(4)) for tag, _ in children}
    at = 8 + len(_directory(order, {**main, **pointers}, 8))
    tail = b""
    for tag, child in children:
        pointers[tag] = (4, 1, struct.pack(order + "I", at + len(tail)))
        tail += _directory(order, child, at + len(tail))
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", 8) + _directory(order, {**main, **pointers}, 8) + tail


def _directory(order: str, entries: Mapping[int, Field], at: int) -> bytes:
    table, spill = struct.pack(order + "H", len(entries)), b""
    values_at = at + 2 + 12 * len(entries) + 4
    for tag, (kind, count, value) in sorted(entries.items()):
        stored = value.ljust(4, b"\0")
        if len(value) > 4:
            stored = struct.pack(order + "I", values_at + len(spill))
            spill += value + bytes(len(value) % 2)
        table += struct.pack(order + "HHI", tag, kind, count) + stored
    return table + bytes(4) + spill


def exif_fields(blob: bytes | None) -> dict[tuple[str, int], tuple[str, Field]]:
    """Return the fields of EXIF data, without the resolution: directory and tag → byte order and field."""
    if blob is None:
        return {}
    tiff = TiffBytes(blob)
    found = {}
    main = tiff.directory(tiff.first).entries
    for name, entries in {
        "main": main,
        **{name: tiff.directory(tiff.numbers(main[tag])[0]).entries for name, tag in POINTERS.items() if tag in main},
    }.items():
        for tag, entry in entries.items():
            if tag not in {*POINTERS.values(), *RESOLUTION_TAGS}:
                found[name, tag] = (tiff.order, (entry.kind, entry.count, entry.value))
    return found


# without ":", for hypothesis also draws constants of the program, such as the namespaces of gain maps
LETTERS = st.characters(codec="utf-8", categories=("L", "N", "P", "Zs"), exclude_characters=":")


@st.composite
def iptc_records(draw: st.DrawFn) -> bytes:
    """IPTC-IIM records: a title and random text fields, some too large for one segment of a JPEG file."""
    values = draw(st.lists(st.tuples(st.sampled_from([25, 80, 105, 116, 120]), st.binary(min_size=1, max_size=60))))
    if draw(st.booleans()):
        values += [(120, b"x" * 30000)] * 3
    return b"".join(
        b"\x1c\x02" + bytes([number]) + struct.pack(">H", len(value)) + value
        for number, value in [(5, b"Title"), *values]
    )


@st.composite
def xmp_packets(draw: st.DrawFn) -> bytes:
    """An XMP packet with a random title, some too large for one segment of a JPEG file."""
    title = draw(st.text(LETTERS, min_size=1, max_size=40)) + "!" * draw(st.sampled_from([0, 0, 70_000, 150_000]))
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title><rdf:Alt>'
        f'<rdf:li xml:lang="x-default">{escape(title)}</rdf:li></rdf:Alt></dc:title></rdf:Description></rdf:RDF>'
        "</x:xmpmeta>"
    ).encode()


@st.composite
def metadata(draw: st.DrawFn) -> Metadata:
    """Random metadata of any kind."""
    keywords = st.sampled_from(["Comment", "Title", "Software", "Author"])
    dpi = st.floats(30, 20000).map(lambda value: round(value, 2))
    return Metadata(
        exif=draw(st.none() | exif_blobs()),
        xmp=draw(st.none() | xmp_packets()),
        iptc=draw(st.none() | iptc_records()),
        dpi=draw(st.none() | st.tuples(dpi, dpi)),
        text=tuple(draw(st.dictionaries(keywords, st.text(LETTERS, min_size=1, max_size=40))).items()),
    )
