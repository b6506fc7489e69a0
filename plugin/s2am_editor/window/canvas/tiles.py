# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiled display of an image: tiles rendered by worker threads, kept, and painted.

A tile on the screen is never removed before its replacement is ready: a changed tile shows its old content until
the new one arrives, and a missing one is filled from a coarser level.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, QPoint, QPointF, QRect, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QBrush, QColor, QImage, QPainter, QPen, QPixmap

from s2am_editor.render.renderer import TILE_SIZE
from s2am_editor.window.canvas.viewport import Viewport
from s2am_editor.window.theme import current_colors
from s2am_engine.image.rect import Rect

MAX_TILE_BYTES = 32 << 20  # of all tiles and their scaled copies, if the visible ones need no more
WORKERS = min(4, os.cpu_count() or 2)  # the GUI thread is nearly idle while they work
RenderFunction = Callable[[bool, float, Rect], NDArray[np.uint8]]
"""Renders a part of the image, before or after harmonizing, at a zoom: h×w×4 BGRA, premultiplied. Called by workers."""
CHECK_SIZE = 10  # device pixels of a square of the checkerboard
Sides = list[tuple[bool, Rect]]


class TileKey(NamedTuple):
    """Address of a tile: after or before harmonizing, pyramid level, column and row."""

    before: bool
    level: int
    column: int
    row: int

    def on_level(self, width: int, height: int) -> Rect:
        """Return the tile's pixels on its level of an image of this size; empty if it lies outside."""
        left, top = self.column * TILE_SIZE, self.row * TILE_SIZE
        size = level_size(width, self.level), level_size(height, self.level)
        return Rect(left, top, left + TILE_SIZE, top + TILE_SIZE).intersection(Rect(0, 0, *size))

    def part(self, width: int, height: int) -> Rect:
        """Return the part of an image of this size that the tile shows."""
        found = self.on_level(width, height)
        right = width if found.right == level_size(width, self.level) else found.right << self.level
        bottom = height if found.bottom == level_size(height, self.level) else found.bottom << self.level
        return Rect(found.left << self.level, found.top << self.level, right, bottom)


def level_size(length: int, level: int) -> int:
    """Return the length of an image's side on a level of its pyramid."""
    return max(1, round(length * 0.5**level))


