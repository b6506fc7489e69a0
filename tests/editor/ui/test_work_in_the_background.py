# SPDX-License-Identifier: GPL-3.0-or-later
"""The window stays alive while models work, work can be cancelled, and the window closed at any moment."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from pytestqt.qtbot import QtBot

from s2am_editor.compose import harmonize as finding
from s2am_editor.document.model import Document
from s2am_editor.files.recovery import Recovery
from s2am_editor.window.dialogs import prompts
from s2am_editor.window.dialogs.prompts import Answer
from s2am_editor.window.main_window import MainWindow
from s2am_editor.window.settings import EditorSettings
from s2am_engine.image.io import ImageData, load_image
from tests.editor.ui.hands import Hands


class Slow:
    """Stands in for a model that takes long, and tells its progress."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began = threading.Event()
        self.ended = threading.Event()
        monkeypatch.setattr(finding, "harmonize", self)

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
def at_work(hands: Hands, background: Path, cut_out: Path, monkeypatch: pytest.MonkeyPatch) -> Slow:
    hands.open(background, cut_out)
    slow = Slow(monkeypatch)
    hands.window.harmonize()
    hands.wait(slow.began.is_set)
    return slow


def test_work_shows_its_progress_and_can_be_cancelled(hands: Hands, at_work: Slow) -> None:
    window = hands.window
    before = window.session.document
    bar = window.status.job_bar
    hands.wait(bar.isVisible)
    assert not window.sidebar.harmonize.isEnabled()
    window.session.select(before.layers[0].id)  # the window answers
    QTest.mouseClick(bar.cancel_button, Qt.MouseButton.LeftButton)
    hands.wait(at_work.ended.is_set)
    hands.settle()
    assert not bar.isVisible()
    assert window.sidebar.harmonize.isEnabled()
    assert all(layer.harmonization is None for layer in window.session.document.layers)
    assert not window.banner.isVisible()


def test_the_window_closes_while_a_model_is_at_work(
    hands: Hands, at_work: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompts, "ask_to_save", lambda *_: Answer.DISCARD)
    hands.window.close()
    hands.wait(lambda: not hands.window.isVisible())
    assert at_work.ended.is_set()


def test_a_model_that_fails_is_told_and_nothing_is_lost(
    hands: Hands, background: Path, cut_out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands.open(background, cut_out)
    before = hands.window.session.document

    def fail(*_: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(finding, "harmonize", fail)
    hands.harmonize()
    banner = hands.window.banner
    assert banner.isVisible()
    assert "Traceback" not in banner.text
    assert "ZeroDivisionError: by nothing" in banner.details
    assert hands.window.session.document is before


def test_variants_are_shown_to_pick_from(hands: Hands, background: Path, cut_out: Path) -> None:
    hands.open(background, cut_out)
    hands.window.all_actions["variants"].trigger()
    hands.wait(lambda: not hands.window.harmonizing.busy)
    cards = hands.window.variants.cards
    assert len(cards) > 4
    QTest.mouseClick(cards[1], Qt.MouseButton.LeftButton)
    harmonization = hands.active.harmonization
    assert harmonization is not None
    assert harmonization.adjustments.strength == 0.6
    assert hands.window.session.history.undo_name == "Choose variant"
    assert hands.window.sidebar.adjust.rows["strength"].value == 0.6


def test_closing_asks_and_a_change_of_mind_keeps_the_window(
    hands: Hands, background: Path, cut_out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands.open(background, cut_out)
    monkeypatch.setattr(prompts, "ask_to_save", lambda *_: Answer.CANCEL)
    hands.window.close()
    assert hands.window.isVisible()
    assert hands.window.session.is_open


def test_closing_saves_first_when_asked_to(
    hands: Hands, background: Path, cut_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands.open(background, cut_out)
    project = tmp_path / "kept.ora"
    hands.window.session.path = project
    monkeypatch.setattr(prompts, "ask_to_save", lambda *_: Answer.SAVE)
    hands.window.close()
    hands.wait(lambda: not hands.window.isVisible())
    assert project.is_file()


def test_what_a_crash_left_is_offered_and_opened(
    hands: Hands, background: Path, no_recovery_of_the_person: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import os, sys; from pathlib import Path; from s2am_editor.files.recovery import Recovery\n"
        "from s2am_editor.document.model import Document; from s2am_engine.image.io import load_image\n"
        "document = Document.from_picture(load_image(sys.argv[1]), 'lost')\n"
        "Recovery(Path(sys.argv[2])).save(document, 'Holiday'); os._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(background), str(no_recovery_of_the_person)], check=False)
    asked: list[str] = []

    def yes(_: object, __: str, text: str, *___: str) -> bool:
        asked.append(text)
        return True

    monkeypatch.setattr(prompts, "ask", yes)
    hands.window.autosave.offer_recovery()
    hands.settle()
    assert "Holiday" in asked[0]
    document = hands.window.session.document
    assert np.array_equal(document.layers[0].raster.pixels, load_image(background).pixels)
    assert hands.window.session.is_modified
    assert [left for left in Recovery(no_recovery_of_the_person).found() if left.title == "Holiday"] == []


def test_a_copy_is_kept_while_there_is_something_to_lose(
    hands: Hands, background: Path, cut_out: Path, no_recovery_of_the_person: Path
) -> None:
    hands.open(background, cut_out)
    hands.window.autosave.keep()
    hands.settle()
    assert any(no_recovery_of_the_person.iterdir())
    hands.window.session.mark_saved(hands.window.session.document)
    assert not any(no_recovery_of_the_person.iterdir())


def test_a_document_of_24_megapixels(hands: Hands, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tile = rng.integers(60, 200, (400, 600, 3), np.uint8)
    pixels = np.tile(tile, (10, 10, 1))
    session, window = hands.window.session, hands.window
    session.open(Document.from_picture(ImageData(pixels), "large"), "large")
    hands.settle()
    view = window.canvas.viewport
    assert view.level >= 2  # fitted: a few tiles of a small level, not the whole picture
    window.tool_box.choose("hand")
    window.hint.say("")
    window.canvas.zoom_to(1.0)
    window.canvas.pan(-137, -251)
    shown = hands.screen()
    left, top = -view.left, -view.top
    truth = pixels[top : top + shown.shape[0], left : left + shown.shape[1]]
    assert np.abs(shown.astype(int) - truth).max() <= 1


def test_window_and_appearance_are_remembered(qtbot: QtBot, window: MainWindow, settings: EditorSettings) -> None:
    window.resize(860, 640)
    window.close()
    again = MainWindow(settings)
    qtbot.addWidget(again)
    assert (again.width(), again.height()) == (860, 640)
