# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving, scaling and rotating a layer with the mouse and keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce

from PyQt6.QtCore import QLineF, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QKeyEvent, QPainter, QPen, QPolygonF

from s2am_editor.document import commands
from s2am_editor.document.frame import CENTER, Anchor, Frame, place_in_frame
from s2am_editor.document.geometry import Point, Transform, invert_affine, transform_points
from s2am_editor.document.model import Layer
from s2am_editor.window.action_table import pressed_shortcut
from s2am_editor.window.canvas.viewport import Viewport
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.tools import handles
from s2am_editor.window.tools.handles import Guides
from s2am_editor.window.tools.tool import Pointer, Tool
from s2am_engine.image.arrays import full_scale
from s2am_engine.image.rect import Rect

HANDLE_SIZE = 5.0  # half the side of a handle, in widget pixels
HANDLE_REACH = 10.0  # maximum distance from a handle
KNOB_DISTANCE = 26.0  # distance of the rotation handle above the frame
SNAP_DISTANCE = 7.0
PIVOT_SIZE = 4.0  # radius of the pivot, in widget pixels
ROTATE, PIVOT = "rotate", "pivot"  # grips that are not handles
SHAPES = (
    Qt.CursorShape.SizeHorCursor,
    Qt.CursorShape.SizeFDiagCursor,
    Qt.CursorShape.SizeVerCursor,
    Qt.CursorShape.SizeBDiagCursor,
)