@dataclass
class Tile:
    """A rendered tile, and its copy at the scale of the screen."""

    pixels: NDArray[np.uint8]  # h×w×4 BGRA, premultiplied
    version: int
    opaque: bool
    scaled: QImage | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels and their scaled copy."""
        return self.pixels.nbytes + (self.scaled.sizeInBytes() if self.scaled else 0)

    def at_size(self, width: int, height: int, crisp: bool) -> QImage:
        """Return the tile as an image of this many device pixels."""
        if self.scaled is None or self.scaled.width() != width or self.scaled.height() != height:
            self.scaled = as_image(resize(self.pixels, width, height, crisp), self.opaque)
        return self.scaled


class TileStore(QObject):
    """The tiles of the image on the canvas."""

    rendered = pyqtSignal(object)  # TileKey
    failed = pyqtSignal(object)  # the exception raised by the rendering of a tile
    _done = pyqtSignal(object, object, object)  # TileKey, version, Tile or exception

    def __init__(self, parent: QObject | None = None) -> None:
        """Start empty; worker threads start with the first tile."""
        super().__init__(parent)
        self._tiles: OrderedDict[TileKey, Tile] = OrderedDict()
        self._visible: frozenset[TileKey] = frozenset()
        self._size = (0, 0)
        self._version = 0
        self._changes: deque[tuple[int, Rect | None]] = deque(maxlen=256)
        self._render: RenderFunction | None = None
        self._wanted: list[TileKey] = []
        self._busy: dict[TileKey, int] = {}
        self._condition = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._done.connect(self._take)

    def show(self, width: int, height: int, render: RenderFunction | None) -> None:
        """Show another image and drop all tiles."""
        with self._condition:
            self._tiles.clear()
            self._wanted = []
        self._size = (width, height)
        self.change(render, None)

    def change(self, render: RenderFunction | None, rect: Rect | None) -> None:
        """Render with `render` from now on; tiles that overlap `rect` (None: all) are out of date."""
        with self._condition:
            self._version += 1
            self._render = render
            self._changes.append((self._version, rect))

    def find(self, key: TileKey) -> Tile | None:
        """Return the tile as last rendered, or None."""
        tile = self._tiles.get(key)
        if tile:
            self._tiles.move_to_end(key)
        return tile

    def is_current(self, key: TileKey) -> bool:
        """Return True if nothing has changed since the tile was rendered."""
        tile = self._tiles.get(key)
        return tile is not None and not self._changed_since(tile.version, key)

    def want(self, keys: Sequence[TileKey]) -> None:
        """Render the visible tiles, in this order, instead of any requested before; current ones are skipped."""
        self._visible = frozenset(keys)
        with self._condition:
            missing = [key for key in keys if not self.is_current(key)]
            self._wanted = [
                key for key in missing if key not in self._busy or self._changed_since(self._busy[key], key)
            ]
            self._wanted.reverse()
            if self._wanted and not self._threads:
                self._start()
            self._condition.notify_all()

    @property
    def idle(self) -> bool:
        """True if no tile is being rendered or waiting to be."""
        with self._condition:
            return not self._wanted and not self._busy

    def close(self) -> None:
        """Stop the workers, after the tiles that they are rendering."""
        with self._condition:
            self._closed = True
            self._wanted = []
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _start(self) -> None:
        self._threads = [threading.Thread(target=self._work, name="tiles", daemon=True) for _ in range(WORKERS)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            key, version, render, part = job
            try:
                pixels = render(key.before, 0.5**key.level, part)
                outcome: Tile | Exception = Tile(pixels, version, opaque=bool(pixels[..., 3].min() == 255))
            except Exception as error:
                outcome = error
            if self._closed:
                return
            self._done.emit(key, version, outcome)

    def _next(self) -> tuple[TileKey, int, RenderFunction, Rect] | None:
        with self._condition:
            while not self._closed:
                while self._wanted and self._render:
                    key = self._wanted.pop()
                    part = key.on_level(*self._size)
                    if not part.is_empty:
                        self._busy[key] = self._version
                        return key, self._version, self._render, part
                self._condition.wait()
        return None

    def _take(self, key: TileKey, version: int, outcome: Tile | Exception) -> None:
        with self._condition:
            if self._busy.get(key) == version:
                del self._busy[key]
        if isinstance(outcome, Exception):
            self.failed.emit(outcome)
            return
        old = self._tiles.get(key)
        if key.part(*self._size).is_empty or (old and old.version > version):
            return
        self._tiles.pop(key, None)
        self._tiles[key] = outcome
        if old is None or self.idle:
            self._drop_oldest()
        self.rendered.emit(key)

    def _drop_oldest(self) -> None:
        """Drop invisible tiles beyond the limit, as soon as none of them substitutes for a visible one."""
        if not self._visible <= self._tiles.keys():
            return
        used = sum(tile.nbytes for tile in self._tiles.values())
        for key in [key for key in self._tiles if key not in self._visible]:
            if used <= MAX_TILE_BYTES:
                break
            used -= self._tiles.pop(key).nbytes

    def _changed_since(self, version: int, key: TileKey) -> bool:
        if version == self._version:
            return False
        if self._changes and self._changes[0][0] > version + 1:  # older entries were dropped from the deque
            return True
        part = key.part(*self._size)
        return any(
            number > version and (rect is None or not part.intersection(rect).is_empty)
            for number, rect in reversed(self._changes)
        )


def resize(pixels: NDArray[np.uint8], width: int, height: int, crisp: bool) -> NDArray[np.uint8]:
    """Resize pixels, at least to half their size: smooth, or to squares if `crisp`."""
    if pixels.shape[1] == width and pixels.shape[0] == height:
        return pixels
    way = cv2.INTER_NEAREST if crisp else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (max(1, width), max(1, height)), interpolation=way), np.uint8)


def as_image(pixels: NDArray[np.uint8], opaque: bool) -> QImage:
    """Return premultiplied BGRA pixels as an image that shares their memory."""
    pixels = np.ascontiguousarray(pixels)
    form = QImage.Format.Format_RGB32 if opaque else QImage.Format.Format_ARGB32_Premultiplied
    height, width = pixels.shape[:2]
    buffer: Any = pixels.data  # Qt accepts any buffer, its type hints only bytes
    image: Any = QImage(buffer, width, height, 4 * width, form)
    image.pixels = pixels  # keeps the memory alive
    return image


class TilePainter:
    """Paints a viewport's image from the tiles of a store; all coordinates are device pixels."""

    def __init__(self, viewport: Viewport, tiles: TileStore) -> None:
        """Paint this viewport from this store."""
        self.viewport = viewport
        self.tiles = tiles

    def background(self, painter: QPainter, exposed: Rect) -> None:
        """Paint the surround."""
        painter.fillRect(to_qrect(exposed), QColor(current_colors().surround))

    def image(self, painter: QPainter, exposed: Rect, sides: Sides) -> None:
        """Paint the tiles of the exposed part."""
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, not self.viewport.crisp)
        for before, side in sides:
            part = side.intersection(exposed)
            if part.is_empty:
                continue
            painter.save()
            painter.setClipRect(to_qrect(part))
            for key in self.keys(part, before):
                self._tile(painter, key, part)
            painter.restore()

    def keys(self, view: Rect, before: bool) -> list[TileKey]:
        """Return the tiles visible in a part of the view, from its center outwards."""
        part = self.viewport.part_in_view(view)
        if part.is_empty:
            return []
        level = self.viewport.level
        side = TILE_SIZE << level
        columns, rows = (-(-level_size(n, level) // TILE_SIZE) for n in (self.viewport.width, self.viewport.height))
        found = [
            TileKey(before, level, column, row)
            for row in range(part.top // side, min(rows, (part.bottom - 1) // side + 1))
            for column in range(part.left // side, min(columns, (part.right - 1) // side + 1))
        ]
        x, y = (part.left + part.right) / 2 / side - 0.5, (part.top + part.bottom) / 2 / side - 0.5
        return sorted(found, key=lambda key: (key.column - x) ** 2 + (key.row - y) ** 2)

    def visible(self, view: Rect, sides: Sides) -> list[TileKey]:
        """Return the tiles of the whole view."""
        return [key for before, side in sides for key in self.keys(side.intersection(view), before)]

    def missing(self, view: Rect, sides: Sides) -> list[TileKey]:
        """Return the tiles that need rendering for the whole view."""
        return [key for key in self.visible(view, sides) if not self.tiles.is_current(key)]

    def _tile(self, painter: QPainter, key: TileKey, exposed: Rect) -> None:
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
        if (
            width * height > 4 * TILE_SIZE * TILE_SIZE or self.viewport.crisp
        ):  # far in: a copy at this scale would be huge
            seen = target.intersection(exposed)
            image = tile.at_size(tile.pixels.shape[1], tile.pixels.shape[0], crisp=True)
            painter.drawImage(QRectF(to_qrect(seen)), image, _share(seen, target, image.width(), image.height()))
        else:
            painter.drawImage(target.left, target.top, tile.at_size(width, height, crisp=False))

    def _substitute(self, painter: QPainter, key: TileKey, target: Rect) -> None:
        """Paint part of a coarser tile, or finer ones, in place of a missing tile."""
        for up in range(1, 7):
            coarse = key._replace(level=key.level + up, column=key.column >> up, row=key.row >> up)
            tile = self.tiles.find(coarse)
            if tile:
                whole = self._on_view(coarse)
                height, width = tile.pixels.shape[:2]
                if not tile.opaque:
                    checkerboard(painter, target, QPoint(self.viewport.left, self.viewport.top))
                image = tile.at_size(width, height, crisp=True)
                painter.drawImage(QRectF(to_qrect(target)), image, _share(target, whole, width, height))
                return
        checkerboard(painter, target, QPoint(self.viewport.left, self.viewport.top))
        if key.level:
            self._finer(painter, key)

    def _finer(self, painter: QPainter, key: TileKey) -> None:
        for row in (2 * key.row, 2 * key.row + 1):
            for column in (2 * key.column, 2 * key.column + 1):
                fine = TileKey(key.before, key.level - 1, column, row)
                tile = self.tiles.find(fine)
                if tile:
                    height, width = tile.pixels.shape[:2]
                    painter.drawImage(to_qrect(self._on_view(fine)), tile.at_size(width, height, crisp=True))

    def _on_view(self, key: TileKey) -> Rect:
        return self.viewport.rect_on_view(key.part(self.viewport.width, self.viewport.height))

    def grid(self, painter: QPainter, exposed: Rect) -> None:
        """Paint lines between the pixels."""
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
        """Paint the divider between before and after, its grip, and labels."""
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

    def label(self, painter: QPainter, text: str, ratio: float, *, last: bool) -> None:
        """Paint the name of a view in its corner and, unless it is the last one, the edge to the next."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not last:
            painter.setPen(QPen(QColor("white"), 1.5 * ratio))
            painter.drawLine(self.viewport.view_width - 1, 0, self.viewport.view_width - 1, self.viewport.view_height)
        _label(painter, text, 14 * ratio, 14 * ratio, 1, ratio)


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
    """Fill a rectangle with the checkerboard that stands for transparency."""
    painter.setBrushOrigin(origin)
    painter.fillRect(to_qrect(rect), QBrush(_checks(current_colors().checker)))


@lru_cache(maxsize=4)
def _checks(pair: tuple[str, str]) -> QPixmap:
    pixmap = QPixmap(2 * CHECK_SIZE, 2 * CHECK_SIZE)
    pixmap.fill(QColor(pair[0]))
    painter = QPainter(pixmap)
    painter.fillRect(CHECK_SIZE, 0, CHECK_SIZE, CHECK_SIZE, QColor(pair[1]))
    painter.fillRect(0, CHECK_SIZE, CHECK_SIZE, CHECK_SIZE, QColor(pair[1]))
    painter.end()
    return pixmap


def to_qrect(rect: Rect) -> QRect:
    """Convert a rectangle to Qt."""
    return QRect(rect.left, rect.top, max(0, rect.right - rect.left), max(0, rect.bottom - rect.top))


def _share(part: Rect, whole: Rect, width: int, height: int) -> QRectF:
    """Return where a part of a rectangle lies in an image of the whole."""
    wide, high = width / max(1, whole.right - whole.left), height / max(1, whole.bottom - whole.top)
    return QRectF(
        (part.left - whole.left) * wide,
        (part.top - whole.top) * high,
        (part.right - part.left) * wide,
        (part.bottom - part.top) * high,
    )
