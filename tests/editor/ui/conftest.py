# SPDX-License-Identifier: GPL-3.0-or-later
"""A real window on Qt's offscreen platform, a driver for it, and small images."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from s2am_editor.files import recovery
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.main_window import MainWindow
from s2am_editor.window.theme import Appearance, Theme
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import save_image
from tests.editor.ui.driver import Questions, WindowDriver


@pytest.fixture(scope="session")
def theme(qapp: QApplication) -> Theme:
    return Theme(qapp, Appearance.LIGHT)


@pytest.fixture(autouse=True)
def recovery_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "recovery"
    monkeypatch.setattr(recovery, "default_folder", lambda: folder)
    return folder


@pytest.fixture(autouse=True)
def unexpected_dialogs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail on a dialog that the test does not expect, instead of waiting forever."""

    def unexpected(*_: object) -> None:
        raise AssertionError("unexpected dialog")

    monkeypatch.setattr("PyQt6.QtWidgets.QMessageBox.exec", unexpected)
    monkeypatch.setattr("PyQt6.QtWidgets.QFileDialog.getOpenFileNames", unexpected)
    monkeypatch.setattr("PyQt6.QtWidgets.QFileDialog.getSaveFileName", unexpected)


@pytest.fixture
def settings(tmp_path: Path) -> EditorSettings:
    return EditorSettings(tmp_path / "editor.ini")


@pytest.fixture
def window(qtbot: QtBot, theme: Theme, settings: EditorSettings) -> MainWindow:
    made = MainWindow(settings)
    qtbot.addWidget(made, before_close_func=lambda _: made.session.close())
    made.resize(1200, 800)
    made.show()
    qtbot.waitExposed(made)
    return made


@pytest.fixture
def driver(qtbot: QtBot, window: MainWindow) -> WindowDriver:
    return WindowDriver(qtbot, window)


@pytest.fixture
def background(tmp_path: Path) -> Path:
    """A bluish image with a gradient, 320 × 240."""
    y, x = np.mgrid[0:240, 0:320].astype(np.float32)
    noise = np.random.default_rng(1).integers(0, 20, (240, 320, 3))
    pixels = np.stack([40 + 0.2 * x, 60 + 0.3 * y, 120 + 0.25 * x], axis=-1) + noise
    path = tmp_path / "background.png"
    save_image(path, ImageData(pixels.astype(np.uint8)))
    return path


@pytest.fixture
def cut_out(tmp_path: Path) -> Path:
    """A transparent image of an orange disc with a soft edge, 120 × 100."""
    path = tmp_path / "disc.png"
    save_image(path, disc(120, 100))
    return path


def disc(width: int, height: int) -> ImageData:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = np.hypot((x - width / 2) / (width * 0.42), (y - height / 2) / (height * 0.42))
    noise = np.random.default_rng(2).integers(-12, 12, (height, width, 3))
    pixels = np.clip(np.array([220, 140, 60]) + noise, 0, 255).astype(np.uint8)
    return ImageData(pixels, np.clip((1.1 - distance) * 2550, 0, 255).astype(np.uint8))


def studio(width: int, height: int) -> ImageData:
    """Return the disc in front of a gray wall, without transparency."""
    cut = disc(width, height)
    assert cut.alpha is not None
    wall = np.random.default_rng(3).integers(150, 170, (height, width, 1))
    cover = cut.alpha[..., None] / 255
    return ImageData(np.rint(cut.pixels * cover + wall * (1 - cover)).astype(np.uint8))


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch, unexpected_dialogs: None) -> Questions:
    """Answers the questions and file dialogs of a test, in real dialogs."""
    return Questions(monkeypatch)


@pytest.fixture
def save_to(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Answer the next file dialog with a path."""

    def answer(path: Path) -> None:
        monkeypatch.setattr("PyQt6.QtWidgets.QFileDialog.getSaveFileName", lambda *_: (str(path), ""))

    return answer
