# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws what a color map does to grays, and a curve over it that can be bent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QSizePolicy, QWidget

from s2am_editor.document.commands import gesture
from s2am_editor.window.theme import current_colors
from s2am_editor.window.widgets import curve_points
from s2am_editor.window.widgets.curve_points import STRAIGHT, Points

CHANNELS = ("#e05252", "#3fa35f", "#4c82e8")  # red, green and blue lines
MARGIN = 9.0
REACH = 11.0
NUDGE = 0.01


class CurveEditor(QWidget):
    """A square from (0, 0), lower left, to (1, 1). A click adds a point, a double click or Delete removes one."""

    bent = pyqtSignal(object, object)  # the points, and the key of the gesture

    def __init__(self, parent: QWidget | None = None) -> None:
        """Start with a straight line."""
        super().__init__(parent)
        self.points: Points = STRAIGHT
        self.color: str | None = None  # of the editable line; None = the text's
        self._map: NDArray[np.float64] | None = None  # 3×K
        self._chosen: int | None = None
        self._gesture: object = None
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName(self.tr("Curve"))
        self.setToolTip(self.tr("Click to add a point, drag to bend the curve, double-click a point to remove it"))

    def sizeHint(self) -> QSize:
        """A square that fits the sidebar."""
        return QSize(230, 180)

    def heightForWidth(self, width: int) -> int:
        """Nearly square."""
        return min(220, round(width * 0.72))

    def hasHeightForWidth(self) -> bool:
        """Its height goes with its width."""
        return True

    def show_map(self, values: NDArray[np.float64] | None) -> None:
        """Draw what a map makes of grays: 3×K, at even places from black to white; None = nothing."""
        self._map = values
        self.update()

    def show_points(self, points: Points) -> None:
        """Draw another curve, unless this one is being dragged."""
        if self._gesture is None:
            self.points = points
            self._chosen = self._chosen if self._chosen is not None and self._chosen < len(points) else None
            self.update()

    # ---- drawing

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw grid, the map's three lines, and the curve with its points."""
        colors = current_colors()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = self._area()
        painter.setPen(QPen(QColor(colors.border), 1))
        painter.setBrush(QColor(colors.base))
        painter.drawRoundedRect(area, 6, 6)
        for share in (0.25, 0.5, 0.75):
            painter.drawLine(self._at(share, 0), self._at(share, 1))
            painter.drawLine(self._at(0, share), self._at(1, share))
        painter.setPen(QPen(QColor(colors.border), 1, Qt.PenStyle.DashLine))
        painter.drawLine(self._at(0, 0), self._at(1, 1))
        if self._map is not None and self.isEnabled():
            for line, color in zip(self._map, CHANNELS, strict=True):
                self._line(painter, line, QColor(color), 1.6)
        if self.isEnabled():
            line = curve_points.through(self.points, np.linspace(0, 1, 129))
            own = QColor(self.color or colors.text)
            self._line(painter, line, own, 2.0)
            for index, point in enumerate(self.points):
                chosen = index == self._chosen and self.hasFocus()
                painter.setPen(QPen(own, 1.6))
                painter.setBrush(own if chosen else QColor(colors.base))
                painter.drawEllipse(self._at(*point), 4.2, 4.2)

    def _line(
        self, painter: QPainter, values: Sequence[float] | NDArray[np.float64], color: QColor, wide: float
    ) -> None:
        painter.setPen(QPen(color, wide))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        xs = np.linspace(0, 1, len(values))
        painter.drawPolyline(
            QPolygonF([self._at(float(x), min(max(float(y), 0.0), 1.0)) for x, y in zip(xs, values, strict=True)])
        )

    def _area(self) -> QRectF:
        return QRectF(self.rect()).adjusted(MARGIN, MARGIN, -MARGIN, -MARGIN)

    def _at(self, x: float, y: float) -> QPointF:
        area = self._area()
        return QPointF(area.left() + x * area.width(), area.bottom() - y * area.height())

    def _value(self, place: QPointF) -> tuple[float, float]:
        area = self._area()
        return (place.x() - area.left()) / area.width(), (area.bottom() - place.y()) / area.height()

    # ---- mouse and keys

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Take hold of a point, or make one."""
        if not event or event.button() is not Qt.MouseButton.LeftButton:
            return
        self._gesture = gesture()
        self._chosen = self._near(event.position())
        if self._chosen is None:
            x, y = self._value(event.position())
            found = curve_points.added(self.points, x, y)
            if found:
                self.points, self._chosen = found
                self._tell()
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Drag it."""
        if event and self._gesture is not None and self._chosen is not None:
            self.points = curve_points.moved(self.points, self._chosen, *self._value(event.position()))
            self._tell()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Let go."""
        self._gesture = None

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Remove a point."""
        if event and (index := self._near(event.position())) is not None:
            self._remove(index)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Arrows move the chosen point, Delete removes it, Page Up and Down choose another."""
        if not event:
            return
        ways = {
            Qt.Key.Key_Left: (-NUDGE, 0.0),
            Qt.Key.Key_Right: (NUDGE, 0.0),
            Qt.Key.Key_Up: (0.0, NUDGE),
            Qt.Key.Key_Down: (0.0, -NUDGE),
        }
        if event.key() in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
            step = 1 if event.key() == Qt.Key.Key_PageUp else -1
            self._chosen = ((self._chosen or 0) + step) % len(self.points)
            self.update()
        elif self._chosen is not None and event.key() in ways:
            x, y = self.points[self._chosen]
            way = ways[Qt.Key(event.key())]
            self.points = curve_points.moved(self.points, self._chosen, x + way[0], y + way[1])
            self._tell()
        elif self._chosen is not None and event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self._remove(self._chosen)
        else:
            super().keyPressEvent(event)

    def _remove(self, index: int) -> None:
        self.points = curve_points.removed(self.points, index)
        self._chosen = None
        self._tell()

    def _tell(self) -> None:
        self.update()
        self.bent.emit(self.points, self._gesture)

    def _near(self, place: QPointF) -> int | None:
        distances = [(self._at(*point) - place).manhattanLength() for point in self.points]
        index = int(np.argmin(distances))
        return index if distances[index] <= REACH else None
