# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of actions and keys: complete, unambiguous, and shown in full by the shortcuts dialog."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtGui import QKeyEvent, QKeySequence
from PyQt6.QtWidgets import QLabel, QMainWindow
from pytestqt.qtbot import QtBot

import s2am_editor.window
from s2am_common.translation import CATALOGS, read_po
from s2am_editor.window.action_table import ACTIONS, MENUS, SHORTCUTS, TOOLBAR, pressed_shortcut
from s2am_editor.window.actions import Actions
from s2am_editor.window.dialogs.shortcuts import ShortcutsDialog
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.main_window import MainWindow
from s2am_editor.window.menus import Menus, build_toolbar
from tests.editor.ui.driver import WindowDriver

WINDOW_PACKAGE = Path(str(s2am_editor.window.__file__)).parent
ACTIVATION_KEYS = {"Key_Return", "Key_Enter", "Key_Space"}
"""Keys that activate any focused control (the cards of variants), as in every program."""


def press(key: Qt.Key) -> QKeyEvent:
    return QKeyEvent(QEvent.Type.KeyPress, key, Qt.KeyboardModifier.NoModifier)


def test_action_keys_are_unique(window: MainWindow) -> None:
    keys = [key for entry in ACTIONS for key in window.all_actions[entry.name].shortcuts()]
    named = Counter(key.toString(QKeySequence.SequenceFormat.PortableText) for key in keys if not key.isEmpty())
    assert [key for key, count in named.items() if count > 1] == []


@pytest.mark.parametrize("language", ["en", "de"])
def test_mnemonics_of_a_menu_are_unique(window: MainWindow, language: str) -> None:
    catalog = read_po((CATALOGS / "de.po").read_text(encoding="utf-8")) if language == "de" else {}
    bar = window.menuBar()
    assert bar is not None
    menus = [menu for action in bar.actions() if (menu := action.menu())]
    for actions in (bar.actions(), *(menu.actions() for menu in menus)):
        texts = [catalog.get(action.text(), action.text()) for action in actions]
        used = Counter(text[text.index("&") + 1].lower() for text in texts if "&" in text)
        assert [letter for letter, count in used.items() if count > 1] == [], texts


def receivers(actions: Actions, name: str) -> int:
    """Return the number of slots that an action calls; menus and toolbars count."""
    return actions[name].receivers(actions[name].triggered) + actions[name].receivers(actions[name].toggled)


def test_actions_are_listed_and_connected(window: MainWindow, settings: EditorSettings, qtbot: QtBot) -> None:
    listed = {name for _, names in MENUS for name in names} | set(TOOLBAR)
    bare = QMainWindow()
    qtbot.addWidget(bare)
    unconnected = Actions(bare)
    Menus(bare, unconnected, settings)
    build_toolbar(bare, unconnected, lambda _: None)
    for entry in ACTIONS:
        assert entry.name in listed or entry.tool in window.tool_box.tools
        assert receivers(window.all_actions, entry.name) > receivers(unconnected, entry.name), entry.name


def test_shortcuts_dialog_lists_every_key(window: MainWindow) -> None:
    dialog = ShortcutsDialog(window.all_actions, window)
    texts = Counter(label.text() for label in dialog.findChildren(QLabel))
    native = QKeySequence.SequenceFormat.NativeText
    shown = [window.all_actions[entry.name].shortcuts() for entry in ACTIONS if entry.keys]
    expected = [", ".join(key.toString(native) for key in keys) for keys in shown]
    expected += [shortcut.label for shortcut in SHORTCUTS]
    assert not Counter(expected) - texts
    assert all(shortcut.text in texts for shortcut in SHORTCUTS)
    dialog.close()


def test_window_modules_name_keys_only_in_the_table() -> None:
    found = [
        (path.name, node.attr)
        for path in WINDOW_PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr.startswith("Key_") and path.name != "action_table.py"
    ]
    assert {key for _, key in found} <= ACTIVATION_KEYS
    assert {name for name, _ in found} <= {"variants_panel.py"}


@pytest.mark.parametrize("name", ["move", "box", "scribble", "brush", "eraser", "reference", "hand"])
def test_tools_handle_no_key_outside_the_table(
    name: str, driver: WindowDriver, background: Path, cut_out: Path
) -> None:
    driver.open(background, cut_out)
    driver.window.tool_box.choose(name)
    tool = driver.window.tool_box.tools[name]
    handled = {key for key in Qt.Key if tool.key(press(key))}
    assert handled <= {key for shortcut in SHORTCUTS if shortcut.scope == "tool" for key in shortcut.keys}
    if name == "move":
        nudge, scale, rotate = (
            next(one for one in SHORTCUTS if one.name == wanted) for wanted in ("nudge", "scale", "rotate")
        )
        assert handled == {*nudge.keys, *scale.keys, *rotate.keys}


def test_pressed_shortcut_depends_on_scope_and_owner() -> None:
    assert pressed_shortcut(press(Qt.Key.Key_Left), "tool", "move") == ("nudge", (-1, 0))
    assert pressed_shortcut(press(Qt.Key.Key_Left), "tool", "curves") == ("move-point", (-1, 0))
    assert pressed_shortcut(press(Qt.Key.Key_Left), "canvas") is None
    assert pressed_shortcut(press(Qt.Key.Key_Space), "canvas") == ("pan", None)
