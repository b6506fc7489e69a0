# SPDX-License-Identifier: GPL-3.0-or-later
"""The QActions of the table in `action_table`."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject, Qt
from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QAbstractSpinBox, QApplication

from s2am_editor.window.action_table import ACTIONS, translated_action
from s2am_editor.window.theme import icon


class Actions(QObject):
    """The QActions of the table, by name."""

    def __init__(self, parent: QObject) -> None:
        """Create all actions; `connect` attaches their handlers."""
        super().__init__(parent)
        self._all: dict[str, QAction] = {}
        for entry in ACTIONS:
            action = QAction(translated_action(entry.text), parent)
            action.setShortcuts([QKeySequence(key) for key in entry.keys])
            if entry.icon:
                action.setIcon(icon(entry.icon))
            action.setCheckable(entry.checkable)
            action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
            self._all[entry.name] = action
            self._set_tool_tip(entry.name)

    def __getitem__(self, name: str) -> QAction:
        """Return the action of a name of the table."""
        return self._all[name]

    def connect(self, **handlers: Callable[[], object]) -> None:
        """Connect actions to handlers; an underscore in a keyword stands for a hyphen in the action's name."""
        for name, handler in handlers.items():
            action = self._all[name.replace("_", "-")]
            action.triggered.connect(lambda _=False, handler=handler: _run(handler))

    def enable(self, *, document: bool, item: bool, layer: bool, harmonized: bool) -> None:
        """Enable the actions whose needs are met."""
        met = {"nothing": True, "document": document, "item": item, "layer": layer, "harmonized": harmonized}
        for entry in ACTIONS:
            self._all[entry.name].setEnabled(met[entry.needs])

    def set_text(self, name: str, text: str) -> None:
        """Change an action's text and tool tip."""
        if text != self._all[name].text():
            self._all[name].setText(text)
            self._set_tool_tip(name)

    def _set_tool_tip(self, name: str) -> None:
        action = self._all[name]
        text, keys = plain_text(action.text()), key_names(action)
        action.setToolTip(f"{text} ({keys})" if keys else text)


def _run(handler: Callable[[], object]) -> None:
    """Call an action's handler, after taking over a number that is still being typed."""
    field = QApplication.focusWidget()
    if isinstance(field, QAbstractSpinBox):
        field.interpretText()
    handler()


def plain_text(text: str) -> str:
    """Return an action's text without the marks of a menu."""
    return text.replace("&", "").replace("…", "")


def key_names(action: QAction) -> str:
    """Return an action's keys as the system names them."""
    return ", ".join(key.toString(QKeySequence.SequenceFormat.NativeText) for key in action.shortcuts())
