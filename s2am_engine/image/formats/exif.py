# SPDX-License-Identifier: GPL-3.0-or-later
"""TIFF directories (IFDs), which EXIF data consist of: reading, editing in place and packing.

Written by hand because Pillow's `Image.Exif` repacks the data: offsets in a camera's maker note then point to the wrong
bytes, unknown fields are lost, and BigTIFF is not read. Editing in place keeps every byte that need not change.

Source: TIFF 6.0, section 2; the BigTIFF design; EXIF 2.32 (CIPA DC-008), section 4.6.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Iterable
from dataclasses import dataclass
from fractions import Fraction

ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 274, 282, 283, 296
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_EXIF, _GPS, _INTEROPERABILITY = 34665, 34853, 40965
_WIDTH, _HEIGHT = 40962, 40963
_COLOR_SPACE, _ADOBE_RGB, _UNCALIBRATED = 40961, 2, 0xFFFF
_PREFIX = b"Exif\0\0"
_EMPTY = b"II*\0\x08\0\0\0" + bytes(6)
_MAX_DENOMINATOR = 10000  # of a resolution
_MAX_FIELDS = 2**18  # of all directories read: damaged ones may overlap

# Tags of a TIFF's first directory that describe the storage of its pixels, or have their own fields in Metadata.
STRUCTURE = frozenset(
    {254, 255, *range(256, 269), 273, *range(277, 282), 284, *range(288, 294), 297, 301}
    | {*range(317, 348), 512, 513, 514, *range(515, 533), 559, 700, 33723, 34377, 34675, 37724, 50706}
)


@dataclass(frozen=True)
class TiffEntry:
    """A field: TIFF type `kind`, `count` values as raw bytes in the file's order; `at`: offset of the field."""

    tag: int
    kind: int
    count: int
    value: bytes
    at: int = 0


@dataclass(frozen=True)
class TiffDirectory:
    """The fields of an IFD by tag; offset and value (0: none) of the pointer to the next IFD.

    cut: the directory announces more fields than follow.
    """

    entries: dict[int, TiffEntry]
    next_at: int
    next: int
    cut: bool = False


