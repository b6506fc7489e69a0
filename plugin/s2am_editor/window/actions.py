# SPDX-License-Identifier: GPL-3.0-or-later
"""All that menus, toolbar and keys can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PyQt6.QtCore import QCoreApplication, QObject, Qt
from PyQt6.QtGui import QAction, QKeySequence

from s2am_editor.window.icons import icon

Key = QKeySequence.StandardKey


@dataclass(frozen=True)
class Entry:
    """One action: its text with the menu's mnemonic, its key, its drawing, and when it can be used.

    needs: "nothing", an open "document", an active "layer", or a "harmonized" one.
    """

    name: str
    text: str
    key: QKeySequence.StandardKey | str | None = None
    drawing: str | None = None
    needs: str = "nothing"
    checkable: bool = False


def _tr(text: str) -> str:
    """Mark a text for translation; `Actions` translates it when it is shown."""
    return text


ENTRIES = (
    Entry("open", _tr("&Open …"), Key.Open, "open"),
    Entry("add", _tr("&Add cut-out …"), "Ctrl+Shift+O", "add-layer", "document"),
    Entry("save", _tr("&Save project"), Key.Save, "save", "document"),
    Entry("save-as", _tr("Save project &as …"), "Ctrl+Shift+S", None, "document"),
    Entry("export", _tr("&Export …"), "Ctrl+E", "export", "document"),
    Entry("close", _tr("&Close document"), Key.Close, None, "document"),
    Entry("quit", _tr("&Quit"), Key.Quit),
    Entry("undo", _tr("&Undo"), Key.Undo, "undo", "document"),
    Entry("redo", _tr("&Redo"), "Ctrl+Shift+Z", "redo", "document"),
    Entry("copy", _tr("&Copy picture"), Key.Copy, "copy", "document"),
    Entry("paste", _tr("&Paste"), Key.Paste),
    Entry("harmonize", _tr("&Harmonize"), "Ctrl+Return", "harmonize", "layer"),
    Entry("variants", _tr("&Variants …"), "Ctrl+Shift+Return", "variants", "layer"),
    Entry("reset-sliders", _tr("&Reset sliders"), None, "reset", "harmonized"),
    Entry("remove", _tr("Remove harmoni&zation"), None, None, "harmonized"),
    Entry("save-map", _tr("Save color &map …"), None, None, "harmonized"),
    Entry("teach", _tr("&Teach it your pictures …"), None, "teach"),
    Entry("batch", _tr("&Batch …"), None, "batch"),
    Entry("duplicate", _tr("&Duplicate"), "Ctrl+J", "duplicate", "layer"),
    Entry("delete", _tr("D&elete"), "Delete", "delete", "layer"),
    Entry("rename", _tr("&Rename"), "F2", None, "layer"),
    Entry("hide", _tr("&Hide or show"), "Ctrl+,", "eye", "layer"),
    Entry("lock", _tr("&Locked"), "Ctrl+L", None, "layer", checkable=True),
    Entry("up", _tr("Move &up"), "Ctrl+]", "up", "layer"),
    Entry("down", _tr("Move d&own"), "Ctrl+[", "down", "layer"),
    Entry("flip-horizontal", _tr("Flip hori&zontally"), "Shift+H", "flip-horizontal", "layer"),
    Entry("flip-vertical", _tr("Flip &vertically"), "Shift+V", "flip-vertical", "layer"),
    Entry("reset-transform", _tr("Reset tra&nsform"), None, "reset", "layer"),
    Entry("find", _tr("&Find what was pasted"), "Ctrl+F", "find", "layer"),
    Entry("clean", _tr("&Clean edges"), None, "edge", "layer"),
    Entry("feather", _tr("&Feather cut-out"), None, None, "layer"),
    Entry("whole", _tr("&Whole layer"), None, None, "layer"),
    Entry("fit", _tr("&Fit in window"), "Ctrl+0", "fit", "document"),
    Entry("actual", _tr("&Actual pixels"), "Ctrl+1", None, "document"),
    Entry("zoom-in", _tr("Zoom &in"), Key.ZoomIn, "zoom-in", "document"),
    Entry("zoom-out", _tr("Zoom &out"), Key.ZoomOut, "zoom-out", "document"),
    Entry("split", _tr("&Before and after"), "\\", "compare", "document", checkable=True),
    Entry("snap", _tr("&Snapping"), "Ctrl+;", None, "nothing", checkable=True),
    Entry("shortcuts", _tr("&Keyboard shortcuts"), "F1"),
    Entry("about", _tr("&About")),
)
MENUS = (
    (_tr("&File"), ("open", "recent", "add", "", "save", "save-as", "export", "", "batch", "", "close", "quit")),
    (_tr("&Edit"), ("undo", "redo", "", "copy", "paste")),
    (
        _tr("&Harmonize"),
        ("harmonize", "variants", "", "reset-sliders", "remove", "", "save-map", "", "teach"),
    ),
    (
        _tr("&Layer"),
        (
            *("duplicate", "rename", "delete", "", "hide", "lock", "up", "down", ""),
            *("flip-horizontal", "flip-vertical", "reset-transform", "", "find", "feather", "clean", "whole"),
        ),
    ),
    (_tr("&View"), ("fit", "actual", "zoom-in", "zoom-out", "", "split", "snap", "", "appearance")),
    (_tr("Hel&p"), ("shortcuts", "about")),
)
TOOLBAR = ("open", "add", "save", "", "undo", "redo", "", "zoom-out", "zoom-in", "fit", "", "split")


class Actions(QObject):
    """The actions by their names."""

    def __init__(self, parent: QObject) -> None:
        """Make all actions; `connect` says what they do."""
        super().__init__(parent)
        self._all: dict[str, QAction] = {}
        for entry in ENTRIES:
            action = QAction(translated(entry.text), parent)
            if entry.key is not None:
                action.setShortcut(QKeySequence(entry.key))
            if entry.drawing:
                action.setIcon(icon(entry.drawing))
            action.setCheckable(entry.checkable)
            action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
            self._all[entry.name] = action
            self._describe(entry.name)

    def __getitem__(self, name: str) -> QAction:
        """An action."""
        return self._all[name]

    def connect(self, **does: Callable[[], object]) -> None:
        """Say what actions do; an underscore stands for a hyphen."""
        for name, what in does.items():
            action = self._all[name.replace("_", "-")]
            action.triggered.connect(lambda _=False, what=what: what())

    def enable(self, *, document: bool, layer: bool, harmonized: bool) -> None:
        """Enable what can be done now."""
        given = {"nothing": True, "document": document, "layer": layer, "harmonized": harmonized}
        for entry in ENTRIES:
            self._all[entry.name].setEnabled(given[entry.needs])

    def set_text(self, name: str, text: str) -> None:
        """Give an action another text."""
        if text != self._all[name].text():
            self._all[name].setText(text)
            self._describe(name)

    def _describe(self, name: str) -> None:
        action = self._all[name]
        text = action.text().replace("&", "").replace(" …", "")
        keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        action.setToolTip(f"{text} ({keys})" if keys else text)


def translated(text: str) -> str:
    """A text of this module in the person's language."""
    return QCoreApplication.translate("actions", text)
