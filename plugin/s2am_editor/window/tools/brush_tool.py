# SPDX-License-Identifier: GPL-3.0-or-later
"""Brushes that paint a layer's mask or the reference area."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QKeyEvent, QPainter, QPen

from s2am_editor.cutout.masks import Brush, paint_stroke
from s2am_editor.document import commands
from s2am_editor.document.geometry import Point, invert_affine, transform_points
from s2am_editor.document.raster import TiledMask
from s2am_editor.window.action_table import pressed_shortcut
from s2am_editor.window.canvas.viewport import Viewport
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.tools.tool import Pointer, Tool

MIN_BRUSH, MAX_BRUSH = 1.0, 2000.0  # diameter in image pixels
SIZE_STEP = 1.15


class StrokeTool(Tool):
    """Paints strokes with a round brush; subclasses define the effect of a stroke."""

    sized = pyqtSignal(float)
    cursor = Qt.CursorShape.BlankCursor
    uses_right_button = True

    def __init__(self, session: EditorSession) -> None:
        """Paint on a session's document."""
        super().__init__()
        self._session = session
        self.size = 60.0  # diameter in image pixels
        self.hardness = 0.8  # share of the radius that is fully opaque
        self.erase = False
        self._at: Point | None = None
        self._last: Point | None = None
        self._gesture: object = None
        self._erasing = False

    def press(self, pointer: Pointer) -> None:
        """Start a stroke; Alt or the right button inverts the brush."""
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
        """Continue it."""
        self._at = pointer.in_view
        if self._gesture is not None and self._last is not None:
            self.stroke([self._last, pointer.at], self._erasing, self._gesture)
            self._last = pointer.at
        self.repaint.emit()

    def release(self, pointer: Pointer) -> None:
        """End it."""
        self._gesture = None

    def leave(self) -> None:
        """End the stroke and hide the brush outline."""
        self._gesture = self._last = self._at = None

    def pointer_left(self) -> None:
        """Hide the brush outline."""
        self._at = None
        self.repaint.emit()

    def key(self, event: QKeyEvent) -> bool:
        """Change the brush size with its keys."""
        pressed = pressed_shortcut(event, "tool", "brush")
        if pressed is None:
            return False
        self.set_size(self.size * SIZE_STEP ** int(str(pressed[1])))
        return True

    def set_size(self, size: float) -> None:
        """Set the brush size."""
        self.size = min(max(size, MIN_BRUSH), MAX_BRUSH)
        self.sized.emit(self.size)
        self.repaint.emit()

    def stroke(self, points: list[Point], erase: bool, gesture: object) -> None:
        """Paint along image points; implemented by subclasses."""
        raise NotImplementedError

    def paint(self, painter: QPainter, viewport: Viewport, ratio: float) -> None:
        """Draw the outlines of the brush and of its hard core."""
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
    """Shows (or, as the eraser, hides) parts of the active layer."""

    outlines_mask = True

    def __init__(self, session: EditorSession, *, erase: bool) -> None:
        """Paint on a session's active layer."""
        super().__init__(session)
        self.erase = erase

    def stroke(self, points: list[Point], erase: bool, gesture: object) -> None:
        """Paint on the layer's mask."""
        layer = self._session.active
        if layer is None:
            return
        to_layer = invert_affine(layer.transform.matrix(layer.size))
        scale = (layer.transform.scale_x * layer.transform.scale_y) ** 0.5
        brush = Brush(self.size / scale, self.hardness, erase)
        mask = layer.mask or TiledMask(*layer.size, 255)
        name = "Eraser" if erase else "Brush"
        after = paint_stroke(mask, transform_points(to_layer, points), brush)
        if not self._session.do(commands.set_mask(layer.id, after, name, gesture)):
            self.leave()  # refused: not again with every movement of the mouse


class ReferenceBrush(StrokeTool):
    """Paints the area that a layer should match."""

    painted = pyqtSignal()  # there is an area now

    def stroke(self, points: list[Point], erase: bool, gesture: object) -> None:
        """Paint on the document's reference area."""
        document = self._session.document
        area = document.area or TiledMask(document.width, document.height)
        after = paint_stroke(area, points, Brush(self.size, self.hardness, erase))
        self._session.do(commands.set_area(None if after.is_empty else after, stroke=gesture))
        if not after.is_empty:
            self.painted.emit()
