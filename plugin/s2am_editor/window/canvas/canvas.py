# SPDX-License-Identifier: GPL-3.0-or-later
"""The canvas widget: paints tiles and the tool's overlay, and passes mouse and keys to the tool.

Only what changed is repainted: panning scrolls existing pixels, and a tile that arrives repaints its own part.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from PyQt6.QtCore import QEvent, QPoint, QPointF, QRect, QSize, Qt, QTimer, pyqtSignal
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

from s2am_editor.window.action_table import pressed_shortcut
from s2am_editor.window.canvas.tiles import RenderFunction, Sides, TilePainter, TileStore, to_qrect
from s2am_editor.window.canvas.viewport import Viewport
from s2am_editor.window.tools.tool import Pointer, Tool
from s2am_engine.image.rect import Rect

MIN_CANVAS_SIZE = QSize(240, 180)  # in pixels of the widget
WHEEL_ZOOM = 1.0015  # zoom factor per wheel unit; a notch is 120 units
ARRIVAL_DELAY = 30  # milliseconds during which arriving tiles are collected, to paint them together
MIN_SPLIT = 0.02  # share of the width that stays on either side of the divider
DIVIDER_REACH = 10  # distance from the divider, in pixels, within which it can be dragged


class Compare(Enum):
    """Modes of the before/after comparison."""

    AFTER = "after"
    BEFORE = "before"
    SPLIT = "split"
    SIDE_BY_SIDE = "side by side"


class Canvas(QWidget):
    """Shows an image at any scale."""

    zoomed = pyqtSignal(float)  # device pixels per image pixel
    hovered = pyqtSignal(object)  # (x, y) in the image, or None
    compare_changed = pyqtSignal(object)  # Compare
    render_failed = pyqtSignal(object)  # an exception
    outline_wanted = pyqtSignal(object, float)  # the painter, in device pixels, and their number per widget pixel
    menu_wanted = pyqtSignal(QPointF, QPoint)  # the point of the image, and where on the screen the menu opens

    def __init__(self, parent: QWidget | None = None) -> None:
        """Start without an image."""
        super().__init__(parent)
        self.viewport = Viewport()
        self.tiles = TileStore(self)
        self.tool: Tool | None = None
        self.compare = Compare.AFTER
        self.split = 0.5  # position of the divider, as a share of the width
        self.shows_draft = False  # a more exact image will follow
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
        self.setMinimumSize(MIN_CANVAS_SIZE)
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
        self._want_tiles()  # rendered while other widgets are painted
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
        return not self.shows_draft and self.tiles.idle and not self._drawing.missing(self._whole(), self._sides(split))

    def set_compare(self, compare: Compare, divider: float | None = None) -> None:
        """Show before, after, or both: with a divider that can be dragged, or side by side.

        Args:
            compare: what to show.
            divider: x of the image where the divider starts, if the view shows that; None = its center.
        """
        if compare is not self.compare:
            self.compare = compare
            place = self.viewport.to_view(divider, 0)[0] / self.viewport.view_width if divider is not None else 0.5
            self.split = place if MIN_SPLIT <= place <= 1 - MIN_SPLIT else 0.5
            self._resize_view()
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
        if at is None:
            self.viewport.zoom(scale)
        else:
            place = self.in_view(at)
            self.viewport.zoom(scale, place.x(), place.y())
        self._moved()

    def zoom_step(self, up: bool) -> None:
        """Zoom to the next of the usual scales."""
        self.zoom_to(self.viewport.step(up))

    def pan(self, x: int, y: int) -> None:
        """Move the image by device pixels, scrolling the painted area."""
        moved = self.viewport.pan(x, y)
        if moved == (0, 0):
            return
        ratio = self.devicePixelRatioF()
        whole = all((part / ratio).is_integer() for part in moved)
        if whole and self.shown in (Compare.AFTER, Compare.BEFORE) and self.isVisible():
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
        sides, names = self._sides(split), (self.tr("Before"), self.tr("After"))
        if self.shown is Compare.SIDE_BY_SIDE:
            for side, name in zip(sides, names, strict=True):
                painter.save()
                painter.setClipRect(to_qrect(self._whole()))
                self._paint_view(painter, self._whole(), [side], ratio)
                self._drawing.label(painter, name, ratio, last=side is sides[-1])
                painter.restore()
                painter.translate(self.viewport.view_width, 0)
        else:
            self._paint_view(painter, exposed, sides, ratio)
            if self.shown is Compare.SPLIT and self.has_image:
                self._drawing.split(painter, split, ratio, names)
        painter.end()
        self._want_tiles()

    def _want_tiles(self) -> None:
        sides = self._sides(round(self.split * self.viewport.view_width))
        self.tiles.want(self._drawing.visible(self._whole(), sides) if self.has_image else [])

    def _paint_view(self, painter: QPainter, exposed: Rect, sides: Sides, ratio: float) -> None:
        """Paint the image and the tool's overlay."""
        self._drawing.background(painter, exposed)
        if not self.has_image:
            return
        self._drawing.image(painter, exposed, sides)
        if self.viewport.grid:
            self._drawing.grid(painter, exposed)
        comparing = self.shown in (Compare.SPLIT, Compare.SIDE_BY_SIDE)
        if self.tool and not self._held and not (comparing and self.tool.hides_while_comparing):
            if self.tool.outlines_mask and not comparing:
                self.outline_wanted.emit(painter, ratio)
            self.tool.paint(painter, self.viewport, ratio)

    def _sides(self, split: int) -> Sides:
        """Return the parts of the view that show “before” (True) and “after”; side by side, each fills a view."""
        whole = self._whole()
        if self.shown is Compare.SIDE_BY_SIDE:
            return [(True, whole), (False, whole)]
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
        if self.compare is Compare.SIDE_BY_SIDE:
            self.update()  # both views show it
            return
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
        self._resize_view()

    def _resize_view(self) -> None:
        """Fit the view into the widget, or into its half, and keep the center in place or the image fitted."""
        ratio = self.devicePixelRatioF()
        parts = 2 if self.compare is Compare.SIDE_BY_SIDE else 1
        self.viewport.resize(round(self.width() * ratio / parts), round(self.height() * ratio))
        self._moved()

    def in_view(self, place: QPointF) -> QPointF:
        """Return the device pixel of the view at a point of the widget; side by side, both views are the same one."""
        ratio = self.devicePixelRatioF()
        x = place.x() * ratio
        if self.compare is Compare.SIDE_BY_SIDE and x >= self.viewport.view_width:
            x -= self.viewport.view_width
        return QPointF(x, place.y() * ratio)

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
        elif event.button() is Qt.MouseButton.RightButton and not (self.tool and self.tool.uses_right_button):
            self.menu_wanted.emit(QPointF(*self._pointer(event).at), event.globalPosition().toPoint())
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
            self.split = min(max(event.position().x() / max(1, self.width()), MIN_SPLIT), 1 - MIN_SPLIT)
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

    def press_key(self, event: QKeyEvent) -> bool:
        """Start panning or showing “before” while a key is held, else pass the key to the tool. True if it was used."""
        if not self.has_image:
            return False
        match pressed_shortcut(event, "canvas"):
            case ("pan", _):
                self._space = True
                self.setCursor(Qt.CursorShape.OpenHandCursor)
            case ("before", _) if not event.modifiers():
                self.hold_before(True)
            case _:
                return self.tool is not None and self.tool.key(event)
        return True

    def release_key(self, event: QKeyEvent) -> bool:
        """Stop panning or showing “before”. Return True if the key was used."""
        if event.isAutoRepeat():
            return False
        match pressed_shortcut(event, "canvas"):
            case ("pan", _):
                self._space = False
                self._restore_cursor()
            case ("before", _):
                self.hold_before(False)
            case _:
                return False
        return True

    def release_held_keys(self) -> None:
        """Act as if the held keys were released: the window that would receive their release is no longer active."""
        self._space = False
        self.hold_before(False)
        self._restore_cursor()

    def _restore_cursor(self) -> None:
        shape = Qt.CursorShape.OpenHandCursor if self._space else self.tool.cursor if self.tool else None
        self.setCursor(shape or Qt.CursorShape.ArrowCursor)

    def _on_divider(self, at: QPointF) -> bool:
        return self.shown is Compare.SPLIT and abs(at.x() - self.split * self.width()) < DIVIDER_REACH

    def _pointer(self, event: QMouseEvent) -> Pointer:
        place = self.in_view(event.position())
        x, y = place.x(), place.y()
        return Pointer(self.viewport.to_image(x, y), (x, y), event.button(), event.modifiers())
