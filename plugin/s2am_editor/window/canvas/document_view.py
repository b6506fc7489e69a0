# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the session's document on the canvas, with a tint over a mask."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject

from s2am_editor.compose.renderer import Renderer
from s2am_editor.document.changes import changed_area
from s2am_editor.document.geometry import Rect
from s2am_editor.document.mask import Mask
from s2am_editor.document.model import Document, Layer
from s2am_editor.window.canvas.canvas import Canvas
from s2am_editor.window.session import EditorSession

TINT = 0.55  # how much of the tint's color covers the picture


@dataclass(frozen=True, eq=False)
class Tint:
    """A mask of the canvas's size, or what a layer covers, shown in a color (red, green, blue)."""

    what: Mask | Layer
    color: tuple[int, int, int]

    def cover(self, renderer: Renderer, zoom: float, rect: Rect) -> NDArray[np.uint8]:
        """Where the color is: h×w, 0 to 255."""
        if isinstance(self.what, Layer):
            return renderer.cover(self.what, zoom, rect)
        return renderer.mask(self.what, zoom, rect)


class DocumentView(QObject):
    """The way from the document to the screen."""

    def __init__(self, session: EditorSession, canvas: Canvas) -> None:
        """Show a session's document on a canvas from now on."""
        super().__init__(canvas)
        self._session, self._canvas = session, canvas
        self.renderer = Renderer()
        self._tint: Tint | None = None
        session.opened.connect(self._open)
        session.changed.connect(self._change)

    @property
    def tint(self) -> Tint | None:
        """What is tinted now."""
        return self._tint

    def set_tint(self, tint: Tint | None) -> None:
        """Tint something else, or nothing."""
        before, self._tint = self._tint, tint
        if not self._session.is_open or tint is before:
            return
        area = None
        if before and tint and isinstance(before.what, Mask) and isinstance(tint.what, Mask):
            area = before.what.changed_area(tint.what)
        self._canvas.change_picture(self._render(), area)

    def refresh(self) -> None:
        """Draw everything anew."""
        if self._session.is_open:
            self._canvas.change_picture(self._render())

    def _open(self) -> None:
        self.renderer.forget()
        self._tint = None
        if self._session.is_open:
            document = self._session.document
            self._canvas.show_picture(document.width, document.height, self._render())
        else:
            self._canvas.show_picture(0, 0, None)

    def _change(self, before: Document, after: Document) -> None:
        if (before.width, before.height) != (after.width, after.height):
            self._canvas.show_picture(after.width, after.height, self._render())
            return
        area = changed_area(before, after)
        if not area.is_empty:
            self._canvas.change_picture(self._render(), area)

    def _render(self) -> partial[NDArray[np.uint8]]:
        return partial(draw, self.renderer, self._session.document, self._tint)


def draw(
    renderer: Renderer, document: Document, tint: Tint | None, before: bool, zoom: float, rect: Rect
) -> NDArray[np.uint8]:
    """Draw a part of a document with a tint over it; see `Renderer.render`."""
    pixels = renderer.render(document, zoom, rect, "before" if before else "after")
    if tint is None:
        return pixels
    return tinted(pixels, tint.cover(renderer, zoom, rect), tint.color)


def tinted(pixels: NDArray[np.uint8], cover: NDArray[np.uint8], color: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Pixels (h×w×4 BGRA, premultiplied) under a color, where the cover (h×w) says."""
    if not cover.any():
        return pixels
    share = cover.astype(np.float32) * np.float32(TINT / 255)
    red, green, blue = color
    flat = np.empty_like(pixels)
    flat[:] = (blue, green, red, 255)
    return np.asarray(cv2.blendLinear(flat, np.ascontiguousarray(pixels), share, 1 - share), np.uint8)
