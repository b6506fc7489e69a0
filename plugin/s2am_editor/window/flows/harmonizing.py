# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonizing the active layer, and trying several ways of it, in the background."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, pyqtSignal

from s2am_editor.compose import harmonize as finding
from s2am_editor.compose.renderer import Renderer
from s2am_editor.document import commands
from s2am_editor.document.geometry import Rect, apply, box_of
from s2am_editor.document.model import Document, Harmonization, Layer, Reference
from s2am_editor.window.jobs import Job, Jobs, Problem
from s2am_editor.window.session import Session
from s2am_engine.color.adjustments import Sliders

STRENGTHS = (1.0, 0.6)  # of the chosen model among the variants
SIDE = 320  # pixels of a variant's picture
ROOM = 0.35  # around the layer, as a share of its size


@dataclass(frozen=True)
class Variant:
    """One way to harmonize a layer, and how it looks."""

    layer_id: int
    harmonization: Harmonization
    pixels: NDArray[np.uint8]  # BGRA, premultiplied


class Harmonizing(QObject):
    """Starts what models do, and puts into the document what comes of it."""

    done = pyqtSignal()
    busy_changed = pyqtSignal(bool)
    found_variant = pyqtSignal(object)  # a Variant
    failed = pyqtSignal(object)  # a Problem

    def __init__(self, session: Session, jobs: Jobs, parent: QObject) -> None:
        """Work on a session's document."""
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self.models = finding.Models()
        self._job: Job | None = None

    @property
    def busy(self) -> bool:
        """Whether a model is at work."""
        return self._job is not None

    def warm_up(self, model: str) -> None:
        """Load a model before it is asked for; the window does not wait for it."""

        def load(_: Job) -> None:
            with self.models.using(model):
                pass

        self._jobs.start("", load, quiet=True)

    def harmonize(self, model: str, reference: Reference) -> None:
        """Harmonize the active layer; its sliders and curves stay, and it starts from its original pixels."""
        layer = self._session.active
        if layer is None or self.busy:
            return
        document = self._session.document
        before = layer.harmonization
        sliders = before.adjustments if before else Sliders()

        def work(job: Job) -> Harmonization:
            found = finding.harmonize(document, layer.id, self.models, model, reference, sliders, job.progress)
            return dataclasses.replace(found, curves=before.curves if before else None)

        self._start(self.tr("Harmonizing"), work, lambda found: self._use(layer.id, found))

    def try_variants(self, models: list[str], chosen: str, reference: Reference) -> None:
        """Find what several models, and strengths of the chosen one, make of the active layer."""
        layer = self._session.active
        if layer is None or self.busy:
            return
        document = self._session.document
        choices = [(chosen, Sliders(strength=strength)) for strength in STRENGTHS]
        choices += [(model, Sliders()) for model in models if model != chosen]

        def work(job: Job) -> None:
            for variant in self._variants(document, layer, choices, reference, job):
                job.tell(variant)

        job = self._start(self.tr("Trying variants"), work, lambda _: None)
        job.told.connect(self.found_variant)

    def use(self, variant: Variant) -> None:
        """Put a variant into the document."""
        self._use(variant.layer_id, variant.harmonization, "Choose variant")

    def remove(self) -> None:
        """Give the active layer its own colors back."""
        layer = self._session.active
        if layer and layer.harmonization:
            self._session.do(commands.set_harmonization(layer.id, None, "Remove harmonization"))

    def _variants(
        self,
        document: Document,
        layer: Layer,
        choices: list[tuple[str, Sliders]],
        reference: Reference,
        job: Job,
    ) -> Iterator[Variant]:
        renderer = Renderer()
        found = finding.variants(document, layer.id, self.models, choices, reference, job.progress)
        for harmonization in found:
            shown = dataclasses.replace(layer, harmonization=harmonization, visible=True)
            yield Variant(layer.id, harmonization, portrait(renderer, document.with_layer(shown), layer))

    def _use(self, layer_id: int, found: Harmonization, name: str = "Harmonize") -> None:
        if any(layer.id == layer_id for layer in self._session.document.layers):
            self._session.do(commands.set_harmonization(layer_id, found, name))
            self.done.emit()

    def _start(self, title: str, work: Callable[[Job], object], done: Callable[[Harmonization], None]) -> Job:
        job = self._jobs.start(title, work, done, self._fail)
        self._job = job
        job.ended.connect(self._end)
        self.busy_changed.emit(True)
        return job

    def _fail(self, problem: Problem) -> None:
        self.failed.emit(problem)

    def _end(self, job: Job) -> None:
        if job is self._job:
            self._job = None
            self.busy_changed.emit(False)


def portrait(renderer: Renderer, document: Document, layer: Layer) -> NDArray[np.uint8]:
    """A layer with some of what is around it, SIDE pixels at its longer side."""
    box = layer.box.within(document.rect)
    if layer.mask is not None:
        box = _shown_box(layer).within(document.rect)
    room = round(ROOM * max(box.width, box.height))
    area = box.grown(room).within(document.rect)
    zoom = min(1.0, SIDE / max(1, area.width, area.height))
    place = Rect(*(round(edge * zoom) for edge in area))
    return renderer.render(document, zoom, place)


def _shown_box(layer: Layer) -> Rect:
    """The pixels of the canvas that a layer's mask leaves of it."""
    mask = layer.mask.box() if layer.mask else Rect(0, 0, *layer.size)
    if mask.is_empty:
        return layer.box
    corners = [(mask.left, mask.top), (mask.right, mask.top), (mask.right, mask.bottom), (mask.left, mask.bottom)]
    return box_of(apply(layer.transform.matrix(layer.size), corners))
