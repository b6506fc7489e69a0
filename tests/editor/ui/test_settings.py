# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings files of version 0.1 keep working, and the shared settings apply to the editor."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from pytestqt.qtbot import QtBot

from s2am_editor.window.dialogs.batch import BatchDialog
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.main_window import MainWindow
from s2am_editor.window.theme import Appearance
from tests.engine.permissions import locked_folder

VERSION_1 = Path(__file__).parent / "fixtures" / "editor_version_1.ini"


@pytest.fixture
def old_settings(tmp_path: Path) -> EditorSettings:
    """Settings that version 0.1 wrote, with its folders moved to a temporary one."""
    for folder in ("photos/wedding", "results", "in"):
        (tmp_path / folder).mkdir(parents=True)
    text = VERSION_1.read_text(encoding="utf-8")
    for folder in ("/photos", "/results", "/in"):
        text = text.replace(folder, f"{tmp_path.as_posix()}{folder}")
    (tmp_path / "editor.ini").write_text(text, encoding="utf-8")
    (tmp_path / "photos" / "work.ora").write_bytes(b"")
    return EditorSettings(tmp_path / "editor.ini")


def test_settings_of_version_1_are_read(old_settings: EditorSettings, tmp_path: Path) -> None:
    assert old_settings.recent == [tmp_path / "photos" / "work.ora"]  # beach.jpg no longer exists
    assert old_settings.appearance is Appearance.DARK
    assert old_settings.text("export") == ".webp"
    assert old_settings.text("hints") == "off"
    for key, folder in (("open", "photos"), ("save", "results"), ("teach", "photos/wedding"), ("batch-in", "in")):
        assert old_settings.folder(key) == (tmp_path / folder).as_posix()
    for key in ("geometry", "splitter"):
        assert old_settings.state(key) is not None


def test_settings_ignore_damaged_values(tmp_path: Path) -> None:
    file = tmp_path / "editor.ini"
    file.write_text("[General]\nappearance=purple\nrecent=@Invalid()\n[state]\ngeometry=5\n", encoding="utf-8")
    settings = EditorSettings(file)
    assert settings.appearance is Appearance.SYSTEM
    assert settings.recent == []
    assert settings.state("geometry") is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows folders have no mode")
def test_settings_leave_out_files_and_folders_that_may_not_be_entered(tmp_path: Path) -> None:
    settings = EditorSettings(tmp_path / "editor.ini")
    with locked_folder({"a.png": b""}) as (place, locked):
        settings.add_recent(place / "a.png")
        settings.set_text("folder/open", str(locked / "photos"))
        settings.add_recent(locked / "a.png")
        assert settings.recent == [(place / "a.png").resolve()]
        assert settings.folder("open") != str(locked / "photos")


def test_add_recent_moves_file_to_the_top(tmp_path: Path) -> None:
    settings = EditorSettings(tmp_path / "editor.ini")
    files = [tmp_path / f"{number}.png" for number in range(12)]
    for file in files:
        file.write_bytes(b"")
        settings.add_recent(file)
    settings.add_recent(files[5])
    assert settings.recent[0] == files[5].resolve()
    assert len(settings.recent) == len(set(settings.recent)) == 10


def test_window_and_batch_dialog_select_the_model_of_the_settings(
    qtbot: QtBot, settings: EditorSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S2AM_MODEL", "reinhard")
    window = MainWindow(settings)
    qtbot.addWidget(window)
    assert window.sidebar.harmonize.model == "reinhard"
    dialog = BatchDialog(settings, window)
    assert dialog.form.model.currentText() == "reinhard"


def test_folder_is_the_home_folder_without_a_pictures_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locations = Mock(writableLocation=lambda location: str(tmp_path / "Pictures"))
    monkeypatch.setattr("s2am_editor.window.editor_settings.QStandardPaths", locations)
    settings = EditorSettings(tmp_path / "editor.ini")
    assert settings.folder("open") == str(Path.home())
    (tmp_path / "Pictures").mkdir()
    assert settings.folder("open") == str(tmp_path / "Pictures")


def test_closed_sections_of_the_side_panel_are_kept(qtbot: QtBot, settings: EditorSettings, tmp_path: Path) -> None:
    first = MainWindow(settings)
    qtbot.addWidget(first)
    assert first.sidebar.closed_sections == ["finish", "shadow"]
    first.sidebar.sections["curves"].set_open(False)
    first.sidebar.sections["shadow"].set_open(True)
    first.close()
    second = MainWindow(EditorSettings(tmp_path / "editor.ini"))
    qtbot.addWidget(second)
    assert second.sidebar.closed_sections == ["curves", "finish"]
