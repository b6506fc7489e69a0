# SPDX-License-Identifier: GPL-3.0-or-later
"""The canvas widget: paints tiles and the tool's overlay, and passes mouse and keys to the tool.

Only what changed is repainted: panning scrolls existing pixels, and a tile that arrives repaints its own part.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from PyQt6.QtCore import QEvent, QPoint, QPointF, QRect, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import (
    QKeyEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QPainter,
    QPaintEvent,
    QPointingDevice,
    QResizeEvent,
    QWheelEvent,
)
from PyQt6.QtWidgets import QWidget

from s2am_editor.document.geometry import Rect
from s2am_editor.window.actions import pressed_shortcut
from s2am_editor.window.canvas.tiles import RenderFunction, TilePainter, TileStore
from s2am_editor.window.canvas.viewport import Viewport
from s2am_editor.window.tools.tool import Pointer, Tool

WHEEL_ZOOM = 1.0015  # zoom factor per wheel unit; a notch is 120 units
ARRIVAL_DELAY = 30  # milliseconds during which arriving tiles are collected, to paint them together
DIVIDER_REACH = 10  # distance from the divider, in pixels, within which it can be dragged


class Compare(Enum):
    """Modes of the before/after comparison."""

    AFTER = "after"
    BEFORE = "before"
    SPLIT = "split"


class Canvas(QWidget):
    """Shows an image at any scale."""

    zoomed = pyqtSignal(float)  # device pixels per image pixel
    hovered = pyqtSignal(object)  # (x, y) in the image, or None
    compare_changed = pyqtSignal(object)  # Compare
    render_failed = pyqtSignal(object)  # an exception

    def __init__(self, parent: QWidget | None = None) -> None:
        """Start without an image."""
        super().__init__(parent)
        self.viewport = Viewport()
        self.tiles = TileStore(self)
        self.tool: Tool | None = None
        self.compare = Compare.AFTER
        self.split = 0.5  # position of the divider, as a share of the width
        self._held = False  # “before” is shown while a key or button is held
        self._panning: QPoint | None = None
        self._splitting = False
        self._space = False
        self._drawing = TilePainter(self.viewport, self.tiles)
        self.tiles.rendered.connect(self._tile_rendered)
        self.tiles.failed.connect(self.render_failed)
        self._arrived: list[Rect] = []
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(ARRIVAL_DELAY)
        self._soon.timeout.connect(self._show_arrived)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(240, 180)
        self.setAccessibleName(self.tr("Canvas"))

    # ---- content

    def show_image(self, width: int, height: int, render: RenderFunction | None) -> None:
        """Show another image, fitted; a width of 0 shows none."""
        self.tiles.show(width, height, render)
        self.viewport.set_image(width, height)
        self._moved()

    def update_image(self, render: RenderFunction, rect: Rect | None = None) -> None:
        """Repaint `rect` of the image (None: all of it) with another render function."""
        self.tiles.change(render, rect)
        if rect is None:
            self.update()
        else:
            self._update_device(self.viewport.rect_on_view(rect))

    @property
    def has_image(self) -> bool:
        """True if there is an image."""
        return self.viewport.width > 0

    @property
    def is_current(self) -> bool:
        """True if the screen shows the current image, with no tile left to render."""
        if not self.has_image:
            return True
        split = round(self.split * self.viewport.view_width)
        return self.tiles.idle and not self._drawing.missing(self._whole(), self._sides(split))

    def set_compare(self, compare: Compare) -> None:
        """Show before, after, or both with a divider that can be dragged."""
        if compare is not self.compare:
            self.compare = compare
            self.compare_changed.emit(compare)
            self.update()

    def hold_before(self, held: bool) -> None:
        """Show “before” while held."""
        if held is not self._held:
            self._held = held
            self.update()

    @property
    def shown(self) -> Compare:
        """The side shown now."""
        return Compare.BEFORE if self._held else self.compare

    def set_tool(self, tool: Tool | None) -> None:
        """Use another tool."""
        if self.tool:
            self.tool.leave()
        self.tool = tool
        self.setCursor(tool.cursor if tool else Qt.CursorShape.ArrowCursor)
        if tool:
            tool.enter()
        self.update()

    # ---- zoom and pan

    def fit(self) -> None:
        """Fit the image into the view."""
        self.viewport.fit()
        self._moved()

    def zoom_to(self, scale: float, at: QPointF | None = None) -> None:
        """Zoom about a point of the widget; None = its center."""
        ratio = self.devicePixelRatioF()
        if at is None:
            self.viewport.zoom(scale)
        else:
            self.viewport.zoom(scale, at.x() * ratio, at.y() * ratio)
        self._moved()

    def zoom_step(self, up: bool, at: QPointF | None = None) -> None:
        """Zoom to the next of the usual scales."""
        self.zoom_to(self.viewport.step(up), at)

    def pan(self, x: int, y: int) -> None:
        """Move the image by device pixels, scrolling the painted area."""
        moved = self.viewport.pan(x, y)
        if moved == (0, 0):
            return
        ratio = self.devicePixelRatioF()
        whole = all((part / ratio).is_integer() for part in moved)
        if whole and self.shown is not Compare.SPLIT and self.isVisible():
            self.scroll(round(moved[0] / ratio), round(moved[1] / ratio))
        else:
            self.update()

    def _moved(self) -> None:
        self.update()
        self.zoomed.emit(self.viewport.scale)

    # ---- painting

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the exposed part."""
        painter = QPainter(self)
        ratio = self.devicePixelRatioF()
        painter.scale(1 / ratio, 1 / ratio)  # from here on in device pixels
        exposed = self._to_device(event.rect()) if event else self._whole()
        split = round(self.split * self.viewport.view_width)
        self._drawing.background(painter, exposed)
        if self.has_image:
            self._drawing.image(painter, exposed, self._sides(split))
            if self.viewport.grid:
                self._drawing.grid(painter, exposed)
            if self.tool and not self._held:
                self.tool.paint(painter, self.viewport, ratio)
            if self.shown is Compare.SPLIT:
                self._drawing.split(painter, split, ratio, (self.tr("Before"), self.tr("After")))
        painter.end()
        self.tiles.want(self._drawing.missing(self._whole(), self._sides(split)) if self.has_image else [])

    def _sides(self, split: int) -> list[tuple[bool, Rect]]:
        """Return the parts of the view that show “before” (True) and “after”."""
        whole = self._whole()
        if self.shown is not Compare.SPLIT:
            return [(self.shown is Compare.BEFORE, whole)]
        return [(True, whole._replace(right=split)), (False, whole._replace(left=split))]

    def _whole(self) -> Rect:
        return Rect(0, 0, self.viewport.view_width, self.viewport.view_height)

    def _to_device(self, rect: QRect) -> Rect:
        ratio = self.devicePixelRatioF()
        return Rect(
            int(rect.left() * ratio),
            int(rect.top() * ratio),
            int((rect.right() + 1) * ratio + 0.999),
            int((rect.bottom() + 1) * ratio + 0.999),
        )

    def _update_device(self, rect: Rect) -> None:
        ratio = self.devicePixelRatioF()
        left, top = int(rect.left / ratio) - 1, int(rect.top / ratio) - 1
        self.update(QRect(left, top, int(rect.right / ratio) + 2 - left, int(rect.bottom / ratio) + 2 - top))

    def _tile_rendered(self, key: Any) -> None:
        self._arrived.append(key.part(self.viewport.width, self.viewport.height))
        if self.tiles.idle:
            self._show_arrived()
        elif not self._soon.isActive():
            self._soon.start()

    def _show_arrived(self) -> None:
        """Paint the tiles that arrived since the last call, in one update."""
        self._soon.stop()
        for part in self._arrived:
            self._update_device(self.viewport.rect_on_view(part))
        self._arrived.clear()

    # ---- events

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep the center in place, or the image fitted."""
        ratio = self.devicePixelRatioF()
        self.viewport.resize(round(self.width() * ratio), round(self.height() * ratio))
        self._moved()

    def event(self, event: QEvent | None) -> bool:
        """Zoom with a trackpad pinch."""
        if isinstance(event, QNativeGestureEvent) and event.gestureType() is Qt.NativeGestureType.ZoomNativeGesture:
            self.zoom_to(self.viewport.scale * (1 + event.value()), event.position())
            return True
        return super().event(event)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Zoom with a wheel; pan with two fingers on a trackpad, or with Shift."""
        if not event or not self.has_image:
            return
        turned, keys = event.angleDelta(), event.modifiers()
        device = event.device()
        touch = device is not None and device.type() is QPointingDevice.DeviceType.TouchPad
        if (touch or keys & Qt.KeyboardModifier.ShiftModifier) and not keys & Qt.KeyboardModifier.ControlModifier:
            moved = event.pixelDelta() if not event.pixelDelta().isNull() else turned
            if keys & Qt.KeyboardModifier.ShiftModifier and not moved.x():
                moved = QPoint(moved.y(), 0)
            ratio = self.devicePixelRatioF()
            self.pan(round(moved.x() * ratio), round(moved.y() * ratio))
        else:
            self.zoom_to(self.viewport.scale * WHEEL_ZOOM ** turned.y(), event.position())
        event.accept()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Start panning, dragging the divider, or the tool's action."""
        if not event or not self.has_image:
            return
        if event.button() is Qt.MouseButton.MiddleButton or (
            self._space and event.button() is Qt.MouseButton.LeftButton
        ):
            self._panning = event.position().toPoint()
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        elif event.button() is Qt.MouseButton.LeftButton and self._on_divider(event.position()):
            self._splitting = True
        elif self.tool:
            self.tool.press(self._pointer(event))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Continue it."""
        if not event or not self.has_image:
            return
        self.hovered.emit(self._pointer(event).at)
        if self._panning is not None:
            to = event.position().toPoint()
            ratio = self.devicePixelRatioF()
            self.pan(round((to.x() - self._panning.x()) * ratio), round((to.y() - self._panning.y()) * ratio))
            self._panning = to
        elif self._splitting:
            self.split = min(max(event.position().x() / max(1, self.width()), 0.02), 0.98)
            self.update()
        elif self.tool and not self._space:
            self.tool.move(self._pointer(event))
            shape = Qt.CursorShape.SplitHCursor if self._on_divider(event.position()) else self.tool.cursor
            self.setCursor(shape)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """End it."""
        if not event or not self.has_image:
            return
        if self._panning is not None:
            self._panning = None
            self._restore_cursor()
        elif self._splitting:
            self._splitting = False
        elif self.tool:
            self.tool.release(self._pointer(event))

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Treat a double click as a press: tools have no double clicks."""
        self.mousePressEvent(event)

    def leaveEvent(self, event: QEvent | None) -> None:
        """Report that the pointer left the canvas."""
        self.hovered.emit(None)
        if self.tool:
            self.tool.pointer_left()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Start panning with Space, else pass the key to the tool."""
        if not event:
            return
        if pressed_shortcut(event, "canvas") == ("pan", None):
            self._space = True
            self.setCursor(Qt.CursorShape.OpenHandCursor)
        elif not (self.tool and self.has_image and self.tool.key(event)):
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent | None) -> None:
        """Stop panning with Space."""
        if event and not event.isAutoRepeat() and pressed_shortcut(event, "canvas") == ("pan", None):
            self._space = False
            self._restore_cursor()
        else:
            super().keyReleaseEvent(event)

    def focusOutEvent(self, event: Any) -> None:
        """Cancel the held keys; their release events would be lost."""
        self._space = False
        self.hold_before(False)
        super().focusOutEvent(event)

    def _restore_cursor(self) -> None:
        shape = Qt.CursorShape.OpenHandCursor if self._space else self.tool.cursor if self.tool else None
        self.setCursor(shape or Qt.CursorShape.ArrowCursor)

    def _on_divider(self, at: QPointF) -> bool:
        return self.shown is Compare.SPLIT and abs(at.x() - self.split * self.width()) < DIVIDER_REACH

    def _pointer(self, event: QMouseEvent) -> Pointer:
        ratio = self.devicePixelRatioF()
        x, y = event.position().x() * ratio, event.position().y() * ratio
        return Pointer(self.viewport.to_image(x, y), (x, y), event.button(), event.modifiers())
