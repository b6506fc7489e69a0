# SPDX-License-Identifier: GPL-3.0-or-later
"""`s2am edit` explains what it cannot open before a window appears."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from s2am_editor import app
from s2am_editor.command import DISPLAY_VARIABLES, run_edit
from s2am_engine.errors import EngineError


@pytest.fixture(autouse=True)
def no_window(monkeypatch: pytest.MonkeyPatch) -> list[list[Path]]:
    """Record the files that the editor would open."""
    opened: list[list[Path]] = []
    monkeypatch.setattr(app, "run_editor", lambda files: opened.append(files) or 0)
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    return opened


def test_edit_explains_folders_and_missing_files(tmp_path: Path, no_window: list[list[Path]]) -> None:
    with pytest.raises(EngineError, match="is a folder: name the images in it"):
        run_edit(argparse.Namespace(files=[tmp_path]))
    with pytest.raises(EngineError, match="does not exist: check the name"):
        run_edit(argparse.Namespace(files=[tmp_path / "none.png"]))
    assert no_window == []
    assert run_edit(argparse.Namespace(files=[])) == 0
    assert no_window == [[]]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a display")
def test_edit_explains_a_missing_display(monkeypatch: pytest.MonkeyPatch, no_window: list[list[Path]]) -> None:
    for name in DISPLAY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(EngineError, match="no display"):
        run_edit(argparse.Namespace(files=[]))
    assert no_window == []
