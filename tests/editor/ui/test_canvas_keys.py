# SPDX-License-Identifier: GPL-3.0-or-later
"""Canvas keys and gestures work wherever the focus is; the wheel and stray clicks change no value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PyQt6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PyQt6.QtGui import QContextMenuEvent, QDropEvent, QWheelEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QMenu,
    QSlider,
    QWidget,
)

from s2am_editor.window.dialogs.batch import BatchDialog
from s2am_editor.window.dialogs.fine_tune import FineTuneDialog
from s2am_editor.window.dialogs.standard_dialogs import ExportDialog
from s2am_editor.window.main_window import MainWindow
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import save_image
from tests.editor.ui.conftest import disc
from tests.editor.ui.driver import WindowDriver

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def placed(driver: WindowDriver, background: Path, cut_out: Path) -> WindowDriver:
    """A disc on a background; the window is active, as its keys depend on the focus."""
    driver.open(background, cut_out)
    driver.window.activateWindow()
    driver.wait(driver.window.isActiveWindow)
    return driver


def press_in_window(driver: WindowDriver, key: Qt.Key) -> None:
    """Press a key as the system does: the window gives it to the widget that has the focus."""
    QTest.keyClick(driver.window.windowHandle(), key)


CLICKED: dict[str, Callable[[MainWindow], QWidget | None]] = {
    "a button": lambda window: window.sidebar.harmonize.variants_button,
    "a disabled slider": lambda window: window.sidebar.adjust.rows["warmth"].slider,
    "a slider": lambda window: window.sidebar.layers.opacity.slider,
    "the layer list": lambda window: window.sidebar.layers.view.viewport(),
    "a section": lambda window: window.sidebar.sections["curves"].heading,
    "the welcome page's last focus": lambda window: None,
}


@pytest.mark.parametrize("name", CLICKED)
def test_canvas_keys_work_after_a_click_on(name: str, placed: WindowDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    window = placed.window
    monkeypatch.setattr(window.harmonizing, "try_variants", lambda *_, **__: None)
    control = CLICKED[name](window)
    if control is not None:
        QTest.mouseClick(control, LEFT, pos=QPoint(12, 8))
    window.session.select(window.session.document.layers[1].id)
    x = placed.active.transform.x
    press_in_window(placed, Qt.Key.Key_Right)
    assert placed.active.transform.x == x + 1
    window.tool_box.choose("brush")
    size = window.tool_box.brush.size
    press_in_window(placed, Qt.Key.Key_BracketRight)
    assert window.tool_box.brush.size > size
    window.tool_box.choose("move")
    window.canvas.zoom_to(3.0)
    left, x = window.canvas.viewport.left, placed.active.transform.x
    QTest.keyPress(window.windowHandle(), Qt.Key.Key_Space)
    placed.drag_on_view(QPoint(200, 200), QPoint(170, 200))
    QTest.keyRelease(window.windowHandle(), Qt.Key.Key_Space)
    assert window.canvas.viewport.left == left - 30
    assert placed.active.transform.x == x


def test_control_reached_with_tab_keeps_its_keys(placed: WindowDriver) -> None:
    slider = placed.window.sidebar.layers.opacity.slider
    slider.setFocus(Qt.FocusReason.TabFocusReason)
    x = placed.active.transform.x
    press_in_window(placed, Qt.Key.Key_Left)
    assert placed.active.opacity == pytest.approx(0.99)
    assert placed.active.transform.x == x


def test_return_in_a_number_field_gives_the_keyboard_to_the_canvas(placed: WindowDriver) -> None:
    number = placed.window.sidebar.layers.opacity.number
    QTest.mouseClick(number, LEFT)
    assert number.hasFocus()
    number.selectAll()
    placed.type_text(number, "40")
    QTest.keyClick(number, Qt.Key.Key_Return)
    assert placed.active.opacity == pytest.approx(0.4)
    assert placed.window.canvas.hasFocus()


def test_typed_number_counts_when_a_menu_entry_is_chosen(placed: WindowDriver) -> None:
    number = placed.window.sidebar.layers.opacity.number
    QTest.mouseClick(number, LEFT)
    number.selectAll()
    placed.type_text(number, "40")
    placed.window.all_actions["duplicate"].trigger()
    assert placed.active.opacity == pytest.approx(0.4)


def turn_wheel(widget: QWidget) -> None:
    center = QPointF(widget.rect().center())
    event = QWheelEvent(
        center,
        QPointF(widget.mapToGlobal(center.toPoint())),
        QPoint(),
        QPoint(0, -360),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)


def values_of(root: QWidget) -> list[object]:
    found: list[object] = [box.currentIndex() for box in root.findChildren(QComboBox)]
    return found + [field.text() for field in root.findChildren(QAbstractSpinBox)]


def test_wheel_changes_no_value_that_was_not_clicked_into(placed: WindowDriver) -> None:
    window = placed.window
    placed.harmonize()
    window.canvas.setFocus()
    dialogs: list[QDialog] = [
        ExportDialog(window.session, window.settings, window),
        BatchDialog(window.settings, window),
        FineTuneDialog(window.settings, window),
    ]
    for root in (window, *dialogs):
        before = values_of(root)
        for kind in (QComboBox, QAbstractSpinBox, QSlider):
            for widget in root.findChildren(kind):
                turn_wheel(widget)
        assert values_of(root) == before
    for dialog in dialogs:
        dialog.close()


@pytest.mark.parametrize(
    ("key", "action"),
    [
        (Qt.Key.Key_Equal, "zoom-in"),
        (Qt.Key.Key_Plus, "zoom-in"),
        (Qt.Key.Key_Minus, "zoom-out"),
        (Qt.Key.Key_Y, "redo"),
        (Qt.Key.Key_T, "tool-move"),
    ],
)
def test_usual_keys_trigger_their_actions(placed: WindowDriver, key: Qt.Key, action: str) -> None:
    triggered: list[str] = []
    placed.window.all_actions[action].setEnabled(True)
    placed.window.all_actions[action].triggered.connect(lambda: triggered.append(action))
    QTest.keyClick(placed.window.windowHandle(), key, Qt.KeyboardModifier.ControlModifier)
    assert triggered == [action]


def shown_menu() -> QMenu:
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    return menu


def entries(menu: QMenu) -> set[str]:
    return {action.text().replace("&", "") for action in menu.actions()}


def test_right_click_on_canvas_offers_the_layers_there(placed: WindowDriver) -> None:
    QTest.mouseClick(placed.window.canvas, Qt.MouseButton.RightButton, pos=placed.place(160, 120))
    menu = shown_menu()
    assert {"Select layer", "Duplicate", "Delete", "Harmonize", "Paste"} <= entries(menu)
    select = next(action.menu() for action in menu.actions() if action.menu())
    assert select is not None
    assert [action.text() for action in select.actions()] == ["disc", "background"]
    select.actions()[1].trigger()
    assert placed.active.name == "background"
    menu.close()


def test_right_click_on_a_layer_selects_it_and_offers_its_commands(placed: WindowDriver) -> None:
    view = placed.window.sidebar.layers.view
    place = view.visualRect(placed.window.sidebar.layers.model.index(1)).center()
    viewport = view.viewport()
    assert viewport is not None
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, place, viewport.mapToGlobal(place))
    QApplication.sendEvent(viewport, event)
    menu = shown_menu()
    assert placed.active.name == "background"
    assert {"Duplicate", "Delete", "Locked"} <= entries(menu)
    menu.close()


def test_drop_of_several_files_takes_the_opaque_one_as_background(
    driver: WindowDriver, background: Path, tmp_path: Path
) -> None:
    first = tmp_path / "a-cutout.png"
    save_image(first, disc(60, 50))
    driver.drop(first, background)
    assert [layer.name for layer in driver.window.session.document.layers] == ["background", "a-cutout"]


def test_drop_is_always_a_copy(driver: WindowDriver, background: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(background))])
    possible = Qt.DropAction.MoveAction | Qt.DropAction.CopyAction
    event = QDropEvent(QPointF(50, 50), possible, data, LEFT, Qt.KeyboardModifier.ShiftModifier, QEvent.Type.Drop)
    event.setDropAction(Qt.DropAction.MoveAction)
    driver.window.dropEvent(event)
    driver.settle()
    assert event.dropAction() is Qt.DropAction.CopyAction


def test_delete_keeps_a_locked_layer(placed: WindowDriver) -> None:
    window = placed.window
    window.session.select(window.session.document.layers[0].id)
    window.all_actions["delete"].trigger()
    window.all_actions["flip-horizontal"].trigger()
    assert len(window.session.document.layers) == 2
    assert not placed.active.transform.flip_x
    assert "locked" in window.banner.text


def test_reference_returns_to_the_layers_below_with_the_area_and_the_document(
    placed: WindowDriver, tmp_path: Path
) -> None:
    window = placed.window

    def kind() -> str:
        return window.sidebar.harmonize.reference.kind

    window.tool_box.choose("reference")
    assert kind() == "beneath"  # nothing is painted yet
    placed.drag((20, 20), (80, 20))
    assert kind() == "area"
    window.session.undo()
    assert kind() == "beneath"
    placed.drag((20, 20), (80, 20))
    other = tmp_path / "other.png"
    save_image(other, ImageData(disc(60, 50).pixels))
    window.session.mark_saved(window.session.document)
    window.files.open(other)
    placed.settle()
    assert kind() == "beneath"
