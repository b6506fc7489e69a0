# SPDX-License-Identifier: GPL-3.0-or-later
"""Base class of canvas tools, and the hand tool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from PyQt6.QtCore import QObject, Qt, pyqtSignal
from PyQt6.QtGui import QCursor, QKeyEvent, QPainter

from s2am_editor.document.geometry import Point
from s2am_editor.window.canvas.viewport import Viewport


@dataclass(frozen=True)
class Pointer:
    """State of the mouse in one event."""

    at: Point  # in image pixels
    in_view: Point  # in device pixels
    button: Qt.MouseButton  # the button that changed
    keys: Qt.KeyboardModifier

    @property
    def shift(self) -> bool:
        """True if Shift is held."""
        return bool(self.keys & Qt.KeyboardModifier.ShiftModifier)

    @property
    def alt(self) -> bool:
        """True if Alt is held."""
        return bool(self.keys & Qt.KeyboardModifier.AltModifier)

    @property
    def control(self) -> bool:
        """True if Ctrl (⌘ on macOS) is held."""
        return bool(self.keys & Qt.KeyboardModifier.ControlModifier)


class Tool(QObject):
    """Receives the canvas's mouse and key events and paints over the image; this base class does nothing."""

    repaint = pyqtSignal()  # the overlay has changed

    cursor: Qt.CursorShape | QCursor = Qt.CursorShape.ArrowCursor
    hides_while_comparing = False  # its overlay would hide the difference
    outlines_mask = False  # show the outline of the active layer's cutout
    uses_right_button = False  # if not, it opens the canvas's context menu

    def enter(self) -> None:
        """Become the current tool."""

    def leave(self) -> None:
        """Stop being the current tool; a drag ends as if the button had been released."""

    def press(self, pointer: Pointer) -> None:
        """Handle the press of a mouse button."""

    def move(self, pointer: Pointer) -> None:
        """Handle a movement of the mouse."""

    def release(self, pointer: Pointer) -> None:
        """Handle the release of a mouse button."""

    def pointer_left(self) -> None:
        """Handle the pointer leaving the canvas."""

    def key(self, event: QKeyEvent) -> bool:
        """Handle a key. Return True if it was handled."""
        return False

    def paint(self, painter: QPainter, viewport: Viewport, ratio: float) -> None:
        """Paint over the image in device pixels; `ratio`: device pixels per widget pixel."""


class Pannable(Protocol):
    """A view that pans by device pixels."""

    def pan(self, x: int, y: int) -> None:
        """Pan by device pixels."""


class HandTool(Tool):
    """Pans the image."""

    cursor = Qt.CursorShape.OpenHandCursor

    def __init__(self, canvas: Pannable) -> None:
        """Pan this canvas."""
        super().__init__()
        self._canvas = canvas
        self._last: Point | None = None

    def press(self, pointer: Pointer) -> None:
        """Start panning."""
        self._last = pointer.in_view

    def move(self, pointer: Pointer) -> None:
        """Pan."""
        if self._last is not None:
            self._canvas.pan(round(pointer.in_view[0] - self._last[0]), round(pointer.in_view[1] - self._last[1]))
            self._last = pointer.in_view

    def release(self, pointer: Pointer) -> None:
        """Stop panning."""
        self._last = None
