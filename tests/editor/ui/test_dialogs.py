# SPDX-License-Identifier: GPL-3.0-or-later
"""Small dialogs: export and canvas size."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PyQt6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from s2am_editor.window.dialogs.canvas_size import CanvasSizeDialog
from s2am_editor.window.dialogs.standard_dialogs import ExportDialog, may_replace
from tests.editor.ui.driver import WindowDriver, click
from tests.engine.permissions import locked_folder


def test_export_dialog_appends_suffix_of_format(
    driver: WindowDriver, background: Path, tmp_path: Path, save_to: Callable[[Path], None]
) -> None:
    driver.open(background)
    dialog = ExportDialog(driver.window.session, driver.window.settings, driver.window)
    dialog.formats.setCurrentIndex(dialog.formats.findData(".jpg"))
    save_to(tmp_path / "result")
    click(dialog.export_button)
    assert dialog.path == tmp_path / "result.jpg"
    again = ExportDialog(driver.window.session, driver.window.settings, driver.window)
    assert again.suffix == ".jpg"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows folders have no mode")
def test_may_replace_asks_about_no_file_in_a_locked_folder(qtbot: QtBot) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    with locked_folder({"a.png": b""}) as (_, locked):
        assert may_replace(parent, [locked / "a.png"])  # writing reports that the folder is locked


def test_canvas_size_dialog_enlarges_about_its_anchor(driver: WindowDriver, background: Path) -> None:
    driver.open(background)
    dialog = CanvasSizeDialog(driver.window.session.document, driver.window)
    dialog.width_field.setValue(400)
    dialog.height_field.setValue(200)
    assert dialog.chosen == (-40, 20, 360, 220)
    dialog.anchor.setCurrentIndex(dialog.anchor.findText("Lower right corner"))
    assert dialog.chosen == (-80, 40, 320, 240)
    dialog.width_field.setValue(40_000)
    dialog.height_field.setValue(40_000)
    assert not dialog.apply_button.isEnabled()
    dialog.close()
