# SPDX-License-Identifier: GPL-3.0-or-later
"""Adjustment of the whole image in a real window: by sliders and curves, undone, saved and exported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest

from s2am_common.sliders import IMAGE_SLIDERS
from s2am_editor.document import commands
from s2am_editor.document.model import Document, ImageAdjustment
from s2am_editor.render.blend import exact_shadows
from s2am_editor.render.cast_shadow import ScaledShadow
from s2am_editor.render.export import flatten
from s2am_editor.render.harmonize_layer import prepare_input
from s2am_editor.render.renderer import RenderSession
from s2am_editor.window import messages
from s2am_engine.color.adjustments import Sliders, adjust
from s2am_engine.color.apply import apply_color_map
from s2am_engine.color.map import IDENTITY
from s2am_engine.image.io import load_image
from s2am_engine.shadow.settings import Shadow
from tests.editor.ui.driver import WindowDriver


def adjustment(driver: WindowDriver) -> ImageAdjustment | None:
    return driver.window.session.document.adjustment


def test_whole_image_is_adjusted_undone_saved_and_exported(
    driver: WindowDriver, background: Path, cut_out: Path, tmp_path: Path, save_to: Callable[[Path], None]
) -> None:
    driver.open(background, cut_out)
    window, session = driver.window, driver.window.session
    panel, editor = window.sidebar.adjust, window.sidebar.curves.editor
    plain, layers = flatten(session.document).pixels, session.document.layers
    before_screen = driver.screen()
    assert not panel.rows["warmth"].isEnabled()  # the layer is not harmonized

    window.all_actions["adjust-image"].trigger()
    assert [name for name, row in panel.rows.items() if row.isVisible()] == list(IMAGE_SLIDERS)
    slider = panel.rows["warmth"].slider
    QTest.mouseClick(slider, Qt.MouseButton.LeftButton, pos=QPoint(round(slider.width() * 0.75), 10))
    warmer = adjustment(driver)
    assert warmer is not None
    warm = warmer.sliders.warmth
    assert 0.3 < warm < 0.7
    panel.rows["contrast"].number.setValue(30)
    adjusted = flatten(session.document).pixels
    wanted = apply_color_map(adjust(IDENTITY, Sliders(warmth=warm, contrast=0.3)), plain)
    np.testing.assert_array_equal(adjusted, wanted)
    tile = RenderSession(session.document).tile(session.document.rect, 1.0)
    assert np.abs(tile[..., 2::-1].astype(int) - adjusted).max() <= 1
    assert (driver.screen() != before_screen).any()
    unadjusted = RenderSession(session.document).tile(session.document.rect, 1.0, harmonized=False)
    assert np.abs(unadjusted[..., 2::-1].astype(int) - plain).max() <= 1

    QTest.mouseClick(editor, Qt.MouseButton.LeftButton, pos=QPoint(editor.width() // 2, editor.height() // 4))
    bent = adjustment(driver)
    assert bent is not None
    assert bent.curves is not None
    assert session.history.names[-3:] == ["Adjust image"] * 3
    assert session.document.layers == layers
    model_input = prepare_input(session.document, session.document.layers[1].id)
    np.testing.assert_array_equal(model_input.image.pixels, plain)  # below the adjustment, as the layer itself

    curved, project, image = flatten(session.document).pixels, tmp_path / "graded.ora", tmp_path / "graded.png"
    window.files.export(image)
    save_to(project)
    window.all_actions["save"].trigger()
    driver.settle()
    np.testing.assert_array_equal(load_image(image).pixels, curved)
    for _ in range(3):
        session.undo()
    assert adjustment(driver) is None
    np.testing.assert_array_equal(flatten(session.document).pixels, plain)
    session.redo()
    session.close()

    driver.open(project)
    assert not window.sidebar.target.whole_image
    reopened = adjustment(driver)
    assert reopened is not None
    assert reopened.curves == bent.curves
    np.testing.assert_array_equal(flatten(session.document).pixels, curved)
    window.all_actions["adjust-image"].trigger()
    window.sidebar.curves.reset()
    window.all_actions["reset-sliders"].trigger()
    assert adjustment(driver) is None
    driver.harmonize()
    QTest.mouseClick(panel.targets.button(0), Qt.MouseButton.LeftButton)
    panel.rows["warmth"].number.setValue(20)
    assert driver.active.harmonization is not None
    assert driver.active.harmonization.sliders.warmth == 0.2
    assert adjustment(driver) is None


def test_values_under_the_pointer_are_those_of_the_export(
    driver: WindowDriver, background: Path, cut_out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With shadow and adjustment; the shadow is rendered once, not for each movement."""
    rendered: list[Document] = []

    def count_and_render(document: Document) -> dict[int, ScaledShadow]:
        rendered.append(document)
        return exact_shadows(document)

    monkeypatch.setattr(messages, "exact_shadows", count_and_render)
    driver.open(background, cut_out)
    window, session = driver.window, driver.window.session
    session.do(commands.set_shadow(driver.active.id, Shadow(length=1.0, opacity=1.0, contact=1.0)))
    session.do(commands.set_image_adjustment(ImageAdjustment(sliders=Sliders(warmth=0.6))))
    driver.settle()
    expected = flatten(session.document).pixels
    for x, y in ((20, 20), (160, 120), (150, 172), (210, 150)):
        window.canvas.hovered.emit((x + 0.5, y + 0.5))
        place, values = window.status.pointer.text().split("   ·   ")
        assert place == f"{x}, {y}"
        assert np.abs(np.array(values.split(), int) - expected[y, x]).max() <= 1  # single pixels round differently
    assert len(rendered) == 1
    window.canvas.hovered.emit((-3.0, 5.0))
    assert window.status.pointer.text() == ""
