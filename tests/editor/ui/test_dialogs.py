# SPDX-License-Identifier: GPL-3.0-or-later
"""FineTuning, batches and exporting, as dialogs."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PyQt6 import sip
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QImage
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot
from skimage import data

from s2am_editor.window.dialogs.add_pytorch import AddPyTorchDialog
from s2am_editor.window.dialogs.batch import BACKGROUND_MODE, COMPOSITE_MODE, BatchDialog
from s2am_editor.window.dialogs.canvas_size import CanvasSizeDialog
from s2am_editor.window.dialogs.fine_tune import FineTuneDialog
from s2am_editor.window.dialogs.fine_tuning import PhotoFolder
from s2am_editor.window.dialogs.standard_dialogs import ExportDialog
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.theme import Theme
from s2am_engine.image.io import ImageData, load_image, save_image
from s2am_engine.models.model_store import list_models
from s2am_engine.training.events import Phase, TrainingEvent, Validation
from tests.editor.ui.conftest import disc
from tests.editor.ui.driver import LONG, Questions, WindowDriver
from tests.folders import redirect_cache


def click(button: QWidget) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


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

    def __call__(
        self,
        photos: Path,
        name: str,
        *,
        base: str,
        minutes: float,
        sheet: Path,
        report: Callable[[TrainingEvent], None],
    ) -> SimpleNamespace:
        image = QImage(8, 6, QImage.Format.Format_RGB32)
        image.fill(0)
        assert image.save(str(sheet))
        first = TrainingEvent(Phase.TRAINING, 10, None, loss=0.5, images_per_second=100.0, seconds_left=60 * minutes)
        second = replace(first, done=20, loss=0.25, seconds_left=30 * minutes)
        report(first)
        report(replace(second, validation=Validation(20, 1.5, True, np.zeros((6, 8, 3), np.uint8))))
        while not self.finish.wait(0.01):
            report(second)
        gained = SimpleNamespace(psnr_gained=1.5, fmse_saved=0.25)
        return SimpleNamespace(
            model=SimpleNamespace(card=SimpleNamespace(name=name)),
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


FAKE_INSTALL = """
import json, pathlib, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs of shells
if "train" in sys.argv:
    try:
        while not (folder / "finish").exists():
            (folder / "running").touch()
            time.sleep(0.05)
    except KeyboardInterrupt:
        (folder / "interrupted").touch()
        raise
    sys.exit("error: The disk is full." if (folder / "full").exists() else 0)
