# SPDX-License-Identifier: GPL-3.0-or-later
"""CutOut a subject out of a layer: box and scribble tools, segmentation, mask proposals and edge refinement."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from PyQt6.QtCore import QObject, QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QKeyEvent, QPainter, QPen, QPolygonF

from s2am_editor.cutout.brush import Brush, paint
from s2am_editor.cutout.edges import decontaminated
from s2am_editor.cutout.finding import Finder, Proposal
from s2am_editor.cutout.grabcut import grab_cut
from s2am_editor.cutout.refine import feathered, from_alpha
from s2am_editor.document import commands
from s2am_editor.document.geometry import Rect, apply, box_of, inverse
from s2am_editor.document.mask import Mask
from s2am_editor.document.model import Layer
from s2am_editor.document.raster import Raster
from s2am_editor.window.canvas.viewport import Viewport
from s2am_editor.window.jobs import BackgroundJob, BackgroundJobs, Problem
from s2am_editor.window.session import EditorSession
from s2am_editor.window.tools.tool import Point, Pointer, Tool

SMALLEST = 4.0  # pixels of the picture a side, below which a box was a slip of the hand
KEEP, DROP = QColor("#31b057"), QColor("#e0483e")  # marks on the subject, and on what is behind it


class BoxTool(Tool):
    """Draws a box."""

    drawn = pyqtSignal(object)  # (left, top, right, bottom) in the picture
    cursor = Qt.CursorShape.CrossCursor

    def __init__(self) -> None:
        """Start without a box."""
        super().__init__()
        self._from: Point | None = None
        self._to: Point = (0.0, 0.0)
        self._offset = 0

    def press(self, pointer: Pointer) -> None:
        """Begin a box."""
        if pointer.button is Qt.MouseButton.LeftButton:
            self._from = self._to = pointer.at

    def move(self, pointer: Pointer) -> None:
        """Draw it larger."""
        if self._from is not None:
            self._to = pointer.at
            self.repaint.emit()

    def release(self, pointer: Pointer) -> None:
        """Take the box as it is."""
        if self._from is None:
            return
        (x, y), (to_x, to_y) = self._from, pointer.at
        self.leave()
        if min(abs(to_x - x), abs(to_y - y)) >= SMALLEST:
            self.drawn.emit((min(x, to_x), min(y, to_y), max(x, to_x), max(y, to_y)))

    def leave(self) -> None:
        """Give the box up."""
        self._from = None
        self.repaint.emit()

    def key(self, event: QKeyEvent) -> bool:
        """Give it up with Escape."""
        if event.key() == Qt.Key.Key_Escape and self._from is not None:
            self.leave()
            return True
        return False

    def march(self) -> None:
        """Let the line go on."""
        self._offset = (self._offset + 1) % 8

    def paint(self, painter: QPainter, viewport: Viewport, ratio: float) -> None:
        """Draw the box."""
        if self._from is None:
            return
        box = QRectF(QPointF(*viewport.to_view(*self._from)), QPointF(*viewport.to_view(*self._to))).normalized()
        painter.setBrush(QColor(255, 255, 255, 24))
        painter.setPen(QPen(QColor(0, 0, 0, 160), 1.5 * ratio))
        painter.drawRect(box)
        pen = QPen(QColor("white"), 1.5 * ratio, Qt.PenStyle.DashLine)
        pen.setDashOffset(self._offset)
        painter.setPen(pen)
        painter.drawRect(box)


class ScribbleTool(Tool):
    """Draws lines on the subject and, with Alt or the right button, on what is behind it."""

    drawn = pyqtSignal(object, object)  # lists of strokes on the subject, and behind it; a stroke is a list of points
    cursor = Qt.CursorShape.CrossCursor

    def __init__(self) -> None:
        """Start without lines."""
        super().__init__()
        self.keep: list[list[Point]] = []
        self.drop: list[list[Point]] = []
        self._line: list[Point] | None = None

    def press(self, pointer: Pointer) -> None:
        """Begin a line."""
        right = pointer.button is Qt.MouseButton.RightButton
        if pointer.button is Qt.MouseButton.LeftButton or right:
            self._line = [pointer.at]
            (self.drop if right or pointer.alt else self.keep).append(self._line)

    def move(self, pointer: Pointer) -> None:
        """Draw it."""
        if self._line is not None:
            self._line.append(pointer.at)
            self.repaint.emit()

    def release(self, pointer: Pointer) -> None:
        """End it, and have the subject found anew."""
        if self._line is not None:
            self._line = None
            if self.keep:
                self.drawn.emit(list(self.keep), list(self.drop))

    def leave(self) -> None:
        """Forget all lines."""
        self.keep, self.drop, self._line = [], [], None
        self.repaint.emit()

    def key(self, event: QKeyEvent) -> bool:
        """Forget them with Escape."""
        if event.key() == Qt.Key.Key_Escape and (self.keep or self.drop):
            self.leave()
            return True
        return False

    def paint(self, painter: QPainter, viewport: Viewport, ratio: float) -> None:
        """Draw the lines."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for lines, color in ((self.keep, KEEP), (self.drop, DROP)):
            for line in lines:
                places = QPolygonF([QPointF(*viewport.to_view(*point)) for point in line])
                for pen_color, wide in ((QColor(255, 255, 255, 200), 5.5), (color, 3.5)):
                    pen = QPen(pen_color, wide * ratio, cap=Qt.PenCapStyle.RoundCap, join=Qt.PenJoinStyle.RoundJoin)
                    painter.setPen(pen)
                    painter.drawPolyline(places) if len(line) > 1 else painter.drawPoint(places[0])


