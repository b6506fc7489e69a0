# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of a panel or form are aligned, in English and German."""

from __future__ import annotations

import pytest
from PyQt6.QtWidgets import QFormLayout, QLayout
from pytestqt.qtbot import QtBot

from s2am_editor.window.dialogs.fine_tune import FineTuneDialog
from s2am_editor.window.dialogs.refine_edges import RefineEdgesDialog
from s2am_editor.window.dialogs.standard_dialogs import ExportDialog
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.panels.sidebar import LAYOUT_TIME
from s2am_editor.window.theme import Theme
from s2am_editor.window.widgets.sliders import SliderRow
from tests.editor.ui.driver import WindowDriver


@pytest.fixture
def harmonized(driver: WindowDriver, background: object, cut_out: object) -> WindowDriver:
    driver.open(background, cut_out)  # type: ignore[arg-type]
    driver.harmonize()
    return driver


def test_sliders_of_a_panel_begin_at_the_same_place(harmonized: WindowDriver) -> None:
    window = harmonized.window
    for section in window.sidebar.sections.values():
        section.set_open(True)
    window.shadows.cast()
    window.finishing.match()
    harmonized.settle()
    sidebar = window.sidebar
    for panel in (sidebar.adjust, sidebar.finish, sidebar.shadow):
        shown = [row for row in panel.rows.values() if row.isVisible()]
        assert len(shown) > 3
        assert len({row.slider.x() for row in shown}) == 1
        assert len({row.slider.width() for row in shown}) == 1


def test_sliders_that_appear_are_scrolled_into_view(harmonized: WindowDriver, qtbot: QtBot) -> None:
    window = harmonized.window
    window.resize(1264, 672)
    sidebar = window.sidebar
    sidebar.sections["finish"].set_open(True)
    window.finishing.match()
    harmonized.settle()
    qtbot.waitUntil(lambda: not sidebar.finish.rows["light_wrap"].visibleRegion().isEmpty())
    window.shadows.cast()
    harmonized.settle()
    qtbot.waitUntil(lambda: not sidebar.shadow.rows["slope"].visibleRegion().isEmpty())
    heading = sidebar.sections["harmonize"]
    heading.set_open(False)
    qtbot.wait(2 * LAYOUT_TIME)
    assert heading.visibleRegion().isEmpty()
    heading.set_open(True)
    qtbot.waitUntil(lambda: not heading.visibleRegion().isEmpty())


def form_in(layout: QLayout | None) -> QFormLayout:
    assert layout is not None
    items = [layout.itemAt(index) for index in range(layout.count())]
    found = [item.layout() for item in items if item and isinstance(item.layout(), QFormLayout)]
    assert isinstance(found[0], QFormLayout)
    return found[0]


def test_labels_of_forms_are_centered_on_their_fields(
    harmonized: WindowDriver, qtbot: QtBot, theme: Theme, settings: EditorSettings
) -> None:
    window = harmonized.window
    export, tune = ExportDialog(window.session, settings, window), FineTuneDialog(settings, window)
    for dialog, layout in ((export, export.layout()), (tune, tune.choice.layout())):
        qtbot.addWidget(dialog)
        dialog.show()
        qtbot.waitExposed(dialog)
        form = form_in(layout)
        for row in range(form.rowCount()):
            label, field = (
                form.itemAt(row, role) for role in (QFormLayout.ItemRole.LabelRole, QFormLayout.ItemRole.FieldRole)
            )
            assert label is not None
            assert field is not None
            assert abs(label.geometry().center().y() - field.geometry().center().y()) <= 1


def test_refined_edges_are_aligned(harmonized: WindowDriver) -> None:
    window = harmonized.window
    window.all_actions["refine"].trigger()
    dialog = window.findChildren(RefineEdgesDialog)[-1]
    harmonized.settle()
    rows = dialog.findChildren(SliderRow)
    assert len(rows) > 3
    assert len({row.slider.x() for row in rows}) == 1
    dialog.close()


def test_fine_tuning_dialog_is_as_large_as_its_page_needs(qtbot: QtBot, theme: Theme, settings: EditorSettings) -> None:
    dialog = FineTuneDialog(settings)
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitExposed(dialog)
    choosing = dialog.height()
    assert choosing < 400
    dialog.pages.setCurrentWidget(dialog.progress)
    assert dialog.height() > choosing + 150