class TiffBytes:
    """A classic TIFF or BigTIFF structure in memory. Raises ValueError if it is damaged.

    strict: treat fields and pointers beyond the end of the data as damage (not for EXIF data: cameras write such).
    """

    def __init__(self, data: bytes, *, strict: bool = False) -> None:
        """Read the header."""
        self.data = data
        self.strict = strict
        self._fields_left = _MAX_FIELDS
        orders = {b"II": "<", b"MM": ">"}
        if data[:2] not in orders or len(data) < 8:
            raise ValueError("not a TIFF structure")
        self.order = orders[data[:2]]
        magic = self._number("H", 2)
        if magic not in (42, 43):
            raise ValueError("not a TIFF structure")
        self.big = magic == 43
        self.first = self._number("Q", 8) if self.big else self._number("I", 4)

    def _number(self, code: str, at: int) -> int:
        try:
            return int(struct.unpack_from(self.order + code, self.data, at)[0])
        except struct.error as error:
            raise ValueError("TIFF structure ends too early") from error

    def directory(self, at: int, only: Container[int] | None = None) -> TiffDirectory:
        """Return the IFD at an offset, without fields of unknown type; only: the tags to read, all if None.

        Unless strict, a directory that announces more fields than follow ends with the data or its first invalid field.
        """
        head, step, code, inline = (8, 20, "Q", 8) if self.big else (2, 12, "I", 4)
        entries: dict[int, TiffEntry] = {}
        room = len(self.data)  # fields that share their bytes would unpack to any size
        total = self._number("Q" if self.big else "H", at)
        cut = at + head + total * step > len(self.data)
        if cut and self.strict:
            raise ValueError("TIFF directory ends too early")
        total = min(total, max(0, len(self.data) - at - head) // step)
        self._fields_left -= total
        if self._fields_left < 0:
            raise ValueError("TIFF structure has too many fields")
        for place in range(at + head, at + head + total * step, step):
            tag, kind, count = self._number("H", place), self._number("H", place + 2), self._number(code, place + 4)
            if cut and kind not in _SIZES:
                break
            if only is not None and tag not in only:
                continue
            size = _SIZES.get(kind, 0) * count
            start = place + step - inline
            if size > inline:
                start = self._number(code, start)
            if start + size > len(self.data) or size > room:
                if self.strict:
                    raise ValueError("TIFF field ends too early")
            elif kind in _SIZES:
                room -= size
                entries[tag] = TiffEntry(tag, kind, count, bytes(self.data[start : start + size]), place)
        end = at + head + total * step
        if cut or (not self.strict and end + inline > len(self.data)):
            return TiffDirectory(entries, end, 0, cut)
        return TiffDirectory(entries, end, self._number(code, end))

    def numbers(self, entry: TiffEntry | None) -> list[int]:
        """Return the integers of a field; [] if it is missing or of another type."""
        if entry is None or entry.kind not in _INTEGERS:
            return []
        return list(struct.unpack(f"{self.order}{entry.count}{_INTEGERS[entry.kind]}", entry.value))


def _pack_directory(order: str, entries: Iterable[TiffEntry], at: int) -> bytes:
    """Return a classic IFD for an (even) offset, followed by the values that do not fit in it."""
    fields = sorted(entries, key=lambda entry: entry.tag)
    table, spill = struct.pack(order + "H", len(fields)), b""
    values_at = at + 2 + 12 * len(fields) + 4
    for entry in fields:
        value = entry.value.ljust(4, b"\0")
        if len(value) > 4:
            value = struct.pack(order + "I", values_at + len(spill))
            spill += entry.value + b"\0" * (len(entry.value) % 2)
        table += struct.pack(order + "HHI", entry.tag, entry.kind, entry.count) + value
    return table + struct.pack(order + "I", 0) + spill


def normalize_exif(exif: bytes | None) -> tuple[bytes | None, int]:
    """Set the orientation in EXIF data to 1 and unlink the outdated thumbnail; everything else stays in place.

    Args:
        exif: the TIFF structure, with or without the "Exif" prefix of JPEG.

    Returns:
        The data without the prefix, or None if they are damaged; and the previous orientation, 1 to 8 (1 if missing or
        invalid).
    """
    if not exif:
        return None, 1
    while exif.startswith(_PREFIX):  # some programs write it twice
        exif = exif[len(_PREFIX) :]
    try:
        tiff = TiffBytes(exif)
        main = tiff.directory(tiff.first)
    except ValueError:
        return None, 1
    if tiff.big or (main.cut and not main.entries):
        return None, 1
    if main.cut:  # other programs refuse such a directory
        return normalize_exif(exif_of_tiff(tiff, main))
    orientation = _read_orientation(tiff, main)
    edited = bytearray(exif)
    if main.next:
        edited[main.next_at : main.next_at + 4] = bytes(4)
    if ORIENTATION in main.entries:
        field = struct.pack(tiff.order + "HHIHH", ORIENTATION, 3, 1, 1, 0)
        at = main.entries[ORIENTATION].at
        edited[at : at + 12] = field
    if orientation > 4:
        _swap_sides(tiff, main, edited)
    return bytes(edited), orientation


def _swap_sides(tiff: TiffBytes, main: TiffDirectory, edited: bytearray) -> None:
    pointer = tiff.numbers(main.entries.get(_EXIF))
    try:
        entries = tiff.directory(pointer[0]).entries if pointer else {}
    except ValueError:
        return
    if _WIDTH in entries and _HEIGHT in entries:
        width, height = entries[_WIDTH].at + 2, entries[_HEIGHT].at + 2
        edited[width : width + 10], edited[height : height + 10] = (
            edited[height : height + 10],
            edited[width : width + 10],
        )


def _read_orientation(tiff: TiffBytes, main: TiffDirectory) -> int:
    """Return the orientation of a directory, 1 to 8 (1 if missing or invalid)."""
    found = tiff.numbers(main.entries.get(ORIENTATION)) or [1]
    return found[0] if 1 <= found[0] <= 8 else 1


def is_adobe_rgb(exif: bytes | None) -> bool:
    """Return whether EXIF data name Adobe RGB: by its own value, or “uncalibrated” with interoperability index R03.

    Source: EXIF 2.32, tag 40961; DCF 2.0, section 4.4.2 (R03). The value 2 is of several cameras.
    """
    try:
        tiff = TiffBytes(exif or b"")
        main = tiff.directory(tiff.first).entries
        entries = tiff.directory(tiff.numbers(main.get(_EXIF))[0]).entries
        space = tiff.numbers(entries.get(_COLOR_SPACE))[0]
        if space != _UNCALIBRATED:
            return space == _ADOBE_RGB
        index = tiff.directory(tiff.numbers(entries.get(_INTEROPERABILITY))[0]).entries.get(1)
    except (ValueError, IndexError):
        return False
    return index is not None and index.value.startswith(b"R03")


def exif_resolution(exif: bytes | None) -> tuple[float, float] | None:
    """Return dots per inch from EXIF data or a TIFF's first directory; None if missing."""
    try:
        tiff = TiffBytes(exif or b"")
        main = tiff.directory(tiff.first).entries
    except ValueError:
        return None
    unit = {2: 1.0, 3: 2.54}.get((tiff.numbers(main.get(RESOLUTION_UNIT)) or [2])[0])
    across, down = (_ratio(tiff, main.get(tag)) for tag in (X_RESOLUTION, Y_RESOLUTION))
    return (across * unit, down * unit) if unit and across and down else None


def exif_with_resolution(exif: bytes | None, dpi: tuple[float, float] | None) -> bytes | None:
    """Return EXIF data that state a resolution, for formats without a field of their own; unchanged if they do already.

    A new first directory follows the data, so that every pointer in them stays valid.
    """
    found = exif_resolution(exif)
    if dpi is None or (found and all(abs(a - b) <= 0.01 * b for a, b in zip(found, dpi, strict=True))):
        return exif
    tiff = TiffBytes(exif or _EMPTY)
    entries = dict(tiff.directory(tiff.first).entries)
    for tag, value in zip((X_RESOLUTION, Y_RESOLUTION), dpi, strict=True):
        ratio = Fraction(value).limit_denominator(_MAX_DENOMINATOR)
        if not 0 < ratio.numerator < 2**32:
            return exif
        entries[tag] = TiffEntry(tag, 5, 1, struct.pack(tiff.order + "II", ratio.numerator, ratio.denominator))
    entries[RESOLUTION_UNIT] = TiffEntry(RESOLUTION_UNIT, 3, 1, struct.pack(tiff.order + "H", 2))
    data = tiff.data if exif else tiff.data[:8]
    data += b"\0" * (len(data) % 2)
    directory = _pack_directory(tiff.order, entries.values(), len(data))
    return data[:4] + struct.pack(tiff.order + "I", len(data)) + data[8:] + directory


def _ratio(tiff: TiffBytes, entry: TiffEntry | None) -> float | None:
    if entry is None or entry.kind != 5 or not entry.count:
        return None
    upper, lower = struct.unpack(tiff.order + "II", entry.value[:8])
    return upper / lower if lower else None


def exif_of_tiff(tiff: TiffBytes, main: TiffDirectory) -> bytes | None:
    """Return the EXIF data of a TIFF file: descriptive fields and the EXIF, GPS and interoperability directories."""
    packed = _pack_tree(tiff, {tag: e for tag, e in main.entries.items() if tag not in STRUCTURE}, 8)
    if packed is None:
        return None
    mark = b"II" if tiff.order == "<" else b"MM"
    return mark + struct.pack(tiff.order + "HI", 42, 8) + packed


def _pack_tree(tiff: TiffBytes, entries: dict[int, TiffEntry], at: int) -> bytes | None:
    own = {tag: entry for tag, entry in entries.items() if entry.kind <= 13}
    children: dict[int, dict[int, TiffEntry]] = {}
    for tag in (_EXIF, _GPS, _INTEROPERABILITY):
        pointer = tiff.numbers(entries.get(tag))
        own.pop(tag, None)
        if pointer:
            try:
                found = tiff.directory(pointer[0]).entries
            except ValueError:
                continue
            # A directory that points to itself or its parent would never end.
            nested = {_EXIF, _GPS} | ({_INTEROPERABILITY} if tag != _EXIF else set())
            children[tag] = {key: entry for key, entry in found.items() if key not in nested}
            own[tag] = TiffEntry(tag, 4, 1, bytes(4))
    if not own:
        return None
    place = at + len(_pack_directory(tiff.order, own.values(), at))
    tail = b""
    for tag, child in children.items():
        packed = _pack_tree(tiff, child, place + len(tail))
        if packed is None:
            return _pack_tree(tiff, {key: entry for key, entry in entries.items() if key != tag}, at)
        own[tag] = TiffEntry(tag, 4, 1, struct.pack(tiff.order + "I", place + len(tail)))
        tail += packed
    return _pack_directory(tiff.order, own.values(), at) + tail
