# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting a subject out: by a box around it, or by scribbles on it and on what is behind it."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QKeyEvent, QPainter, QPen, QPolygonF

from s2am_editor.window.tools.tool import Point, Pointer, Tool
from s2am_editor.window.viewport import Viewport

SMALLEST = 4.0  # pixels of the picture a side, below which a box was a slip of the hand
KEEP, DROP = QColor("#31b057"), QColor("#e0483e")  # marks on the subject, and on what is behind it


class BoxTool(Tool):
    """Draws a box."""

    drawn = pyqtSignal(object)  # (left, top, right, bottom) in the picture
    cursor = Qt.CursorShape.CrossCursor

    def __init__(self) -> None:
        """Start without a box."""
        super().__init__()
        self._from: Point | None = None
        self._to: Point = (0.0, 0.0)
        self._offset = 0

    def press(self, pointer: Pointer) -> None:
        """Begin a box."""
        if pointer.button is Qt.MouseButton.LeftButton:
            self._from = self._to = pointer.at

    def move(self, pointer: Pointer) -> None:
        """Draw it larger."""
        if self._from is not None:
            self._to = pointer.at
            self.repaint.emit()

    def release(self, pointer: Pointer) -> None:
        """Take the box as it is."""
        if self._from is None:
            return
        (x, y), (to_x, to_y) = self._from, pointer.at
        self.leave()
        if min(abs(to_x - x), abs(to_y - y)) >= SMALLEST:
            self.drawn.emit((min(x, to_x), min(y, to_y), max(x, to_x), max(y, to_y)))

    def leave(self) -> None:
        """Give the box up."""
        self._from = None
        self.repaint.emit()

    def key(self, event: QKeyEvent) -> bool:
        """Give it up with Escape."""
        if event.key() == Qt.Key.Key_Escape and self._from is not None:
            self.leave()
            return True
        return False

    def march(self) -> None:
        """Let the line go on."""
        self._offset = (self._offset + 1) % 8

    def paint(self, painter: QPainter, viewport: Viewport, ratio: float) -> None:
        """Draw the box."""
        if self._from is None:
            return
        box = QRectF(QPointF(*viewport.to_view(*self._from)), QPointF(*viewport.to_view(*self._to))).normalized()
        painter.setBrush(QColor(255, 255, 255, 24))
        painter.setPen(QPen(QColor(0, 0, 0, 160), 1.5 * ratio))
        painter.drawRect(box)
        pen = QPen(QColor("white"), 1.5 * ratio, Qt.PenStyle.DashLine)
        pen.setDashOffset(self._offset)
        painter.setPen(pen)
        painter.drawRect(box)


class ScribbleTool(Tool):
    """Draws lines on the subject and, with Alt or the right button, on what is behind it."""

    drawn = pyqtSignal(object, object)  # lists of strokes on the subject, and behind it; a stroke is a list of points
    cursor = Qt.CursorShape.CrossCursor

    def __init__(self) -> None:
        """Start without lines."""
        super().__init__()
        self.keep: list[list[Point]] = []
        self.drop: list[list[Point]] = []
        self._line: list[Point] | None = None

    def press(self, pointer: Pointer) -> None:
        """Begin a line."""
        right = pointer.button is Qt.MouseButton.RightButton
        if pointer.button is Qt.MouseButton.LeftButton or right:
            self._line = [pointer.at]
            (self.drop if right or pointer.alt else self.keep).append(self._line)

    def move(self, pointer: Pointer) -> None:
        """Draw it."""
        if self._line is not None:
            self._line.append(pointer.at)
            self.repaint.emit()

    def release(self, pointer: Pointer) -> None:
        """End it, and have the subject found anew."""
        if self._line is not None:
            self._line = None
            if self.keep:
                self.drawn.emit(list(self.keep), list(self.drop))

    def leave(self) -> None:
        """Forget all lines."""
        self.keep, self.drop, self._line = [], [], None
        self.repaint.emit()

    def key(self, event: QKeyEvent) -> bool:
        """Forget them with Escape."""
        if event.key() == Qt.Key.Key_Escape and (self.keep or self.drop):
            self.leave()
            return True
        return False

    def paint(self, painter: QPainter, viewport: Viewport, ratio: float) -> None:
        """Draw the lines."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for lines, color in ((self.keep, KEEP), (self.drop, DROP)):
            for line in lines:
                places = QPolygonF([QPointF(*viewport.to_view(*point)) for point in line])
                for pen_color, wide in ((QColor(255, 255, 255, 200), 5.5), (color, 3.5)):
                    pen = QPen(pen_color, wide * ratio, cap=Qt.PenCapStyle.RoundCap, join=Qt.PenJoinStyle.RoundJoin)
                    painter.setPen(pen)
                    painter.drawPolyline(places) if len(line) > 1 else painter.drawPoint(places[0])
