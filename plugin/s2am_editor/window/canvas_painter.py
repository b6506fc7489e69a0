# SPDX-License-Identifier: GPL-3.0-or-later
"""How the canvas draws: surround, checkerboard, tiles, pixel grid and the line between before and after."""

from __future__ import annotations

from functools import lru_cache

from PyQt6.QtCore import QPoint, QPointF, QRect, QRectF, Qt
from PyQt6.QtGui import QBrush, QColor, QPainter, QPen, QPixmap

from s2am_editor.document.geometry import Rect
from s2am_editor.window.theme import current_colors
from s2am_editor.window.tiles import TILE, Key, Tile, TileStore, level_size
from s2am_editor.window.viewport import Viewport

CHECK = 10  # device pixels of a field of the checkerboard
Sides = list[tuple[bool, Rect]]


class CanvasPainter:
    """Draws a viewport's picture from a store's tiles; all in device pixels."""

    def __init__(self, viewport: Viewport, tiles: TileStore) -> None:
        """Draw these."""
        self.viewport = viewport
        self.tiles = tiles

    def background(self, painter: QPainter, exposed: Rect) -> None:
        """Draw what lies around and behind the picture."""
        painter.fillRect(to_qt(exposed), QColor(current_colors().surround))

    def picture(self, painter: QPainter, exposed: Rect, sides: Sides) -> None:
        """Draw the tiles of the exposed part."""
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, not self.viewport.crisp)
        for before, side in sides:
            part = side.within(exposed)
            if part.is_empty:
                continue
            painter.save()
            painter.setClipRect(to_qt(part))
            for key in self.keys(part, before):
                self._tile(painter, key, part)
            painter.restore()

    def keys(self, view: Rect, before: bool) -> list[Key]:
        """The tiles that show in a part of the window, from its middle outwards."""
        part = self.viewport.part_in_view(view)
        if part.is_empty:
            return []
        level = self.viewport.level
        side = TILE << level
        columns, rows = (-(-level_size(n, level) // TILE) for n in (self.viewport.width, self.viewport.height))
        found = [
            Key(before, level, column, row)
            for row in range(part.top // side, min(rows, (part.bottom - 1) // side + 1))
            for column in range(part.left // side, min(columns, (part.right - 1) // side + 1))
        ]
        x, y = (part.left + part.right) / 2 / side - 0.5, (part.top + part.bottom) / 2 / side - 0.5
        return sorted(found, key=lambda key: (key.column - x) ** 2 + (key.row - y) ** 2)

    def missing(self, view: Rect, sides: Sides) -> list[Key]:
        """The tiles that are to be rendered for the whole window."""
        return [
            key
            for before, side in sides
            for key in self.keys(side.within(view), before)
            if not self.tiles.is_current(key)
        ]

    def _tile(self, painter: QPainter, key: Key, exposed: Rect) -> None:
        target = self._on_view(key)
        tile = self.tiles.find(key)
        if tile:
            self._draw(painter, tile, target, exposed)
        else:
            self._substitute(painter, key, target)

    def _draw(self, painter: QPainter, tile: Tile, target: Rect, exposed: Rect) -> None:
        if not tile.opaque:
            checkerboard(painter, target, QPoint(self.viewport.left, self.viewport.top))
        width, height = target.right - target.left, target.bottom - target.top
        if width * height > 4 * TILE * TILE or self.viewport.crisp:  # far in: a copy at this scale would be huge
            seen = target.within(exposed)
            image = tile.at_size(tile.pixels.shape[1], tile.pixels.shape[0], crisp=True)
            painter.drawImage(QRectF(to_qt(seen)), image, _share(seen, target, image.width(), image.height()))
        else:
            painter.drawImage(target.left, target.top, tile.at_size(width, height, crisp=False))

    def _substitute(self, painter: QPainter, key: Key, target: Rect) -> None:
        """Draw a coarser tile's part, or what finer ones there are, where a tile is missing."""
        for up in range(1, 7):
            coarse = key._replace(level=key.level + up, column=key.column >> up, row=key.row >> up)
            tile = self.tiles.find(coarse)
            if tile:
                whole = self._on_view(coarse)
                height, width = tile.pixels.shape[:2]
                if not tile.opaque:
                    checkerboard(painter, target, QPoint(self.viewport.left, self.viewport.top))
                image = tile.at_size(width, height, crisp=True)
                painter.drawImage(QRectF(to_qt(target)), image, _share(target, whole, width, height))
                return
        checkerboard(painter, target, QPoint(self.viewport.left, self.viewport.top))
        if key.level:
            self._finer(painter, key)

    def _finer(self, painter: QPainter, key: Key) -> None:
        for row in (2 * key.row, 2 * key.row + 1):
            for column in (2 * key.column, 2 * key.column + 1):
                fine = Key(key.before, key.level - 1, column, row)
                tile = self.tiles.find(fine)
                if tile:
                    height, width = tile.pixels.shape[:2]
                    painter.drawImage(to_qt(self._on_view(fine)), tile.at_size(width, height, crisp=True))

    def _on_view(self, key: Key) -> Rect:
        return self.viewport.rect_on_view(key.part(self.viewport.width, self.viewport.height))

    def grid(self, painter: QPainter, exposed: Rect) -> None:
        """Draw lines between the pixels."""
        part = self.viewport.part_in_view(exposed)
        shown = self.viewport.rect_on_view(part)
        painter.setPen(QPen(QColor(128, 128, 128, 90), 1))
        for x in range(part.left, part.right + 1):
            place = round(self.viewport.to_view(x, 0)[0])
            painter.drawLine(place, shown.top, place, shown.bottom)
        for y in range(part.top, part.bottom + 1):
            place = round(self.viewport.to_view(0, y)[1])
            painter.drawLine(shown.left, place, shown.right, place)

    def split(self, painter: QPainter, x: int, ratio: float, labels: tuple[str, str]) -> None:
        """Draw the line between before and after, its grip, and what is what."""
        height = self.viewport.view_height
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(0, 0, 0, 90), 3 * ratio))
        painter.drawLine(x, 0, x, height)
        painter.setPen(QPen(QColor("white"), 1.5 * ratio))
        painter.drawLine(x, 0, x, height)
        middle, radius = QPointF(x, height / 2), 13 * ratio
        painter.setPen(QPen(QColor(0, 0, 0, 70), ratio))
        painter.setBrush(QColor("white"))
        painter.drawEllipse(middle, radius, radius)
        painter.setPen(QPen(QColor("#333333"), 1.6 * ratio, cap=Qt.PenCapStyle.RoundCap))
        for way in (-1, 1):
            tip = middle + QPointF(way * 6.5 * ratio, 0)
            for up in (-1, 1):
                painter.drawLine(tip, tip + QPointF(-way * 3 * ratio, up * 3.5 * ratio))
        for text, way in zip(labels, (-1, 1), strict=True):
            _label(painter, text, x + way * 14 * ratio, 14 * ratio, way, ratio)


def _label(painter: QPainter, text: str, x: float, y: float, way: int, ratio: float) -> None:
    font = painter.font()
    font.setPixelSize(round(12 * ratio))
    painter.setFont(font)
    width = painter.fontMetrics().horizontalAdvance(text) + 16 * ratio
    box = QRectF(x if way > 0 else x - width, y, width, 22 * ratio)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(0, 0, 0, 150))
    painter.drawRoundedRect(box, 6 * ratio, 6 * ratio)
    painter.setPen(QColor("white"))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)


