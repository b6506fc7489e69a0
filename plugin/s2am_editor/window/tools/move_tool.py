# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving, scaling and rotating a layer with the mouse and keys."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from PyQt6.QtCore import QLineF, QPointF, Qt
from PyQt6.QtGui import QColor, QKeyEvent, QPainter, QPen, QPolygonF

from s2am_editor.document import commands
from s2am_editor.document.geometry import Rect, Transform, invert_affine, transform_points
from s2am_editor.document.model import Layer
from s2am_editor.window.actions import pressed_shortcut
from s2am_editor.window.canvas.viewport import Viewport
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.tools import handles
from s2am_editor.window.tools.handles import Guides, Handle
from s2am_editor.window.tools.tool import Point, Pointer, Tool
from s2am_engine.image.arrays import full_scale

HANDLE_SIZE = 5.0  # half the side of a handle, in widget pixels
HANDLE_REACH = 10.0  # maximum distance from a handle
KNOB_DISTANCE = 26.0  # distance of the rotation handle above the frame
SNAP_DISTANCE = 7.0
ROTATE = "rotate"
SHAPES = (
    Qt.CursorShape.SizeHorCursor,
    Qt.CursorShape.SizeFDiagCursor,
    Qt.CursorShape.SizeVerCursor,
    Qt.CursorShape.SizeBDiagCursor,
)


