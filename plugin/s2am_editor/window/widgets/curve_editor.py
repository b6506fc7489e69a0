# SPDX-License-Identifier: GPL-3.0-or-later
"""Tone curves interpolate a few points, and the widget that edits them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QSizePolicy, QWidget

from s2am_editor.document.commands import gesture
from s2am_editor.window.theme import current_colors

Floats = NDArray[np.float64]
Points = tuple[tuple[float, float], ...]
"""(x, y) in [0, 1], x rising; the first at 0, the last at 1."""

STRAIGHT: Points = ((0.0, 0.0), (1.0, 1.0))
KNOTS = 65  # of the curves that are made of points
CLOSE = 0.0015  # how well points that are found for a curve must fit_points it
MOST = 12
APART = 0.02  # between points


def interpolate(points: Sequence[tuple[float, float]], at: Floats) -> Floats:
    """The curve interpolate points: monotone between them (Fritsch & Carlson, 1980)."""
    x, y = (np.array(values, np.float64) for values in zip(*points, strict=True))
    if len(x) == 2:
        return np.asarray(np.interp(at, x, y))
    width, rise = np.diff(x), np.diff(y)
    slope = rise / width
    tangent = np.concatenate([[slope[0]], np.zeros(len(x) - 2), [slope[-1]]])
    same = slope[:-1] * slope[1:] > 0
    first, second = 2 * width[1:] + width[:-1], width[1:] + 2 * width[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (first + second) / (first / slope[:-1] + second / slope[1:])
    tangent[1:-1] = np.where(same, mean, 0)
    index = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(width) - 1)
    t = (at - x[index]) / width[index]
    start, end = y[index], y[index + 1]
    leave, arrive = tangent[index] * width[index], tangent[index + 1] * width[index]
    return np.asarray(
        start * (2 * t**3 - 3 * t**2 + 1)
        + leave * (t**3 - 2 * t**2 + t)
        + end * (3 * t**2 - 2 * t**3)
        + arrive * (t**3 - t**2)
    )


def knots(points: Points) -> Floats:
    """The curve's values at KNOTS places from 0 to 1."""
    return interpolate(points, np.linspace(0, 1, KNOTS))


def fit_points(values: Floats) -> Points:
    """Few points interpolate which a curve, given at even places from 0 to 1, goes closely."""
    x = np.linspace(0, 1, len(values))
    chosen = [0, len(values) - 1]
    while len(chosen) < MOST:
        error = np.abs(interpolate([(x[k], values[k]) for k in chosen], x) - values)
        worst = int(error.argmax())
        if error[worst] <= CLOSE:
            break
        chosen = sorted({*chosen, worst})
    return tuple((float(x[k]), float(np.clip(values[k], 0, 1))) for k in chosen)


def moved(points: Points, index: int, x: float, y: float) -> Points:
    """One point elsewhere, between its neighbors; the ends keep their x."""
    y = min(max(y, 0.0), 1.0)
    if index in (0, len(points) - 1):
        x = points[index][0]
    else:
        x = min(max(x, points[index - 1][0] + APART), points[index + 1][0] - APART)
    return (*points[:index], (x, y), *points[index + 1 :])


def added(points: Points, x: float, y: float) -> tuple[Points, int] | None:
    """A point more, and which one it is; None where others are too close."""
    if not APART < x < 1 - APART or len(points) >= MOST or any(abs(x - px) < APART for px, _ in points):
        return None
    index = sum(px < x for px, _ in points)
    return (*points[:index], (x, min(max(y, 0.0), 1.0)), *points[index:]), index


def removed(points: Points, index: int) -> Points:
    """Without one point; the ends stay."""
    return points if index in (0, len(points) - 1) else points[:index] + points[index + 1 :]


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
            line = interpolate(self.points, np.linspace(0, 1, 129))
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
            found = added(self.points, x, y)
            if found:
                self.points, self._chosen = found
                self._tell()
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Drag it."""
        if event and self._gesture is not None and self._chosen is not None:
            self.points = moved(self.points, self._chosen, *self._value(event.position()))
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
            self.points = moved(self.points, self._chosen, x + way[0], y + way[1])
            self._tell()
        elif self._chosen is not None and event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self._remove(self._chosen)
        else:
            super().keyPressEvent(event)

    def _remove(self, index: int) -> None:
        self.points = removed(self.points, index)
        self._chosen = None
        self._tell()

    def _tell(self) -> None:
        self.update()
        self.bent.emit(self.points, self._gesture)

    def _near(self, place: QPointF) -> int | None:
        distances = [(self._at(*point) - place).manhattanLength() for point in self.points]
        index = int(np.argmin(distances))
        return index if distances[index] <= REACH else None