def checkerboard(painter: QPainter, rect: Rect, origin: QPoint) -> None:
    """Fill a rectangle with the fields that stand for transparency."""
    painter.setBrushOrigin(origin)
    painter.fillRect(to_qt(rect), QBrush(_checks(current_colors().checker)))


@lru_cache(maxsize=4)
def _checks(pair: tuple[str, str]) -> QPixmap:
    pixmap = QPixmap(2 * CHECK, 2 * CHECK)
    pixmap.fill(QColor(pair[0]))
    painter = QPainter(pixmap)
    painter.fillRect(CHECK, 0, CHECK, CHECK, QColor(pair[1]))
    painter.fillRect(0, CHECK, CHECK, CHECK, QColor(pair[1]))
    painter.end()
    return pixmap


def to_qt(rect: Rect) -> QRect:
    """A rectangle as Qt has it."""
    return QRect(rect.left, rect.top, max(0, rect.right - rect.left), max(0, rect.bottom - rect.top))


def _share(part: Rect, whole: Rect, width: int, height: int) -> QRectF:
    """Where a part of a rectangle lies in an image of all of it."""
    wide, high = width / max(1, whole.right - whole.left), height / max(1, whole.bottom - whole.top)
    return QRectF(
        (part.left - whole.left) * wide,
        (part.top - whole.top) * high,
        (part.right - part.left) * wide,
        (part.bottom - part.top) * high,
    )
