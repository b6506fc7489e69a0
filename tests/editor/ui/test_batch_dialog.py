# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialog that harmonizes many images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from s2am_common.image_formats import READABLE_SUFFIXES
from s2am_editor.window.dialogs.batch import BatchDialog
from s2am_editor.window.dialogs.batch_form import BACKGROUND_MODE, COMPOSITE_MODE
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.theme import Theme
from s2am_engine.batch import BatchEvent, BatchItem
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import load_image, save_image
from tests.editor.ui.conftest import disc
from tests.editor.ui.driver import LONG, click


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
    batch.form.sources.set_path(sources)
    batch.form.background.set_path(background)
    batch.form.output.set_path(output)
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
    batch.form.kind.setCurrentIndex(BACKGROUND_MODE)
    assert not batch.form.background.isVisible()
    batch.form.sources.set_path(sources)
    batch.form.cutout.set_path(cut_out)
    batch.form.output.set_path(tmp_path / "results")
    batch.form.placement.setCurrentIndex(batch.form.placement.findText("Bottom left"))
    batch.form.height_field.setValue(50)
    batch.form.pattern.setText("{name} with disc {number}")
    batch.form.formats.setCurrentIndex(batch.form.formats.findData(".jpg"))
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
    batch.form.sources.set_path(sources)
    batch.form.background.set_path(background)
    batch.form.output.set_path(tmp_path / "results")
    batch.form.pattern.setText(pattern)
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
    batch.form.sources.set_path(sources)
    batch.form.background.set_path(background)
    batch.form.output.set_path(tmp_path / "results")
    batch.form.pattern.setText("same")
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
    batch.form.kind.setCurrentIndex(COMPOSITE_MODE)
    batch.form.sources.set_path(sources)
    batch.form.masks.set_path(masks)
    batch.form.output.set_path(tmp_path / "results")
    click(batch.start_button)
    qtbot.waitUntil(lambda: not batch.batch_job.busy, timeout=LONG)
    assert states(batch)["beach.png"].startswith("Done")


def test_batch_dialog_names_what_a_canceled_batch_left_undone(
    qtbot: QtBot, batch: BatchDialog, background: Path, tmp_path: Path
) -> None:
    sources = tmp_path / "layers"
    sources.mkdir()
    for number in range(6):
        save_image(sources / f"{number}.png", disc(120, 100))
    (sources / "0.png").write_bytes(b"")
    for row, path in (
        (batch.form.sources, sources),
        (batch.form.background, background),
        (batch.form.output, tmp_path / "results"),
    ):
        row.set_path(path)

    def cancel(event: BatchEvent[object]) -> None:
        if event.index == 2:
            batch.batch_job.cancel()

    batch.batch_job.happened.connect(cancel)
    click(batch.start_button)
    qtbot.waitUntil(lambda: not batch.batch_job.busy, timeout=LONG)
    found = states(batch)
    assert "is empty" in found["0.png"]
    assert found["1.png"].startswith("Done")
    assert [found[f"{number}.png"] for number in (3, 4, 5)] == ["Not done"] * 3


def test_batch_dialog_leaves_room_for_the_reasons_beside_long_names(batch: BatchDialog, tmp_path: Path) -> None:
    name = "a photograph of a garden in late summer " * 5
    batch._fill([BatchItem(tmp_path / f"{name}.png", tmp_path / "result.png")])
    viewport = batch.table.viewport()
    assert viewport is not None
    assert batch.table.columnWidth(0) <= viewport.width() / 2
    assert batch.table.columnWidth(1) >= viewport.width() / 2
    assert batch.table.rowHeight(0) > 3 * batch.fontMetrics().height()


def test_batch_dialog_offers_every_readable_format_as_background(
    batch: BatchDialog, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: list[str] = []

    def ask(*arguments: object) -> tuple[list[str], str]:
        offered.append(str(arguments[-1]))
        return [], ""

    monkeypatch.setattr("PyQt6.QtWidgets.QFileDialog.getOpenFileNames", ask)
    for row in (batch.form.background, batch.form.cutout):
        row.findChildren(QPushButton)[0].click()
    assert all(f"*{suffix}" in patterns for suffix in READABLE_SUFFIXES for patterns in offered)
    assert len(offered) == 2
