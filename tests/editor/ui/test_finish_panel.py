# SPDX-License-Identifier: GPL-3.0-or-later
"""The finish in a real window: measured, adjusted by its sliders, reset and undone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from s2am_common.sliders import FINISH_SLIDERS
from s2am_editor.render import finish_layer
from s2am_editor.render.export import flatten
from s2am_editor.window.canvas import document_view
from s2am_engine.finish.finisher import Finisher
from s2am_engine.finish.values import Finish
from tests.editor.ui.driver import LONG, WindowDriver


def test_finish_by_button_sliders_reset_and_undo(driver: WindowDriver, background: Path, cut_out: Path) -> None:
    driver.open(background, cut_out)
    window, panel = driver.window, driver.window.sidebar.finish
    plain = flatten(window.session.document).pixels
    window.sidebar.sections["finish"].set_open(True)
    assert not any(row.isVisible() for row in panel.rows.values())
    QTest.mouseClick(panel.start_button, Qt.MouseButton.LeftButton)
    driver.settle()
    found = driver.active.finish
    assert found is not None
    assert found.values == found.automatic
    share = found.automatic.decontaminate
    assert (
        f"Sharpness {found.automatic.sharpness:.1f}, Decontaminate {share:.0%}.".replace("%", " %") in panel.note.text()
    )
    assert window.sidebar.finish.sizeHint().height() <= window.sidebar.finish.height()
    assert list(panel.rows) == list(FINISH_SLIDERS)
    assert all(row.isVisible() for row in panel.rows.values())

    before = driver.screen()
    steps = len(window.session.history.names)
    numbers = {"light": 40, "grain": 8.0, "sharpness": -2.0, "decontaminate": 50, "light_wrap": 100}
    for name, value in numbers.items():
        panel.rows[name].number.setValue(value)
    assert driver.active.finish is not None
    assert driver.active.finish.values == Finish(0.4, 8.0, -2.0, 0.5, 1.0)
    assert len(window.session.history.names) == steps + 5
    driver.settle()
    assert (driver.screen() != before).any()

    QTest.mouseDClick(panel.rows["grain"].slider, Qt.MouseButton.LeftButton)
    assert abs(driver.active.finish.values.grain - found.automatic.grain) <= 0.05
    QTest.mouseClick(panel.start_button, Qt.MouseButton.LeftButton)  # measured again, light wrap kept
    driver.settle()
    assert driver.active.finish.values == found.automatic.replace(light_wrap=1)
    driver.drag((160, 120), (190, 130), Qt.KeyboardModifier.ControlModifier)  # elsewhere on the background
    assert "Moved since" in panel.note.text()
    window.session.undo()
    assert "Moved since" not in panel.note.text()
    panel.reset()
    assert driver.active.finish.values == found.automatic
    QTest.mouseClick(panel.remove_button, Qt.MouseButton.LeftButton)
    np.testing.assert_array_equal(flatten(window.session.document).pixels, plain)
    window.session.undo()
    assert driver.active.finish is not None
    while window.session.history.undo_name:
        window.session.undo()
    assert all(layer.finish is None for layer in window.session.document.layers)


def test_noise_reduction_is_computed_when_the_slider_rests(
    driver: WindowDriver, background: Path, cut_out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.open(background, cut_out)
    window, panel = driver.window, driver.window.sidebar.finish
    window.sidebar.sections["finish"].set_open(True)
    QTest.mouseClick(panel.start_button, Qt.MouseButton.LeftButton)
    driver.settle()
    window.canvas.zoom_to(1.0)
    panel.rows["grain"].number.setValue(-4.0)
    driver.settle()
    rendered: list[float] = []  # the zoom of each part whose noise was reduced
    computed = finish_layer._finisher

    def count(*arguments: Any) -> Finisher:
        rendered.append(arguments[-1])
        return computed(*arguments)

    monkeypatch.setattr(finish_layer, "_finisher", count)
    monkeypatch.setattr(document_view, "DRAFT_TIME", LONG)  # the slider does not rest yet, however slow the computer is
    for value in (-5.0, -6.0, -7.0):
        before = len(rendered)
        panel.rows["grain"].number.setValue(value)
        driver.wait(lambda before=before: window.canvas.tiles.idle and len(rendered) > before)  # type: ignore[misc]
    assert set(rendered) == {0.5}, "drafts while the slider moves"
    monkeypatch.setattr(document_view, "DRAFT_TIME", 1)
    panel.rows["grain"].number.setValue(-8.0)
    driver.settle()
    assert 1.0 in rendered
    exact = driver.screen()
    window.session.open(window.session.document, "again")  # rendered without a draft
    window.canvas.zoom_to(1.0)
    driver.settle()
    assert (driver.screen() == exact).all()
