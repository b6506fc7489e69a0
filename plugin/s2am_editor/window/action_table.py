# SPDX-License-Identifier: GPL-3.0-or-later
"""All actions and keys of the editor in one table; menus, toolbars and the shortcuts dialog are made from it.

`ACTIONS` have the scope "window": Qt triggers them regardless of the focus. `SHORTCUTS` are keys without a menu entry:
the canvas handles those of scope "canvas", and the current tool (or the curve editor) those of scope "tool".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from PyQt6.QtCore import QCoreApplication, Qt
from PyQt6.QtGui import QKeyEvent, QKeySequence

Standard = QKeySequence.StandardKey
Key = Qt.Key
Keys = QKeySequence.StandardKey | str
Scope = Literal["window", "canvas", "tool"]


@dataclass(frozen=True)
class Action:
    """An entry of the menus or of the toolbar of tools.

    text: with the menu's mnemonic. key: one or several; the menu shows the first. needs: when it is enabled: "nothing",
    an open "document", an active "item" (a layer or group) or "layer", or a "harmonized" one. tool: the canvas tool
    that it selects.
    """

    name: str
    text: str
    key: Keys | tuple[Keys, ...] | None = None
    icon: str | None = None
    needs: Literal["nothing", "document", "item", "layer", "harmonized"] = "nothing"
    checkable: bool = False
    tool: str | None = None
    scope: Scope = "window"

    @property
    def keys(self) -> tuple[Keys, ...]:
        """All keys, the one that is shown first."""
        if self.key is None:
            return ()
        return self.key if isinstance(self.key, tuple) else (self.key,)


@dataclass(frozen=True)
class Shortcut:
    """A key, or a family of keys, that the canvas or a tool handles itself.

    keys: each key with the value that it stands for (a direction or a sign). label: the keys as the dialog shows them.
    owner: the tool or widget that handles it, for the scope "tool".
    """

    name: str
    keys: Mapping[Qt.Key, object]
    label: str
    text: str
    scope: Scope
    owner: str = ""


def _mark(text: str) -> str:
    """Mark a text for translation; `translated_action` translates it when it is shown."""
    return text


ACTIONS = (
    Action("open", _mark("&Open…"), Standard.Open, "open"),
    Action("add", _mark("&Add cutout…"), "Ctrl+Shift+O", "add-layer", "document"),
    Action("save", _mark("&Save project"), Standard.Save, "save", "document"),
    Action("save-as", _mark("Save &project as…"), "Ctrl+Shift+S", None, "document"),
    Action("export", _mark("&Export…"), "Ctrl+E", "export", "document"),
    Action("close", _mark("&Close document"), Standard.Close, None, "document"),
    Action("recover", _mark("Reco&ver unsaved work…")),
    Action("quit", _mark("&Quit"), Standard.Quit),
    Action("undo", _mark("&Undo"), Standard.Undo, "undo", "document"),
    Action("redo", _mark("&Redo"), ("Ctrl+Shift+Z", "Ctrl+Y"), "redo", "document"),
    Action("copy", _mark("&Copy image"), Standard.Copy, "copy", "document"),
    Action("cut-layer", _mark("Cu&t layer"), Standard.Cut, None, "layer"),
    Action("copy-layer", _mark("Copy &layer"), "Ctrl+Shift+C", None, "layer"),
    Action("paste", _mark("&Paste"), Standard.Paste),
    Action("paste-in-place", _mark("Paste &in place"), "Ctrl+Shift+V", None, "document"),
    Action("canvas-size", _mark("Canvas si&ze…"), "Ctrl+Alt+C", None, "document"),
    Action("turn-right", _mark("R&otate image right"), None, None, "document"),
    Action("turn-left", _mark("Rotate image le&ft"), None, None, "document"),
    Action("harmonize", _mark("&Harmonize"), "Ctrl+Return", "harmonize", "layer"),
    Action("variants", _mark("&Variants…"), "Ctrl+Shift+Return", "variants", "layer"),
    Action("adjust-image", _mark("Adjust &whole image"), "Ctrl+Shift+A", None, "document", checkable=True),
    Action("reset-sliders", _mark("&Reset sliders"), None, "reset", "harmonized"),
    Action("remove", _mark("Remove harmoni&zation"), None, None, "harmonized"),
    Action("cast-shadow", _mark("Cast a &shadow"), "Ctrl+Shift+D", None, "layer"),
    Action("remove-shadow", _mark("Remove sha&dow"), None, None, "layer"),
    Action("save-map", _mark("Save color &map…"), None, None, "harmonized"),
    Action("fine-tune", _mark("&Fine-tune on my photos…"), None, "fine-tune"),
    Action("batch", _mark("&Batch…"), None, "batch"),
    Action("duplicate", _mark("&Duplicate"), "Ctrl+J", "duplicate", "item"),
    Action("delete", _mark("D&elete"), "Delete", "delete", "item"),
    Action("merge", _mark("Mer&ge down"), "Ctrl+Shift+E", None, "item"),
    Action("group", _mark("Group la&yers"), "Ctrl+G", "group", "item"),
    Action("ungroup", _mark("Ungrou&p"), "Ctrl+Shift+G", None, "item"),
    Action("rename", _mark("&Rename"), "F2", None, "item"),
    Action("hide", _mark("Show or &hide"), "Ctrl+,", "eye", "item"),
    Action("lock", _mark("&Locked"), "Ctrl+L", None, "item", checkable=True),
    Action("up", _mark("Move &up"), "Ctrl+]", "up", "item"),
    Action("down", _mark("Move d&own"), "Ctrl+[", "down", "item"),
    Action("flip-horizontal", _mark("Flip hori&zontally"), "Shift+H", "flip-horizontal", "layer"),
    Action("flip-vertical", _mark("Flip &vertically"), "Shift+V", "flip-vertical", "layer"),
    Action("reset-transform", _mark("Reset tra&nsform"), None, "reset", "layer"),
    Action("select-subject", _mark("Select sub&ject"), "Ctrl+Alt+S", "cutout", "layer"),
    Action("detect", _mark("De&tect pasted region"), "Ctrl+F", "find", "layer"),
    Action("clean", _mark("&Clean edges"), None, "edge", "layer"),
    Action("refine", _mark("Re&fine edges…"), "Ctrl+Alt+R", None, "layer"),
    Action("invert-mask", _mark("&Invert mask"), "Ctrl+I", None, "layer"),
    Action("remove-mask", _mark("Remove &mask"), None, None, "layer"),
    Action("load-mask", _mark("Lo&ad mask…"), None, None, "layer"),
    Action("save-mask", _mark("&Save mask…"), None, None, "layer"),
    Action("fit", _mark("&Fit in window"), "Ctrl+0", "fit", "document"),
    Action("actual", _mark("&Actual pixels"), "Ctrl+1", None, "document"),
    Action("zoom-in", _mark("Zoom &in"), ("Ctrl++", "Ctrl+="), "zoom-in", "document"),
    Action("zoom-out", _mark("Zoom &out"), "Ctrl+-", "zoom-out", "document"),
    Action("split", _mark("&Before and after"), "\\", "compare", "document", checkable=True),
    Action("side-by-side", _mark("Before and after si&de by side"), "Y", None, "document", checkable=True),
    Action("mask-composite", _mark("Mas&k: off"), None, None, "document", checkable=True),
    Action("mask-overlay", _mark("Mask: o&verlay"), None, None, "document", checkable=True),
    Action("mask-mask", _mark("Mask: &mask only"), None, None, "document", checkable=True),
    Action("mask-black", _mark("Mask: on bla&ck"), None, None, "document", checkable=True),
    Action("mask-white", _mark("Mask: on &white"), None, None, "document", checkable=True),
    Action("mask-next", _mark("&Next mask view"), "F", None, "document"),
    Action("snap", _mark("&Snapping"), "Ctrl+;", None, "nothing", checkable=True),
    Action("shortcuts", _mark("&Keyboard shortcuts"), "F1"),
    Action("about", _mark("&About")),
    Action("tool-move", _mark("Move and transform"), ("V", "Ctrl+T"), "move", checkable=True, tool="move"),
    Action("tool-box", _mark("Cut out with a box"), "M", "box", checkable=True, tool="box"),
    Action("tool-scribble", _mark("Cut out with scribbles"), "S", "scribble", checkable=True, tool="scribble"),
    Action("tool-brush", _mark("Brush: show parts of the layer"), "B", "brush", checkable=True, tool="brush"),
    Action("tool-eraser", _mark("Eraser: hide parts of the layer"), "E", "eraser", checkable=True, tool="eraser"),
    Action("tool-reference", _mark("Paint a reference area"), "R", "reference", checkable=True, tool="reference"),
    Action("tool-shadow", _mark("Shadow: direction, length and ground"), "D", "shadow", checkable=True, tool="shadow"),
    Action("tool-crop", _mark("Crop"), "K", "crop", checkable=True, tool="crop"),
    Action("tool-hand", _mark("Hand"), "H", "hand", checkable=True, tool="hand"),
)
SHORTCUTS = (
    Shortcut("pan", {Key.Key_Space: None}, _mark("Space + drag"), _mark("Pan the image"), "canvas"),
    Shortcut("before", {Key.Key_C: None}, _mark("C (hold)"), _mark("Show the image before harmonizing"), "canvas"),
    Shortcut(
        "nudge",
        {Key.Key_Left: (-1, 0), Key.Key_Right: (1, 0), Key.Key_Up: (0, -1), Key.Key_Down: (0, 1)},
        _mark("Arrow keys"),
        _mark("Move the layer by 1 pixel; with Shift by 10"),
        "tool",
        "move",
    ),
    Shortcut(
        "scale",  # with and without Shift, as keyboard layouts have these characters in either place
        {Key.Key_Plus: 1, Key.Key_Equal: 1, Key.Key_Minus: -1, Key.Key_Underscore: -1},
        _mark("+ and −"),
        _mark("Scale the layer by 1%; with Shift by 10%"),
        "tool",
        "move",
    ),
    Shortcut(
        "rotate",
        {
            Key.Key_Comma: -1,
            Key.Key_Less: -1,
            Key.Key_Semicolon: -1,
            Key.Key_Period: 1,
            Key.Key_Greater: 1,
            Key.Key_Colon: 1,
        },
        _mark(", and ."),
        _mark("Rotate the layer by 1°; with Shift by 15°"),
        "tool",
        "move",
    ),
    Shortcut(
        "brush-size",
        {Key.Key_BracketLeft: -1, Key.Key_BracketRight: 1},
        _mark("[ and ]"),
        _mark("Smaller and larger brush"),
        "tool",
        "brush",
    ),
    Shortcut("cancel", {Key.Key_Escape: None}, _mark("Esc"), _mark("Cancel the drag"), "tool", "move"),
    Shortcut("discard", {Key.Key_Escape: None}, _mark("Esc"), _mark("Discard the box or the scribbles"), "tool", "cut"),
    Shortcut(
        "move-point",
        {Key.Key_Left: (-1, 0), Key.Key_Right: (1, 0), Key.Key_Up: (0, 1), Key.Key_Down: (0, -1)},
        _mark("Arrow keys"),
        _mark("Move the selected curve point"),
        "tool",
        "curves",
    ),
    Shortcut(
        "select-point",
        {Key.Key_PageUp: 1, Key.Key_PageDown: -1},
        _mark("Page Up, Page Down"),
        _mark("Select the next or previous curve point"),
        "tool",
        "curves",
    ),
    Shortcut(
        "remove-point",
        {Key.Key_Delete: None, Key.Key_Backspace: None},
        _mark("Delete, Backspace"),
        _mark("Remove the selected curve point"),
        "tool",
        "curves",
    ),
    Shortcut(
        "collapse",
        {Key.Key_Left: True, Key.Key_Right: False},
        _mark("Left and right arrow keys"),
        _mark("Collapse and expand the selected group"),
        "tool",
        "layers",
    ),
)
MASK_VIEWS = tuple(entry.name for entry in ACTIONS if entry.name.startswith("mask-") and entry.checkable)
MENUS = (
    (
        _mark("&File"),
        ("open", "recent", "add", "", "save", "save-as", "export", "", "batch", "", "recover", "close", "quit"),
    ),
    (
        _mark("&Edit"),
        (
            *("undo", "redo", "", "copy", "cut-layer", "copy-layer", "paste", "paste-in-place", ""),
            *("turn-right", "turn-left", "canvas-size"),
        ),
    ),
    (
        _mark("&Harmonize"),
        (
            "harmonize",
            "variants",
            "",
            "adjust-image",
            "reset-sliders",
            "remove",
            "",
            "cast-shadow",
            "remove-shadow",
            "",
            "save-map",
            "",
            "fine-tune",
        ),
    ),
    (
        _mark("&Layer"),
        (
            *("duplicate", "rename", "group", "ungroup", "merge", "delete", "", "hide", "lock", "up", "down", ""),
            *(
                "flip-horizontal",
                "flip-vertical",
                "reset-transform",
                "",
                "select-subject",
                "detect",
                "refine",
                "clean",
                "invert-mask",
                "remove-mask",
                "load-mask",
                "save-mask",
            ),
        ),
    ),
    (
        _mark("&View"),
        (
            "fit",
            "actual",
            "zoom-in",
            "zoom-out",
            "",
            "split",
            "side-by-side",
            "",
            *MASK_VIEWS,
            "mask-next",
            "",
            "snap",
            "",
            "appearance",
        ),
    ),
    (_mark("Hel&p"), ("shortcuts", "about")),
)
FIELD_KEYS = (Key.Key_Return, Key.Key_Enter, Key.Key_Escape)
"""Keys after which a field for a number or a name gives the keyboard back to the canvas."""

TOOLBAR = ("open", "add", "save", "", "undo", "redo", "", "zoom-out", "zoom-in", "fit", "", "split")


def pressed_shortcut(event: QKeyEvent, scope: Scope, owner: str = "") -> tuple[str, object] | None:
    """Return the name of the shortcut whose key was pressed, and the key's value; None if there is none."""
    for shortcut in SHORTCUTS:
        if shortcut.scope == scope and shortcut.owner == owner and event.key() in shortcut.keys:
            return shortcut.name, shortcut.keys[Qt.Key(event.key())]
    return None


def translated_action(text: str) -> str:
    """Translate a text of this table."""
    return QCoreApplication.translate("actions", text)