class MoveTool(Tool):
    """Moves, scales and rotates the active layer; a click on another layer selects that one."""

    def __init__(self, session: EditorSession, viewport: Viewport, ratio: Callable[[], float]) -> None:
        """Work on a session's document, seen through a viewport; `ratio()`: device pixels per widget pixel."""
        super().__init__()
        self._session, self._viewport, self._ratio = session, viewport, ratio
        self._grip: Handle | str | None = None
        self._from: Point | None = None
        self._start: Transform | None = None
        self._gesture: object = None
        self._guides = Guides()
        self.snapping = True

    # ---- mouse

    def press(self, pointer: Pointer) -> None:
        """Grab a handle, or the layer under the pointer."""
        if pointer.button is not Qt.MouseButton.LeftButton:
            return
        layer = self._movable()
        grip = self._grip_at(pointer) if layer else None
        if grip is None:
            under = topmost_layer_at(self._session, pointer.at)
            if under is not None and under is not self._session.active:
                self._session.select(under.id)
            layer = self._movable()
            if layer is None or (under is not layer and not _inside(layer, pointer.at)):
                return
        if layer:
            self._grip, self._from, self._start = grip, pointer.at, layer.transform
            self._gesture = commands.gesture()

    def move(self, pointer: Pointer) -> None:
        """Drag it, or update the cursor."""
        layer = self._movable()
        if self._start is None or self._from is None or layer is None:
            self.cursor = self._cursor_at(pointer)
            return
        drag = pointer.at[0] - self._from[0], pointer.at[1] - self._from[1]
        transform, name = self._dragged(layer, pointer, drag)
        self._session.do(commands.set_transform(layer.id, transform, name, self._gesture))
        self.repaint.emit()

    def release(self, pointer: Pointer) -> None:
        """End the drag."""
        self.leave()

    def leave(self) -> None:
        """End the drag and remove the guides."""
        self._start = self._from = self._grip = None
        self._guides = Guides()
        self.repaint.emit()

    def _dragged(self, layer: Layer, pointer: Pointer, drag: Point) -> tuple[Transform, str]:
        start = self._start or layer.transform
        self._guides = Guides()
        if self._grip == ROTATE and self._from:
            return handles.rotate_between(start, self._from, pointer.at, steps=pointer.shift), "Rotate"
        if isinstance(self._grip, tuple):
            shape = {"keep_shape": not pointer.shift, "about_center": pointer.alt}
            return handles.scale_by_handle(start, layer.size, self._grip, drag, **shape), "Scale"
        if pointer.shift:  # along one axis
            drag = (drag[0], 0) if abs(drag[0]) > abs(drag[1]) else (0, drag[1])
        reach = 0.0 if pointer.control or not self.snapping else SNAP_DISTANCE * self._ratio() / self._viewport.scale
        document = self._session.document
        others = [document.rect] + [
            other.box for other in document.layers if other.visible and other is not layer and not other.locked
        ]
        transform, self._guides = handles.snap(start, layer.size, drag, others, reach)
        return transform, "Move"

    # ---- keys

    def key(self, event: QKeyEvent) -> bool:
        """Move, scale or rotate by keys, with Shift in larger steps; Escape cancels a drag."""
        pressed = pressed_shortcut(event, "tool", "move")
        if pressed == ("cancel", None) and self._start is not None:
            return self._cancel_drag()
        layer = self._movable()
        if (
            layer is None
            or pressed is None
            or event.modifiers() & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier)
        ):
            return False
        changed = nudged(layer.transform, *pressed, bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        if changed is None:
            return False
        if self._gesture is None or not event.isAutoRepeat():
            self._gesture = commands.gesture()
        self._session.do(commands.set_transform(layer.id, changed[0], changed[1], self._gesture))
        return True

    def _cancel_drag(self) -> bool:
        layer, start = self._movable(), self._start
        if layer and start:
            self._session.do(commands.set_transform(layer.id, start, "Transform", self._gesture))
        self.leave()
        return True

    # ---- painting

    def paint(self, painter: QPainter, viewport: Viewport, ratio: float) -> None:
        """Draw the active layer's frame, its handles, and snapping guides."""
        self._paint_guides(painter, viewport, ratio)
        layer = self._movable()
        if layer is None or not layer.visible:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        corners = QPolygonF([QPointF(*viewport.to_view(*corner)) for corner in layer.transform.corners(layer.size)])
        grips = {handle: QPointF(*self._handle_in_view(layer, handle)) for handle in handles.HANDLES}
        knob = QPointF(*self._handle_in_view(layer, ROTATE))
        for color, width in ((QColor(0, 0, 0, 110), 3.0), (QColor("white"), 1.4)):
            painter.setPen(QPen(color, width * ratio))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawPolygon(corners)
            painter.drawLine(grips[0, -1], knob)
        painter.setPen(QPen(QColor("#2f66d0"), 1.4 * ratio))
        painter.setBrush(QColor("white"))
        painter.drawEllipse(knob, (HANDLE_SIZE + 0.5) * ratio, (HANDLE_SIZE + 0.5) * ratio)
        for place in grips.values():
            painter.save()
            painter.translate(place)
            painter.rotate(layer.transform.rotation)
            side = HANDLE_SIZE * ratio
            painter.drawRoundedRect(round(-side), round(-side), round(2 * side), round(2 * side), 2 * ratio, 2 * ratio)
            painter.restore()

    def _paint_guides(self, painter: QPainter, viewport: Viewport, ratio: float) -> None:
        painter.setPen(QPen(QColor("#e0457b"), ratio))
        for x in self._guides.xs:
            place = viewport.to_view(x, 0)[0]
            painter.drawLine(QLineF(place, 0, place, viewport.view_height))
        for y in self._guides.ys:
            place = viewport.to_view(0, y)[1]
            painter.drawLine(QLineF(0, place, viewport.view_width, place))

    # ---- geometry

    def _movable(self) -> Layer | None:
        layer = self._session.active
        return None if layer is None or layer.locked else layer

    def _handle_in_view(self, layer: Layer, grip: Handle | str) -> Point:
        if isinstance(grip, tuple):
            return self._viewport.to_view(*handles.handle_position(layer.transform, layer.size, grip))
        beyond = KNOB_DISTANCE * self._ratio() / self._viewport.scale
        return self._viewport.to_view(*handles.handle_position(layer.transform, layer.size, (0, -1), beyond))

    def _grip_at(self, pointer: Pointer) -> Handle | str | None:
        layer = self._movable()
        if layer is None:
            return None
        reach = HANDLE_REACH * self._ratio()
        grips: tuple[Handle | str, ...] = (ROTATE, *handles.HANDLES)
        near = {grip: _distance(self._handle_in_view(layer, grip), pointer.in_view) for grip in grips}
        grip = min(near, key=lambda one: near[one])
        return grip if near[grip] <= reach else None

    def _cursor_at(self, pointer: Pointer) -> Qt.CursorShape:
        layer, grip = self._movable(), self._grip_at(pointer)
        if layer and isinstance(grip, tuple):
            angle = _angle(grip) + layer.transform.rotation
            return SHAPES[round(angle / 45) % 4]
        if grip == ROTATE:
            return Qt.CursorShape.PointingHandCursor
        inside = layer is not None and _inside(layer, pointer.at)
        return Qt.CursorShape.SizeAllCursor if inside else Qt.CursorShape.ArrowCursor


def nudged(transform: Transform, shortcut: str, value: object, large: bool) -> tuple[Transform, str] | None:
    """Return the transform after a shortcut of the move tool, and the command's name; None for other shortcuts."""
    if isinstance(value, tuple) and shortcut == "nudge":
        step = 10 if large else 1
        return handles.translate(transform, step * value[0], step * value[1]), "Move"
    if isinstance(value, int) and shortcut == "scale":
        factor = (1.1 if large else 1.01) ** value
        return replace(transform, scale_x=transform.scale_x * factor, scale_y=transform.scale_y * factor), "Scale"
    if isinstance(value, int) and shortcut == "rotate":
        angle = value * (handles.ROTATION_STEP if large else 1.0)
        return replace(transform, rotation=(transform.rotation + angle + 180) % 360 - 180), "Rotate"
    return None


def topmost_layer_at(session: EditorSession, point: Point) -> Layer | None:
    """Return the topmost visible layer that is not transparent at a point of the canvas."""
    for layer in reversed(session.document.layers):
        if layer.visible and _covers(layer, point):
            return layer
    return None


def _covers(layer: Layer, point: Point) -> bool:
    """Return True if a layer is more than 10% opaque at a point."""
    ((x, y),) = transform_points(invert_affine(layer.transform.matrix(layer.size)), [point])
    column, row = int(x // 1), int(y // 1)
    if not (0 <= column < layer.size[0] and 0 <= row < layer.size[1]):
        return False
    alpha = layer.raster.alpha
    if alpha is not None and alpha[row, column] < 0.1 * full_scale(alpha.dtype):
        return False
    if layer.mask is None:
        return True
    return bool(layer.mask.read(Rect(column, row, column + 1, row + 1))[0, 0] > 25)


def _inside(layer: Layer, point: Point) -> bool:
    ((x, y),) = transform_points(invert_affine(layer.transform.matrix(layer.size)), [point])
    return 0 <= x < layer.size[0] and 0 <= y < layer.size[1]


def _distance(a: Point, b: Point) -> float:
    return float(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5)


def _angle(handle: Handle) -> float:
    """Return the direction of a handle in degrees clockwise from the right."""
    return math.degrees(math.atan2(handle[1], handle[0]))
