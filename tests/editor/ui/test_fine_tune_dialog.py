# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialog that fine-tunes a model on photographs."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor, QImage
from PyQt6.QtTest import QTest
from pytestqt.qtbot import QtBot
from skimage import data

from s2am_editor.window.dialogs.fine_tune import FineTuneDialog
from s2am_editor.window.dialogs.fine_tuning import PhotoFolder
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.theme import Appearance, Theme, current_colors
from s2am_editor.window.widgets.basic import Plot
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import save_image
from s2am_engine.models.model_store import list_models
from s2am_engine.training.events import Phase, TrainingEvent, Validation
from s2am_engine.training.finetune import FineTuneSettings
from tests.editor.ui.driver import LONG, Questions, click
from tests.folders import redirect_cache


def save_photographs(folder: Path, names: tuple[str, ...]) -> Path:
    """Save six parts of each of these photographs of scikit-image, and a file that is no image."""
    folder.mkdir()
    for name in names:
        image = getattr(data, name)()
        for part in range(6):
            top, left = 18 * part, 24 * part
            pixels = np.ascontiguousarray(image[top : top + 200, left : left + 260])
            save_image(folder / f"{name}-{part}.png", ImageData(pixels))
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


class FakeTrainer:
    """Stands in for `finetune`: reports two steps and a validation, and ends when `finish` is set."""

    finish = threading.Event()

    def __call__(self, settings: FineTuneSettings, report: Callable[[TrainingEvent], None]) -> SimpleNamespace:
        image = QImage(8, 6, QImage.Format.Format_RGB32)
        image.fill(0)
        assert image.save(str(settings.sheet))
        minutes = settings.minutes
        first = TrainingEvent(Phase.TRAINING, 10, None, loss=0.5, images_per_second=100.0, seconds_left=60 * minutes)
        second = replace(first, done=20, loss=0.25, seconds_left=30 * minutes)
        report(first)
        report(replace(second, validation=Validation(20, 1.5, True, np.zeros((6, 8, 3), np.uint8))))
        while not self.finish.wait(0.01):
            report(second)
        gained = SimpleNamespace(psnr_gained=1.5, fmse_saved=0.25)
        return SimpleNamespace(
            model=SimpleNamespace(card=SimpleNamespace(name=settings.name)),
            style=gained,
            others=SimpleNamespace(psnr_gained=0.0, fmse_saved=0.0),
            recognition=SimpleNamespace(recognized=0.92, rejected=0.8),
        )


def opened(dialog: FineTuneDialog) -> FineTuneDialog:
    """Show a dialog, which deletes itself when it is closed."""
    dialog.show()
    return dialog


