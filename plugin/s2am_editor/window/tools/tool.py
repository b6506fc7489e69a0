# SPDX-License-Identifier: GPL-3.0-or-later
"""Base class of canvas tools, and the hand tool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from PyQt6.QtCore import QObject, Qt, pyqtSignal
from PyQt6.QtGui import QCursor, QKeyEvent, QPainter

from s2am_editor.window.canvas.viewport import Viewport

Point = tuple[float, float]


@dataclass(frozen=True)
class Pointer:
    """The mouse at one moment."""

    at: Point  # in the picture
    on_view: Point  # in device pixels
    buttons: Qt.MouseButton  # that are down
    button: Qt.MouseButton  # that went down or up
    keys: Qt.KeyboardModifier

    @property
    def dragging(self) -> bool:
        """Whether the left button is down."""
        return bool(self.buttons & Qt.MouseButton.LeftButton)

    @property
    def shift(self) -> bool:
        """Whether Shift is held."""
        return bool(self.keys & Qt.KeyboardModifier.ShiftModifier)

    @property
    def alt(self) -> bool:
        """Whether Alt is held."""
        return bool(self.keys & Qt.KeyboardModifier.AltModifier)

    @property
    def control(self) -> bool:
        """Whether Ctrl (⌘ on a Mac) is held."""
        return bool(self.keys & Qt.KeyboardModifier.ControlModifier)


class Tool(QObject):
    """Takes part in everything and does nothing; tools override what they need."""

    repaint = pyqtSignal()  # what is drawn over the picture has changed

    cursor: Qt.CursorShape | QCursor = Qt.CursorShape.ArrowCursor

    def enter(self) -> None:
        """Begin to be the tool in use."""

    def leave(self) -> None:
        """Stop being it; what is half done ends as if the mouse had been released."""

    def press(self, pointer: Pointer) -> None:
        """Take a mouse button going down."""

    def move(self, pointer: Pointer) -> None:
        """Take the mouse moving, with or without a button."""

    def release(self, pointer: Pointer) -> None:
        """Take a mouse button going up."""

    def gone(self) -> None:
        """Take the mouse leaving the canvas."""

    def key(self, event: QKeyEvent) -> bool:
        """Take a key; whether it was taken."""
        return False

    def march(self) -> None:
        """Let marching lines go on by a step."""

    def paint(self, painter: QPainter, viewport: Viewport, ratio: float) -> None:
        """Draw over the picture, in device pixels; `ratio` of them are as long as a pixel of the widget."""


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
