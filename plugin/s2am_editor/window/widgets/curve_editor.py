# SPDX-License-Identifier: GPL-3.0-or-later
"""The widget that edits the points of a tone curve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QSizePolicy, QWidget

from s2am_editor.document.commands import gesture
from s2am_editor.document.tone_curves import (
    STRAIGHT_LINE,
    Points,
    insert_point,
    interpolate_points,
    move_point,
    remove_point,
)
from s2am_editor.window.action_table import pressed_shortcut
from s2am_editor.window.theme import current_colors

CHANNEL_COLORS = ("#e05252", "#3fa35f", "#4c82e8")  # red, green and blue lines
HISTOGRAM_OPACITY = 0.28
_MARGIN = 9.0
POINT_REACH = 11.0
POINT_STEP = 0.01


class CurveEditor(QWidget):
    """A square from (0, 0), lower left, to (1, 1). A click adds a point; a double click removes one."""

    bent = pyqtSignal(object, object)  # the points, and the key of the gesture

    def __init__(self, parent: QWidget | None = None) -> None:
        """Start with a straight line."""
        super().__init__(parent)
        self.points: Points = STRAIGHT_LINE
        self.color: str | None = None  # of the editable line; None = text color
        self._map: NDArray[np.float64] | None = None  # 3×K
        self._histogram: NDArray[np.float64] | None = None  # 3×K
        self._selected: int | None = None
        self._gesture: object = None
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName(self.tr("Curve"))
        self.setToolTip(self.tr("Click to add a point, drag to bend the curve, double-click a point to remove it"))

    def sizeHint(self) -> QSize:
        """Fit the sidebar."""
        return QSize(230, 180)

    def heightForWidth(self, width: int) -> int:
        """Nearly square."""
        return min(220, round(width * 0.72))

    def hasHeightForWidth(self) -> bool:
        """The height depends on the width."""
        return True

    def show_map(self, values: NDArray[np.float64] | None) -> None:
        """Show a color map's response to grays: (3, K), at even places from black to white; None = nothing."""
        self._map = values
        self.update()

    def show_histogram(self, values: NDArray[np.float64] | None) -> None:
        """Show the frequency of tones behind the curve: (3, K), from black to white, at most 1; None = nothing."""
        self._histogram = values
        self.update()

    def show_points(self, points: Points) -> None:
        """Show another curve, unless one is being dragged."""
        if self._gesture is None:
            self.points = points
            self._selected = self._selected if self._selected is not None and self._selected < len(points) else None
            self.update()

    # ---- painting

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the grid, the map's three lines, and the curve with its points."""
        colors = current_colors()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = self._area()
        painter.setPen(QPen(QColor(colors.border), 1))
        painter.setBrush(QColor(colors.base))
        painter.drawRoundedRect(area, 6, 6)
        if self._histogram is not None and self.isEnabled():
            self._paint_histogram(painter, self._histogram)
        painter.setPen(QPen(QColor(colors.border), 1))
        for share in (0.25, 0.5, 0.75):
            painter.drawLine(self._at(share, 0), self._at(share, 1))
            painter.drawLine(self._at(0, share), self._at(1, share))
        painter.setPen(QPen(QColor(colors.border), 1, Qt.PenStyle.DashLine))
        painter.drawLine(self._at(0, 0), self._at(1, 1))
        if self._map is not None and self.isEnabled():
            for line, color in zip(self._map, CHANNEL_COLORS, strict=True):
                self._line(painter, line, QColor(color), 1.6)
        if self.isEnabled():
            line = interpolate_points(self.points, np.linspace(0, 1, 129))
            own = QColor(self.color or colors.text)
            self._line(painter, line, own, 2.0)
            for index, point in enumerate(self.points):
                chosen = index == self._selected and self.hasFocus()
                painter.setPen(QPen(own, 1.6))
                painter.setBrush(own if chosen else QColor(colors.base))
                painter.drawEllipse(self._at(*point), 4.2, 4.2)

    def _paint_histogram(self, painter: QPainter, values: NDArray[np.float64]) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        for line, color in zip(values, CHANNEL_COLORS, strict=True):
            fill = QColor(color)
            fill.setAlphaF(HISTOGRAM_OPACITY)
            painter.setBrush(fill)
            xs = (np.arange(len(line)) + 0.5) / len(line)
            painter.drawPolygon(QPolygonF([self._at(0, 0), *self._all_at(xs, line), self._at(1, 0)]))

    def _line(
        self, painter: QPainter, values: Sequence[float] | NDArray[np.float64], color: QColor, wide: float
    ) -> None:
        painter.setPen(QPen(color, wide))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        xs = np.linspace(0, 1, len(values))
        painter.drawPolyline(QPolygonF(self._all_at(xs, np.clip(values, 0, 1))))

    def _area(self) -> QRectF:
        return QRectF(self.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)

    def _at(self, x: float, y: float) -> QPointF:
        area = self._area()
        return QPointF(area.left() + x * area.width(), area.bottom() - y * area.height())

    def _all_at(self, xs: NDArray[np.float64], ys: NDArray[np.float64]) -> list[QPointF]:
        """Return the points of the widget for many points of the square; see `_at`."""
        area = self._area()
        places = area.left() + xs * area.width(), area.bottom() - ys * area.height()
        return list(map(QPointF, *(values.tolist() for values in places)))

    def _value(self, place: QPointF) -> tuple[float, float]:
        area = self._area()
        return (place.x() - area.left()) / area.width(), (area.bottom() - place.y()) / area.height()

    # ---- mouse and keys

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Grab a point, or add one."""
        if not event or event.button() is not Qt.MouseButton.LeftButton:
            return
        self._gesture = gesture()
        self._selected = self._near(event.position())
        if self._selected is None:
            x, y = self._value(event.position())
            found = insert_point(self.points, x, y)
            if found:
                self.points, self._selected = found
                self._emit_bent()
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Drag the point."""
        if event and self._gesture is not None and self._selected is not None:
            self.points = move_point(self.points, self._selected, *self._value(event.position()))
            self._emit_bent()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """End the drag."""
        self._gesture = None

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Remove a point."""
        if event and (index := self._near(event.position())) is not None:
            self._remove(index)

    def event(self, event: QEvent | None) -> bool:
        """Claim the editor's keys, so that Delete never triggers the action that deletes the layer."""
        if (
            event
            and event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and pressed_shortcut(event, "tool", "curves")
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Move, remove or select points by keys."""
        if not event:
            return
        pressed = pressed_shortcut(event, "tool", "curves")
        if pressed is None:
            super().keyPressEvent(event)
            return
        name, value = pressed
        if name == "select-point" and isinstance(value, int):
            self._selected = ((self._selected or 0) + value) % len(self.points)
            self.update()
        elif self._selected is None:
            if name != "remove-point":  # Delete without a selected point deletes nothing
                super().keyPressEvent(event)
        elif name == "move-point" and isinstance(value, tuple):
            x, y = self.points[self._selected]
            x, y = x + POINT_STEP * value[0], y + POINT_STEP * value[1]
            self.points = move_point(self.points, self._selected, x, y)
            self._emit_bent()
        elif name == "remove-point":
            self._remove(self._selected)

    def _remove(self, index: int) -> None:
        self.points = remove_point(self.points, index)
        self._selected = None
        self._emit_bent()

    def _emit_bent(self) -> None:
        self.update()
        self.bent.emit(self.points, self._gesture)

    def _near(self, place: QPointF) -> int | None:
        distances = [(self._at(*point) - place).manhattanLength() for point in self.points]
        index = int(np.argmin(distances))
        return index if distances[index] <= POINT_REACH else None