@pytest.fixture
def deleted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the names of deleted models instead of deleting them."""
    names: list[str] = []
    monkeypatch.setattr("s2am_editor.window.dialogs.fine_tuning.delete_model", names.append)
    return names


@pytest.fixture
def dialog(qtbot: QtBot, theme: Theme, settings: EditorSettings, tmp_path: Path) -> Iterator[FineTuneDialog]:
    """A dialog for which 24 photos were found, with a trainer that does not train."""
    FakeTrainer.finish.clear()
    made = opened(FineTuneDialog(settings, trainer=FakeTrainer()))  # type: ignore[arg-type]
    made.fine_tuning.found.emit(PhotoFolder(tmp_path, usable=24, needed=20, skipped=[]))
    made.name.setText("wedding")
    yield made
    FakeTrainer.finish.set()
    qtbot.waitUntil(lambda: not made.fine_tuning.busy, timeout=LONG)


def test_fine_tune_scan_lists_usable_and_skipped_photos(
    qtbot: QtBot, theme: Theme, settings: EditorSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s2am_engine.training.finetune.FEWEST", 4)
    redirect_cache(monkeypatch, tmp_path / "cache")
    photos = save_photographs(tmp_path / "wedding", ("chelsea",))
    dialog = opened(FineTuneDialog(settings))
    dialog.scan_folder(photos)
    qtbot.waitUntil(lambda: not dialog.fine_tuning.busy, timeout=2 * LONG)
    usable, skipped = (int(number) for number in re.findall(r"\d+", dialog.state.text()))
    assert usable + skipped == 7
    listed = [item.text() for line in range(dialog.skipped.count()) if (item := dialog.skipped.item(line))]
    assert len(listed) == skipped
    assert any(text.startswith("broken.jpg: ") for text in listed)
    assert dialog.start_button.isEnabled()
    assert dialog.name.text() == "wedding"


def test_fine_tune_refuses_too_few_photos(dialog: FineTuneDialog, tmp_path: Path) -> None:
    dialog.fine_tuning.found.emit(PhotoFolder(tmp_path, usable=19, needed=20, skipped=[]))
    assert not dialog.start_button.isEnabled()
    assert "At least 20 are needed" in dialog.state.text()


@pytest.fixture
def outcome(qtbot: QtBot, dialog: FineTuneDialog) -> FineTuneDialog:
    """The dialog at its last page, which shows a model that is better."""
    FakeTrainer.finish.set()
    click(dialog.start_button)
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.outcome, timeout=LONG)
    return dialog


def test_fine_tune_shows_loss_and_result(qtbot: QtBot, dialog: FineTuneDialog, deleted: list[str]) -> None:
    click(dialog.start_button)
    assert dialog.pages.currentWidget() is dialog.progress
    qtbot.waitUntil(lambda: bool(dialog.progress.gain.points), timeout=LONG)
    assert [loss for _, loss in dialog.progress.loss.points[:2]] == [0.5, 0.25]
    FakeTrainer.finish.set()
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.outcome, timeout=LONG)
    assert not dialog.outcome.image.image.isNull()
    assert "this style: -25%" in dialog.outcome.figures.text()
    assert "Used on 92% of backgrounds of this style; on 80% of others" in dialog.outcome.figures.text()
    assert "+1.50 dB" in dialog.outcome.figures.toolTip()
    assert dialog.outcome.keep_button.hasFocus()
    assert deleted == []
    dialog.outcome.discard()


def test_fine_tune_page_begins_empty_again(qtbot: QtBot, dialog: FineTuneDialog, deleted: list[str]) -> None:
    """The samples and curves of the last training do not show in the next one."""
    page = dialog.progress
    click(dialog.start_button)
    qtbot.waitUntil(lambda: bool(page.gain.points), timeout=LONG)
    assert not page.image.image.isNull()
    click(page.cancel_button)
    qtbot.waitUntil(lambda: not dialog.fine_tuning.busy, timeout=LONG)
    page.begin()
    assert (page.loss.points, page.gain.points) == ([], [])
    assert page.image.image.isNull()


@pytest.mark.parametrize("appearance", list(Appearance))
def test_plots_follow_the_theme_and_show_their_labels_whole(qtbot: QtBot, theme: Theme, appearance: Appearance) -> None:
    plot = Plot("Improvement", "{0:+.2f} dB", zero=True)
    qtbot.addWidget(plot)
    plot.resize(280, 150)
    for step, value in enumerate((-1.49, 0.0, 12.31)):
        plot.add(step, value)
    theme.choose(appearance)
    try:
        image = plot.grab().toImage()
        expected = QColor(current_colors().base)
    finally:
        theme.choose(Appearance.LIGHT)
    assert image.pixelColor(200, 20) == expected  # between title and figure
    edge = [image.pixelColor(x, y) for x in (2, 3, 4) for y in range(24, 140)]
    assert set(map(QColor.name, edge)) == {expected.name()}  # no label reaches the edge, where it would be cut off


def test_fine_tune_keeps_model(qtbot: QtBot, outcome: FineTuneDialog, deleted: list[str]) -> None:
    with qtbot.waitSignal(outcome.kept) as kept:
        click(outcome.outcome.keep_button)
    assert kept.args == ["wedding"]
    assert deleted == []


def test_fine_tune_escape_asks_before_discarding_the_model(
    outcome: FineTuneDialog, deleted: list[str], questions: Questions
) -> None:
    questions.answer(Qt.Key.Key_Escape)
    QTest.keyClick(outcome, Qt.Key.Key_Escape)
    assert outcome.isVisible()
    assert deleted == []
    questions.answer("Discard")
    outcome.close()
    assert deleted == ["wedding"]


def test_fine_tune_close_question_keeps_the_model(
    qtbot: QtBot, outcome: FineTuneDialog, deleted: list[str], questions: Questions
) -> None:
    questions.answer("Keep")
    with qtbot.waitSignal(outcome.kept) as kept:
        outcome.close()
    assert kept.args == ["wedding"]
    assert deleted == []


def test_fine_tune_cancel_deletes_a_model_that_was_made_already(
    qtbot: QtBot, dialog: FineTuneDialog, deleted: list[str]
) -> None:
    click(dialog.start_button)  # the trainer makes the model before its last measurements
    qtbot.waitUntil(lambda: bool(dialog.progress.gain.points), timeout=LONG)
    click(dialog.progress.cancel_button)
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.choice, timeout=LONG)
    assert not dialog.fine_tuning.busy
    assert deleted == ["wedding"]


@pytest.mark.parametrize("phase", list(Phase))
def test_fine_tune_stops_at_the_next_report_of_every_phase(
    phase: Phase, qtbot: QtBot, theme: Theme, settings: EditorSettings, tmp_path: Path, deleted: list[str]
) -> None:
    """Counted in units of work between two reports: none is begun after the cancellation."""
    units: list[Phase] = []
    canceled = threading.Event()

    def train(_: FineTuneSettings, report: Callable[[TrainingEvent], None]) -> None:
        for each in Phase:
            for number in range(3):
                units.append(each)
                report(TrainingEvent(each, number, 3))
                if each is phase and number == 1:
                    canceled.wait(LONG / 1000)

    dialog = opened(FineTuneDialog(settings, trainer=train))  # type: ignore[arg-type]
    dialog.fine_tuning.found.emit(PhotoFolder(tmp_path, usable=24, needed=20, skipped=[]))
    dialog.name.setText("wedding")
    click(dialog.start_button)
    qtbot.waitUntil(lambda: units.count(phase) == 2, timeout=LONG)
    click(dialog.progress.cancel_button)
    canceled.set()
    qtbot.waitUntil(lambda: not dialog.fine_tuning.busy, timeout=LONG)
    assert units[-1] is phase
    assert units.count(phase) == 3, "the unit during which it was canceled is the last one"
    assert dialog.pages.currentWidget() is dialog.choice
    assert deleted == ["wedding"]
    dialog.close()


def test_fine_tune_shows_one_bar_and_the_time_left_for_all_phases(dialog: FineTuneDialog) -> None:
    page = dialog.progress
    page.begin()
    texts = []
    for number, phase in enumerate(Phase):
        page._take(TrainingEvent(phase, 3, 4, overall=number / 10, seconds_left=60))
        texts.append(page.state.text())
        assert page.bar.value() == 100 * number
    assert all(text.endswith(", 1:00 left") for text in texts)
    assert len(set(texts)) == len(texts)


@pytest.mark.slow
def test_fine_tune_trains_a_real_model(
    qtbot: QtBot, theme: Theme, settings: EditorSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("fine_tuning_session.FEWEST_ROUNDS", 1),
        ("adjustment_training.FEWEST_STEPS", 20),
        ("held_out_sheet.MOST_SHEET_PAIRS", 6),
    ):
        monkeypatch.setattr(f"s2am_engine.training.{name}", value)
    redirect_cache(monkeypatch, tmp_path / "cache")
    dialog = opened(FineTuneDialog(settings))
    dialog.scan_folder(save_photographs(tmp_path / "wedding", ("astronaut", "chelsea", "coffee", "rocket")))
    qtbot.waitUntil(lambda: not dialog.fine_tuning.busy, timeout=LONG)
    monkeypatch.setattr(dialog.minutes, "value", lambda: 0.1)
    click(dialog.start_button)
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is not dialog.progress, timeout=10 * LONG)
    assert dialog.pages.currentWidget() is dialog.outcome, dialog.banner.details
    assert dialog.progress.loss.points
    assert not dialog.outcome.image.image.isNull()
    assert "Color error" in dialog.outcome.figures.text()
    dialog.outcome.discard()
    assert "wedding" not in {model.card.name for model in list_models()}


def test_fine_tune_cancel_leaves_no_model(qtbot: QtBot, dialog: FineTuneDialog) -> None:
    click(dialog.start_button)
    click(dialog.progress.pause_button)
    assert dialog.progress.pause_button.text() == "Resume"
    dialog.progress.canceled.emit()
    qtbot.waitUntil(lambda: not dialog.fine_tuning.busy, timeout=LONG)
    assert dialog.pages.currentWidget() is dialog.choice
    assert "No model was created" in dialog.state.text()
    assert "wedding" not in {model.card.name for model in list_models()}


def test_fine_tune_refuses_existing_model_name(dialog: FineTuneDialog) -> None:
    dialog.name.setText("concord")
    click(dialog.start_button)
    assert dialog.pages.currentWidget() is dialog.choice
    assert "concord" in dialog.banner.text


def test_fine_tune_dialog_asks_before_stopping(qtbot: QtBot, dialog: FineTuneDialog, questions: Questions) -> None:
    click(dialog.start_button)
    questions.answer(Qt.Key.Key_Escape, "Stop")
    dialog.close()
    assert dialog.isVisible()
    fine_tuning = dialog.fine_tuning
    with qtbot.waitSignal(dialog.destroyed, timeout=LONG):  # when the job has ended, not before
        dialog.close()
        assert not dialog.isVisible()
        assert fine_tuning.busy
