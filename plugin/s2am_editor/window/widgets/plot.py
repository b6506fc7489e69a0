# SPDX-License-Identifier: GPL-3.0-or-later
"""A line that grows while something is learned."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QWidget

from s2am_editor.window.theme import current_colors

LEFT, RIGHT, TOP, BOTTOM = 46.0, 10.0, 24.0, 8.0  # room around the lines


class Plot(QWidget):
    """Values over steps."""

    def __init__(self, title: str, form: str = "{0:.3g}", *, zero: bool = False) -> None:
        """Name it.

        Args:
            title: what is drawn.
            form: how a value is written.
            zero: whether the axis of 0 is always in sight.
        """
        super().__init__()
        self._title, self._form, self._zero = title, form, zero
        self.points: list[tuple[float, float]] = []
        self.setMinimumSize(200, 130)
        self.setAccessibleName(title)

    def sizeHint(self) -> QSize:
        """Wider than high."""
        return QSize(280, 150)

    def clear(self) -> None:
        """Begin anew."""
        self.points = []
        self.update()

    def add(self, step: float, value: float) -> None:
        """Go on with the line."""
        self.points.append((step, value))
        self.setAccessibleDescription(self._form.format(value))
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw title, axis and line."""
        colors = current_colors()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(colors.border), 1))
        painter.setBrush(QColor(colors.base))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 8, 8)
        painter.setPen(QColor(colors.muted))
        painter.drawText(QPointF(10, 17), self._title)
        if not self.points:
            return
        last = self._form.format(self.points[-1][1])
        painter.setPen(QColor(colors.text))
        width = painter.fontMetrics().horizontalAdvance(last)
        painter.drawText(QPointF(self.width() - width - 10, 17), last)
        self._draw(painter)

    def _draw(self, painter: QPainter) -> None:
        colors = current_colors()
        values = [value for _, value in self.points]
        low, high = min(values), max(values)
        if self._zero:
            low, high = min(low, 0.0), max(high, 0.0)
        span = high - low or 1.0
        first, end = self.points[0][0], max(self.points[-1][0], self.points[0][0] + 1)
        area = QRectF(LEFT, TOP + 6, self.width() - LEFT - RIGHT, self.height() - TOP - BOTTOM - 14)

        def place(step: float, value: float) -> QPointF:
            x = area.left() + (step - first) / (end - first) * area.width()
            return QPointF(x, area.bottom() - (value - low) / span * area.height())

        painter.setPen(QPen(QColor(colors.border), 1))
        small = painter.font()
        small.setPointSizeF(max(6.0, small.pointSizeF() * 0.85))
        painter.setFont(small)
        for value in {low, high, *([0.0] if self._zero else [])}:
            y = place(first, value).y()
            painter.setPen(QPen(QColor(colors.border), 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(QColor(colors.muted))
            box = QRectF(2, y - 8, LEFT - 8, 16)
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, self._form.format(value))
        line = QPolygonF([place(*point) for point in self.points])
        painter.setPen(QPen(QColor(colors.accent), 2, join=Qt.PenJoinStyle.RoundJoin))
        if len(self.points) > 1:
            painter.drawPolyline(line)
        painter.setBrush(QColor(colors.accent))
        painter.drawEllipse(line[len(self.points) - 1], 2.5, 2.5)
