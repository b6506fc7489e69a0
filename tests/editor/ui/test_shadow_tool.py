# SPDX-License-Identifier: GPL-3.0-or-later
"""A shadow in a real window: estimated, dragged by its handles, adjusted, undone, and following its layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from s2am_editor.render.export import flatten
from tests.editor.ui.driver import WindowDriver


def test_shadow_by_key_handles_sliders_and_undo(driver: WindowDriver, background: Path, cut_out: Path) -> None:
    driver.open(background, cut_out)
    window, panel = driver.window, driver.window.sidebar.shadow
    plain = flatten(window.session.document).pixels
    driver.key(Qt.Key.Key_D, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    driver.settle()
    automatic = driver.active.shadow
    assert automatic is not None
    assert window.sidebar.sections["shadow"].is_open
    assert panel.note.text()
    assert (flatten(window.session.document).pixels != plain).any()

    panel.rows["length"].number.setValue(50)
    driver.key(Qt.Key.Key_D)
    assert window.tool_box.name == "shadow"
    points = window.tool_box.shadow.points
    middle = (points["left"][0] + points["right"][0]) / 2, (points["left"][1] + points["right"][1]) / 2
    wanted = middle[0] + 60, middle[1] + 20
    steps = len(window.session.history.names)
    driver.drag(points["tip"], wanted)
    dragged = driver.active.shadow
    assert dragged is not None
    assert window.tool_box.shadow.points["tip"] == pytest.approx(wanted, abs=2)
    assert dragged.direction == pytest.approx(108, abs=4)
    assert len(window.session.history.names) == steps + 1
    before = driver.screen()
    driver.drag(points["right"], (points["right"][0], points["right"][1] - 30))
    lifted = driver.active.shadow
    assert lifted is not None
    assert lifted.ground > dragged.ground + 0.1
    assert lifted.slope < dragged.slope - 5
    assert window.tool_box.shadow.points["left"] == pytest.approx(points["left"], abs=2)
    assert (driver.screen() != before).any()

    QTest.mouseDClick(panel.rows["direction"].slider, Qt.MouseButton.LeftButton)
    assert driver.active.shadow is not None
    assert driver.active.shadow.direction == pytest.approx(automatic.direction, abs=1)

    window.tool_box.choose("move")
    here = flatten(window.session.document).pixels.astype(int)
    driver.key(Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    there = flatten(window.session.document).pixels.astype(int)
    shade = [plain.astype(int)[150:, 100:220] - image[150:, 100:220] for image in (here, there)]
    assert np.abs(shade[0] - shade[1]).max() > 5  # it follows

    while window.session.history.undo_name:
        window.session.undo()
    np.testing.assert_array_equal(flatten(window.session.document).pixels[0], plain[0])
    assert not window.all_actions["remove-shadow"].isEnabled()


def test_shadow_that_is_estimated_while_the_image_is_turned_turns_with_it(
    driver: WindowDriver, background: Path, cut_out: Path
) -> None:
    driver.open(background, cut_out)
    window = driver.window
    window.shadows.cast()
    driver.settle()
    automatic = driver.active.shadow
    assert automatic is not None
    window.session.undo()
    window.shadows.cast()
    window.all_actions["turn-right"].trigger()
    driver.settle()
    assert driver.active.shadow == automatic.turned(1)
