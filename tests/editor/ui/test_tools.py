# SPDX-License-Identifier: GPL-3.0-or-later
"""Canvas tools, driven by mouse and key events."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QLabel

from s2am_editor.cutout.subject import Proposal
from s2am_editor.document import commands
from s2am_editor.document.frame import Frame
from s2am_editor.document.model import Document, Layer
from s2am_editor.document.raster import TiledMask
from s2am_editor.render.export import flatten
from s2am_editor.window.tools.tool_options import MoveOptions
from s2am_engine.image.io import save_image
from tests.editor.ui.conftest import disc
from tests.editor.ui.driver import WindowDriver

SHIFT, CONTROL, ALT = (
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.AltModifier,
)


@pytest.fixture
def placed(driver: WindowDriver, background: Path, tmp_path: Path) -> WindowDriver:
    """A disc of 120 × 100 in the middle of 320 × 240; a faint glow reaches the corners of its frame."""
    image = disc(120, 100)
    assert image.alpha is not None
    save_image(tmp_path / "disc.png", dataclasses.replace(image, alpha=np.maximum(image.alpha, 3)))
    driver.open(background, tmp_path / "disc.png")
    return driver


@pytest.fixture
def cut(placed: WindowDriver) -> WindowDriver:
    """The disc, of which the mask shows 40 × 30 pixels, from (120, 90) on the canvas."""
    values = np.zeros((100, 120), np.uint8)
    values[20:50, 20:60] = 255
    placed.window.session.do(commands.set_mask(placed.active.id, TiledMask.from_array(values)))
    return placed


def frame(driver: WindowDriver) -> Frame:
    return Frame.of(driver.active)


def test_frame_of_a_cut_out_is_the_subjects(cut: WindowDriver) -> None:
    assert frame(cut) == Frame(140, 105, 40, 30)
    cut.drag((160, 120), (180, 135), CONTROL)  # its lower right corner
    assert (frame(cut).width, frame(cut).height) == pytest.approx((60, 45), abs=1)
    assert frame(cut).point((-1, -1)) == pytest.approx((120, 90))
    before = cut.active.transform
    cut.drag((200, 160), (230, 190))  # the invisible part of the layer does not catch the mouse
    assert cut.active.transform == before


def test_flip_of_a_cut_out_leaves_it_in_place(cut: WindowDriver) -> None:
    cut.window.all_actions["flip-horizontal"].trigger()
    assert cut.active.transform.flip_x
    assert frame(cut) == Frame(140, 105, 40, 30)


def test_numbers_of_the_options_bar_show_and_change_the_frame(cut: WindowDriver) -> None:
    options = cut.window.tool_box.options.currentWidget()
    assert isinstance(options, MoveOptions)
    fields = options.fields
    shown = {name: field.value() for name, field in fields.items()}
    assert shown == {"x": 140, "y": 105, "width": 40, "height": 30, "rotation": 0}

    def enter(name: str, text: str) -> None:
        fields[name].setFocus()
        fields[name].selectAll()
        cut.type_text(fields[name], text)
        QTest.keyClick(fields[name], Qt.Key.Key_Return)

    enter("width", "80")
    assert (frame(cut).width, frame(cut).height) == pytest.approx((80, 60))
    options.linked.setChecked(False)
    enter("height", "30")
    assert frame(cut).height == pytest.approx(30)
    assert frame(cut).width == pytest.approx(80)
    enter("x", "100")
    enter("rotation", "90")
    assert (frame(cut).x, frame(cut).y, frame(cut).rotation) == pytest.approx((100, 105, 90))
    assert cut.window.session.history.names[-4:] == ["Scale", "Scale", "Move", "Rotate"]
    cut.key(Qt.Key.Key_Right)
    assert fields["x"].value() == 101


def test_pivot_is_moved_with_alt_and_fixes_its_point(cut: WindowDriver) -> None:
    cut.drag((140, 105), (120, 90), ALT)  # to the upper left corner, to which it snaps
    tool = cut.window.tool_box.move_tool
    assert list(tool.pivot) == [-1, -1]
    cut.key(Qt.Key.Key_Period, SHIFT)
    assert frame(cut).rotation == pytest.approx(15)
    assert frame(cut).point((-1, -1)) == pytest.approx((120, 90))
    cut.window.session.select(cut.window.session.document.layers[0].id)
    assert list(tool.pivot) == [0, 0]  # of another layer


def test_frame_is_drawn_wherever_it_lies(placed: WindowDriver) -> None:
    placed.window.canvas.grab()
    clean = placed.screen()
    placed.window.session.do(
        commands.set_transform(placed.active.id, dataclasses.replace(placed.active.transform, y=-30.0))
    )
    moved = placed.screen()
    top = placed.window.canvas.viewport.top
    assert not np.array_equal(clean[: top - 30], moved[: top - 30])  # handles above the image
    placed.window.session.undo()
    assert np.array_equal(placed.screen(), clean)  # and no ghost of them


def test_move_tool_corner_scales_proportionally(placed: WindowDriver) -> None:
    placed.drag((220, 170), (280, 220))
    transform = placed.active.transform
    assert transform.scale_x == pytest.approx(1.5, abs=0.02)
    assert transform.scale_x == pytest.approx(transform.scale_y)
    assert placed.active.transform.corners(placed.active.size)[0] == pytest.approx((100, 70), abs=0.6)


def test_move_tool_side_scales_about_center_with_alt(placed: WindowDriver) -> None:
    placed.drag((220, 120), (250, 120), ALT)
    transform = placed.active.transform
    assert transform.scale_x == pytest.approx(1.5, abs=0.02)
    assert transform.scale_y == 1
    assert transform.x == pytest.approx(160)


def test_move_tool_knob_rotates_in_steps_with_shift(placed: WindowDriver) -> None:
    knob = placed.place(160, 70) - QPoint(0, 26)
    placed.drag_on_view(knob, placed.place(160 + 200 * math.sin(0.8), 120 - 200 * math.cos(0.8)), SHIFT)
    assert placed.active.transform.rotation == pytest.approx(45)
    placed.window.all_actions["undo"].trigger()
    assert placed.active.transform.rotation == 0


def test_move_tool_snaps_unless_control_is_held(placed: WindowDriver) -> None:
    placed.drag((160, 120), (190, 150), CONTROL)
    placed.drag((190, 150), (163, 122))
    assert (placed.active.transform.x, placed.active.transform.y) == (160, 120)
    placed.drag((160, 120), (163, 122), CONTROL)
    assert (placed.active.transform.x, placed.active.transform.y) == (163, 122)


def test_move_tool_keys_move_scale_and_rotate(placed: WindowDriver) -> None:
    placed.key(Qt.Key.Key_Right)
    placed.key(Qt.Key.Key_Down, SHIFT)
    assert (placed.active.transform.x, placed.active.transform.y) == (161, 130)
    placed.key(Qt.Key.Key_Plus, SHIFT)
    assert placed.active.transform.scale_x == pytest.approx(1.1)
    placed.key(Qt.Key.Key_Period)
    assert placed.active.transform.rotation == pytest.approx(1)
    placed.window.all_actions["flip-horizontal"].trigger()
    assert placed.active.transform.flip_x
    assert placed.window.session.history.undo_name == "Flip horizontally"


def test_move_tool_click_selects_layer_and_spares_locked_background(placed: WindowDriver) -> None:
    placed.drag((10, 10), (60, 60))  # beside the layer: the locked background is not selected
    assert placed.active.name == "disc"
    placed.window.session.select(placed.window.session.document.layers[0].id)
    placed.drag((10, 10), (60, 60))
    assert placed.active.transform.x == 160
    QTest.mouseClick(placed.window.canvas, Qt.MouseButton.LeftButton, pos=placed.place(160, 120))
    assert placed.active.name == "disc"


def test_click_beside_the_layer_leaves_harmonize_enabled(placed: WindowDriver) -> None:
    button = placed.window.sidebar.harmonize.button
    assert button.isEnabled()
    QTest.mouseClick(placed.window.canvas, Qt.MouseButton.LeftButton, pos=placed.place(10, 10))
    assert placed.active.name == "disc"
    assert button.isEnabled()


def test_brush_and_eraser_paint_mask_in_one_undo_step(placed: WindowDriver) -> None:
    window = placed.window
    window.tool_box.choose("eraser")
    window.tool_box.eraser.set_size(20)
    placed.drag((130, 120), (190, 120))
    mask = placed.active.mask
    assert mask is not None
    values = mask.to_array()
    assert values[50, 35:85].max() == 0
    assert values[10, 60] == 255
    assert window.session.history.names[-1] == "Eraser"
    steps = window.session.history.position
    window.tool_box.choose("brush")
    window.tool_box.brush.set_size(20)
    placed.drag((130, 120), (190, 120))
    assert placed.active.mask is not None
    assert placed.active.mask.to_array()[50, 35:85].min() == 255
    assert window.session.history.position == steps + 1
    shown = placed.screen()
    assert shown.shape[2] == 3


def test_eraser_refuses_locked_layer(placed: WindowDriver) -> None:
    placed.window.session.select(placed.window.session.document.layers[0].id)
    placed.window.tool_box.choose("eraser")
    placed.drag((20, 20), (60, 60))
    assert placed.active.mask is None
    assert "locked" in placed.window.banner.text


def test_scribble_tool_puts_subject_on_new_layer(placed: WindowDriver, tmp_path: Path) -> None:
    window = placed.window
    window.files.export(tmp_path / "flat.png")
    placed.settle()
    window.session.close()
    placed.open(tmp_path / "flat.png")
    window.tool_box.choose("scribble")
    placed.drag((130, 120), (190, 125))
    placed.settle()
    assert [layer.name for layer in window.session.document.layers] == ["flat", "Subject"]
    mask = placed.active.mask
    assert mask is not None
    found = mask.to_array() > 127
    y, x = np.mgrid[0:240, 0:320]
    expected = np.hypot((x - 160) / 50.4, (y - 120) / 42) < 1.05
    assert (found & expected).sum() / (found | expected).sum() > 0.9
    assert window.sidebar.harmonize.button.isEnabled()


def test_harmonize_refuses_unpainted_reference_area(placed: WindowDriver) -> None:
    window = placed.window
    window.sidebar.harmonize.choose_area()
    window.harmonize()
    assert "No reference area is painted yet" in window.banner.text
    assert window.session.active is not None
    assert window.session.active.harmonization is None
    window.variant_commands.show_first()
    assert not window.harmonizing.busy


def test_reference_brush_area_is_used_as_reference(placed: WindowDriver) -> None:
    window = placed.window
    plain = placed.screen()
    window.tool_box.choose("reference")
    placed.drag((20, 20), (80, 20))
    assert window.session.document.area is not None
    assert window.sidebar.harmonize.reference.kind == "area"
    assert not np.array_equal(placed.screen(), plain)  # it is tinted
    placed.harmonize()
    harmonization = placed.active.harmonization
    assert harmonization is not None
    assert harmonization.reference.area is window.session.document.area


@pytest.mark.parametrize(
    ("confidence", "said"), [(0.7, "probably pasted (confidence 70%)"), (0.3, "Possibly nothing was pasted")]
)
def test_detected_region_is_shown_before_it_is_accepted(
    placed: WindowDriver, monkeypatch: pytest.MonkeyPatch, confidence: float, said: str
) -> None:
    window = placed.window
    window.session.select(window.session.document.layers[0].id)
    values = np.zeros((240, 320), np.uint8)
    values[60:180, 90:230] = 255

    def find(*_: object) -> Proposal:
        return Proposal(TiledMask.from_array(values), confidence)

    monkeypatch.setattr("s2am_editor.cutout.subject.LazyDetector.detect", find)
    before: Document = window.session.document
    plain = placed.screen()
    window.all_actions["detect"].trigger()
    placed.settle()
    assert window.session.document is before
    assert window.tool_box.options.page == "proposal"
    assert any(said in label.text() for label in window.tool_box.proposal_page.findChildren(QLabel))
    assert not np.array_equal(placed.screen(), plain)
    QTest.mouseClick(window.tool_box.proposal_page.accept_button, Qt.MouseButton.LeftButton)
    placed.settle()
    assert window.tool_box.options.page == "move"
    assert placed.active.mask is not None
    assert placed.active.mask.to_array().mean() == values.mean()


def test_curve_editor_delete_key_removes_point_not_layer(placed: WindowDriver) -> None:
    placed.harmonize()
    editor = placed.window.sidebar.curves.editor
    layers = len(placed.window.session.document.layers)
    QTest.mouseClick(editor, Qt.MouseButton.LeftButton, pos=QPoint(editor.width() // 2, editor.height() // 3))
    added = list(editor.points)
    editor.setFocus()
    QTest.keyClick(editor, Qt.Key.Key_Delete)
    assert (len(added), len(editor.points)) == (3, 2)
    assert len(placed.window.session.document.layers) == layers


def test_curve_editor_bends_and_resets_curve(placed: WindowDriver) -> None:
    placed.harmonize()
    panel = placed.window.sidebar.curves
    editor = panel.editor
    middle = QPoint(editor.width() // 2, editor.height() // 2)
    QTest.mousePress(editor, Qt.MouseButton.LeftButton, pos=middle)
    QTest.mouseMove(editor, middle - QPoint(0, 30))
    QTest.mouseRelease(editor, Qt.MouseButton.LeftButton, pos=middle - QPoint(0, 30))
    harmonization = placed.active.harmonization
    assert harmonization is not None
    assert harmonization.curves is not None
    panel.reset()
    harmonization = placed.active.harmonization
    assert harmonization is not None
    assert harmonization.curves is None


def test_curve_keeps_its_points_when_another_layer_is_selected_and_after_reopening(
    placed: WindowDriver, tmp_path: Path
) -> None:
    placed.harmonize()
    window = placed.window
    editor = window.sidebar.curves.editor
    QTest.mouseClick(editor, Qt.MouseButton.LeftButton, pos=QPoint(editor.width() // 2, editor.height() // 3))
    drawn = editor.points
    layers = window.session.document.layers
    window.session.select(layers[0].id)
    assert editor.points != drawn
    window.session.select(layers[1].id)
    assert editor.points == drawn
    window.session.undo()
    assert editor.points != drawn
    window.session.redo()
    assert editor.points == drawn
    window.files._save(tmp_path / "work.ora", lambda: None)
    placed.settle()
    window.session.close()
    placed.open(tmp_path / "work.ora")
    assert editor.points == drawn


@pytest.mark.parametrize(("action", "turns"), [("turn-right", -1), ("turn-left", 1)])
def test_image_is_rotated_with_all_layers(placed: WindowDriver, action: str, turns: int) -> None:
    window = placed.window
    before = flatten(window.session.document).pixels
    window.all_actions[action].trigger()
    placed.settle()
    np.testing.assert_array_equal(flatten(window.session.document).pixels, np.rot90(before, turns))
    assert (window.canvas.viewport.width, window.canvas.viewport.height) == before.shape[:2]
    window.all_actions["undo"].trigger()
    placed.settle()
    np.testing.assert_array_equal(flatten(window.session.document).pixels, before)


def test_crop_tool_crops_the_canvas_and_keeps_layers_in_place(placed: WindowDriver) -> None:
    window = placed.window
    placed.harmonize()
    before = flatten(window.session.document).pixels
    window.tool_box.choose("crop")
    placed.drag((60, 40), (260, 200))
    placed.settle()
    document = window.session.document
    assert (document.width, document.height) == pytest.approx((200, 160), abs=1)
    left, top = (round(160 - placed.active.transform.x), round(120 - placed.active.transform.y))
    part = before[top : top + document.height, left : left + document.width]
    assert np.array_equal(flatten(document).pixels, part)
    assert "Moved" not in window.sidebar.harmonize.state.text()
    window.session.undo()
    assert window.session.document.width == 320
    assert np.array_equal(flatten(window.session.document).pixels, before)


def test_copied_layer_is_pasted_in_place_in_another_document(
    cut: WindowDriver, background: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = cut.window
    copied = Frame.of(cut.active)
    window.all_actions["copy-layer"].trigger()
    cut.settle()
    window.session.close()
    cut.open(background)
    window.all_actions["paste-in-place"].trigger()
    cut.settle()
    assert Frame.of(cut.active) == copied
    assert cut.active.size == (40, 30)
    window.all_actions["paste"].trigger()
    cut.settle()
    assert Frame.of(cut.active).x == 160


def test_cut_layer_is_deleted_once_it_is_on_the_clipboard_and_a_locked_one_stays(cut: WindowDriver) -> None:
    window = cut.window
    lowest, layer = window.session.document.layers

    def layers() -> list[Layer]:
        return list(window.session.document.layers)

    window.activateWindow()
    cut.key(Qt.Key.Key_X, CONTROL)
    cut.settle()
    assert layers() == [lowest]
    window.all_actions["paste-in-place"].trigger()
    cut.settle()
    assert Frame.of(cut.active) == Frame.of(layer)
    window.session.undo()
    window.session.undo()
    assert layers() == [lowest, layer]
    window.session.select(lowest.id)
    window.all_actions["cut-layer"].trigger()
    cut.settle()
    assert layers() == [lowest, layer]
    assert "locked" in window.banner.text


def test_histogram_shows_the_visible_tones_and_follows_sliders(placed: WindowDriver) -> None:
    panel = placed.window.sidebar.curves
    placed.harmonize()
    before = panel.editor._histogram
    assert before is not None
    assert before.shape == (3, 64)
    assert before.max() == 1
    tones = (before * np.arange(64)).sum(axis=1) / before.sum(axis=1)
    placed.window.session.do(commands.set_sliders(placed.active.id, brightness=0.5))
    after = panel.editor._histogram
    assert after is not None
    assert ((after * np.arange(64)).sum(axis=1) / after.sum(axis=1) > tones).all()


@pytest.fixture
def several(placed: WindowDriver) -> WindowDriver:
    """A background, two discs, and both of them selected in the list of layers; the upper one is active."""
    window = placed.window
    window.all_actions["duplicate"].trigger()
    transform = dataclasses.replace(placed.active.transform, x=60.0, y=60.0)
    window.session.do(commands.set_transform(placed.active.id, transform))
    view = window.sidebar.layers.view
    rows = [view.visualRect(window.sidebar.layers.model.index(row)).center() for row in (1, 0)]
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=rows[0])
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, CONTROL, rows[1])
    assert [layer.name for layer in window.session.selected] == ["disc copy", "disc"]
    return placed


def places(driver: WindowDriver) -> list[tuple[float, float]]:
    return [(layer.transform.x, layer.transform.y) for layer in driver.window.session.document.layers[1:]]


def test_selected_layers_move_together_in_one_undo_step(several: WindowDriver) -> None:
    before = places(several)
    several.drag((160, 120), (170, 135), CONTROL)  # on the disc that is selected, but not active
    assert places(several) == [(x + 10, y + 15) for x, y in before]
    several.key(Qt.Key.Key_Left)
    assert places(several) == [(x + 9, y + 15) for x, y in before]
    several.window.session.undo()
    several.window.session.undo()
    assert places(several) == before


def test_selected_layers_are_hidden_and_deleted_together(several: WindowDriver) -> None:
    session = several.window.session
    several.window.all_actions["hide"].trigger()
    assert [layer.visible for layer in session.document.layers] == [True, False, False]
    session.undo()
    several.window.all_actions["delete"].trigger()
    assert [layer.name for layer in session.document.layers] == ["background"]
    session.undo()
    assert len(session.document.layers) == 3


def test_click_on_another_layer_ends_the_selection(several: WindowDriver) -> None:
    session = several.window.session
    session.select(session.document.layers[1].id)
    assert [layer.name for layer in session.selected] == ["disc"]


def test_delete_of_a_selection_with_a_locked_layer_deletes_nothing(several: WindowDriver) -> None:
    window = several.window
    view = window.sidebar.layers.view
    place = view.visualRect(window.sidebar.layers.model.index(2)).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, CONTROL, place)
    window.all_actions["delete"].trigger()
    assert len(window.session.document.layers) == 3
    assert "locked" in window.banner.text
