# SPDX-License-Identifier: GPL-3.0-or-later
"""Zip archives of unknown origin: opened only if their directory is small.

The module zipfile builds an object for each entry of the directory, so that a few hundred megabytes of directory take
gigabytes of memory and minutes. Source: APPNOTE.TXT 6.3.10, sections 4.3.14 to 4.3.16.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import BinaryIO

_END, _END_SIZE, _MAX_COMMENT = b"PK\5\6", 22, 65535
_LOCATOR, _LOCATOR_SIZE = b"PK\6\7", 20
_LONG_END_SIZE = 56


def open_archive(path: Path, max_directory: int) -> zipfile.ZipFile:
    """Open a zip archive for reading.

    Args:
        path: the file.
        max_directory: bytes of the directory, of which an entry takes about a hundred.

    Raises:
        BadZipFile: not an archive, or its directory is larger.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        if _directory_size(file) > max_directory:
            raise zipfile.BadZipFile("its directory is too large")
    return zipfile.ZipFile(path)


def _directory_size(file: BinaryIO) -> int:
    """Return the size of the directory as the module zipfile will read it; 0 if there is no end record."""
    length = file.seek(0, 2)
    start = max(0, length - _END_SIZE - _MAX_COMMENT - _LOCATOR_SIZE)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or at + _END_SIZE > len(tail):
        return 0
    sizes = [int.from_bytes(tail[at + 12 : at + 16], "little")]
    locator = tail[max(0, at - _LOCATOR_SIZE) : at]
    if locator.startswith(_LOCATOR):
        place = int.from_bytes(locator[8:16], "little")
        if place + _LONG_END_SIZE > length:
            raise zipfile.BadZipFile("its end record is missing")
        for found in (place, start + at - _LOCATOR_SIZE - _LONG_END_SIZE):  # as announced, or right before it
            file.seek(max(0, found))
            sizes.append(int.from_bytes(file.read(_LONG_END_SIZE)[40:48], "little"))
    return max(sizes)
