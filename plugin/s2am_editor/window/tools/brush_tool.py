# SPDX-License-Identifier: GPL-3.0-or-later
"""Brushes that paint a layer's mask or the reference area."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QKeyEvent, QPainter, QPen

from s2am_editor.cutout.brush import Brush, paint
from s2am_editor.document import commands
from s2am_editor.document.geometry import apply, inverse
from s2am_editor.document.mask import Mask
from s2am_editor.document.model import Layer
from s2am_editor.window.canvas.viewport import Viewport
from s2am_editor.window.session import EditorSession
from s2am_editor.window.tools.tool import Point, Pointer, Tool

SMALLEST, LARGEST = 1.0, 2000.0  # pixels of the picture across


class StrokeTool(Tool):
    """Paints strokes with a round brush; what they mean is for others to say."""

    sized = pyqtSignal(float)
    cursor = Qt.CursorShape.BlankCursor

    def __init__(self, session: EditorSession) -> None:
        """Paint on a session's document."""
        super().__init__()
        self._session = session
        self.size = 60.0  # across, in pixels of the picture
        self.hardness = 0.8
        self.erase = False
        self._at: Point | None = None
        self._last: Point | None = None
        self._gesture: object = None
        self._erasing = False

    def press(self, pointer: Pointer) -> None:
        """Begin a stroke; with Alt or the right button it does the opposite."""
        if pointer.button not in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton):
            return
        opposite = pointer.alt or pointer.button is Qt.MouseButton.RightButton
        self._erasing = self.erase != opposite
        straight = pointer.shift and self._last is not None
        points = [self._last, pointer.at] if straight and self._last else [pointer.at]
        self._gesture = commands.gesture()
        self._last = pointer.at
        self.stroke(points, self._erasing, self._gesture)

    def move(self, pointer: Pointer) -> None:
        """Go on with it."""
        self._at = pointer.on_view
        if self._gesture is not None and self._last is not None:
            self.stroke([self._last, pointer.at], self._erasing, self._gesture)
            self._last = pointer.at
        self.repaint.emit()

    def release(self, pointer: Pointer) -> None:
        """End it."""
        self._gesture = None

    def leave(self) -> None:
        """End it, and show no brush."""
        self._gesture = self._last = self._at = None

    def gone(self) -> None:
        """Show no brush."""
        self._at = None
        self.repaint.emit()

    def key(self, event: QKeyEvent) -> bool:
        """Take the square brackets as a smaller and a larger brush."""
        factors = {Qt.Key.Key_BracketLeft: 1 / 1.15, Qt.Key.Key_BracketRight: 1.15}
        if event.key() not in factors:
            return False
        self.set_size(self.size * factors[Qt.Key(event.key())])
        return True

    def set_size(self, size: float) -> None:
        """Take a brush of another size."""
        self.size = min(max(size, SMALLEST), LARGEST)
        self.sized.emit(self.size)
        self.repaint.emit()

    def stroke(self, points: list[Point], erase: bool, gesture: object) -> None:
        """Paint along points of the picture; for subclasses."""
        raise NotImplementedError

    def paint(self, painter: QPainter, viewport: Viewport, ratio: float) -> None:
        """Draw the brush's outline, and that of its hard core."""
        if self._at is None:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        radius = max(1.5 * ratio, self.size / 2 * viewport.scale)
        for color, wide in ((QColor(0, 0, 0, 140), 2.6), (QColor("white"), 1.2)):
            painter.setPen(QPen(color, wide * ratio))
            painter.drawEllipse(QPointF(*self._at), radius, radius)
        if self.hardness < 0.95:
            painter.setPen(QPen(QColor(255, 255, 255, 120), ratio, Qt.PenStyle.DotLine))
            painter.drawEllipse(QPointF(*self._at), radius * self.hardness, radius * self.hardness)


class MaskBrush(StrokeTool):
    """Shows (or, as eraser, hides) parts of the active layer."""

    def __init__(self, session: EditorSession, *, erase: bool, free: Callable[[Layer], bool]) -> None:
        """Paint on a session's active layer, if `free` says that it may be painted on."""
        super().__init__(session)
        self.erase = erase
        self._free = free

    def stroke(self, points: list[Point], erase: bool, gesture: object) -> None:
        """Paint on the layer's mask."""
        layer = self._session.active
        if layer is None or not self._free(layer):
            return
        to_layer = inverse(layer.transform.matrix(layer.size))
        scale = (layer.transform.scale_x * layer.transform.scale_y) ** 0.5
        brush = Brush(self.size / scale, self.hardness, erase)
        mask = layer.mask or Mask(*layer.size, 255)
        name = "Eraser" if erase else "Brush"
        after = paint(mask, apply(to_layer, points), brush)
        self._session.do(commands.set_mask(layer.id, after, name, gesture))


class ReferenceBrush(StrokeTool):
    """Paints the area whose look a layer is to take on."""

    def stroke(self, points: list[Point], erase: bool, gesture: object) -> None:
        """Paint on the document's area."""
        document = self._session.document
        area = document.area or Mask(document.width, document.height)
        after = paint(area, points, Brush(self.size, self.hardness, erase))
        self._session.do(commands.set_area(None if after.is_empty else after, stroke=gesture))