Strokes = Sequence[Sequence[Point]]


class CutOut(QObject):
    """What tools and buttons ask for, done to the active layer."""

    failed = pyqtSignal(object)  # a Problem
    proposed = pyqtSignal(object)  # a Proposal, or None when it was taken or given up

    def __init__(self, session: EditorSession, jobs: BackgroundJobs, parent: QObject) -> None:
        """Work on a session's document."""
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self._finder = Finder()
        self.proposal: Proposal | None = None
        self._proposed: Layer | None = None

    @property
    def proposed_layer(self) -> Layer | None:
        """What was found, as the layer that it would become."""
        return self._proposed

    # ---- box and scribbles

    def cut_box(self, box: tuple[float, float, float, float]) -> None:
        """Find the subject in a box (left, top, right, bottom of the picture)."""
        layer = self._session.active
        if layer is None:
            return
        left, top, right, bottom = box
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        area = box_of(_on_layer(layer, corners)).within(Rect(0, 0, *layer.size))
        self._find(layer, lambda job: grab_cut(layer.raster, box=area, progress=job.progress))

    def cut_scribbles(self, keep: Strokes, drop: Strokes, width: float) -> None:
        """Find the subject that scribbles of a width (in pixels of the picture) mark, and what is behind it."""
        layer = self._session.active
        if layer is None:
            return
        brush = Brush(width / (layer.transform.scale_x * layer.transform.scale_y) ** 0.5, hardness=1.0)

        def work(job: BackgroundJob) -> Mask:
            foreground, background = (_drawn(layer, strokes, brush) for strokes in (keep, drop))
            return grab_cut(layer.raster, foreground=foreground, background=background, progress=job.progress)

        self._find(layer, work)

    def _find(self, layer: Layer, work: Callable[[BackgroundJob], Mask]) -> None:
        def done(mask: Mask) -> None:
            if layer.locked:
                self._session.do(commands.cut_out_layer(layer.id, mask, self.tr("Subject")))
            else:
                self._session.do(commands.set_mask(layer.id, mask, "Cut out"))

        self._jobs.start(self.tr("CutOut out"), work, done, self.failed.emit)

    # ---- what was pasted into a flattened picture

    def propose(self) -> None:
        """Look for what was pasted into the active layer; nothing changes until it is accepted."""
        layer = self._session.active
        if layer is None:
            return
        document = self._session.document

        def done(found: Proposal) -> None:
            self.proposal, self._proposed = found, dataclasses.replace(layer, mask=found.mask)
            self.proposed.emit(found)

        title = self.tr("Looking for what was pasted")
        self._jobs.start(title, lambda _: self._finder.find(document, layer.id), done, self.failed.emit)

    def accept(self) -> None:
        """Put what was found on a layer of its own."""
        proposed = self._proposed
        self.discard()
        if proposed is not None and proposed.mask is not None:
            self._session.do(commands.cut_out_layer(proposed.id, proposed.mask, self.tr("Subject")))

    def discard(self) -> None:
        """Give up what was found."""
        self.proposal = self._proposed = None
        self.proposed.emit(None)

    # ---- edges

    def feather(self, radius: float) -> None:
        """Soften the edge of the cut-out by a radius in pixels of the layer."""
        self._change_mask("Feather", lambda layer: feathered(layer.mask or from_alpha(layer), radius))

    def whole_layer(self) -> None:
        """Take the cut-out back."""
        layer = self._session.active
        if layer and layer.mask is not None:
            self._session.do(commands.set_mask(layer.id, None, "Whole layer"))

    def clean_edges(self) -> None:
        """Take the old background's color out of soft edges."""
        layer = self._session.active
        if layer is None:
            return

        def done(raster: Raster) -> None:
            self._session.do(commands.set_raster(layer.id, raster, "Clean edges"))

        self._jobs.start(self.tr("Cleaning edges"), lambda _: decontaminated(layer), done, self.failed.emit)

    def _change_mask(self, name: str, work: Callable[[Layer], Mask]) -> None:
        layer = self._session.active
        if layer is None:
            return
        self._jobs.start(
            self.tr("Softening the edge"),
            lambda _: work(layer),
            lambda mask: self._session.do(commands.set_mask(layer.id, mask, name)),
            self._fail,
        )

    def _fail(self, problem: Problem) -> None:
        self.failed.emit(problem)


def _on_layer(layer: Layer, points: Sequence[Point]) -> list[Point]:
    """Points of the picture in the pixels of a layer."""
    return apply(inverse(layer.transform.matrix(layer.size)), points)


def _drawn(layer: Layer, strokes: Strokes, brush: Brush) -> Mask:
    """Strokes as a mask of a layer."""
    mask = Mask(*layer.size)
    for stroke in strokes:
        mask = paint(mask, _on_layer(layer, stroke), brush)
    return mask
