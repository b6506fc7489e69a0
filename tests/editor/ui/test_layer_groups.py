# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups in the layers panel of a real window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QMimeData, QPoint, QPointF, Qt
from PyQt6.QtGui import QDropEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QAbstractItemView

from s2am_editor.document.blend_mode import BlendMode
from s2am_editor.files.document_io import open_document
from s2am_editor.render.export import flatten
from s2am_editor.window.main_window import MainWindow
from s2am_editor.window.panels.layer_list import EYE_WIDTH, ROW_ROLE, LayerView
from s2am_editor.window.panels.layers_panel import PASS_THROUGH
from tests.editor.ui.driver import WindowDriver

Position = QAbstractItemView.DropIndicatorPosition


class DropOnList(QDropEvent):
    """A drop of rows that were dragged within the list."""

    def __init__(self, view: LayerView, row: int) -> None:
        self._view, self._data = view, QMimeData()
        place = view.visualRect(view.model().index(row, 0)).center()  # type: ignore[union-attr]
        super().__init__(
            *(QPointF(place), Qt.DropAction.MoveAction, self._data),
            *(Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier),
        )

    def source(self) -> LayerView:
        return self._view


def rows(window: MainWindow) -> list[str]:
    """Return the rows of the list, each indented by a space for every group that contains it."""
    model = window.sidebar.layers.model
    found = [model.index(row) for row in range(model.rowCount())]
    return [" " * index.data(ROW_ROLE).depth + str(index.data()) for index in found]


def click_row(window: MainWindow, row: int, x: int = 150, *, ctrl: bool = False) -> None:
    view = window.sidebar.layers.view
    place = QPoint(x, view.visualRect(view.model().index(row, 0)).center().y())  # type: ignore[union-attr]
    keys = Qt.KeyboardModifier.ControlModifier if ctrl else Qt.KeyboardModifier.NoModifier
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, keys, place)


@pytest.fixture
def three_layers(driver: WindowDriver, background: Path, cut_out: Path) -> MainWindow:
    driver.open(background)
    driver.drop(cut_out, at=(100, 100))
    driver.drop(cut_out, at=(220, 120))
    return driver.window


def test_group_collapse_hide_drag_merge_undo_and_save(
    three_layers: MainWindow, driver: WindowDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, view = three_layers, three_layers.sidebar.layers.view
    before = driver.screen()
    click_row(window, 0)
    click_row(window, 1, ctrl=True)
    driver.key(Qt.Key.Key_G, Qt.KeyboardModifier.ControlModifier)
    assert rows(window) == ["Group", " disc", " disc", "background"]
    np.testing.assert_array_equal(driver.screen()[:, :40], before[:, :40])
    group = window.session.active_group
    assert group is not None
    assert window.session.active is None
    assert not window.all_actions["harmonize"].isEnabled()

    click_row(window, 0, EYE_WIDTH + 10)  # the triangle
    assert rows(window) == ["Group", "background"]
    click_row(window, 0, EYE_WIDTH + 10)
    shown = flatten(window.session.document).pixels
    click_row(window, 0, 12)  # the eye
    hidden = flatten(window.session.document).pixels
    np.testing.assert_array_equal(hidden, open_document(tmp_path / "background.png").document.layers[0].raster.pixels)
    window.session.undo()

    box = window.sidebar.layers.blend_modes
    assert box.currentData() == PASS_THROUGH
    box.setCurrentIndex(box.findData(BlendMode.MULTIPLY))
    box.activated.emit(box.currentIndex())
    multiplied = flatten(window.session.document).pixels
    assert (multiplied != shown).any()

    places = [layer.transform.x for layer in window.session.document.layers]
    driver.drag((100, 100), (130, 100))  # with the move tool, all layers of the group move
    moved = [layer.transform.x for layer in window.session.document.layers]
    assert moved[0] == places[0]
    assert moved[1] - places[1] == moved[2] - places[2] > 20
    window.session.undo()

    click_row(window, 1)
    monkeypatch.setattr(view, "dropIndicatorPosition", lambda: Position.AboveItem)
    view.dropEvent(DropOnList(view, 0))
    assert rows(window) == ["disc", "Group", " disc", "background"]
    assert window.sidebar.layers.blend_modes.findData(PASS_THROUGH) < 0  # a layer is active now
    monkeypatch.setattr(view, "dropIndicatorPosition", lambda: Position.OnItem)
    view.dropEvent(DropOnList(view, 1))
    assert rows(window) == ["Group", " disc", " disc", "background"]
    np.testing.assert_array_equal(flatten(window.session.document).pixels, multiplied)

    window.session.path = tmp_path / "work.ora"
    window.files.save()
    driver.settle()
    again = open_document(tmp_path / "work.ora").document
    assert [one.blend_mode for one in again.groups] == [BlendMode.MULTIPLY]
    np.testing.assert_array_equal(flatten(again).pixels, multiplied)

    click_row(window, 0)
    window.all_actions["merge"].trigger()
    driver.settle()
    assert rows(window) == ["Group", "background"]
    assert np.abs(flatten(window.session.document).pixels.astype(int) - multiplied).max() <= 1
    window.session.undo()
    click_row(window, 0)
    driver.key(Qt.Key.Key_G, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert rows(window) == ["disc", "disc", "background"]