print(json.dumps({"parts": [{"name": "train", "download": 220e6, "disk": 750e6}]}))
"""
"""Stands in for `s2am install`."""


def fake_install(folder: Path) -> list[str]:
    return [sys.executable, "-c", f"import pathlib; folder = pathlib.Path({str(folder)!r}); {FAKE_INSTALL}"]


@pytest.fixture
def adding(qtbot: QtBot, theme: Theme, tmp_path: Path) -> Iterator[AddPyTorchDialog]:
    made = AddPyTorchDialog(command=fake_install(tmp_path))
    made.show()
    qtbot.waitUntil(made.add_button.isEnabled, timeout=LONG)
    yield made
    qtbot.waitUntil(lambda: sip.isdeleted(made), timeout=LONG)  # when its command has ended


def test_add_pytorch_says_the_size_and_installs_on_request(
    qtbot: QtBot, adding: AddPyTorchDialog, tmp_path: Path
) -> None:
    assert adding.state.text() == "About 0.2 GB to download, and 0.8 GB on the disk."
    assert not (tmp_path / "running").exists(), "nothing is installed before the consent"
    (tmp_path / "finish").touch()
    (tmp_path / "full").touch()
    click(adding.add_button)
    qtbot.waitUntil(lambda: adding.banner.text == "The disk is full.", timeout=LONG)
    (tmp_path / "full").unlink()
    with qtbot.waitSignal(adding.added, timeout=LONG):
        click(adding.add_button)
    assert not adding.isVisible()


def test_add_pytorch_is_interrupted_when_it_is_closed(qtbot: QtBot, adding: AddPyTorchDialog, tmp_path: Path) -> None:
    click(adding.add_button)
    qtbot.waitUntil((tmp_path / "running").exists, timeout=LONG)
    adding.close()
    qtbot.waitUntil((tmp_path / "interrupted").exists, timeout=LONG)


def test_fine_tuning_without_pytorch_offers_to_add_it(
    qtbot: QtBot, driver: WindowDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s2am_editor.window.window_commands.has_torch", lambda: (tmp_path / "finish").exists())
    monkeypatch.setattr("s2am_editor.window.dialogs.add_pytorch.COMMAND", fake_install(tmp_path))
    driver.window.commands.fine_tune()
    [adding] = driver.window.findChildren(AddPyTorchDialog)
    qtbot.waitUntil(adding.add_button.isEnabled, timeout=LONG)
    (tmp_path / "finish").touch()
    click(adding.add_button)
    qtbot.waitUntil(lambda: bool(driver.window.findChildren(FineTuneDialog)), timeout=LONG)
    driver.window.findChildren(FineTuneDialog)[0].close()


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

    def train(folder: Path, name: str, *, report: Callable[[TrainingEvent], None], **_: object) -> None:
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
        texts.append(page._state.text())
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


@pytest.fixture
def batch(qtbot: QtBot, theme: Theme, settings: EditorSettings) -> BatchDialog:
    dialog = BatchDialog(settings)
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


def states(dialog: BatchDialog) -> dict[str, str]:
    found = {}
    for line in range(dialog.table.rowCount()):
        name, state = dialog.table.item(line, 0), dialog.table.item(line, 1)
        assert name is not None
        assert state is not None
        found[name.text()] = state.text()
    return found


def test_batch_dialog_harmonizes_cutouts_on_one_background(
    qtbot: QtBot, batch: BatchDialog, background: Path, tmp_path: Path
) -> None:
    sources, output = tmp_path / "layers", tmp_path / "results"
    sources.mkdir()
    for name in ("one", "two"):
        save_image(sources / f"{name}.png", disc(80, 60))
    (sources / "three.png").write_bytes(b"no picture")
    assert not batch.start_button.isEnabled()
    batch.sources.set_path(sources)
    batch.background.set_path(background)
    batch.output.set_path(output)
    click(batch.start_button)
    qtbot.waitUntil(lambda: not batch.batch_job.busy, timeout=LONG)
    found = states(batch)
    assert found["one.png"].startswith("Done")
    assert "three.png" in found["three.png"]
    assert "2 of 3 images harmonized" in batch.state.text()
    assert batch.sheet_button.isVisible()
    assert load_image(output / "two.png").pixels.shape == (240, 320, 3)


def test_batch_dialog_puts_one_cutout_on_many_backgrounds(
    qtbot: QtBot, batch: BatchDialog, cut_out: Path, tmp_path: Path
) -> None:
    sources = tmp_path / "rooms"
    sources.mkdir()
    for index, size in enumerate(((200, 300), (400, 300))):
        pixels = np.random.default_rng(index).integers(60, 120, (*size, 3), np.uint8)
        save_image(sources / f"room-{index}.png", ImageData(pixels))
    batch.kind.setCurrentIndex(BACKGROUND_MODE)
    assert not batch.background.isVisible()
    batch.sources.set_path(sources)
    batch.cutout.set_path(cut_out)
    batch.output.set_path(tmp_path / "results")
    batch.placement.setCurrentIndex(batch.placement.findText("Bottom left"))
    batch.height_field.setValue(50)
    batch.pattern.setText("{name} with disc {number}")
    batch.formats.setCurrentIndex(batch.formats.findData(".jpg"))
    click(batch.start_button)
    qtbot.waitUntil(lambda: not batch.batch_job.busy, timeout=LONG)
    assert all(text.startswith("Done") for text in states(batch).values())
    for index, height in enumerate((200, 400)):
        found = load_image(tmp_path / "results" / f"room-{index} with disc {index + 1}.jpg").pixels.astype(int)
        changed = np.abs(found - load_image(sources / f"room-{index}.png").pixels).max(axis=2) > 60
        assert changed[height // 2 :, : height // 2].mean() > 0.3
        assert changed[: height // 2 - 8].mean() < 0.01
        assert changed[:, round(0.65 * height) :].mean() < 0.01


@pytest.mark.parametrize("pattern", ["{nam}", "a/b", ""])
def test_batch_dialog_refuses_an_unusable_name(
    batch: BatchDialog, background: Path, cut_out: Path, tmp_path: Path, pattern: str
) -> None:
    sources = tmp_path / "cutouts"
    sources.mkdir()
    save_image(sources / "one.png", load_image(cut_out))
    batch.sources.set_path(sources)
    batch.background.set_path(background)
    batch.output.set_path(tmp_path / "results")
    batch.pattern.setText(pattern)
    click(batch.start_button)
    assert "cannot name files" in batch.banner.text
    assert not batch.batch_job.busy


def test_batch_dialog_shows_the_reason_of_a_failure_in_full(
    qtbot: QtBot, batch: BatchDialog, background: Path, tmp_path: Path
) -> None:
    sources = tmp_path / "cutouts"
    sources.mkdir()
    for name in ("one", "two"):
        save_image(sources / f"{name}.png", disc(80, 60))
    batch.sources.set_path(sources)
    batch.background.set_path(background)
    batch.output.set_path(tmp_path / "results")
    batch.pattern.setText("same")
    click(batch.start_button)
    qtbot.waitUntil(lambda: not batch.batch_job.busy, timeout=LONG)
    cell = batch.table.item(1, 1)
    assert cell is not None
    assert "would both become" in cell.text()
    down, across = batch.table.verticalHeader(), batch.table.horizontalHeader()
    assert down is not None
    assert across is not None
    assert down.isHidden()
    width = across.sectionSize(1)
    assert width > batch.table.width() // 2  # the reason has the room that the names leave
    wrapped = Qt.TextFlag.TextWordWrap | Qt.TextFlag.TextWrapAnywhere
    needed = batch.table.fontMetrics().boundingRect(0, 0, width, 999, wrapped, cell.text())
    assert batch.table.rowHeight(1) >= needed.height()


def test_batch_dialog_harmonizes_composites_with_masks(
    qtbot: QtBot, batch: BatchDialog, background: Path, tmp_path: Path
) -> None:
    sources, masks = tmp_path / "composites", tmp_path / "masks"
    for folder in (sources, masks):
        folder.mkdir()
    save_image(sources / "beach.png", load_image(background))
    mask = np.zeros((240, 320, 3), np.uint8)
    mask[60:180, 90:200] = 255
    save_image(masks / "beach.png", ImageData(mask))
    batch.kind.setCurrentIndex(COMPOSITE_MODE)
    batch.sources.set_path(sources)
    batch.masks.set_path(masks)
    batch.output.set_path(tmp_path / "results")
    click(batch.start_button)
    qtbot.waitUntil(lambda: not batch.batch_job.busy, timeout=LONG)
    assert states(batch)["beach.png"].startswith("Done")


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
