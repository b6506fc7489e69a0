# SPDX-License-Identifier: GPL-3.0-or-later
"""Handles on the canvas for direction, length and ground line of a shadow."""

from __future__ import annotations

import math
from collections.abc import Callable

from PyQt6.QtCore import QLineF, QPointF, Qt
from PyQt6.QtGui import QColor, QPainter, QPen

from s2am_editor.document import commands
from s2am_editor.document.geometry import Point
from s2am_editor.document.model import Layer
from s2am_editor.document.raster import Raster, TiledMask
from s2am_editor.render.cast_shadow import silhouette_of
from s2am_editor.window.canvas.viewport import Viewport
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.tools.tool import Pointer, Tool
from s2am_engine.shadow.handles import ShadowHandles
from s2am_engine.shadow.layer import Silhouette

GRAB_DISTANCE = 12.0  # maximum distance from a handle, in widget pixels
RADIUS = 5.5  # of a handle, in widget pixels
OUTLINE_SIDE = 256  # pixels of the reduced layer that the handles are computed from
TIP, LEFT, RIGHT = "tip", "left", "right"  # names of the handles


class ShadowTool(Tool):
    """Drags the tip of a shadow, which changes direction and length, or an end of its ground line."""

    hides_while_comparing = True

    def __init__(self, session: EditorSession, viewport: Viewport, ratio: Callable[[], float]) -> None:
        """Work on a session's active layer, seen through a viewport; `ratio()`: device pixels per widget pixel."""
        super().__init__()
        self._session, self._viewport, self._ratio = session, viewport, ratio
        self._grip = ""
        self._gesture: object = None
        self._outline: tuple[Raster, TiledMask | None, object, Silhouette | None, float] | None = None

    def press(self, pointer: Pointer) -> None:
        """Grab a handle."""
        if pointer.button is Qt.MouseButton.LeftButton:
            self._grip = self._grip_at(pointer)
            self._gesture = commands.gesture()

    def move(self, pointer: Pointer) -> None:
        """Drag it, or update the cursor."""
        layer, found = self._session.active, self._handles()
        if not self._grip or layer is None or found is None:
            on_handle = bool(self._grip_at(pointer))
            self.cursor = Qt.CursorShape.PointingHandCursor if on_handle else Qt.CursorShape.ArrowCursor
            return
        handles, scale = found
        x, y = pointer.at[0] * scale, pointer.at[1] * scale
        if self._grip == TIP:
            shadow, name = handles.with_tip((x, y)), "Shadow direction"
        elif self._grip == LEFT:
            shadow, name = handles.with_ground((x, y), handles.right), "Ground line"
        else:
            shadow, name = handles.with_ground(handles.left, (x, y)), "Ground line"
        self._session.do(commands.set_shadow(layer.id, shadow, name, self._gesture))
        self.repaint.emit()

    def release(self, pointer: Pointer) -> None:
        """End the drag."""
        self.leave()

    def leave(self) -> None:
        """End the drag."""
        self._grip = ""
        self.repaint.emit()

    def paint(self, painter: QPainter, viewport: Viewport, ratio: float) -> None:
        """Draw the ground line, and the shadow of the layer's vertical axis, with the handles."""
        layer, points = self._session.active, self.points
        if layer is None or not points or not self._session.document.shows(layer):
            return
        places = {name: QPointF(*viewport.to_view(*point)) for name, point in points.items()}
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for color, width in ((QColor(0, 0, 0, 130), 3.0), (QColor("white"), 1.4)):
            painter.setPen(QPen(color, width * ratio, Qt.PenStyle.DashLine))
            painter.drawLine(QLineF(places[LEFT], places[RIGHT]))
            painter.setPen(QPen(color, width * ratio))
            painter.drawLine(QLineF((places[LEFT] + places[RIGHT]) / 2, places[TIP]))
        painter.setPen(QPen(QColor("#2f66d0"), 1.4 * ratio))
        painter.setBrush(QColor("white"))
        for place in places.values():
            painter.drawEllipse(place, RADIUS * ratio, RADIUS * ratio)

    @property
    def points(self) -> dict[str, Point]:
        """The handles of the active layer's shadow on the canvas, by name; none if it has no shadow."""
        found = self._handles()
        if found is None:
            return {}
        handles, scale = found
        at = {TIP: handles.tip, LEFT: handles.left, RIGHT: handles.right}
        return {name: (x / scale, y / scale) for name, (x, y) in at.items()}

    def _handles(self) -> tuple[ShadowHandles, float] | None:
        """Return the handles of the active layer's shadow in a reduced view, and its scale; None if it has none."""
        layer = self._session.active
        if layer is None or layer.shadow is None:
            return None
        silhouette, scale = self._reduced(layer)
        handles = None if silhouette is None else ShadowHandles.of(layer.shadow, silhouette)
        return None if handles is None else (handles, scale)

    def _reduced(self, layer: Layer) -> tuple[Silhouette | None, float]:
        """Return the outline of a layer in a reduced view, and its scale; the last one is kept."""
        known = self._outline
        if known is None or known[:3] != (layer.raster, layer.mask, layer.transform):
            scale = min(1.0, OUTLINE_SIDE / max(1, layer.box.width, layer.box.height))
            known = layer.raster, layer.mask, layer.transform, silhouette_of(layer, scale), scale
            self._outline = known
        return known[3:]

    def _grip_at(self, pointer: Pointer) -> str:
        """Return the name of the handle at the pointer; "" if none is near."""
        for name, point in self.points.items():
            x, y = self._viewport.to_view(*point)
            if math.hypot(x - pointer.in_view[0], y - pointer.in_view[1]) <= GRAB_DISTANCE * self._ratio():
                return name
        return ""
