# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the session's document on the canvas, with a tint over a mask, or the active layer's cutout by itself."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import Enum
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, QTimer

from s2am_editor.document.model import Document, Layer
from s2am_editor.document.raster import TiledMask
from s2am_editor.render.finish_layer import with_drafts
from s2am_editor.render.renderer import RenderSession
from s2am_editor.window.canvas.canvas import Canvas
from s2am_editor.window.canvas.tiles import RenderFunction
from s2am_editor.window.editor_session import EditorSession
from s2am_engine.image.rect import Rect

_NO_DOCUMENT = Document(1, 1)

DRAFT_TIME = 200  # milliseconds without a change after which a draft is replaced
TINT_OPACITY = 0.55  # share of the tint's color over the image
HIDDEN_TINT = (226, 40, 40)  # over what a cutout hides, like the film of the same color that masks were cut from


class MaskView(Enum):
    """Views of the active layer's cutout on the canvas."""

    COMPOSITE = "composite"  # the document as it is
    OVERLAY = "overlay"  # the document, with a tint over what is hidden
    MASK = "mask"  # the coverage in gray
    BLACK = "black"  # the layer on black
    WHITE = "white"  # the layer on white


@dataclass(frozen=True, eq=False)
class Tint:
    """A mask of the canvas's size, or a layer's coverage, shown in a color (red, green, blue)."""

    area: TiledMask | Layer
    color: tuple[int, int, int]

    def cover(self, rendering: RenderSession, zoom: float, rect: Rect) -> NDArray[np.uint8]:
        """Return the mask in a part of the view: h×w, 0 to 255."""
        if isinstance(self.area, Layer):
            return rendering.layer_coverage(self.area, rect, zoom)
        return rendering.canvas_mask(self.area, rect, zoom)


class DocumentView(QObject):
    """Shows the session's document on the canvas."""

    def __init__(self, session: EditorSession, canvas: Canvas) -> None:
        """Show a session's document on a canvas from now on."""
        super().__init__(canvas)
        self._session, self._canvas = session, canvas
        self._rendering = RenderSession(_NO_DOCUMENT)
        self._tint: Tint | None = None
        self._mask_view = MaskView.COMPOSITE
        self._exact = _NO_DOCUMENT
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.timeout.connect(self._replace_draft)
        session.opened.connect(self._open)
        session.repainted.connect(self._change)
        session.layers_changed.connect(canvas.update)  # the tool's overlay can lie outside of the changed pixels

    @property
    def tint(self) -> Tint | None:
        """The current tint."""
        return self._tint

    def set_tint(self, tint: Tint | None) -> None:
        """Set another tint; None = no tint."""
        before, self._tint = self._tint, tint
        if not self._session.is_open or tint is before:
            return
        area = None
        if before and tint and isinstance(before.area, TiledMask) and isinstance(tint.area, TiledMask):
            same_size = (before.area.width, before.area.height) == (tint.area.width, tint.area.height)
            area = before.area.changed_area(tint.area) if same_size else None  # None: the canvas was cropped
        self._canvas.update_image(self._render(), area)

    @property
    def mask_view(self) -> MaskView:
        """The view of the active layer's cutout."""
        return self._mask_view

    def set_mask_view(self, view: MaskView) -> None:
        """Show the active layer's cutout in another way."""
        if view is not self._mask_view:
            self._mask_view = view
            if self._session.is_open:
                self._canvas.update_image(self._render())

    def preview(self, document: Document | None) -> None:
        """Show another state of the document until the next change; None = the document itself."""
        if self._session.is_open:
            self._change(self._rendering.document, document or self._session.document)

    def _open(self) -> None:
        self._tint = None
        self._expect_exact(False)
        self._rendering = RenderSession(self._session.document if self._session.is_open else _NO_DOCUMENT)
        if self._session.is_open:
            document = self._session.document
            self._canvas.show_image(document.width, document.height, self._render())
        else:
            self._canvas.show_image(0, 0, None)

    def _change(self, before: Document, after: Document) -> None:
        self._exact, shown = after, with_drafts(before, after)
        self._expect_exact(shown is not after)
        self._show(before, shown)

    def _replace_draft(self) -> None:
        self._expect_exact(False)
        self._show(self._rendering.document, self._exact)

    def _expect_exact(self, expected: bool) -> None:
        """Replace a draft as soon as nothing has changed for a moment."""
        self._canvas.shows_draft = expected
        if expected:
            self._rest.start(DRAFT_TIME)
        else:
            self._rest.stop()

    def _show(self, before: Document, after: Document) -> None:
        area = self._rendering.update(after)
        if (before.width, before.height) != (after.width, after.height):
            self._canvas.show_image(after.width, after.height, self._render())
        elif self._mask_view is not MaskView.COMPOSITE:
            shown = (before.layers, before.active, before.adjustment), (after.layers, after.active, after.adjustment)
            if shown[0] != shown[1]:
                self._canvas.update_image(self._render())
        elif not area.is_empty:
            self._canvas.update_image(self._render(), area)

    def _render(self) -> RenderFunction:
        document = self._rendering.document
        layer = next((one for one in document.layers if one.id == document.active), None)
        if self._mask_view is MaskView.COMPOSITE or layer is None:
            return partial(render_tinted, self._rendering, self._tint)
        shown = dataclasses.replace(layer, visible=True, opacity=1.0, group=None, shadow=None)
        alone = dataclasses.replace(document, layers=(shown,))
        return CutoutRenderer(self._rendering, RenderSession(alone), layer, self._mask_view).render


def render_tinted(
    rendering: RenderSession, tint: Tint | None, before: bool, zoom: float, rect: Rect
) -> NDArray[np.uint8]:
    """Render a part of a document with a tint over it; see `RenderSession.tile`."""
    pixels = rendering.tile(rect, zoom, harmonized=not before)
    if tint is None:
        return pixels
    return blend_tint(pixels, tint.cover(rendering, zoom, rect), tint.color)


@dataclass(frozen=True, eq=False)
class CutoutRenderer:
    """Renders the cutout of a layer in one of the mask views.

    document: renders the whole document. alone: renders a document that consists of the layer only.
    """

    document: RenderSession
    alone: RenderSession
    layer: Layer
    view: MaskView

    def render(self, before: bool, zoom: float, rect: Rect) -> NDArray[np.uint8]:
        """Render a part of the cutout; see `RenderSession.tile`."""
        if self.view is MaskView.OVERLAY:
            hidden = 255 - self.document.layer_coverage(self.layer, rect, zoom)
            return blend_tint(self.document.tile(rect, zoom, harmonized=not before), hidden, HIDDEN_TINT)
        if self.view is MaskView.MASK:
            coverage = self.document.layer_coverage(self.layer, rect, zoom)
            return np.dstack([coverage] * 3 + [np.full_like(coverage, 255)])
        pixels = self.alone.tile(rect, zoom, harmonized=not before)
        rest = 255 - pixels[..., 3:]
        matte = pixels + rest if self.view is MaskView.WHITE else pixels.copy()
        matte[..., 3] = 255
        return matte


def blend_tint(pixels: NDArray[np.uint8], cover: NDArray[np.uint8], color: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Blend a color over pixels (h×w×4 BGRA, premultiplied) where a mask (h×w) is set."""
    if not cover.any():
        return pixels
    share = cover.astype(np.float32) * np.float32(TINT_OPACITY / 255)
    red, green, blue = color
    flat = np.empty_like(pixels)
    flat[:] = (blue, green, red, 255)
    return np.asarray(cv2.blendLinear(flat, np.ascontiguousarray(pixels), share, 1 - share), np.uint8)
