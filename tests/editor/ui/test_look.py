# SPDX-License-Identifier: GPL-3.0-or-later
"""Light and dark, names for those who do not see, keys that do not collide, texts that can be translated."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtGui import QColor, QKeySequence, QPalette
from PyQt6.QtWidgets import QAbstractButton, QApplication, QComboBox, QSlider

from s2am_editor.window.actions import ACTIONS, MENUS, TOOLBAR
from s2am_editor.window.main_window import MainWindow
from s2am_editor.window.theme import DARK, ICON_FOLDER, LIGHT, Appearance, Colors, Theme, icon
from s2am_editor.window.widgets.curve_editor import CLOSE, fit_points, knots
from tests.editor.ui.hands import Hands


def luminance(color: str) -> float:
    parts = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in QColor(color).getRgbF()[:3]
    ]
    return float(np.dot(parts, (0.2126, 0.7152, 0.0722)))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read(colors: Colors) -> None:
    for behind in (colors.window, colors.panel, colors.base, colors.raised, colors.accent_soft, colors.warning):
        assert contrast(colors.text, behind) >= 7
    for behind in (colors.window, colors.panel, colors.base):
        assert contrast(colors.muted, behind) >= 4.5


def test_the_look_changes_while_the_window_is_open(hands: Hands, background: Path, theme: Theme) -> None:
    hands.open(background)
    light = hands.screen()
    theme.choose(Appearance.DARK)
    assert QApplication.palette().color(QPalette.ColorRole.Window).lightness() < 60
    dark = hands.screen()
    theme.choose(Appearance.LIGHT)
    assert dark[3, 3].mean() < light[3, 3].mean()


def test_every_control_has_a_name_for_those_who_do_not_see(hands: Hands, background: Path, cut_out: Path) -> None:
    hands.open(background, cut_out)
    for kind in (QAbstractButton, QComboBox, QSlider):
        for widget in hands.window.findChildren(kind):
            if widget.isVisibleTo(hands.window) and not widget.objectName().startswith("qt_"):
                text = widget.text() if isinstance(widget, QAbstractButton) else ""
                assert widget.accessibleName() or text or widget.toolTip(), widget


def test_no_key_does_two_things(window: MainWindow) -> None:
    keys = [window.all_actions[entry.name].shortcut() for entry in ACTIONS]
    named = Counter(key.toString(QKeySequence.SequenceFormat.PortableText) for key in keys if not key.isEmpty())
    assert [key for key, count in named.items() if count > 1] == []


def test_every_action_is_in_a_menu_and_does_something(window: MainWindow) -> None:
    listed = {name for _, names in MENUS for name in names} | set(TOOLBAR)
    for entry in ACTIONS:
        assert entry.name in listed or entry.tool in window.tool_box.tools
        action = window.all_actions[entry.name]
        assert action.receivers(action.triggered) + action.receivers(action.toggled) > 0, entry.name


@pytest.mark.parametrize("name", sorted(path.stem for path in ICON_FOLDER.glob("*.svg")))
def test_every_icon_is_drawn(name: str, theme: Theme) -> None:
    image = icon(name).pixmap(24, 24).toImage()
    assert any(image.pixelColor(x, y).alpha() > 0 for x in range(24) for y in range(24))


def test_points_that_describe_a_curve_go_through_it() -> None:
    points = ((0.0, 0.05), (0.3, 0.5), (0.7, 0.6), (1.0, 0.95))
    values = knots(points)
    assert (np.diff(values) >= 0).all()
    again = knots(fit_points(values))
    assert np.abs(again - values).max() <= 2 * CLOSE
