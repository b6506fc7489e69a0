# SPDX-License-Identifier: GPL-3.0-or-later
"""The AppDir's start files; building it needs a relocatable Python and is done by the release workflow."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from installer import appimage

pytestmark = pytest.mark.skipif(os.name != "posix", reason="AppImages are for Linux")


@pytest.fixture
def appdir(tmp_path: Path) -> Path:
    """An AppDir whose Python prints its arguments."""
    folder = tmp_path / "s2am äöü.AppDir"
    python = folder / "usr/bin/python3"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@"\necho "$APPIMAGE" >> "$HOME/appimage"\n', encoding="utf-8")
    python.chmod(0o755)
    appimage.write_start_files(folder)
    return folder


def run(appdir: Path, *words: str, **environ: str) -> str:
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(appdir.parent)} | environ
    return subprocess.run([appdir / "AppRun", *words], env=variables, capture_output=True, text=True, check=True).stdout


def test_apprun_with_arguments_is_the_command(appdir: Path) -> None:
    assert run(appdir, "models", "--json") == "-I -m s2am_setup.entry models --json\n"
    assert (appdir.parent / "appimage").read_text(encoding="utf-8") == f"{appdir}/AppRun\n"


def test_apprun_without_arguments_or_with_a_file_opens_the_editor(appdir: Path) -> None:
    (appdir / "usr/bin/python3").write_text('#!/bin/sh\necho "$@" > "$HOME/started"\n', encoding="utf-8")
    image = appdir.parent / "a b.png"
    image.touch()
    for words in ([], [str(image)]):
        run(appdir, *words)
        started = (appdir.parent / "started").read_text(encoding="utf-8")
        assert started.split(" edit")[0] == "-I -m s2am_setup.entry"
        assert started.strip().endswith(" ".join(["edit", *words]))


def test_apprun_prints_why_the_editor_does_not_open_if_no_dialog_does(appdir: Path) -> None:
    script = "#!/bin/sh\necho 'error: There is no display.' >&2\nexit 3\n"
    (appdir / "usr/bin/python3").write_text(script, encoding="utf-8")
    done = subprocess.run([appdir / "AppRun"], env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (3, b"There is no display.\n")


def test_appdir_has_desktop_entry_and_icon(appdir: Path) -> None:
    entry = (appdir / "s2am.desktop").read_text(encoding="utf-8")
    assert "Exec=AppRun %F" in entry
    assert (appdir / "s2am.svg").is_file()
