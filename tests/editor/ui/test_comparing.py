# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparing before and after: divider, side by side, variants, and what the panel says about a harmonized layer."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QEnterEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from s2am_editor.document import commands
from s2am_editor.document.basis import Outdated
from s2am_editor.document.frame import Frame
from s2am_editor.document.model import Document
from s2am_editor.document.out_of_date import finish_outdated, harmonization_outdated
from s2am_editor.document.raster import Raster, TiledMask
from s2am_editor.files.document_io import open_document, save_project
from s2am_editor.render.export import flatten
from s2am_editor.window.canvas.canvas import Compare
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import save_image
from s2am_engine.image.rect import Rect
from tests.editor.ui.driver import WindowDriver


@pytest.fixture
def harmonized(driver: WindowDriver, background: Path, cut_out: Path) -> WindowDriver:
    """A harmonized disc at the left of its background."""
    driver.open(background, cut_out)
    for _ in range(9):
        driver.key(Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    driver.harmonize()
    return driver


def test_divider_starts_through_the_subject(harmonized: WindowDriver) -> None:
    window = harmonized.window
    window.all_actions["split"].trigger()
    middle = harmonized.place(Frame.of(harmonized.active).x, 0).x()
    assert window.canvas.split * window.canvas.width() == pytest.approx(middle, abs=2)
    assert middle < window.canvas.width() * 0.45
    window.all_actions["split"].trigger()
    assert window.canvas.compare is Compare.AFTER


def test_side_by_side_shows_before_and_after_at_the_same_place(harmonized: WindowDriver) -> None:
    window = harmonized.window
    window.tool_box.choose("hand")
    window.all_actions["side-by-side"].trigger()
    shown = harmonized.screen()
    view = window.canvas.viewport
    half = view.view_width
    assert half == pytest.approx(window.canvas.width() / 2, abs=1)
    x, y = (round(part) for part in view.to_view(*Frame.of(harmonized.active).point((0, 0))))
    assert not np.array_equal(shown[y, x], shown[y, x + half])  # the subject
    x, y = (round(part) for part in view.to_view(300, 20))
    assert np.array_equal(shown[y, x], shown[y, x + half])  # the background
    assert shown[-5, half - 2 : half].max() > 230  # the line between the two, on the gray surround
    assert shown[-5, 2 * half - 2 : 2 * half].max() < 230  # and none at the edge of the window
    place = QPointF(x + half, y)
    assert window.canvas.in_view(place) == QPointF(x, y)  # the mouse works in both
    assert window.all_actions["side-by-side"].isChecked()
    window.all_actions["split"].trigger()
    assert view.view_width == window.canvas.width()
    assert not window.all_actions["side-by-side"].isChecked()


def test_transform_frame_is_hidden_while_comparing(harmonized: WindowDriver) -> None:
    window = harmonized.window
    window.all_actions["split"].trigger()
    with_frame = harmonized.screen()
    window.tool_box.choose("hand")
    assert np.array_equal(harmonized.screen(), with_frame)


def test_variants_are_marked_previewed_and_continued(harmonized: WindowDriver) -> None:
    window = harmonized.window
    window.all_actions["variants"].trigger()
    harmonized.wait(lambda: not window.harmonizing.busy)
    cards = window.variants.cards
    assert [card.accessibleName() for card in cards] == ["Recommended", "Gentle", "Alternative 1"]
    before = window.session.document
    plain = harmonized.screen()
    enter = QEnterEvent(QPointF(5, 5), QPointF(5, 5), QPointF(5, 5))
    QApplication.sendEvent(cards[1], enter)
    assert not np.array_equal(harmonized.screen(), plain)
    assert window.session.document is before
    QApplication.sendEvent(cards[1], QEvent(QEvent.Type.Leave))
    assert np.array_equal(harmonized.screen(), plain)
    QTest.mouseClick(cards[1], Qt.MouseButton.LeftButton, pos=QPoint(20, 20))
    assert [card.property("chosen") for card in cards] == [False, True, False]
    window.session.undo()
    assert not any(card.property("chosen") for card in cards)
    QTest.mouseClick(window.variants.more_button, Qt.MouseButton.LeftButton)
    harmonized.wait(lambda: not window.harmonizing.busy)
    assert len(window.variants.cards) > 5
    assert not window.variants.more_button.isVisible()


def test_panel_hints_at_a_layer_that_was_moved_after_harmonizing(harmonized: WindowDriver) -> None:
    panel = harmonized.window.sidebar.harmonize
    assert "Moved" not in panel.state.text()
    harmonized.key(Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert "Moved since" in panel.state.text()
    harmonized.window.session.undo()
    assert "Moved" not in panel.state.text()


def test_panels_hint_at_a_changed_background_or_cutout(harmonized: WindowDriver, tmp_path: Path) -> None:
    """Both results, in the window and in a reopened project; undo takes the hint away."""
    session, sidebar = harmonized.window.session, harmonized.window.sidebar
    QTest.mouseClick(sidebar.finish.start_button, Qt.MouseButton.LeftButton)
    harmonized.settle()
    lowest, top = session.document.layers
    session.do(commands.set_locked(lowest.id, False))

    def hints() -> tuple[str, str]:
        return sidebar.harmonize.state.text(), sidebar.finish.note.text()

    def since(document: Document) -> list[tuple[Outdated, ...]]:
        layer = document.layers[-1]
        return [harmonization_outdated(document, layer), finish_outdated(document, layer)]

    assert not any("since" in hint for hint in hints())
    mask = TiledMask(*top.size, 255).replaced(0, 0, np.zeros((9, 9), np.uint8))
    recolored = Raster(255 - lowest.raster.pixels)
    for command, reason, word in (
        (commands.set_mask(top.id, mask, "Erase"), Outdated.CUTOUT, "cutout changed since"),
        (commands.set_opacity(lowest.id, 0.5), Outdated.BACKGROUND, "background changed since"),
        (commands.set_raster(lowest.id, recolored, "Heal"), Outdated.BACKGROUND, "background changed since"),
    ):
        assert session.do(command)
        assert all(word in hint for hint in hints())
        assert since(session.document) == [(reason,), (reason,)]
        save_project(tmp_path / "outdated.ora", session.document)
        assert since(open_document(tmp_path / "outdated.ora").document) == [(reason,), (reason,)]
        session.undo()
        assert not any("since" in hint for hint in hints())
    save_project(tmp_path / "current.ora", session.document)
    assert since(open_document(tmp_path / "current.ora").document) == [(), ()]


def test_panels_hint_at_nothing_while_the_layer_keeps_its_place_on_the_background(
    harmonized: WindowDriver, tmp_path: Path
) -> None:
    session, sidebar = harmonized.window.session, harmonized.window.sidebar
    QTest.mouseClick(sidebar.finish.start_button, Qt.MouseButton.LeftButton)
    harmonized.settle()
    lowest, top = session.document.layers
    session.do(commands.set_locked(lowest.id, False))
    session.do(commands.set_finish(top.id, top.finish and top.finish.replace(light_wrap=0.8)))
    before = flatten(session.document).pixels

    def hints() -> list[str]:
        return [hint for hint in (sidebar.harmonize.state.text(), sidebar.finish.note.text()) if "since" in hint]

    session.do(commands.set_canvas(Rect(5, 7, 300, 230), "Crop"))
    assert hints() == []
    assert np.array_equal(flatten(session.document).pixels, before[7:230, 5:300])
    session.do(commands.set_canvas(Rect(-40, -30, 320, 240), "Canvas size"))
    assert hints() == []
    together = [commands.set_transform(each.id, each.transform.moved(-11, 6)) for each in session.document.layers]
    session.do(commands.chain("Move", together))
    assert hints() == []
    save_project(tmp_path / "moved.ora", session.document)
    reopened = open_document(tmp_path / "moved.ora").document
    assert [harmonization_outdated(reopened, layer) for layer in reopened.layers] == [(), ()]
    session.do(commands.set_transform(lowest.id, session.document.layers[0].transform.moved(1, 0)))
    assert len(hints()) == 2
    session.undo()
    assert hints() == []


@pytest.mark.parametrize(("model", "confident"), [("concord", True), ("reinhard", False)])
def test_panel_gives_no_confidence_of_a_formula(
    driver: WindowDriver, background: Path, cut_out: Path, model: str, confident: bool
) -> None:
    driver.open(background, cut_out)
    panel = driver.window.sidebar.harmonize
    panel.models.setCurrentIndex(panel.models.findData(model))
    driver.harmonize()
    assert model in panel.state.text()
    assert ("confidence" in panel.state.text()) is confident


def test_photographs_are_matched_named_saved_and_removed(
    harmonized: WindowDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, panel = harmonized, harmonized.window.sidebar.harmonize
    alone = flatten(driver.window.session.document).pixels
    paths = [tmp_path / f"sunset {number}.png" for number in (1, 2)]
    for seed, path in enumerate(paths):
        pixels = np.random.default_rng(seed).integers(0, 60, (80, 120, 3)) + np.array([190, 90, 20])
        save_image(path, ImageData(pixels.astype(np.uint8)))
    monkeypatch.setattr("PyQt6.QtWidgets.QFileDialog.getOpenFileNames", lambda *_: ([str(path) for path in paths], ""))
    QTest.mouseClick(panel.photographs_button, Qt.MouseButton.LeftButton)
    assert panel.photographs_button.text() == "2 photographs"
    driver.harmonize()
    matched = flatten(driver.window.session.document).pixels
    changed = matched[..., 0] != alone[..., 0]
    warmth = [(image[..., 0].astype(float) - image[..., 2])[changed].mean() for image in (alone, matched)]
    assert warmth[1] > warmth[0] + 5
    assert "matched to 2 photographs" in panel.state.text()

    save_project(tmp_path / "work.ora", driver.window.session.document)
    found = open_document(tmp_path / "work.ora").document.layers[1].harmonization
    assert found is not None
    assert found.reference.photographs == tuple(paths)

    QTest.mouseClick(panel.no_photographs, Qt.MouseButton.LeftButton)
    driver.harmonize()
    np.testing.assert_array_equal(flatten(driver.window.session.document).pixels, alone)


def test_a_reopened_project_is_harmonized_again_with_the_same_settings(
    harmonized: WindowDriver, tmp_path: Path
) -> None:
    driver, panel = harmonized, harmonized.window.sidebar.harmonize
    photograph = tmp_path / "sunset.png"
    save_image(photograph, ImageData(np.full((80, 120, 3), (200, 100, 30), np.uint8)))
    default = panel.model
    background = driver.window.session.document.layers[0].id
    panel.set_photographs([photograph])
    panel.models.setCurrentIndex(panel.models.findData("concord"))
    panel.references.setCurrentIndex(panel.references.findData(background))
    driver.harmonize()
    shown = flatten(driver.window.session.document).pixels
    save_project(tmp_path / "work.ora", driver.window.session.document)

    driver.window.session.open(Document.from_image(ImageData(np.zeros((40, 60, 3), np.uint8)), "Black"), "Black")
    assert (panel.photographs, panel.references.currentData()) == ((), "beneath")
    panel.models.setCurrentIndex(panel.models.findData(default))
    driver.window.session.open(open_document(tmp_path / "work.ora").document, "work")
    assert panel.model == "concord"
    assert panel.photographs == (photograph,)
    assert panel.references.currentData() == driver.window.session.document.layers[0].id
    driver.harmonize()
    np.testing.assert_array_equal(flatten(driver.window.session.document).pixels, shown)


def test_panel_says_where_the_background_lacks_the_look_of_fine_tuning(harmonized: WindowDriver) -> None:
    panel, layer = harmonized.window.sidebar.harmonize, harmonized.active
    assert layer.harmonization is not None
    assert "look" not in panel.state.text()
    for likeness, expected in ((0.2, "counts 80%"), (0.0, "was used"), (0.9, "")):
        found = dataclasses.replace(layer.harmonization, model="film", likeness=likeness)
        harmonized.window.session.do(commands.set_harmonization(layer.id, found))
        assert expected in panel.state.text()
        assert ("The background does not have the look" in panel.state.text()) == bool(expected)
