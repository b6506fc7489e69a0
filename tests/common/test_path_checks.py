# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of paths: absent, present, and refused by the system."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from s2am_common.errors import FileError
from s2am_common.path_checks import file_exists, is_accessible, is_folder, is_regular_file
from tests.engine.permissions import locked_folder

CHECKS = (file_exists, is_regular_file, is_folder)


def test_path_checks_tell_files_folders_and_absent_paths_apart(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"")
    kinds = {
        file: (True, True, False),
        tmp_path: (True, False, True),
        tmp_path / "absent": (False, False, False),
        file / "below a file": (False, False, False),
        tmp_path / "null\0": (False, False, False),
    }
    for path, wanted in kinds.items():
        assert tuple(check(path) for check in CHECKS) == wanted


@pytest.mark.skipif(sys.platform == "win32", reason="names and folders without the limits and modes of POSIX")
def test_path_checks_follow_links_and_take_broken_ones_as_absent(tmp_path: Path) -> None:
    for name, target in {"loop": "loop", "broken": "absent", "link": "."}.items():
        (tmp_path / name).symlink_to(target)
    found = {name: tuple(check(tmp_path / name) for check in CHECKS) for name in ("loop", "broken", "link")}
    absent = (False, False, False)
    assert found == {"loop": absent, "broken": absent, "link": (True, False, True)}


@pytest.mark.skipif(sys.platform == "win32", reason="names and folders without the limits and modes of POSIX")
@pytest.mark.parametrize("check", CHECKS)
def test_path_checks_refuse_to_answer_for_locked_folders_and_long_names(check: object, tmp_path: Path) -> None:
    assert callable(check)
    with pytest.raises(FileError, match="too long"):
        check(tmp_path / ("a" * 300))
    with locked_folder({"a.png": b""}) as (place, locked):
        with pytest.raises(FileError, match="may not be read"):
            check(locked / "a.png")
        assert (is_accessible(place / "a.png"), is_accessible(locked / "a.png")) == (True, False)