class MoveTool(Tool):
    """Moves, scales and rotates the active layer by its frame; a click on another layer selects that one."""

    pivot_moved = pyqtSignal()
    hides_while_comparing = True

    def __init__(self, session: EditorSession, viewport: Viewport, ratio: Callable[[], float]) -> None:
        """Work on a session's document, seen through a viewport; `ratio()`: device pixels per widget pixel."""
        super().__init__()
        self._session, self._viewport, self._ratio = session, viewport, ratio
        self._grip: Anchor | str | None = None
        self._from: Point | None = None
        self._start: Layer | None = None
        self._others: list[Layer] = []  # other selected layers, at the start of the drag
        self._gesture: object = None
        self._guides = Guides()
        self._pivot: tuple[int, Anchor] | None = None  # of which layer
        self._snapping = True

    @property
    def pivot(self) -> Anchor:
        """The point of the active layer's frame about which it is rotated and scaled."""
        active = self._session.active
        return self._pivot[1] if self._pivot and active and self._pivot[0] == active.id else CENTER

    def set_snapping(self, on: bool) -> None:
        """Turn snapping of moved layers to other layers on or off."""
        self._snapping = on

    def change_frame(self, frame: Frame, name: str) -> None:
        """Fit the active layer into another frame; `name`: of the undo step."""
        layer = self._session.active
        if layer:
            self._session.do(commands.set_transform(layer.id, place_in_frame(layer, frame), name))

    # ---- mouse

    def press(self, pointer: Pointer) -> None:
        """Grab a handle, or the layer under the pointer."""
        if pointer.button is not Qt.MouseButton.LeftButton:
            return
        layer = self._movable()
        grip = self._grip_at(pointer) if layer else None
        if grip is None:
            under = next(iter(layers_at(self._session, pointer.at)), None)
            if under is not None and under not in self._session.selected and not under.locked:
                self._session.select(under.id)
            layer = self._movable()
            on_selected = under in self._session.selected
            if layer is None or (not on_selected and not Frame.of(layer).contains(pointer.at)):
                return
        if layer:
            self._grip, self._from, self._start = grip, pointer.at, layer
            self._others = [other for other in self._session.selected if other is not layer and not other.locked]
            self._gesture = commands.gesture()

    def move(self, pointer: Pointer) -> None:
        """Drag it, or update the cursor."""
        layer = self._movable()
        if self._start is None or self._from is None or layer is None:
            self.cursor = self._cursor_at(pointer)
            return
        if self._grip == PIVOT:
            self._move_pivot(layer, pointer)
        else:
            drag = pointer.at[0] - self._from[0], pointer.at[1] - self._from[1]
            transform, name = self._dragged(self._start, pointer, drag)
            self._move_all(self._start, transform, name, self._others)
        self.repaint.emit()

    def release(self, pointer: Pointer) -> None:
        """End the drag."""
        self.leave()

    def leave(self) -> None:
        """End the drag and remove the guides."""
        self._start = self._from = self._grip = None
        self._guides = Guides()
        self.repaint.emit()

    def _dragged(self, start: Layer, pointer: Pointer, drag: Point) -> tuple[Transform, str]:
        frame = Frame.of(start)
        self._guides = Guides()
        if self._grip == ROTATE and self._from:
            rotated = handles.rotate_between(frame, self._from, pointer.at, steps=pointer.shift, fixed=self.pivot)
            return place_in_frame(start, rotated), "Rotate"
        if isinstance(self._grip, tuple):
            fixed = self.pivot if pointer.alt else (-self._grip[0], -self._grip[1])
            scaled = handles.scale_by_handle(frame, self._grip, drag, keep_shape=not pointer.shift, fixed=fixed)
            return place_in_frame(start, scaled), "Scale"
        if pointer.shift:  # along one axis
            drag = (drag[0], 0) if abs(drag[0]) > abs(drag[1]) else (0, drag[1])
        reach = 0.0 if pointer.control or not self._snapping else SNAP_DISTANCE * self._ratio() / self._viewport.scale
        document = self._session.document
        moved_ids = {start.id, *(other.id for other in self._others)}
        others = [document.rect] + [
            Frame.of(other).box
            for other in document.layers
            if document.shows(other) and other.id not in moved_ids and not other.locked
        ]
        moved, self._guides = handles.snap(frame, drag, others, reach)
        return handles.translate(start.transform, *moved), "Move"

    def _move_all(self, start: Layer, transform: Transform, name: str, others: Sequence[Layer]) -> None:
        """Transform a layer, and move the other selected ones along with it."""
        steps = [commands.set_transform(start.id, transform, name)]
        if name == "Move":
            x, y = transform.x - start.transform.x, transform.y - start.transform.y
            for other in others:
                moved = other.transform.moved(x, y)
                steps.append(commands.set_transform(other.id, moved, name))
        self._session.do(commands.chain(name, steps, self._gesture))

    def _move_pivot(self, layer: Layer, pointer: Pointer) -> None:
        """Move the pivot to the pointer, or to a handle or the center nearby."""
        frame = Frame.of(layer)
        near = {
            anchor: _distance(self._viewport.to_view(*frame.point(anchor)), pointer.in_view)
            for anchor in (CENTER, *handles.HANDLES)
        }
        closest = min(near, key=lambda anchor: near[anchor])
        at_handle = near[closest] <= HANDLE_REACH * self._ratio()
        self._pivot = layer.id, closest if at_handle else frame.anchor(pointer.at)
        self.pivot_moved.emit()

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
            or (self._session.active_group is not None and pressed[0] != "nudge")
            or event.modifiers() & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier)
        ):
            return False
        large = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        changed = nudged(layer, self.pivot, *pressed, large)
        if changed is None:
            return False
        if self._gesture is None or not event.isAutoRepeat():
            self._gesture = commands.gesture()
        others = [other for other in self._session.selected if other is not layer and not other.locked]
        self._move_all(layer, *changed, others)
        return True

    def _cancel_drag(self) -> bool:
        if self._start:
            starts = [commands.set_transform(one.id, one.transform) for one in (self._start, *self._others)]
            self._session.do(commands.chain("Transform", starts, self._gesture))
        self.leave()
        return True

    # ---- painting

    def paint(self, painter: QPainter, viewport: Viewport, ratio: float) -> None:
        """Draw the active layer's frame, its handles and pivot, and snapping guides."""
        self._paint_guides(painter, viewport, ratio)
        layer = self._movable()
        if layer is None or not self._session.document.shows(layer):
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._session.active_group:
            self._paint_box(painter, viewport, ratio)
            return
        frame = Frame.of(layer)
        corners = QPolygonF([QPointF(*viewport.to_view(*corner)) for corner in frame.corners])
        grips = {handle: QPointF(*self._grip_in_view(frame, handle)) for handle in handles.HANDLES}
        knob, pivot = (QPointF(*self._grip_in_view(frame, grip)) for grip in (ROTATE, PIVOT))
        for color, width in ((QColor(0, 0, 0, 110), 3.0), (QColor("white"), 1.4)):
            painter.setPen(QPen(color, width * ratio))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawPolygon(corners)
            painter.drawLine(grips[0, -1], knob)
            painter.drawEllipse(pivot, PIVOT_SIZE * ratio, PIVOT_SIZE * ratio)
            for x, y in ((1.8, 0.0), (0.0, 1.8)):
                arm = QPointF(x, y) * PIVOT_SIZE * ratio
                painter.drawLine(pivot - arm, pivot + arm)
        painter.setPen(QPen(QColor("#2f66d0"), 1.4 * ratio))
        painter.setBrush(QColor("white"))
        painter.drawEllipse(knob, (HANDLE_SIZE + 0.5) * ratio, (HANDLE_SIZE + 0.5) * ratio)
        for place in grips.values():
            painter.save()
            painter.translate(place)
            painter.rotate(frame.rotation)
            side = HANDLE_SIZE * ratio
            painter.drawRoundedRect(round(-side), round(-side), round(2 * side), round(2 * side), 2 * ratio, 2 * ratio)
            painter.restore()

    def _paint_box(self, painter: QPainter, viewport: Viewport, ratio: float) -> None:
        """Draw the box around the layers of the active group; it has no handles."""
        boxes = [Frame.of(layer).box for layer in self._session.selected if self._session.document.shows(layer)]
        box = reduce(Rect.union, boxes)
        corners = QPolygonF([QPointF(*viewport.to_view(*corner)) for corner in box.corners])
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for color, width in ((QColor(0, 0, 0, 110), 3.0), (QColor("white"), 1.4)):
            painter.setPen(QPen(color, width * ratio))
            painter.drawPolygon(corners)

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
        """Return the layer that is moved: the active one, or the topmost of the active group; the others follow it."""
        selected = self._session.selected
        if self._session.active_group:
            selected = [layer for layer in selected if not layer.locked]
        return selected[0] if selected and not selected[0].locked else None

    def _grip_in_view(self, frame: Frame, grip: Anchor | str) -> Point:
        if grip == ROTATE:
            beyond = KNOB_DISTANCE * self._ratio() / self._viewport.scale
            return self._viewport.to_view(*frame.point((0, -1), beyond))
        return self._viewport.to_view(*frame.point(grip if isinstance(grip, tuple) else self.pivot))

    def _grip_at(self, pointer: Pointer) -> Anchor | str | None:
        layer = self._movable()
        if layer is None or self._session.active_group:
            return None
        frame, reach = Frame.of(layer), HANDLE_REACH * self._ratio()
        # Without Alt, the pivot would be in the way of moving a small layer.
        grips: tuple[Anchor | str, ...] = ((PIVOT,) if pointer.alt else ()) + (ROTATE, *handles.HANDLES)
        near = {grip: _distance(self._grip_in_view(frame, grip), pointer.in_view) for grip in grips}
        grip = min(near, key=lambda one: near[one])
        return grip if near[grip] <= reach else None

    def _cursor_at(self, pointer: Pointer) -> Qt.CursorShape:
        layer, grip = self._movable(), self._grip_at(pointer)
        if layer and isinstance(grip, tuple):
            angle = _angle(grip) + layer.transform.rotation
            return SHAPES[round(angle / 45) % 4]
        if grip == PIVOT:
            return Qt.CursorShape.CrossCursor
        if grip == ROTATE:
            return Qt.CursorShape.PointingHandCursor
        inside = layer is not None and Frame.of(layer).contains(pointer.at)
        return Qt.CursorShape.SizeAllCursor if inside else Qt.CursorShape.ArrowCursor


