# SPDX-License-Identifier: GPL-3.0-or-later
"""`s2am edit` explains what it cannot open before a window appears."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pytest

from s2am_common.errors import EngineError
from s2am_editor import app, start
from s2am_editor.command import run_edit


def test_edit_explains_folders_and_missing_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Sequence[Path]] = []

    def record(files: Sequence[Path]) -> int:
        opened.append(files)
        return 0

    monkeypatch.setattr(app, "run_editor", record)
    monkeypatch.setattr(start, "check_start", lambda: None)
    with pytest.raises(EngineError, match="is a folder: name the images in it"):
        run_edit(argparse.Namespace(files=[tmp_path]))
    with pytest.raises(EngineError, match="does not exist: check the name"):
        run_edit(argparse.Namespace(files=[tmp_path / "none.png"]))
    assert opened == []
    assert run_edit(argparse.Namespace(files=[])) == 0
    assert opened == [[]]
