# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving the picture under the window."""

from __future__ import annotations

from typing import Protocol

from PyQt6.QtCore import Qt

from s2am_editor.window.tools.tool import Point, Pointer, Tool


class Pannable(Protocol):
    """What can be panned by device pixels."""

    def pan(self, x: int, y: int) -> None:
        """Move by device pixels."""


class HandTool(Tool):
    """Drags the picture."""

    cursor = Qt.CursorShape.OpenHandCursor

    def __init__(self, canvas: Pannable) -> None:
        """Drag the picture of a canvas."""
        super().__init__()
        self._canvas = canvas
        self._last: Point | None = None

    def press(self, pointer: Pointer) -> None:
        """Take hold of the picture."""
        self._last = pointer.on_view

    def move(self, pointer: Pointer) -> None:
        """Drag it."""
        if self._last is not None:
            self._canvas.pan(round(pointer.on_view[0] - self._last[0]), round(pointer.on_view[1] - self._last[1]))
            self._last = pointer.on_view

    def release(self, pointer: Pointer) -> None:
        """Let go."""
        self._last = None
