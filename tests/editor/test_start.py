# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks before the editor starts: a sentence instead of Qt's abort."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from s2am_common import system_libraries
from s2am_common.errors import EngineError
from s2am_editor import start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux leaves Qt's libraries to the system")


@pytest.fixture
def no_libraries_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the check of libraries, so that those of this computer make no difference."""
    monkeypatch.setattr(system_libraries, "is_loadable", lambda file: True)


@pytest.mark.usefixtures("no_libraries_missing")
@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({}, "there is no display here: start it in a desktop session."),
        ({"DISPLAY": ":4177"}, r"cannot reach the display \(DISPLAY=:4177\)"),
        ({"WAYLAND_DISPLAY": "none", "XDG_RUNTIME_DIR": "/nowhere"}, r"display \(WAYLAND_DISPLAY=none\)"),
        ({"QT_QPA_PLATFORM": "cocoa"}, "QT_QPA_PLATFORM is set to “cocoa”.*one of .*offscreen"),
    ],
)
def test_check_start_names_an_unreachable_display(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(EngineError, match=sentence):
        start.check_start(environ)


def test_check_start_accepts_a_platform_without_display() -> None:
    start.check_start({"QT_QPA_PLATFORM": "offscreen"})


def test_check_start_names_all_missing_libraries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_libraries, "is_loadable", lambda file: False)
    monkeypatch.setattr(system_libraries, "find_missing", lambda files, fetched: ["libxcb-a.so.0", "libxcb-b.so.1"])
    monkeypatch.setattr(system_libraries, "describe_missing", lambda missing: "sudo apt install everything")
    monkeypatch.setitem(start._CONNECT, "xcb", lambda environ: True)
    with pytest.raises(EngineError) as caught:
        start.check_start({"DISPLAY": ":0"})
    assert "libxcb-a.so.0, libxcb-b.so.1" in str(caught.value)
    assert "s2am doctor --fix" in str(caught.value)
    assert str(caught.value).endswith("or sudo apt install everything.")


def test_edit_never_aborts_with_the_text_of_qt() -> None:
    environ = {name: value for name, value in os.environ.items() if name not in ("WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    command = [sys.executable, "-m", "s2am_engine.cli", "edit"]
    done = subprocess.run(command, env=environ | {"DISPLAY": ":4177"}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: The editor")
    assert done.stderr.count("\n") == 1


def test_start_check_opens_the_window_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "from s2am_common import system_libraries as s; s.find_missing = lambda *_: [];"
        "from s2am_editor import start; start.main()"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    environ |= {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout.splitlines()[-1]) == {"missing": [], "files": [], "error": ""}, done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
