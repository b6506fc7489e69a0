# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting a subject out of a layer: box tool, segmentation, mask proposals and edge refinement."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from PyQt6.QtCore import QObject, QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QKeyEvent, QPainter, QPen

from s2am_editor.cutout.masks import (
    Brush,
    Combination,
    combine_masks,
    decontaminate_edges,
    paint_stroke,
    shows_any,
)
from s2am_editor.cutout.subject import LazyDetector, LazySubjectSelector, Proposal, grab_cut
from s2am_editor.document import commands
from s2am_editor.document.geometry import Point, bounding_rect, invert_affine, transform_points
from s2am_editor.document.model import DocumentError, Layer
from s2am_editor.document.raster import Raster, TiledMask
from s2am_editor.window.action_table import pressed_shortcut
from s2am_editor.window.canvas.viewport import Viewport
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.jobs import BackgroundJob, BackgroundJobs
from s2am_editor.window.tools.tool import Pointer, Tool
from s2am_engine.image.rect import Rect

MIN_BOX = 4.0  # image pixels; smaller boxes are taken for accidental clicks
Strokes = Sequence[Sequence[Point]]


class BoxTool(Tool):
    """Draws a box around the subject."""

    outlines_mask = True

    drawn = pyqtSignal(object, object)  # (left, top, right, bottom) in the image; a Combination by key, or None
    cursor = Qt.CursorShape.CrossCursor

    def __init__(self) -> None:
        """Start without a box."""
        super().__init__()
        self._from: Point | None = None
        self._to: Point = (0.0, 0.0)
        self._combination: Combination | None = None

    def press(self, pointer: Pointer) -> None:
        """Start a box."""
        if pointer.button is Qt.MouseButton.LeftButton:
            self._from = self._to = pointer.at
            self._combination = combination_of_keys(pointer)

    def move(self, pointer: Pointer) -> None:
        """Resize it."""
        if self._from is not None:
            self._to = pointer.at
            self.repaint.emit()

    def release(self, pointer: Pointer) -> None:
        """Emit the box."""
        if self._from is None:
            return
        (x, y), (to_x, to_y) = self._from, pointer.at
        self.leave()
        if min(abs(to_x - x), abs(to_y - y)) >= MIN_BOX:
            self.drawn.emit((min(x, to_x), min(y, to_y), max(x, to_x), max(y, to_y)), self._combination)

    def leave(self) -> None:
        """Discard the box."""
        self._from = None
        self.repaint.emit()

    def key(self, event: QKeyEvent) -> bool:
        """Discard the box with its key."""
        if pressed_shortcut(event, "tool", "cut") and self._from is not None:
            self.leave()
            return True
        return False

    def paint(self, painter: QPainter, viewport: Viewport, ratio: float) -> None:
        """Draw the box."""
        if self._from is None:
            return
        box = QRectF(QPointF(*viewport.to_view(*self._from)), QPointF(*viewport.to_view(*self._to))).normalized()
        painter.setBrush(QColor(255, 255, 255, 24))
        painter.setPen(QPen(QColor(0, 0, 0, 160), 1.5 * ratio))
        painter.drawRect(box)
        pen = QPen(QColor("white"), 1.5 * ratio, Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.drawRect(box)


class CropTool(BoxTool):
    """Draws the box that the canvas is cropped to."""

    outlines_mask = False


def combination_of_keys(pointer: Pointer) -> Combination | None:
    """Return the combination that the held keys stand for, as in other programs; None = none of them."""
    match pointer.shift, pointer.alt:
        case (True, True):
            return Combination.INTERSECT
        case (True, False):
            return Combination.ADD
        case (False, True):
            return Combination.SUBTRACT
    return None


class CutOut(QObject):
    """Segments the active layer and refines its mask, in the background."""

    failed = pyqtSignal(object)  # a Problem
    proposed = pyqtSignal(object)  # a Proposal, or None after it was accepted or discarded
    scribbled = pyqtSignal(int)  # a layer got the mask that the strokes gave; it is a new one if theirs is locked

    def __init__(self, session: EditorSession, jobs: BackgroundJobs, parent: QObject) -> None:
        """Work on a session's document."""
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self._detector, self._selector = LazyDetector(), LazySubjectSelector()
        self.proposal: Proposal | None = None
        self._proposed: Layer | None = None
        self.applying_scribbles = False  # while the mask that strokes gave is put into the document
        self._job: BackgroundJob | None = None  # the segmentation that is running

    @property
    def proposed_layer(self) -> Layer | None:
        """The layer that accepting the proposal would create."""
        return self._proposed

    # ---- box and scribbles

    def cut_box(self, box: tuple[float, float, float, float], combination: Combination = Combination.REPLACE) -> None:
        """Segment the subject in a box (left, top, right, bottom in the image)."""
        layer = self._session.active
        if layer is None:
            return
        left, top, right, bottom = box
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        area = bounding_rect(_on_layer(layer, corners)).intersection(Rect(0, 0, *layer.size))
        self._segment(
            layer, lambda job: grab_cut(layer.raster, box=area, progress=job.progress), layer.mask, combination
        )

    def cut_scribbles(
        self,
        subject: Strokes,
        background: Strokes,
        width: float,
        before: TiledMask | None = None,
        combination: Combination = Combination.REPLACE,
    ) -> None:
        """Segment the subject by strokes.

        Args:
            subject: strokes on the subject, in image pixels.
            background: strokes on its background.
            width: of a stroke, in image pixels.
            before: mask of the layer before the first stroke.
            combination: of the result with that mask.
        """
        layer = self._session.active
        if layer is None:
            return
        brush = Brush(width / (layer.transform.scale_x * layer.transform.scale_y) ** 0.5, hardness=1.0)

        def work(job: BackgroundJob) -> TiledMask:
            on_subject, on_background = (_drawn(layer, strokes, brush) for strokes in (subject, background))
            _check_shown(layer, on_subject)
            return grab_cut(layer.raster, foreground=on_subject, background=on_background, progress=job.progress)

        self._segment(layer, work, before, combination, by_scribbles=True)

    def cancel(self) -> None:
        """Cancel the segmentation that is running, if there is one."""
        if self._job is not None:
            self._job.cancel()

    def select_subject(self, combination: Combination = Combination.REPLACE) -> None:
        """Cut out the subject of the active layer without any marks."""
        layer = self._session.active
        if layer is None:
            return
        profile = self._session.document.profile

        def work(job: BackgroundJob) -> TiledMask:
            job.progress(-1)
            return self._selector.select(layer.raster, profile)

        self._segment(layer, work, layer.mask, combination)

    def _segment(
        self,
        layer: Layer,
        work: Callable[[BackgroundJob], TiledMask],
        before: TiledMask | None,
        combination: Combination,
        *,
        by_scribbles: bool = False,
    ) -> None:
        def checked(job: BackgroundJob) -> TiledMask:
            mask = combine_masks(before, work(job), combination)
            _check_shown(layer, mask)
            return mask

        def done(mask: TiledMask) -> None:
            self.applying_scribbles = by_scribbles
            try:
                if layer.locked:
                    done = self._session.do(commands.cut_out_layer(layer.id, mask, self.tr("Subject")))
                else:
                    done = self._session.do(commands.set_mask(layer.id, mask, "Cut out"))
            finally:
                self.applying_scribbles = False
            if done and by_scribbles and self._session.active:
                self.scribbled.emit(self._session.active.id if layer.locked else layer.id)

        self.cancel()  # its result would arrive after a newer one, or be replaced by it
        self._job = self._jobs.start(self.tr("Cutting out"), checked, done, self.failed.emit, ended=self._end)

    def _end(self, job: BackgroundJob) -> None:
        if job is self._job:
            self._job = None

    # ---- detection of a pasted region

    def detect(self) -> None:
        """Detect a pasted region in the active layer; nothing changes until the proposal is accepted."""
        layer = self._session.active
        if layer is None:
            return
        document = self._session.document

        def done(found: Proposal) -> None:
            self.proposal, self._proposed = found, dataclasses.replace(layer, mask=found.mask)
            self.proposed.emit(found)

        title = self.tr("Detecting the pasted region")
        self._jobs.start(title, lambda _: self._detector.detect(document, layer.id), done, self.failed.emit)

    def accept(self) -> None:
        """Put the proposed region on a new layer."""
        proposed = self._proposed
        self.discard()
        if proposed is not None and proposed.mask is not None:
            self._session.do(commands.cut_out_layer(proposed.id, proposed.mask, self.tr("Subject")))

    def discard(self) -> None:
        """Discard the proposal."""
        self.proposal = self._proposed = None
        self.proposed.emit(None)

    # ---- edges

    def invert(self) -> None:
        """Invert the layer's mask."""
        layer = self._session.active
        if layer and layer.mask is not None:
            self._session.do(commands.set_mask(layer.id, layer.mask.inverted(), "Invert mask"))

    def remove_mask(self) -> None:
        """Remove the layer's mask."""
        layer = self._session.active
        if layer and layer.mask is not None:
            self._session.do(commands.set_mask(layer.id, None, "Remove mask"))

    def clean_edges(self) -> None:
        """Remove the old background's color from soft edges."""
        layer = self._session.active
        if layer is None:
            return

        def done(raster: Raster) -> None:
            self._session.do(commands.set_raster(layer.id, raster, "Clean edges"))

        self._jobs.start(self.tr("Cleaning edges"), lambda _: decontaminate_edges(layer), done, self.failed.emit)


def _check_shown(layer: Layer, mask: TiledMask) -> None:
    """Raise DocumentError if a mask covers nothing but transparent pixels of a layer."""
    if not shows_any(layer, mask):
        raise DocumentError(
            f"Nothing of “{layer.name}” would be left: mark a part of the layer that is not transparent.",
            code="document.nothing-marked",
        )


def _on_layer(layer: Layer, points: Sequence[Point]) -> list[Point]:
    """Map image points to layer pixels."""
    return transform_points(invert_affine(layer.transform.matrix(layer.size)), points)


def _drawn(layer: Layer, strokes: Strokes, brush: Brush) -> TiledMask:
    """Rasterize strokes as a mask of a layer."""
    mask = TiledMask(*layer.size)
    for stroke in strokes:
        mask = paint_stroke(mask, _on_layer(layer, stroke), brush)
    return mask
