# SPDX-License-Identifier: GPL-3.0-or-later
"""The window in German: no text of another language is left, and none is cut off at the smallest screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt6.QtCore import QCoreApplication, QTranslator
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QAbstractButton, QApplication, QDialogButtonBox, QLabel, QMenu, QWidget
from pytestqt.qtbot import QtBot

from s2am_common.errors import ImageFormatError
from s2am_common.translation import CATALOGS, read_po, use_languages
from s2am_editor.window import translator
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.jobs import Problem
from s2am_editor.window.main_window import MainWindow
from s2am_editor.window.theme import Theme
from tests.editor.ui.driver import WindowDriver

GERMAN = read_po((CATALOGS / "de.po").read_text(encoding="utf-8"))
ENGLISH_ONLY = {text for text, translated in GERMAN.items() if text != translated and " " in text}


@pytest.fixture
def german(qapp: QApplication, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the translators as the editor does, and remove them afterwards."""
    installed: list[QTranslator] = []
    install = QCoreApplication.installTranslator

    def record(each: QTranslator) -> bool:
        installed.append(each)
        return install(each)

    monkeypatch.setattr("s2am_editor.window.translator.QLocale.setDefault", lambda _: None)
    monkeypatch.setattr(qapp, "installTranslator", record)
    use_languages(["de_DE"])
    translator.install_translators(qapp)
    yield
    for each in installed:
        QCoreApplication.removeTranslator(each)
    use_languages([])


@pytest.fixture
def german_driver(german: None, qtbot: QtBot, theme: Theme, settings: EditorSettings) -> WindowDriver:
    window = MainWindow(settings)
    qtbot.addWidget(window, before_close_func=lambda _: window.session.close())
    window.resize(1280, 720)
    window.show()
    qtbot.waitExposed(window)
    return WindowDriver(qtbot, window)


def shown_texts(window: QWidget) -> dict[str, QWidget]:
    """Return all texts and tool tips of a window's labels, buttons and menus."""
    found: dict[str, QWidget] = {}
    for widget in window.findChildren(QWidget):
        if isinstance(widget, QLabel | QAbstractButton):
            found[widget.text()] = widget
        found[widget.toolTip()] = widget
    for menu in window.findChildren(QMenu):
        found |= {action.text(): menu for action in menu.actions()}
    found |= {action.text(): window for action in window.findChildren(QAction)}
    return found


def test_window_is_german_throughout(german_driver: WindowDriver, background: Path, cut_out: Path) -> None:
    window = german_driver.window
    german_driver.open(background, cut_out)
    texts = shown_texts(window)
    assert not ENGLISH_ONLY.intersection(texts)
    assert {"&Datei", "Ebenen", "Deckkraft", "Rahmen"} <= set(texts)
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
    assert [button.text() for button in buttons.buttons()] == ["Abbrechen"]  # Qt's own texts
    german_driver.harmonize()
    assert "Modell: connoisseur · Sicherheit" in window.sidebar.harmonize.state.text()
    assert window.all_actions["undo"].text() == "&Rückgängig: Harmonisieren"
    for name in window.tool_box.tools:
        window.tool_box.choose(name)
        german_driver.settle()
        for widget in window.findChildren(QAbstractButton):
            if widget.isVisible() and widget.text():
                assert widget.width() >= widget.minimumSizeHint().width(), (name, widget.text())
                assert widget.mapTo(window, widget.rect().topRight()).x() < window.width(), (name, widget.text())


def test_errors_are_german(german: None) -> None:
    error = ImageFormatError("/x/a.psd has CMYK colors with 32 bits: convert it to RGB with 8 or 16 bits first.")
    assert Problem(error).sentence.startswith("/x/a.psd hat CMYK-Farben mit 32 Bit: Wandeln Sie")
