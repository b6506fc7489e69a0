# SPDX-License-Identifier: GPL-3.0-or-later
"""Color schemes, accessible names and icons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor, QPalette
from PyQt6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QHeaderView,
    QLineEdit,
    QProgressBar,
    QScrollBar,
    QSlider,
    QWidget,
)
from pytestqt.qtbot import QtBot

from s2am_editor.window.dialogs.batch import BatchDialog
from s2am_editor.window.dialogs.canvas_size import CanvasSizeDialog
from s2am_editor.window.dialogs.fine_tune import FineTuneDialog
from s2am_editor.window.dialogs.standard_dialogs import ExportDialog
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.theme import DARK, ICON_FOLDER, LIGHT, Appearance, Colors, Theme, icon
from s2am_editor.window.widgets.basic import ElidedHint
from tests.editor.ui.driver import WindowDriver

INPUTS = (QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QProgressBar, QSlider)


def luminance(color: str) -> float:
    parts = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in QColor(color).getRgbF()[:3]
    ]
    return float(np.dot(parts, (0.2126, 0.7152, 0.0722)))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_colors_have_readable_contrast(colors: Colors) -> None:
    for behind in (colors.window, colors.panel, colors.base, colors.raised, colors.accent_soft, colors.warning):
        assert contrast(colors.text, behind) >= 7
    for behind in (colors.window, colors.panel, colors.base):
        assert contrast(colors.muted, behind) >= 4.5
    for behind in (colors.accent, colors.accent_hover):
        assert contrast(colors.on_accent, behind) >= 4.5
    assert contrast(colors.text, colors.success) >= 7
    for behind in (colors.panel, colors.base, colors.window):
        assert contrast(colors.field_border, behind) >= 3
    for behind in (colors.accent, colors.panel, colors.window):  # the ring around a focused primary button
        assert contrast(colors.text, behind) >= 3


def test_theme_switches_in_an_open_window(driver: WindowDriver, background: Path, theme: Theme) -> None:
    driver.open(background)
    light = driver.screen()
    theme.choose(Appearance.DARK)
    assert QApplication.palette().color(QPalette.ColorRole.Window).lightness() < 60
    dark = driver.screen()
    theme.choose(Appearance.LIGHT)
    assert dark[3, 3].mean() < light[3, 3].mean()


def test_controls_have_accessible_names(driver: WindowDriver, background: Path, cut_out: Path) -> None:
    driver.open(background, cut_out)
    for kind in (QAbstractButton, QComboBox, QSlider):
        for widget in driver.window.findChildren(kind):
            if widget.isVisibleTo(driver.window) and not widget.objectName().startswith("qt_"):
                text = widget.text() if isinstance(widget, QAbstractButton) else ""
                assert widget.accessibleName() or text or widget.toolTip(), widget


def test_inputs_of_dialogs_have_accessible_names_of_their_own(
    driver: WindowDriver, background: Path, cut_out: Path, settings: EditorSettings, qtbot: QtBot
) -> None:
    driver.open(background, cut_out)
    window = driver.window
    dialogs = (
        BatchDialog(settings, window),
        FineTuneDialog(settings, window),
        ExportDialog(window.session, settings, window),
        CanvasSizeDialog(window.session.document, window),
    )
    for dialog in dialogs:
        qtbot.addWidget(dialog)
        dialog.show()
        names = []
        for widget in dialog.findChildren(QWidget):
            inside = widget.objectName().startswith("qt_") or isinstance(widget, QScrollBar | QHeaderView)
            if isinstance(widget, INPUTS) and widget.isVisible() and not inside:
                text = widget.text() if isinstance(widget, QAbstractButton) else ""
                assert widget.accessibleName() or text, widget
                names.append((type(widget), widget.accessibleName() or text))
        assert len(names) == len(set(names)) > 3


def test_icon_of_a_message_follows_the_theme(driver: WindowDriver, theme: Theme) -> None:
    banner = driver.window.banner
    banner.show_note("A note.")
    light = banner.grab().toImage()
    theme.choose(Appearance.DARK)
    switched = banner.grab().toImage()
    banner.show_note("A note.")
    fresh = banner.grab().toImage()
    theme.choose(Appearance.LIGHT)
    assert switched != light
    assert switched == fresh


@pytest.mark.parametrize("name", sorted(path.stem for path in ICON_FOLDER.glob("*.svg")))
def test_icon_files_render(name: str, theme: Theme) -> None:
    image = icon(name).pixmap(24, 24).toImage()
    assert any(image.pixelColor(x, y).alpha() > 0 for x in range(24) for y in range(24))


def test_layer_list_names_the_states_of_a_layer(driver: WindowDriver, background: Path, cut_out: Path) -> None:
    driver.open(background, cut_out)
    driver.harmonize()
    driver.window.all_actions["hide"].trigger()
    model = driver.window.sidebar.layers.model
    texts = [model.index(row).data(Qt.ItemDataRole.AccessibleTextRole) for row in (0, 1)]
    assert texts == ["disc, hidden, harmonized", "background, locked"]


def test_hints_are_shortened_at_a_letter_or_left_out(qtbot: QtBot) -> None:
    text = "Scribble on the subject; with Alt or the right button on its background."
    label = ElidedHint(text)
    qtbot.addWidget(label)
    label.show()
    label.resize(1000, 20)
    assert label.text() == text
    label.resize(200, 20)
    assert label.text().endswith("…")
    assert text.startswith(label.text()[:-1])
    label.resize(40, 20)
    assert label.text() == ""
    assert label.toolTip() == text
