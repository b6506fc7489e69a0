# SPDX-License-Identifier: GPL-3.0-or-later
"""From a background to an exported picture, as a person does it; undone and done again; closed and opened again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest

from s2am_editor.compose.flatten import flatten
from s2am_editor.window.clipboard import copy_image
from s2am_engine.image.io import load_image
from s2am_engine.inference.harmonizer import Harmonizer
from tests.editor.ui.conftest import studio
from tests.editor.ui.hands import Hands


def export(hands: Hands, path: Path) -> None:
    hands.window.files.export(path)
    hands.settle()
    assert path.is_file(), hands.window.banner.text


def test_the_whole_way_and_back(
    hands: Hands, background: Path, tmp_path: Path, save_to: Callable[[Path], None]
) -> None:
    window, session = hands.window, hands.window.session
    assert window.stack.currentWidget() is window.welcome
    hands.open(background)
    assert window.stack.currentWidget() is window.canvas
    opened = session.document

    copy_image(studio(120, 100))
    window.all_actions["paste"].trigger()
    hands.settle()
    assert [layer.name for layer in session.document.layers] == ["background", "Pasted"]

    hands.drag((160, 120), (190, 140), Qt.KeyboardModifier.ControlModifier)
    assert (hands.active.transform.x, hands.active.transform.y) == (190, 140)
    window.tool_box.choose("box")
    hands.drag((135, 93), (246, 188))
    hands.wait(lambda: hands.active.mask is not None)
    hands.settle()

    hands.harmonize()
    assert hands.active.harmonization is not None
    row = window.sidebar.adjust.rows["warmth"]
    QTest.mouseClick(row.slider, Qt.MouseButton.LeftButton, pos=QPoint(round(row.slider.width() * 0.75), 10))
    warm = hands.active.harmonization.adjustments.warmth
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
    export(hands, before)
    save_to(project)
    window.all_actions["save"].trigger()
    hands.settle()
    assert not session.is_modified
    assert window.windowTitle().startswith("work.ora")
    window.session.close()
    hands.open(project)
    reopened = hands.active
    assert reopened.harmonization is not None
    assert reopened.harmonization.adjustments.warmth == pytest.approx(warm)
    export(hands, after)
    assert np.array_equal(load_image(before).pixels, load_image(after).pixels)


def test_an_export_is_the_engines_own_result(hands: Hands, background: Path, cut_out: Path, tmp_path: Path) -> None:
    hands.open(background, cut_out)
    hands.harmonize()
    target = tmp_path / "result.png"
    export(hands, target)
    expected = Harmonizer(hands.window.sidebar.harmonize.model).harmonize_layer(
        load_image(cut_out), load_image(background)
    )
    assert np.array_equal(load_image(target).pixels, expected.pixels)
    changed = (load_image(target).pixels != load_image(background).pixels).any(axis=2)
    assert changed.any()
    alpha = np.zeros(changed.shape, bool)
    alpha[70:170, 100:220] = load_image(cut_out).alpha > 0  # type: ignore[operator]
    assert not changed[~alpha].any()


def test_harmonizing_again_starts_from_the_original_pixels(hands: Hands, background: Path, cut_out: Path) -> None:
    hands.open(background, cut_out)
    raster = hands.active.raster
    hands.harmonize()
    first = flatten(hands.window.session.document).pixels
    hands.harmonize()
    assert hands.active.raster is raster
    assert np.array_equal(flatten(hands.window.session.document).pixels, first)


def test_what_is_on_the_screen_is_the_document(hands: Hands, background: Path, cut_out: Path) -> None:
    window = hands.window
    hands.open(background, cut_out)
    hands.harmonize()
    window.tool_box.choose("hand")  # no handles over the picture
    window.canvas.zoom_to(1.0)
    screen = hands.screen()
    view = window.canvas.viewport
    shown = screen[view.top : view.top + 240, view.left : view.left + 320]
    truth = flatten(window.session.document).pixels
    assert np.abs(shown.astype(int) - truth).max() <= 1


def test_hold_to_compare_shows_what_was_before(hands: Hands, background: Path, cut_out: Path) -> None:
    window = hands.window
    hands.open(background, cut_out)
    hands.harmonize()
    window.tool_box.choose("hand")
    after = hands.screen()
    QTest.keyPress(window.canvas, Qt.Key.Key_C)
    before = hands.screen()
    QTest.keyRelease(window.canvas, Qt.Key.Key_C)
    assert not np.array_equal(before, after)
    plain = dataclasses.replace(hands.active, harmonization=None)
    truth = flatten(window.session.document.with_layer(plain)).pixels
    view = window.canvas.viewport
    assert view.scale == 1
    assert np.abs(before[view.top + 120, view.left + 160].astype(int) - truth[120, 160]).max() <= 1
    assert np.array_equal(hands.screen(), after)


def test_the_split_shows_both_and_follows_the_mouse(hands: Hands, background: Path, cut_out: Path) -> None:
    window = hands.window
    hands.open(background, cut_out)
    hands.harmonize()
    window.tool_box.choose("hand")
    after = hands.screen()
    window.all_actions["split"].trigger()
    middle = QPoint(window.canvas.width() // 2, window.canvas.height() // 3)
    hands.drag_on_view(middle, middle + QPoint(40, 0))
    assert window.canvas.split == pytest.approx(0.5 + 40 / window.canvas.width(), abs=0.01)
    split = hands.screen()
    line = middle.x() + 40
    assert np.array_equal(split[200:, line + 20 :], after[200:, line + 20 :])
    assert not np.array_equal(split[200:, : line - 20], after[200:, : line - 20])
