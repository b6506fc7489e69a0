# SPDX-License-Identifier: GPL-3.0-or-later
"""The window in German: no text of another language is left, and none is cut off at the smallest screen."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from PyQt6.QtCore import QCoreApplication, QTranslator
from PyQt6.QtGui import QAction, QFont
from PyQt6.QtWidgets import QAbstractButton, QApplication, QDialogButtonBox, QLabel, QMenu, QScrollArea, QWidget
from pytestqt.qtbot import QtBot

from s2am_common.errors import ImageFormatError
from s2am_common.translation import CATALOGS, read_po, use_languages
from s2am_editor.window import translator
from s2am_editor.window.dialogs.batch import BatchDialog
from s2am_editor.window.dialogs.fine_tune import FineTuneDialog
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.jobs import Problem
from s2am_editor.window.main_window import MainWindow
from s2am_editor.window.theme import Theme
from s2am_editor.window.widgets.basic import ElidedHeading, ElidedHint, push_button
from s2am_editor.window.widgets.overflow import OverflowRow
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
    return open_window(qtbot, settings, 1280, 720)


@pytest.fixture
def font_size(request: pytest.FixtureRequest, qapp: QApplication) -> Iterator[None]:
    """Enlarge the application's font by the parameter."""
    usual = qapp.font()
    larger = QFont(usual)
    larger.setPointSizeF(usual.pointSizeF() * request.param)
    qapp.setFont(larger)
    yield
    qapp.setFont(usual)


def open_window(qtbot: QtBot, settings: EditorSettings, width: int, height: int) -> WindowDriver:
    window = MainWindow(settings)
    qtbot.addWidget(window, before_close_func=lambda _: window.session.close())
    window.resize(width, height)
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


def cut_off(window: QWidget) -> list[str]:
    """Return the texts of a window's visible labels and buttons that have not enough room."""
    found = []
    for widget in window.findChildren(QWidget):
        if not isinstance(widget, QLabel | QAbstractButton) or not widget.text() or widget.visibleRegion().isEmpty():
            continue
        wrapped = isinstance(widget, QLabel) and widget.wordWrap()
        narrow = not wrapped and widget.sizeHint().width() > widget.width()
        low = wrapped and widget.heightForWidth(widget.width()) > widget.height()
        parent = widget.parentWidget()
        beyond = parent is not None and widget.geometry().right() >= parent.width()
        if (narrow or low or beyond) and not isinstance(widget, ElidedHint):
            found.append(widget.text())
    return found


@pytest.mark.parametrize(("font_size", "size"), [(1, (1008, 560)), (1.5, (1264, 672))], indirect=["font_size"])
def test_nothing_is_cut_off_on_small_screens_and_with_large_fonts(
    font_size: None,
    size: tuple[int, int],
    german: None,
    qtbot: QtBot,
    theme: Theme,
    settings: EditorSettings,
    background: Path,
    cut_out: Path,
) -> None:
    driver = open_window(qtbot, settings, *size)
    window = driver.window
    assert cut_off(window) == []
    driver.open(background, cut_out)
    driver.harmonize()
    window.shadows.cast()
    window.finishing.match()
    driver.settle()
    for section in window.sidebar.sections.values():
        section.set_open(True)
    scrolled = window.sidebar.findChildren(QScrollArea)[0]
    for name in window.tool_box.tools:
        window.tool_box.choose(name)
        qtbot.wait(20)
        assert cut_off(window) == [], name
    window.tool_box.proposal_page.describe(confidence=0.2)
    window.tool_box.options.show_page("proposal")
    qtbot.wait(20)
    assert cut_off(window) == []
    assert window.tool_box.proposal_page.findChildren(ElidedHint)[-1].text().startswith("Vielleicht wurde nichts")
    window.tool_box.choose("move")
    window.variant_commands.show_first()
    driver.wait(lambda: not window.harmonizing.busy)
    driver.settle()
    strip = window.variants
    assert strip.cards
    assert strip.mapTo(window, strip.rect().bottomLeft()).y() < window.status.y()
    shown = [label.visibleRegion().boundingRect() for label in strip.cards[0].findChildren(QLabel)]
    assert [area.height() for area in shown] == [label.height() for label in strip.cards[0].findChildren(QLabel)]
    inside, viewport = scrolled.widget(), scrolled.viewport()
    assert inside is not None
    assert viewport is not None
    assert inside.width() <= viewport.width()
    for dialog in (BatchDialog(settings, window), FineTuneDialog(settings, window)):
        qtbot.addWidget(dialog)
        dialog.show()
        qtbot.waitExposed(dialog)
        assert cut_off(dialog) == []


def test_buttons_without_room_are_entries_of_a_menu(qtbot: QtBot, theme: Theme) -> None:
    pressed: list[int] = []
    buttons = [push_button(f"Button {number}", partial(pressed.append, number)) for number in range(4)]
    buttons[3].setEnabled(False)
    row = OverflowRow(buttons)
    qtbot.addWidget(row)
    row.resize(row.sizeHint())
    row.show()
    assert row.hidden == []
    assert not row.more.isVisible()
    row.resize(row.sizeHint().width() // 2, row.height())
    assert 0 < len(row.hidden) < 4
    menu = row.more.menu()
    assert menu is not None
    menu.aboutToShow.emit()
    entries = menu.actions()
    assert [entry.text() for entry in entries] == [button.text() for button in row.hidden]
    assert [entry.isEnabled() for entry in entries][-1] is False
    entries[0].trigger()
    assert pressed == [4 - len(entries)]


def test_heading_is_shown_whole_where_there_is_room(qtbot: QtBot, theme: Theme) -> None:
    heading = ElidedHeading("Move")
    qtbot.addWidget(heading)
    heading.show()
    heading.resize(heading.sizeHint())
    assert heading.text() == "Move"
