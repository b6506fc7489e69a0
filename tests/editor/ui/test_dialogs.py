# SPDX-License-Identifier: GPL-3.0-or-later
"""FineTuning, batches and exporting, as dialogs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot
from skimage import data

from s2am_editor.window.dialogs import prompts
from s2am_editor.window.dialogs.batch import COMPOSITES, BatchDialog
from s2am_editor.window.dialogs.fine_tune import FineTuneDialog
from s2am_editor.window.dialogs.prompts import ExportDialog
from s2am_editor.window.settings import EditorSettings
from s2am_editor.window.theme import Theme
from s2am_engine.image.io import ImageData, load_image, save_image
from s2am_engine.models.model_store import list_models
from tests.editor.ui.conftest import disc
from tests.editor.ui.hands import LONG, Hands
from tests.folders import redirect_cache


def click(button: QWidget) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Parts of real photographs, and a file that is none; little is measured of what is learned from them."""
    monkeypatch.setattr("s2am_engine.training.finetune.MEASURED", 6)
    monkeypatch.setattr("s2am_engine.training.finetune.SHEET_PAIRS", 4)
    monkeypatch.setattr("s2am_engine.training.training_data.VALIDATION_BATCHES", 2)
    redirect_cache(monkeypatch, tmp_path / "cache")
    folder = tmp_path / "wedding"
    folder.mkdir()
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        picture = getattr(data, name)()
        for part in range(6):
            top, left = 18 * part, 24 * part
            pixels = np.ascontiguousarray(picture[top : top + 200, left : left + 260])
            save_image(folder / f"{name}-{part}.png", ImageData(pixels))
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture
def teach(qtbot: QtBot, theme: Theme, settings: EditorSettings, photographs: Path) -> FineTuneDialog:
    dialog = FineTuneDialog(settings)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(dialog)
    dialog.show()
    dialog.look_at(photographs)
    qtbot.waitUntil(lambda: not dialog.teaching.busy, timeout=LONG)
    return dialog


def test_the_pictures_found_and_left_out_are_told(teach: FineTuneDialog) -> None:
    found, left_out = (int(number) for number in re.findall(r"\d+", teach.state.text()))
    assert found + left_out == 25
    told = [item.text() for line in range(teach.skipped.count()) if (item := teach.skipped.item(line))]
    assert len(told) == left_out
    assert any(text.startswith("broken.jpg: ") for text in told)
    assert teach.start_button.isEnabled()
    assert teach.name.text() == "wedding"


def test_too_few_pictures_are_told_before_anything_starts(
    qtbot: QtBot, teach: FineTuneDialog, photographs: Path
) -> None:
    for path in photographs.glob("[acr]*.png"):
        path.unlink()
    (photographs / "one.png").write_bytes(b"")
    teach.look_at(photographs)
    qtbot.waitUntil(lambda: not teach.teaching.busy, timeout=LONG)
    assert not teach.start_button.isEnabled()
    assert teach.banner.isVisible() or "At least 20 are needed" in teach.state.text()


def test_learning_shows_its_loss_and_the_result_is_kept_or_discarded(
    qtbot: QtBot, teach: FineTuneDialog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teach.minutes, "value", lambda: 0.1)
    click(teach.start_button)
    assert teach.pages.currentWidget() is teach.progress
    qtbot.waitUntil(lambda: teach.pages.currentWidget() is not teach.progress, timeout=4 * LONG)
    assert teach.pages.currentWidget() is teach.outcome, teach.banner.details
    assert teach.progress.loss.points
    assert not teach.outcome.picture.image.isNull()
    assert "dB" in teach.outcome.figures.text()
    made = {model.card.name for model in list_models()}
    teach.close()  # nobody said “Keep it”
    assert "wedding" not in {model.card.name for model in list_models()}
    assert made - {"wedding"} == {model.card.name for model in list_models()}


def test_learning_is_cancelled_and_leaves_nothing(qtbot: QtBot, teach: FineTuneDialog) -> None:
    click(teach.start_button)
    click(teach.progress.pause_button)
    assert teach.progress.pause_button.text() == "Go on"
    teach.progress.cancelled.emit()
    qtbot.waitUntil(lambda: not teach.teaching.busy, timeout=LONG)
    assert teach.pages.currentWidget() is teach.choice
    assert "no model was made" in teach.state.text()
    assert "wedding" not in {model.card.name for model in list_models()}


def test_a_name_that_is_taken_is_refused(teach: FineTuneDialog) -> None:
    teach.name.setText("concord")
    click(teach.start_button)
    assert teach.pages.currentWidget() is teach.choice
    assert "concord" in teach.banner.text


def test_closing_while_it_learns_asks_first(
    qtbot: QtBot, teach: FineTuneDialog, monkeypatch: pytest.MonkeyPatch
) -> None:
    click(teach.start_button)
    monkeypatch.setattr(prompts, "ask", lambda *_: False)
    teach.close()
    assert teach.isVisible()
    monkeypatch.setattr(prompts, "ask", lambda *_: True)
    teach.close()
    qtbot.waitUntil(lambda: not teach.isVisible() and not teach.teaching.busy, timeout=LONG)


@pytest.fixture
def batch(qtbot: QtBot, theme: Theme, settings: EditorSettings) -> BatchDialog:
    dialog = BatchDialog(settings)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
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


def test_a_folder_of_cut_outs_on_one_background(
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
    qtbot.waitUntil(lambda: not batch.batching.busy, timeout=LONG)
    found = states(batch)
    assert found["one.png"].startswith("Done")
    assert "three.png" in found["three.png"]
    assert "2 of 3 pictures harmonized" in batch.state.text()
    assert batch.sheet_button.isVisible()
    assert load_image(output / "two.png").pixels.shape == (240, 320, 3)


def test_composites_with_masks(qtbot: QtBot, batch: BatchDialog, background: Path, tmp_path: Path) -> None:
    sources, masks = tmp_path / "composites", tmp_path / "masks"
    for folder in (sources, masks):
        folder.mkdir()
    save_image(sources / "beach.png", load_image(background))
    mask = np.zeros((240, 320, 3), np.uint8)
    mask[60:180, 90:200] = 255
    save_image(masks / "beach.png", ImageData(mask))
    batch.kind.setCurrentIndex(COMPOSITES)
    batch.sources.set_path(sources)
    batch.masks.set_path(masks)
    batch.output.set_path(tmp_path / "results")
    click(batch.start_button)
    qtbot.waitUntil(lambda: not batch.batching.busy, timeout=LONG)
    assert states(batch)["beach.png"].startswith("Done")


def test_the_export_dialog_names_a_file_of_the_chosen_format(
    hands: Hands, background: Path, tmp_path: Path, save_to: Callable[[Path], None]
) -> None:
    hands.open(background)
    dialog = ExportDialog(hands.window.session, hands.window.settings, hands.window)
    dialog.formats.setCurrentIndex(dialog.formats.findData(".jpg"))
    save_to(tmp_path / "result")
    click(dialog.export_button)
    assert dialog.path == tmp_path / "result.jpg"
    again = ExportDialog(hands.window.session, hands.window.settings, hands.window)
    assert again.suffix == ".jpg"
