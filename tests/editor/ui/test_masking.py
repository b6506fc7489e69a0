# SPDX-License-Identifier: GPL-3.0-or-later
"""Box, scribbles and brush work on the same mask, which the canvas shows in several ways."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QToolButton

from s2am_editor.cutout.masks import Combination
from s2am_editor.document import commands
from s2am_editor.document.raster import Raster, TiledMask
from s2am_editor.window.canvas.document_view import MaskView
from s2am_editor.window.dialogs.refine_edges import RefineEdgesDialog
from s2am_editor.window.tools import cut_out
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import save_image
from s2am_engine.image.mask_reading import read_mask
from s2am_engine.image.masks import save_mask
from tests.editor.ui.conftest import studio
from tests.editor.ui.driver import WindowDriver

SHIFT, ALT = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.AltModifier


@pytest.fixture
def boxed(driver: WindowDriver, background: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WindowDriver:
    """An opaque layer of 120 × 100 at (100, 70); the box tool cuts out exactly its box."""

    def box_only(raster: object, *, box: tuple[int, int, int, int] | None = None, **_: object) -> TiledMask:
        assert box is not None
        left, top, right, bottom = box
        values = np.zeros((100, 120), np.uint8)
        values[top:bottom, left:right] = 255
        return TiledMask.from_array(values)

    monkeypatch.setattr(cut_out, "grab_cut", box_only)
    save_image(tmp_path / "studio.png", studio(120, 100))
    driver.open(background, tmp_path / "studio.png")
    driver.window.tool_box.choose("box")
    return driver


def mask(driver: WindowDriver) -> NDArray[np.bool_]:
    found = driver.active.mask
    assert found is not None
    return found.to_array() > 127


def test_boxes_add_to_subtract_from_and_intersect_with_the_mask(boxed: WindowDriver) -> None:
    for start, end, keys, expected in (
        ((110, 80), (150, 120), Qt.KeyboardModifier.NoModifier, 40 * 40),
        ((150, 80), (190, 120), SHIFT, 80 * 40),
        ((110, 80), (130, 120), ALT, 60 * 40),
        ((120, 80), (160, 100), SHIFT | ALT, 30 * 20),
    ):
        boxed.drag(start, end, keys)
        boxed.settle()
        assert mask(boxed).sum() == pytest.approx(expected, rel=0.08)
    assert boxed.window.session.history.names[-4:] == ["Cut out"] * 4
    boxed.window.session.undo()
    assert mask(boxed).sum() == pytest.approx(60 * 40, rel=0.08)


def test_combination_is_chosen_by_button_for_box_and_scribbles(boxed: WindowDriver) -> None:
    boxed.drag((110, 80), (150, 120))
    boxed.settle()
    page = boxed.window.tool_box.options.currentWidget()
    assert page is not None
    add = next(one for one in page.findChildren(QToolButton) if one.toolTip().startswith("Add"))
    QTest.mouseClick(add, Qt.MouseButton.LeftButton)
    boxed.drag((150, 80), (190, 120))
    boxed.settle()
    assert mask(boxed).sum() == pytest.approx(80 * 40, rel=0.08)


def test_scribbles_add_to_what_box_and_eraser_have_made(boxed: WindowDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    window = boxed.window
    boxed.drag((110, 80), (150, 120))
    boxed.settle()
    window.tool_box.choose("eraser")
    window.tool_box.eraser.set_size(10)
    boxed.drag((120, 90), (120, 110))
    erased = mask(boxed)
    monkeypatch.setattr(cut_out, "grab_cut", lambda raster, *, foreground, **_: foreground)
    window.tool_box.choose("scribble")
    window.tool_box.scribbling.combination = Combination.ADD
    boxed.drag((170, 150), (200, 150))
    boxed.settle()
    boxed.drag((170, 160), (200, 160))  # both strokes are added to the same mask
    boxed.settle()
    after = mask(boxed)
    assert after[erased].all()
    assert not after[25:35, 19:21].any()  # still erased
    assert after[80, 75:95].all()
    assert after[90, 75:95].all()


def test_each_scribble_is_undone_and_redone_by_itself(boxed: WindowDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    window, scribble, undo = boxed.window, boxed.window.tool_box.scribble, boxed.window.all_actions["undo"]
    given: list[int] = []

    def drawn(raster: object, *, foreground: TiledMask, background: TiledMask, **_: object) -> TiledMask:
        given.append(len(scribble.strokes))
        marked = foreground.to_array()
        marked[background.to_array() > 0] = 0
        return TiledMask.from_array(marked)

    monkeypatch.setattr(cut_out, "grab_cut", drawn)
    window.tool_box.choose("scribble")
    steps = window.session.history.position
    boxed.drag((110, 85), (150, 85), ALT)  # on the background only: there is nothing to segment yet
    assert "Scribble" in undo.text()
    undo.trigger()
    assert scribble.strokes == []
    assert window.session.history.position == steps
    masks = []
    for y in (100, 120, 140):
        boxed.drag((120, y), (200, y))
        boxed.settle()
        masks.append(boxed.active.mask)
    assert given == [1, 2, 3]
    for count in (2, 1):
        undo.trigger()
        assert len(scribble.subject) == count
        assert boxed.active.mask is masks[count - 1]
    boxed.drag((140, 110), (160, 130), ALT)  # continues from the first stroke, not from the three
    boxed.settle()
    assert given[-1] == 2
    undo.trigger()
    undo.trigger()
    assert scribble.strokes == []
    assert boxed.active.mask is None
    window.all_actions["redo"].trigger()
    assert len(scribble.strokes) == 1
    assert boxed.active.mask is masks[0]

    window.tool_box.choose("eraser")  # another change of the mask: a new scribble must not take it back
    boxed.drag((120, 100), (150, 100))
    window.tool_box.choose("scribble")
    erased = boxed.active.mask
    boxed.drag((120, 150), (200, 150))
    assert scribble.strokes[0].points[0] != (120, 100)
    boxed.settle()
    undo.trigger()
    assert boxed.active.mask is erased


def test_stroke_whose_result_is_not_ready_is_undone_first(boxed: WindowDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    window, scribble = boxed.window, boxed.window.tool_box.scribble
    released = threading.Event()

    def slow(raster: object, *, foreground: TiledMask, progress: Callable[[float], None], **_: object) -> TiledMask:
        released.wait(10)
        progress(0.5)  # raises if the job was canceled
        return foreground

    monkeypatch.setattr(cut_out, "grab_cut", slow)
    window.tool_box.choose("scribble")
    steps = window.session.history.position
    boxed.drag((120, 100), (200, 100))
    boxed.drag((120, 130), (200, 130))
    window.all_actions["undo"].trigger()
    assert len(scribble.strokes) == 1
    released.set()
    boxed.settle()
    assert window.session.history.position == steps + 1
    assert not mask(boxed)[55:65].any()  # the second stroke is not part of the mask
    assert mask(boxed)[30].any()


def test_scribbles_belong_to_the_layer_on_which_they_were_drawn(
    boxed: WindowDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = boxed.window
    given: list[TiledMask] = []

    def keep(raster: object, *, foreground: TiledMask, **_: object) -> TiledMask:
        given.append(foreground)
        return foreground

    monkeypatch.setattr(cut_out, "grab_cut", keep)
    window.tool_box.choose("scribble")
    boxed.drag((120, 100), (150, 100))
    boxed.settle()
    window.session.select(window.session.document.layers[0].id)
    assert window.tool_box.scribble.subject == []
    boxed.drag((20, 20), (60, 20))
    boxed.settle()
    assert boxed.active.name == "Subject"
    assert given[-1].box().right <= 70  # only the new stroke
    boxed.drag((20, 40), (60, 40))  # on the new layer: the strokes have moved to it
    boxed.settle()
    assert len(window.tool_box.scribble.subject) == 2
    assert len(window.session.document.layers) == 3


def test_cut_out_shows_its_outline(boxed: WindowDriver) -> None:
    plain = boxed.screen()
    boxed.window.session.do(commands.set_mask(boxed.active.id, TiledMask(120, 100, 255)))
    full = boxed.screen()
    assert not np.array_equal(full, plain)  # although the image is the same
    boxed.window.tool_box.choose("hand")
    assert np.abs(boxed.screen().astype(int) - plain).max() <= 1


def test_box_and_brush_are_drawn_while_they_are_used(boxed: WindowDriver) -> None:
    canvas = boxed.window.canvas
    plain = boxed.screen()
    start, end = boxed.place(110, 80), boxed.place(160, 120)
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=start)
    boxed._move_held(end, Qt.KeyboardModifier.NoModifier)
    assert not np.array_equal(boxed.screen(), plain)
    boxed.key(Qt.Key.Key_Escape)
    boxed.window.tool_box.choose("brush")
    QTest.mouseMove(canvas, end)
    boxed._move_held(end, Qt.KeyboardModifier.NoModifier)
    assert not np.array_equal(boxed.screen(), plain)


def test_mask_views_show_the_cutout(boxed: WindowDriver) -> None:
    window = boxed.window
    boxed.drag((110, 80), (170, 140))
    boxed.settle()
    window.tool_box.choose("hand")
    window.status.hint.show_hint("")
    view = window.canvas.viewport

    def color(x: float, y: float) -> list[int]:
        left, top = (round(part) for part in view.to_view(x, y))
        return [int(value) for value in boxed.screen()[top, left]]

    inside, outside = (140, 110), (250, 200)
    composite = color(*inside), color(*outside)
    window.all_actions["mask-mask"].trigger()
    assert (color(*inside), color(*outside)) == ([255] * 3, [0] * 3)
    window.all_actions["mask-black"].trigger()
    assert (color(*inside), color(*outside)) == (composite[0], [0] * 3)
    window.all_actions["mask-white"].trigger()
    assert (color(*inside), color(*outside)) == (composite[0], [255] * 3)
    window.all_actions["mask-overlay"].trigger()
    assert color(*inside) == composite[0]
    assert color(*outside)[0] > composite[1][0] + 50
    window.all_actions["mask-next"].trigger()
    assert window.view.mask_view is MaskView.MASK
    window.session.undo()  # the views follow the document
    assert color(*outside) == [0] * 3
    window.all_actions["mask-composite"].trigger()
    assert color(*outside) == composite[1]


def test_invert_mask_shows_what_was_hidden(boxed: WindowDriver) -> None:
    boxed.drag((110, 80), (150, 120))
    boxed.settle()
    before = mask(boxed)
    boxed.window.all_actions["invert-mask"].trigger()
    assert np.array_equal(mask(boxed), ~before)
    assert boxed.window.session.history.undo_name == "Invert mask"


def test_mask_is_saved_and_loaded(boxed: WindowDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    window = boxed.window
    boxed.drag((110, 80), (150, 120))
    boxed.settle()
    before, path = mask(boxed), tmp_path / "saved.png"
    monkeypatch.setattr("PyQt6.QtWidgets.QFileDialog.getSaveFileName", lambda *_: (str(path), ""))
    window.all_actions["save-mask"].trigger()
    boxed.wait(path.exists)
    boxed.settle()
    assert np.array_equal(read_mask(path) > 127, before)
    save_mask(path, 255 - read_mask(path))
    monkeypatch.setattr("PyQt6.QtWidgets.QFileDialog.getOpenFileNames", lambda *_: ([str(path)], ""))
    window.all_actions["load-mask"].trigger()
    boxed.wait(lambda: np.array_equal(mask(boxed), ~before))
    assert window.session.history.undo_name == "Load mask"
    assert "marks most of the image's border as foreground" in window.banner.text
    assert "Layer > Invert mask" in window.banner.text
    save_mask(path, np.zeros((10, 10), np.uint8))
    document = window.session.document
    window.all_actions["load-mask"].trigger()
    boxed.wait(lambda: "saved.png has 10×10 pixels" in window.banner.text)
    assert window.session.document is document


def test_entries_of_a_loaded_mask_are_asked_for(
    boxed: WindowDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.zeros((100, 120), np.uint8)
    labels[:50] = np.arange(120) // 40
    save_mask(tmp_path / "labels.png", labels)
    asked: list[str] = []

    def answer(parent: object, title: str, question: str) -> tuple[str, bool]:
        asked.append(question)
        return ("7" if len(asked) == 1 else "1, 2"), True

    monkeypatch.setattr("PyQt6.QtWidgets.QInputDialog.getText", answer)
    monkeypatch.setattr("PyQt6.QtWidgets.QFileDialog.getOpenFileNames", lambda *_: ([str(tmp_path / "labels.png")], ""))
    boxed.window.all_actions["load-mask"].trigger()
    boxed.wait(lambda: boxed.active.mask is not None)
    assert np.array_equal(mask(boxed), labels > 0)
    assert "does not tell foreground from background, with labels 0" in asked[0]
    assert "has no label 7" in asked[1]
    assert len(asked) == 2


@pytest.fixture
def refining(boxed: WindowDriver) -> RefineEdgesDialog:
    """The dialog on the edges of a box."""
    boxed.drag((120, 85), (180, 145))
    boxed.settle()
    boxed.window.all_actions["refine"].trigger()
    return boxed.window.findChildren(RefineEdgesDialog)[-1]


def test_refine_edges_previews_and_applies_in_one_step(boxed: WindowDriver, refining: RefineEdgesDialog) -> None:
    before, plain = boxed.window.session.document, boxed.screen()
    size = mask(boxed).sum()
    refining.rows["grow"].number.setValue(8)
    boxed.wait(lambda: refining.is_current)
    assert boxed.window.session.document is before
    assert not np.array_equal(boxed.screen(), plain)
    refining.rows["feather"].number.setValue(6)
    QTest.mouseClick(refining.apply_button, Qt.MouseButton.LeftButton)  # before the preview is computed
    boxed.wait(lambda: boxed.window.session.document is not before)
    assert boxed.window.session.history.undo_name == "Refine edges"
    assert mask(boxed).sum() > size + 4 * 60 * 6
    boxed.window.session.undo()
    assert boxed.window.session.document.layers == before.layers


def test_refine_edges_canceled_changes_nothing(boxed: WindowDriver, refining: RefineEdgesDialog) -> None:
    before, plain = boxed.window.session.document, boxed.screen()
    refining.rows["grow"].number.setValue(-8)
    boxed.wait(lambda: refining.is_current)
    QTest.keyClick(refining, Qt.Key.Key_Escape)
    assert boxed.window.session.document is before
    assert np.array_equal(boxed.screen(), plain)


def test_refine_edges_refuses_an_opaque_and_a_locked_layer(boxed: WindowDriver) -> None:
    boxed.window.all_actions["refine"].trigger()
    assert "no transparency" in boxed.window.banner.text
    assert boxed.window.findChildren(RefineEdgesDialog) == []


def test_later_segmentation_cancels_the_one_that_is_running(
    boxed: WindowDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick: Callable[..., TiledMask] = vars(cut_out)["grab_cut"]
    began, release = threading.Event(), threading.Event()

    def slow(raster: Raster, **given: Any) -> TiledMask:
        began.set()
        assert release.wait(60)
        return quick(raster, **given)

    monkeypatch.setattr(cut_out, "grab_cut", slow)
    boxed.drag((110, 80), (210, 160))
    boxed.wait(began.is_set)
    monkeypatch.setattr(cut_out, "grab_cut", quick)
    boxed.drag((110, 80), (150, 120))
    boxed.wait(lambda: boxed.active.mask is not None)
    release.set()
    boxed.settle()
    assert mask(boxed).sum() == pytest.approx(40 * 40, rel=0.08)
    assert boxed.window.session.history.names.count("Cut out") == 1


def test_subject_is_selected_without_marks(driver: WindowDriver, tmp_path: Path) -> None:
    photograph = tmp_path / "astronaut.png"
    save_image(photograph, ImageData(skimage.data.astronaut()))
    driver.open(photograph)
    driver.key(Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier)
    driver.wait(lambda: len(driver.window.session.document.layers) == 2)
    mask = driver.active.mask
    assert mask is not None
    values = mask.to_array()
    assert values[200, 220] > 200  # the astronaut's face
    assert values[20, 20] < 50  # the flag
    driver.window.session.undo()
    assert len(driver.window.session.document.layers) == 1

    plain = tmp_path / "plain.png"
    save_image(plain, ImageData(np.full((200, 300, 3), 120, np.uint8)))
    driver.open(plain)
    before = driver.window.session.document
    driver.window.cutting.select_subject()
    driver.settle()
    assert driver.window.session.document is before
    assert "no clear subject: mark it with the box or scribble tool" in driver.window.banner.text
