# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding a subject in a layer, and making its edge better, in the background."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from PyQt6.QtCore import QObject, pyqtSignal

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
from s2am_editor.window.jobs import Job, Jobs, Problem
from s2am_editor.window.session import Session

Point = tuple[float, float]
Strokes = Sequence[Sequence[Point]]


class Cutting(QObject):
    """What tools and buttons ask for, done to the active layer."""

    failed = pyqtSignal(object)  # a Problem
    proposed = pyqtSignal(object)  # a Proposal, or None when it was taken or given up

    def __init__(self, session: Session, jobs: Jobs, parent: QObject) -> None:
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

        def work(job: Job) -> Mask:
            foreground, background = (_drawn(layer, strokes, brush) for strokes in (keep, drop))
            return grab_cut(layer.raster, foreground=foreground, background=background, progress=job.progress)

        self._find(layer, work)

    def _find(self, layer: Layer, work: Callable[[Job], Mask]) -> None:
        def done(mask: Mask) -> None:
            if layer.locked:
                self._session.do(commands.cut_out_layer(layer.id, mask, self.tr("Subject")))
            else:
                self._session.do(commands.set_mask(layer.id, mask, "Cut out"))

        self._jobs.start(self.tr("Cutting out"), work, done, self.failed.emit)

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
