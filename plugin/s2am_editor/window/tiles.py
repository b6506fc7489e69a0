# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture in tiles: rendered in workers as they come into sight, replaced when they change.

What is on the screen is never taken away before there is something better: a changed tile shows its old content until
the new one is there, and a missing one is filled from a coarser level.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtGui import QImage

from s2am_editor.document.geometry import Rect

TILE = 384  # pixels a side, of its level
MOST_BYTES = 64 << 20
WORKERS = min(4, os.cpu_count() or 2)  # the window itself has little to do while they work


class Key(NamedTuple):
    """Which tile: after or before harmonizing, of which level of the pyramid, where."""

    before: bool
    level: int
    column: int
    row: int

    def on_level(self, width: int, height: int) -> Rect:
        """Its pixels of its level of a picture of that size; none if it lies outside."""
        left, top = self.column * TILE, self.row * TILE
        size = level_size(width, self.level), level_size(height, self.level)
        return Rect(left, top, left + TILE, top + TILE).within(Rect(0, 0, *size))

    def part(self, width: int, height: int) -> Rect:
        """The pixels of a picture of that size which the tile shows."""
        found = self.on_level(width, height)
        right = width if found.right == level_size(width, self.level) else found.right << self.level
        bottom = height if found.bottom == level_size(height, self.level) else found.bottom << self.level
        return Rect(found.left << self.level, found.top << self.level, right, bottom)


def level_size(length: int, level: int) -> int:
    """How long a side of a picture is on a level of its pyramid."""
    return max(1, round(length * 0.5**level))


Render = Callable[[bool, float, Rect], NDArray[np.uint8]]
"""Draws a part of the picture, before or after harmonizing, at a zoom: h×w×4 BGRA, premultiplied. Called in workers."""


@dataclass
class Tile:
    """A rendered tile and its copy at the screen's scale."""

    pixels: NDArray[np.uint8]  # h×w×4 BGRA, premultiplied
    version: int
    opaque: bool
    scaled: QImage | None = None

    def at_size(self, width: int, height: int, crisp: bool) -> QImage:
        """The tile as an image of that many device pixels."""
        if self.scaled is None or self.scaled.width() != width or self.scaled.height() != height:
            self.scaled = as_image(resize(self.pixels, width, height, crisp), self.opaque)
        return self.scaled


class TileStore(QObject):
    """All tiles of the picture that is shown."""

    rendered = pyqtSignal(object)  # Key
    failed = pyqtSignal(object)  # the exception of a tile that could not be rendered
    _done = pyqtSignal(object, object, object)  # Key, version, Tile or the exception

    def __init__(self, parent: QObject | None = None) -> None:
        """Start with nothing to show; workers start with the first tile."""
        super().__init__(parent)
        self._tiles: OrderedDict[Key, Tile] = OrderedDict()
        self._bytes = 0
        self._size = (0, 0)
        self._version = 0
        self._changes: deque[tuple[int, Rect | None]] = deque(maxlen=256)
        self._render: Render | None = None
        self._wanted: list[Key] = []
        self._busy: dict[Key, int] = {}
        self._condition = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._done.connect(self._take)

    def show(self, width: int, height: int, render: Render | None) -> None:
        """Show another picture: nothing of the last one is kept."""
        with self._condition:
            self._tiles.clear()
            self._bytes = 0
            self._wanted = []
        self._size = (width, height)
        self.change(render, None)

    def change(self, render: Render | None, rect: Rect | None) -> None:
        """Render with `render` from now on; the tiles that show `rect` (None: all) have changed by it."""
        with self._condition:
            self._version += 1
            self._render = render
            self._changes.append((self._version, rect))

    def find(self, key: Key) -> Tile | None:
        """A tile as it was last rendered, or None."""
        tile = self._tiles.get(key)
        if tile:
            self._tiles.move_to_end(key)
        return tile

    def is_current(self, key: Key) -> bool:
        """Whether nothing has changed since the tile was rendered."""
        tile = self._tiles.get(key)
        return tile is not None and not self._changed_since(tile.version, key)

    def want(self, keys: Sequence[Key]) -> None:
        """Render these tiles, the first ones first, and no others any more; those that are current are left out."""
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
        """Whether nothing is being rendered or waits for it."""
        with self._condition:
            return not self._wanted and not self._busy

    def close(self) -> None:
        """Stop the workers; waits for the tiles that they are at."""
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
                outcome: Any = Tile(pixels, version, opaque=bool(pixels[..., 3].min() == 255))
            except Exception as error:
                outcome = error
            if self._closed:
                return
            self._done.emit(key, version, outcome)

    def _next(self) -> tuple[Key, int, Render, Rect] | None:
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

    def _take(self, key: Key, version: int, outcome: object) -> None:
        with self._condition:
            if self._busy.get(key) == version:
                del self._busy[key]
        if isinstance(outcome, Exception):
            self.failed.emit(outcome)
            return
        tile: Tile = outcome  # type: ignore[assignment]
        old = self._tiles.get(key)
        if key.part(*self._size).is_empty or (old and old.version > version):
            return
        self._tiles.pop(key, None)
        self._bytes += tile.pixels.nbytes - (old.pixels.nbytes if old else 0)
        self._tiles[key] = tile
        self._make_room()
        self.rendered.emit(key)

    def _make_room(self) -> None:
        while self._bytes > MOST_BYTES and len(self._tiles) > 1:
            _, oldest = self._tiles.popitem(last=False)
            self._bytes -= oldest.pixels.nbytes

    def _changed_since(self, version: int, key: Key) -> bool:
        if version == self._version:
            return False
        if self._changes and self._changes[0][0] > version + 1:  # older changes are forgotten
            return True
        part = key.part(*self._size)
        return any(
            number > version and (rect is None or not part.within(rect).is_empty)
            for number, rect in reversed(self._changes)
        )


def resize(pixels: NDArray[np.uint8], width: int, height: int, crisp: bool) -> NDArray[np.uint8]:
    """Pixels at another size, at least half as large: smooth, or squares when `crisp`."""
    if pixels.shape[1] == width and pixels.shape[0] == height:
        return pixels
    way = cv2.INTER_NEAREST if crisp else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (max(1, width), max(1, height)), interpolation=way), np.uint8)


def as_image(pixels: NDArray[np.uint8], opaque: bool) -> QImage:
    """Premultiplied BGRA pixels as an image that shares their memory."""
    pixels = np.ascontiguousarray(pixels)
    form = QImage.Format.Format_RGB32 if opaque else QImage.Format.Format_ARGB32_Premultiplied
    height, width = pixels.shape[:2]
    memory: Any = pixels.data  # Qt takes any buffer, its types know bytes alone
    image: Any = QImage(memory, width, height, 4 * width, form)
    image.pixels = pixels  # keeps the memory
    return image
