# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals of the session: a slider refreshes only what shows sliders."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest

from s2am_editor.document import commands
from s2am_editor.window.editor_session import EditorSession
from tests.editor.ui.driver import WindowDriver


def record(session: EditorSession) -> list[str]:
    """Collect the names of the signals that a session emits."""
    emitted: list[str] = []
    session.layer_adjusted.connect(lambda layer_id: emitted.append(f"adjusted {layer_id}"))
    session.layers_changed.connect(lambda: emitted.append("layers"))
    session.history_changed.connect(lambda: emitted.append("history"))
    session.repainted.connect(lambda *_: emitted.append("repainted"))
    return emitted


def test_slider_drag_emits_layer_adjusted_only(driver: WindowDriver, background: Path, cut_out: Path) -> None:
    driver.open(background, cut_out)
    driver.harmonize()
    session = driver.window.session
    slider = driver.window.sidebar.adjust.rows["warmth"].slider
    slider.setSliderDown(True)
    slider.setValue(20)
    emitted = record(session)
    for value in (30, 40):
        slider.setValue(value)
    assert emitted == 2 * ["repainted", f"adjusted {driver.active.id}"]
    assert driver.active.harmonization is not None
    assert driver.active.harmonization.sliders.warmth == 0.4
    session.undo()
    assert driver.window.sidebar.adjust.rows["warmth"].value == 0


def test_other_commands_emit_layers_changed(driver: WindowDriver, background: Path, cut_out: Path) -> None:
    driver.open(background, cut_out)
    driver.harmonize()
    session = driver.window.session
    emitted = record(session)
    session.do(commands.set_opacity(driver.active.id, 0.5))
    session.do(commands.set_harmonization(driver.active.id, None))
    session.select(session.document.layers[0].id)
    assert emitted.count("layers") == 3
    assert not [name for name in emitted if name.startswith("adjusted")]


def test_harmonizing_again_emits_layers_changed(driver: WindowDriver, background: Path, cut_out: Path) -> None:
    driver.open(background, cut_out)
    driver.harmonize()
    emitted = record(driver.window.session)
    driver.window.session.do(commands.set_sliders(driver.active.id, tint=0.2))
    driver.harmonize()
    assert [name for name in emitted if name.startswith(("adjusted", "layers"))] == [
        f"adjusted {driver.active.id}",
        "layers",
    ]


def test_layer_list_shows_current_layer_after_slider(driver: WindowDriver, background: Path, cut_out: Path) -> None:
    driver.open(background, cut_out)
    driver.harmonize()
    row = driver.window.sidebar.adjust.rows["contrast"]
    QTest.mouseClick(row.slider, Qt.MouseButton.LeftButton, pos=QPoint(row.slider.width() - 12, 10))
    model = driver.window.sidebar.layers.model
    assert model.item(model.row_of(driver.active.id)) is driver.active


def test_window_title_marks_changes_of_a_second_document(driver: WindowDriver, background: Path, cut_out: Path) -> None:
    session = driver.window.session
    for _ in range(2):
        session.close()
        driver.open(background)
        assert not driver.window.isWindowModified()
        session.do(commands.rename_item(driver.active.id, "sky"))
        assert driver.window.isWindowModified()
    emitted: list[str] = []
    session.file_changed.connect(lambda: emitted.append("file"))
    session.do(commands.rename_item(driver.active.id, "sea"))
    session.undo()
    assert emitted == []
    session.undo()
    assert emitted == ["file"]
    assert not driver.window.isWindowModified()
