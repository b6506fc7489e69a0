# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonizing, closing, recovery and large documents: the window responds while jobs run."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from pytestqt.qtbot import QtBot

from s2am_editor.document.model import Document
from s2am_editor.render import harmonize_layer
from s2am_editor.window.dialogs import standard_dialogs
from s2am_editor.window.dialogs.standard_dialogs import SaveAnswer
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.main_window import MainWindow
from s2am_engine.image.data import ImageData
from tests.editor.ui.driver import WindowDriver


class SlowModel:
    """Stands in for a slow model that reports progress."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began = threading.Event()
        self.ended = threading.Event()
        monkeypatch.setattr(harmonize_layer, "find_harmonization", self)

    def __call__(self, *given: object) -> None:
        progress = given[-1]
        assert callable(progress)
        self.began.set()
        try:
            while True:
                progress(0.5)
                time.sleep(0.01)
        finally:
            self.ended.set()


@pytest.fixture
def slow_model(driver: WindowDriver, background: Path, cut_out: Path, monkeypatch: pytest.MonkeyPatch) -> SlowModel:
    driver.open(background, cut_out)
    slow = SlowModel(monkeypatch)
    driver.window.harmonize()
    driver.wait(slow.began.is_set)
    return slow


def test_job_bar_shows_progress_and_cancels(driver: WindowDriver, slow_model: SlowModel) -> None:
    window = driver.window
    before = window.session.document
    bar = window.status.job_bar
    driver.wait(bar.isVisible)
    assert not window.sidebar.harmonize.isEnabled()
    window.session.select(before.layers[0].id)  # the window answers
    QTest.mouseClick(bar.cancel_button, Qt.MouseButton.LeftButton)
    driver.wait(slow_model.ended.is_set)
    driver.settle()
    assert not bar.isVisible()
    assert window.sidebar.harmonize.isEnabled()
    assert all(layer.harmonization is None for layer in window.session.document.layers)
    assert not window.banner.isVisible()


def test_window_closes_while_harmonizing(
    driver: WindowDriver, slow_model: SlowModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standard_dialogs, "ask_to_save", lambda *_: SaveAnswer.DISCARD)
    driver.window.close()
    driver.wait(lambda: not driver.window.isVisible())
    assert slow_model.ended.is_set()


def test_failing_model_shows_banner_and_keeps_document(
    driver: WindowDriver, background: Path, cut_out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.open(background, cut_out)
    before = driver.window.session.document

    def fail(*_: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(harmonize_layer, "find_harmonization", fail)
    driver.harmonize()
    banner = driver.window.banner
    assert banner.isVisible()
    assert "Traceback" not in banner.text
    assert "ZeroDivisionError: by nothing" in banner.details
    assert driver.window.session.document is before


def test_close_question_canceled_keeps_window(
    driver: WindowDriver, background: Path, cut_out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.open(background, cut_out)
    monkeypatch.setattr(standard_dialogs, "ask_to_save", lambda *_: SaveAnswer.CANCEL)
    driver.window.close()
    assert driver.window.isVisible()
    assert driver.window.session.is_open


def test_close_question_saves_project(
    driver: WindowDriver, background: Path, cut_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.open(background, cut_out)
    project = tmp_path / "kept.ora"
    driver.window.session.path = project
    monkeypatch.setattr(standard_dialogs, "ask_to_save", lambda *_: SaveAnswer.SAVE)
    driver.window.close()
    driver.wait(lambda: not driver.window.isVisible())
    assert project.is_file()


def test_autosave_keeps_copy_until_saved(
    driver: WindowDriver, background: Path, cut_out: Path, recovery_folder: Path
) -> None:
    driver.open(background, cut_out)
    driver.window.autosave.save_copy()
    driver.settle()
    assert any(recovery_folder.iterdir())
    driver.window.session.mark_saved(driver.window.session.document)
    assert not any(recovery_folder.iterdir())


def test_canvas_shows_24_megapixels_at_100_percent(driver: WindowDriver, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tile = rng.integers(60, 200, (400, 600, 3), np.uint8)
    pixels = np.tile(tile, (10, 10, 1))
    session, window = driver.window.session, driver.window
    session.open(Document.from_image(ImageData(pixels), "large"), "large")
    driver.settle()
    view = window.canvas.viewport
    assert view.level >= 2  # fitted: a few tiles of a small level, not the whole image
    window.tool_box.choose("hand")
    window.status.hint.show_hint("")
    window.canvas.zoom_to(1.0)
    window.canvas.pan(-137, -251)
    shown = driver.screen()
    left, top = -view.left, -view.top
    expected = pixels[top : top + shown.shape[0], left : left + shown.shape[1]]
    assert np.abs(shown.astype(int) - expected).max() <= 1


def test_window_geometry_is_restored(qtbot: QtBot, window: MainWindow, settings: EditorSettings) -> None:
    window.resize(860, 640)
    window.close()
    again = MainWindow(settings)
    qtbot.addWidget(again)
    assert (again.width(), again.height()) == (860, 640)
