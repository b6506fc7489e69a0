# SPDX-License-Identifier: GPL-3.0-or-later
"""Zip archives with a large directory are refused before it is read."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from s2am_common.archives import open_archive


def archive_of(path: Path, entries: int, comment: bytes = b"") -> int:
    """Write an archive of empty entries; return the size of its directory."""
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(entries):
            archive.writestr(f"{index:04}", b"")
        archive.comment = comment
    data = path.read_bytes()
    return len(data) - 22 - len(comment) - data.index(b"PK\1\2")


@pytest.mark.parametrize("comment", [b"", b"made by a camera", b"x" * 65535])
def test_open_archive_limits_directory(tmp_path: Path, comment: bytes) -> None:
    size = archive_of(tmp_path / "a.zip", 40, comment)
    with open_archive(tmp_path / "a.zip", size) as archive:
        assert len(archive.namelist()) == 40
    with pytest.raises(zipfile.BadZipFile, match="its directory is too large"):
        open_archive(tmp_path / "a.zip", size - 1)


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "right before"])
def test_open_archive_limits_directory_of_zip64(tmp_path: Path, announced: bool) -> None:
    size = archive_of(tmp_path / "a.zip", 40)
    data = (tmp_path / "a.zip").read_bytes()
    start, end = len(data) - 22 - size, len(data) - 22
    record = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 40, 40, size, start)
    locator = b"PK\6\7" + struct.pack("<IQI", 0, end if announced else 0, 1)
    small = struct.pack("<I", 7)  # the size that the older record states does not count
    last = data[end : end + 12] + small + data[end + 16 :]
    (tmp_path / "b.zip").write_bytes(data[:end] + record + locator + last)
    with pytest.raises(zipfile.BadZipFile, match="its directory is too large"):
        open_archive(tmp_path / "b.zip", size - 1)


def test_open_archive_refuses_other_files(tmp_path: Path) -> None:
    for content in (b"", b"PK\5\6", b"no archive" * 100, b"PK\6\7" + b"\xff" * 16 + b"PK\5\6" + bytes(18)):
        (tmp_path / "a.zip").write_bytes(content)
        with pytest.raises(zipfile.BadZipFile):
            open_archive(tmp_path / "a.zip", 1000)
    with pytest.raises(FileNotFoundError):
        open_archive(tmp_path / "none.zip", 1000)