def nudged(layer: Layer, pivot: Anchor, shortcut: str, value: object, large: bool) -> tuple[Transform, str] | None:
    """Return the transform after a shortcut of the move tool, and the command's name; None for other shortcuts."""
    frame = Frame.of(layer)
    if isinstance(value, tuple) and shortcut == "nudge":
        step = 10 if large else 1
        return handles.translate(layer.transform, step * value[0], step * value[1]), "Move"
    if isinstance(value, int) and shortcut == "scale":
        factor = (1.1 if large else 1.01) ** value
        return place_in_frame(layer, frame.resized(frame.width * factor, frame.height * factor, pivot)), "Scale"
    if isinstance(value, int) and shortcut == "rotate":
        angle = value * (handles.ROTATION_STEP if large else 1.0)
        return place_in_frame(layer, frame.rotated(frame.rotation + angle, pivot)), "Rotate"
    return None


def layers_at(session: EditorSession, point: Point) -> list[Layer]:
    """Return the visible layers that are not transparent at a point of the canvas, the topmost first."""
    document = session.document
    return [layer for layer in reversed(document.layers) if document.shows(layer) and _covers(layer, point)]


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


def _distance(a: Point, b: Point) -> float:
    return float(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5)


def _angle(handle: Anchor) -> float:
    """Return the direction of a handle in degrees clockwise from the right."""
    return math.degrees(math.atan2(handle[1], handle[0]))
