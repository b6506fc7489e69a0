# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole workflows: open, paste, cut out, harmonize, undo, save, reopen, export."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest

from s2am_editor.render.export import flatten
from s2am_editor.window.clipboard import copy_image
from s2am_engine.image.io import load_image
from s2am_engine.inference.harmonizer import Harmonizer
from tests.editor.ui.conftest import studio
from tests.editor.ui.driver import WindowDriver


def export(driver: WindowDriver, path: Path) -> None:
    driver.window.files.export(path)
    driver.settle()
    assert path.is_file(), driver.window.banner.text


def test_workflow_open_paste_cut_harmonize_save_reopen_export(
    driver: WindowDriver, background: Path, tmp_path: Path, save_to: Callable[[Path], None]
) -> None:
    window, session = driver.window, driver.window.session
    assert window.stack.currentWidget() is window.welcome
    driver.open(background)
    assert window.stack.currentWidget() is window.canvas
    opened = session.document

    copy_image(studio(120, 100))
    window.all_actions["paste"].trigger()
    driver.settle()
    assert [layer.name for layer in session.document.layers] == ["background", "Pasted"]

    driver.drag((160, 120), (190, 140), Qt.KeyboardModifier.ControlModifier)
    assert (driver.active.transform.x, driver.active.transform.y) == (190, 140)
    window.tool_box.choose("box")
    driver.drag((135, 93), (246, 188))
    driver.wait(lambda: driver.active.mask is not None)
    driver.settle()

    driver.harmonize()
    assert driver.active.harmonization is not None
    row = window.sidebar.adjust.rows["warmth"]
    QTest.mouseClick(row.slider, Qt.MouseButton.LeftButton, pos=QPoint(round(row.slider.width() * 0.75), 10))
    warm = driver.active.harmonization.sliders.warmth
    assert 0.3 < warm < 0.7

    steps = session.history.names[1:]
    assert steps == ["Paste", "Move", "Cut out", "Harmonize", "Warmth"]
    assert "Warmth" in window.all_actions["undo"].text()
    done = session.document
    while session.history.undo_name:
        window.all_actions["undo"].trigger()
    assert session.document.layers == opened.layers
    assert "Paste" in window.all_actions["redo"].text()
    while session.history.redo_name:
        window.all_actions["redo"].trigger()
    assert session.document.layers == done.layers

    project, before, after = (tmp_path / name for name in ("work.ora", "before.png", "after.png"))
    export(driver, before)
    save_to(project)
    window.all_actions["save"].trigger()
    driver.settle()
    assert not session.is_modified
    assert window.windowTitle().startswith("work.ora")
    window.session.close()
    driver.open(project)
    reopened = driver.active
    assert reopened.harmonization is not None
    assert reopened.harmonization.sliders.warmth == pytest.approx(warm)
    export(driver, after)
    assert np.array_equal(load_image(before).pixels, load_image(after).pixels)


def test_export_equals_engine_result(driver: WindowDriver, background: Path, cut_out: Path, tmp_path: Path) -> None:
    driver.open(background, cut_out)
    driver.harmonize()
    target = tmp_path / "result.png"
    export(driver, target)
    harmonizer = Harmonizer(driver.window.sidebar.harmonize.model)
    expected = harmonizer.paste(load_image(cut_out), load_image(background)).render()
    assert np.array_equal(load_image(target).pixels, expected.pixels)
    changed = (load_image(target).pixels != load_image(background).pixels).any(axis=2)
    assert changed.any()
    alpha = np.zeros(changed.shape, bool)
    alpha[70:170, 100:220] = load_image(cut_out).alpha > 0  # type: ignore[operator]
    assert not changed[~alpha].any()


def test_harmonize_again_starts_from_original_pixels(driver: WindowDriver, background: Path, cut_out: Path) -> None:
    driver.open(background, cut_out)
    raster = driver.active.raster
    driver.harmonize()
    first = flatten(driver.window.session.document).pixels
    driver.harmonize()
    assert driver.active.raster is raster
    assert np.array_equal(flatten(driver.window.session.document).pixels, first)


def test_canvas_shows_flattened_document(driver: WindowDriver, background: Path, cut_out: Path) -> None:
    window = driver.window
    driver.open(background, cut_out)
    driver.harmonize()
    window.tool_box.choose("hand")  # no handles over the image
    window.canvas.zoom_to(1.0)
    screen = driver.screen()
    view = window.canvas.viewport
    shown = screen[view.top : view.top + 240, view.left : view.left + 320]
    expected = flatten(window.session.document).pixels
    assert np.abs(shown.astype(int) - expected).max() <= 1


def test_hold_before_key_shows_original_colors(driver: WindowDriver, background: Path, cut_out: Path) -> None:
    window = driver.window
    driver.open(background, cut_out)
    driver.harmonize()
    window.tool_box.choose("hand")
    after = driver.screen()
    QTest.keyPress(window.canvas, Qt.Key.Key_C)
    before = driver.screen()
    QTest.keyRelease(window.canvas, Qt.Key.Key_C)
    assert not np.array_equal(before, after)
    plain = dataclasses.replace(driver.active, harmonization=None)
    expected = flatten(window.session.document.with_layer(plain)).pixels
    view = window.canvas.viewport
    assert view.scale == 1
    assert np.abs(before[view.top + 120, view.left + 160].astype(int) - expected[120, 160]).max() <= 1
    assert np.array_equal(driver.screen(), after)


def test_split_divider_follows_mouse(driver: WindowDriver, background: Path, cut_out: Path) -> None:
    window = driver.window
    driver.open(background, cut_out)
    driver.harmonize()
    window.tool_box.choose("hand")
    after = driver.screen()
    window.all_actions["split"].trigger()
    middle = QPoint(window.canvas.width() // 2, window.canvas.height() // 3)
    driver.drag_on_view(middle, middle + QPoint(40, 0))
    assert window.canvas.split == pytest.approx(0.5 + 40 / window.canvas.width(), abs=0.01)
    split = driver.screen()
    line = middle.x() + 40
    assert np.array_equal(split[200:, line + 20 :], after[200:, line + 20 :])
    assert not np.array_equal(split[200:, : line - 20], after[200:, : line - 20])
