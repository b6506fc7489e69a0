# SPDX-License-Identifier: GPL-3.0-or-later
"""The window fits small screens, focus is visible, and messages come and go with their causes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QSize, Qt
from PyQt6.QtGui import QImage
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from s2am_common.errors import EngineError
from s2am_editor.document import commands
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.jobs import Problem
from s2am_editor.window.main_window import MainWindow
from s2am_editor.window.menus import menu_text
from s2am_editor.window.theme import Appearance, Theme
from tests.editor.ui.driver import WindowDriver


def pixels(image: QImage) -> np.ndarray:
    image = image.convertToFormat(QImage.Format.Format_RGBA8888)
    bits = image.constBits()
    assert bits is not None
    return np.frombuffer(bits.asstring(image.sizeInBytes()), np.uint8).reshape(image.height(), image.width(), 4)


@pytest.mark.parametrize("screen", [QSize(1280, 680), QSize(1366, 728), QSize(2560, 1400)])
def test_first_window_fits_the_screen(
    qtbot: QtBot, theme: Theme, settings: EditorSettings, monkeypatch: pytest.MonkeyPatch, screen: QSize
) -> None:
    monkeypatch.setattr(MainWindow, "screen", lambda _: SimpleNamespace(availableSize=lambda: screen))
    window = MainWindow(settings)
    qtbot.addWidget(window)
    assert window.width() <= screen.width() - 16
    assert window.height() <= screen.height() - 48
    assert window.width() >= min(1400, screen.width() - 20)


@pytest.mark.parametrize("size", [QSize(1264, 632), QSize(1900, 1000)])
def test_layers_get_the_height_that_the_other_panels_leave(driver: WindowDriver, background: Path, size: QSize) -> None:
    window = driver.window
    window.resize(size)
    driver.open(background)
    upper, layers = window.sidebar.sizes()
    assert layers >= 200
    assert window.sidebar.layers.opacity.isVisibleTo(window)
    assert window.status.geometry().bottom() <= window.height()
    if size.height() > 900:
        assert upper <= window.sidebar._upper.sizeHint().height() + 2


def test_nothing_covers_the_handles_of_a_placed_layer(driver: WindowDriver, background: Path, cut_out: Path) -> None:
    """On the smallest screen; hints are in the options bar and the status bar."""
    window = driver.window
    window.resize(QSize(1264, 672))
    driver.open(background, cut_out)
    for tool in ("move", "box", "scribble", "brush", "shadow", "crop"):
        window.tool_box.choose(tool)
        driver.settle()
        canvas = window.canvas
        for x in (0.02, 0.25, 0.5, 0.75, 0.98):
            for y in (0.02, 0.5, 0.98):
                place = QPoint(int(x * canvas.width()), int(y * canvas.height()))
                assert window.childAt(canvas.mapTo(window, place)) is canvas


@pytest.mark.parametrize("appearance", [Appearance.LIGHT, Appearance.DARK])
def test_focus_is_visible_on_buttons(driver: WindowDriver, theme: Theme, appearance: Appearance) -> None:
    theme.choose(appearance)
    try:
        welcome = driver.window.welcome
        for button in (welcome.open_button, welcome.sample_button):
            driver.window.setFocus()
            before = pixels(button.grab().toImage()).astype(int)
            button.setFocus(Qt.FocusReason.TabFocusReason)
            after = pixels(button.grab().toImage())
            changed = (np.abs(after.astype(int) - before).max(axis=2) > 60).sum()
            assert changed > button.width()  # at least a line around it
    finally:
        theme.choose(Appearance.LIGHT)


def test_error_disappears_with_the_next_success(driver: WindowDriver, background: Path, tmp_path: Path) -> None:
    window = driver.window
    driver.open(background)
    window.files.export(tmp_path / "missing" / "out.png")
    driver.settle()
    assert window.banner.isVisible()
    assert not window.banner.folder_button.isVisible()
    window.session.do(commands.rename_item(driver.active.id, "sea"))
    assert not window.banner.isVisible()
    window.show_note("A note stays until it is closed.")
    window.session.do(commands.rename_item(driver.active.id, "sky"))
    assert window.banner.isVisible()


def test_export_says_that_it_has_succeeded_and_shows_the_folder(
    driver: WindowDriver, background: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = driver.window
    opened: list[str] = []
    monkeypatch.setattr("PyQt6.QtGui.QDesktopServices.openUrl", lambda url: opened.append(url.toLocalFile()))
    driver.open(background)
    window.files.export(tmp_path / "out.png")
    driver.settle()
    assert "out.png" in window.banner.text
    QTest.mouseClick(window.banner.folder_button, Qt.MouseButton.LeftButton)
    assert [Path(path) for path in opened] == [tmp_path]


def test_message_does_not_move_the_image(driver: WindowDriver, background: Path) -> None:
    driver.open(background)
    canvas = driver.window.canvas
    before = canvas.size(), canvas.viewport.scale
    driver.window.show_problem(Problem(EngineError("beach.png is damaged: copy it again.")))
    driver.settle()
    assert (canvas.size(), canvas.viewport.scale) == before
    assert driver.window.banner.height() >= 36


def test_recent_files_show_ampersands_and_folders(driver: WindowDriver, background: Path, tmp_path: Path) -> None:
    file = tmp_path / "tom & jerry.png"
    file.write_bytes(background.read_bytes())
    driver.open(file)
    driver.window.session.close()
    texts = [button.text() for button in driver.window.welcome.findChildren(QPushButton)]
    assert menu_text(file) in texts
    assert "tom && jerry.png" in menu_text(file)
    assert tmp_path.name in menu_text(file)


def test_long_names_of_recent_files_are_shortened_in_the_middle(driver: WindowDriver, background: Path) -> None:
    file = background.with_name("a photograph of a garden in late summer " * 5 + "1234.png")
    file.write_bytes(background.read_bytes())
    driver.open(file)
    driver.window.session.close()
    link = next(each for each in driver.window.welcome.findChildren(QPushButton) if each.toolTip() == str(file))
    assert link.text().startswith("a photograph of a")
    assert "1234.png" in link.text()
    driver.settle()
    assert not link.visibleRegion().isEmpty()
    assert driver.window.welcome.rect().contains(link.geometry())
    assert link.width() >= link.sizeHint().width()


def test_saving_a_project_is_said_in_the_status_bar(driver: WindowDriver, background: Path, tmp_path: Path) -> None:
    window = driver.window
    driver.open(background)
    window.files.export(tmp_path / "missing" / "out.png")
    driver.settle()
    assert window.banner.isVisible()
    window.files._save(tmp_path / "work.ora", lambda: None)
    driver.settle()
    assert "work.ora" in window.status.currentMessage()
    assert not window.banner.isVisible()
