# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonizing the active layer: model and reference, background work, and variants to choose from."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtWidgets import QComboBox, QGridLayout, QLabel, QWidget

from s2am_common.errors import EngineError
from s2am_common.translation import localized
from s2am_editor.document import commands
from s2am_editor.document.basis import Outdated
from s2am_editor.document.frame import Frame
from s2am_editor.document.model import Document, Harmonization, Layer, Reference
from s2am_editor.document.out_of_date import harmonization_outdated
from s2am_editor.render import harmonize_layer
from s2am_editor.render.renderer import RenderSession
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.jobs import BackgroundJob, BackgroundJobs, Problem
from s2am_editor.window.widgets.basic import (
    ChoiceBox,
    muted_label,
    primary_button,
    push_button,
    small_button,
)
from s2am_editor.window.widgets.layouts import column_of, for_font, row_of
from s2am_engine.color.adjustments import Sliders
from s2am_engine.image.rect import Rect
from s2am_engine.likeness import likeness_note
from s2am_engine.models.model_store import Model, default_model, list_models

PHOTOGRAPHS_WIDTH = 140  # pixels of a photograph's name
PREVIEW_SIDE = 640  # pixels of a variant's longer side
MARGIN = 0.35  # margin around the layer, as a share of its size


class HarmonizePanel(QWidget):
    """Choice of model and reference, Harmonize and Variants buttons, and the model's confidence."""

    harmonize = pyqtSignal()
    variants = pyqtSignal()
    paint_reference = pyqtSignal()  # the painted area was selected as reference, but nothing is painted yet
    photographs_wanted = pyqtSignal()  # the button for reference photographs was clicked

    def __init__(self, session: EditorSession) -> None:
        """Work on a session's active layer."""
        super().__init__()
        self._session = session
        self._listed: list[tuple[int, str]] | None = None  # layers in the list of references
        self._area_exists = False
        self._predicts: dict[str, bool] = {}  # which models predict something that they can be confident of
        self.models = _choice_box(
            self.tr("Model"), self.tr("Model that predicts the colors; your own models follow the bundled ones")
        )
        self.references = _choice_box(self.tr("Reference"), self.tr("Background to match the layer to"))
        self.photographs: tuple[Path, ...] = ()
        self.photographs_button = push_button("", self.photographs_wanted.emit)
        self.no_photographs = small_button("close", self.tr("Match the background alone"), self.set_photographs)
        self.button = primary_button(self.tr("Harmonize"), self.harmonize.emit)
        self.button.setToolTip(self.tr("Match the layer to its background (Ctrl+Return)"))
        self.variants_button = push_button(self.tr("Variants"), self.variants.emit)
        self.variants_button.setToolTip(self.tr("Compare several models and strengths, and choose one"))
        for button in (self.button, self.variants_button):
            button.setMinimumHeight(34)
        self.state = muted_label()
        self._lay_out()
        self.list_models()
        self.set_photographs()
        self.references.activated.connect(self._chosen)
        session.opened.connect(self._opened)
        session.layers_changed.connect(self.refresh)
        session.layer_adjusted.connect(self._adjusted)
        self.refresh()

    def _lay_out(self) -> None:
        form = QGridLayout()
        form.setHorizontalSpacing(10)
        form.setVerticalSpacing(6)
        form.setColumnStretch(1, 1)
        for line, choice in enumerate((self.models, self.references)):
            label = QLabel(choice.accessibleName())
            label.setBuddy(choice)
            form.addWidget(label, line, 0)
            form.addWidget(choice, line, 1)
        form.addWidget(QLabel(self.tr("Photos")), 2, 0)
        form.addLayout(row_of([(self.photographs_button, 1), self.no_photographs], spacing=2), 2, 1)
        row = row_of([(self.button, 1), self.variants_button])
        column_of(self, [form, row, self.state], spacing=8)

    @property
    def model(self) -> str:
        """The name of the selected model."""
        return str(self.models.currentData() or default_model())

    @property
    def reference(self) -> Reference:
        """The selected reference. Raises EngineError if it is the painted area and nothing is painted."""
        chosen, photographs = self.references.currentData(), self.photographs
        if chosen == "area":
            if self._session.document.area is None:
                raise EngineError(
                    self.tr(
                        "No reference area is painted yet. "
                        "Paint one with the reference brush, or choose another reference."
                    )
                )
            return Reference("area", area=self._session.document.area, photographs=photographs)
        if isinstance(chosen, int):
            return Reference("layer", layer=chosen, photographs=photographs)
        return Reference(photographs=photographs)

    def list_models(self, choose: str | None = None) -> None:
        """List the available models, and select one."""
        wanted = choose or self.model
        self._predicts = {model.card.name: model.card.parameters > 0 for model in usable_models()}
        with QSignalBlocker(self.models):
            self.models.clear()
            for model in usable_models():
                label = model.card.name if model.bundled else self.tr("{0} (personal)").format(model.card.name)
                self.models.addItem(label, model.card.name)
                description = localized(model.card.description)
                about = description[:1].upper() + description[1:]
                self.models.setItemData(self.models.count() - 1, about, Qt.ItemDataRole.ToolTipRole)
            self.models.setCurrentIndex(max(0, self.models.findData(wanted)))

    def choose_area(self) -> None:
        """Select the painted area as reference."""
        self.references.setCurrentIndex(max(0, self.references.findData("area")))

    def set_photographs(self, paths: Sequence[Path] = ()) -> None:
        """Match the next layer to the look of photographs as well; none = to the background alone."""
        self.photographs = tuple(paths)
        count = len(self.photographs)
        several = self.tr("{0} photographs").format(count)
        text = self.tr("Match photographs…") if count == 0 else self.photographs[0].name if count == 1 else several
        metrics = self.photographs_button.fontMetrics()
        elided = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, for_font(PHOTOGRAPHS_WIDTH))
        self.photographs_button.setText(elided.replace("&", "&&"))
        about = self.tr("Also match the look of up to 20 photographs, such as those of the same series")
        self.photographs_button.setToolTip("\n".join(path.name for path in self.photographs) or about)
        self.no_photographs.setVisible(count > 0)

    def refresh(self) -> None:
        """Show the state of the active layer."""
        layer = self._session.active
        can = layer is not None and can_harmonize(self._session, layer)
        self.button.setEnabled(can)
        self.variants_button.setEnabled(can)
        again = layer is not None and layer.harmonization is not None
        self.button.setText(self.tr("Harmonize again") if again else self.tr("Harmonize"))
        self.state.setText(self._describe(layer, can))
        self._list_references(layer)

    def _opened(self) -> None:
        """Select what the active layer was harmonized with, so that “Harmonize again” repeats it."""
        found = None if self._session.active is None else self._session.active.harmonization
        reference = Reference() if found is None else found.reference
        self.set_photographs(reference.photographs)
        self.refresh()
        chosen = reference.layer if reference.kind == "layer" else reference.kind
        if chosen == "area" and self._session.document.area is None:
            chosen = "beneath"
        self.references.setCurrentIndex(max(0, self.references.findData(chosen)))
        model = -1 if found is None else self.models.findData(found.model)
        if model >= 0:
            self.models.setCurrentIndex(model)

    def _describe(self, layer: Layer | None, can: bool) -> str:
        if layer is None and self._session.active_group:
            return self.tr("This is a group. Select one of its layers.")
        if layer is None:
            return self.tr("Open a background and add a cutout to begin.")
        if not can:
            return self.tr("This is the background. Select a layer above it, or cut out a subject.")
        found = layer.harmonization
        if found is None:
            return ""
        text = self.tr("Model: {0}").format(found.model)
        if self._predicts.get(found.model):
            text += self.tr(" · confidence {0}%").format(round(100 * found.confidence))
        photographs = found.reference.photographs
        if photographs:
            one = self.tr(" · matched to “{0}”").format(photographs[0].name)
            text += one if len(photographs) == 1 else self.tr(" · matched to {0} photographs").format(len(photographs))
        note = likeness_note(found.model, found.likeness, references=bool(photographs))
        text += "" if note is None else f"\n{localized(note)}"
        hints = {
            Outdated.PLACEMENT: self.tr("Moved since: harmonize again to match the new surroundings."),
            Outdated.CUTOUT: self.tr("The cutout changed since: harmonize again to match it."),
            Outdated.BACKGROUND: self.tr("The background changed since: harmonize again to match it."),
        }
        reasons = harmonization_outdated(self._session.document, layer)
        return f"{text}\n{hints[reasons[0]]}" if reasons else text

    def _adjusted(self, layer_id: int) -> None:
        if self._session.active is None or layer_id != self._session.active.id:  # undone in the background
            self.refresh()

    def _list_references(self, active: Layer | None) -> None:
        existed, self._area_exists = self._area_exists, self._session.is_open and bool(self._session.document.area)
        if existed and not self._area_exists and self.references.currentData() == "area":
            self.references.setCurrentIndex(0)  # the area was cleared or undone
        layers = self._session.document.layers if self._session.is_open else ()
        listed = [(layer.id, layer.name) for layer in layers if layer is not active]
        if listed == self._listed:
            return
        self._listed = listed
        chosen = self.references.currentData()
        with QSignalBlocker(self.references):
            self.references.clear()
            self.references.addItem(self.tr("All layers below"), "beneath")
            self.references.addItem(self.tr("Painted area"), "area")
            for layer_id, name in reversed(listed):
                self.references.addItem(self.tr("Layer “{0}”").format(name), layer_id)
            self.references.setCurrentIndex(max(0, self.references.findData(chosen)))

    def _chosen(self) -> None:
        if self.references.currentData() == "area" and self._session.is_open and self._session.document.area is None:
            self.paint_reference.emit()


def _choice_box(name: str, tip: str) -> ChoiceBox:
    """Return a combo box that becomes as narrow as the panel."""
    box = ChoiceBox()
    box.setAccessibleName(name)
    box.setToolTip(tip)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(12)
    return box


def can_harmonize(session: EditorSession, layer: Layer) -> bool:
    """Return True if the layer has something to be harmonized with: it is not the whole lowest layer."""
    lowest = session.document.layers[0] is layer
    return layer.visible and not (lowest and layer.mask is None)


def usable_models() -> list[Model]:
    """Return the models that recolor, the bundled ones first; damaged models are skipped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [model for model in list_models() if model.card.recolors]
    return sorted(found, key=lambda model: not model.bundled)


@dataclass(frozen=True)
class Variant:
    """One way to harmonize a layer, with a preview."""

    layer_id: int
    harmonization: Harmonization
    pixels: NDArray[np.uint8]  # BGRA, premultiplied


class LayerHarmonizer(QObject):
    """Runs models in the background and puts their results into the document."""

    done = pyqtSignal()
    busy_changed = pyqtSignal(bool)
    variant_found = pyqtSignal(object)  # a Variant
    failed = pyqtSignal(object)  # a Problem

    def __init__(self, session: EditorSession, jobs: BackgroundJobs, parent: QObject) -> None:
        """Work on a session's document."""
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self.models = harmonize_layer.LoadedModels()
        self._job: BackgroundJob | None = None

    @property
    def busy(self) -> bool:
        """True while a model is running."""
        return self._job is not None

    def warm_up(self, model: str) -> None:
        """Load a model in the background before it is needed."""

        def load(_: BackgroundJob) -> None:
            with self.models.using(model):
                pass

        self._jobs.start("", load)

    def harmonize(self, model: str, reference: Reference) -> None:
        """Harmonize the active layer from its original pixels; its sliders and curves stay."""
        layer = self._session.active
        if layer is None or self.busy:
            return
        document = self._session.document
        before = layer.harmonization
        sliders = before.sliders if before else Sliders()

        def work(job: BackgroundJob) -> Harmonization:
            found = harmonize_layer.find_harmonization(
                document, layer.id, self.models, model, reference, sliders, job.progress
            )
            return dataclasses.replace(found, curves=before.curves if before else None)

        self._start(self.tr("Harmonizing"), work, lambda found: self._use(layer.id, found))

    def try_variants(self, variants: Iterable[tuple[str, float]], reference: Reference) -> None:
        """Harmonize the active layer with several models, each with a strength."""
        layer = self._session.active
        if layer is None or self.busy:
            return
        document = self._session.document
        choices = [(model, Sliders(strength=strength)) for model, strength in variants]

        def work(job: BackgroundJob) -> None:
            for variant in self._variants(document, layer, choices, reference, job):
                job.report(variant)

        self._start(self.tr("Computing variants"), work, lambda _: None, self.variant_found.emit)

    def use_variant(self, variant: Variant) -> None:
        """Put a variant into the document."""
        self._use(variant.layer_id, variant.harmonization, "Choose variant")

    def remove(self) -> None:
        """Restore the active layer's own colors."""
        layer = self._session.active
        if layer and layer.harmonization:
            self._session.do(commands.set_harmonization(layer.id, None, "Remove harmonization"))

    def _variants(
        self,
        document: Document,
        layer: Layer,
        choices: list[tuple[str, Sliders]],
        reference: Reference,
        job: BackgroundJob,
    ) -> Iterator[Variant]:
        rendering = RenderSession(document)
        found = harmonize_layer.find_variants(document, layer.id, self.models, choices, reference, job.progress)
        for harmonization in found:
            shown = dataclasses.replace(layer, harmonization=harmonization, visible=True)
            rendering.update(document.with_layer(shown))
            yield Variant(layer.id, harmonization, render_variant(rendering, layer))

    def _use(self, layer_id: int, found: Harmonization, name: str = "Harmonize") -> None:
        if any(layer.id == layer_id for layer in self._session.document.layers):
            self._session.do(commands.set_harmonization(layer_id, found, name))
            self.done.emit()

    def _start(
        self,
        title: str,
        work: Callable[[BackgroundJob], object],
        done: Callable[[Harmonization], None],
        reported: Callable[[Any], object] | None = None,
    ) -> None:
        self._job = self._jobs.start(title, work, done, self._fail, reported=reported, ended=self._end)
        self.busy_changed.emit(True)

    def _fail(self, problem: Problem) -> None:
        self.failed.emit(problem)

    def _end(self, job: BackgroundJob) -> None:
        if job is self._job:
            self._job = None
            self.busy_changed.emit(False)


def render_variant(rendering: RenderSession, layer: Layer) -> NDArray[np.uint8]:
    """Render a layer and its surroundings, PREVIEW_SIDE pixels on the longer side."""
    document = rendering.document
    box = Frame.of(layer).box.intersection(document.rect)
    margin = round(MARGIN * max(box.width, box.height))
    area = box.expanded(margin).intersection(document.rect)
    zoom = min(1.0, PREVIEW_SIDE / max(1, area.width, area.height))
    place = Rect(*(round(edge * zoom) for edge in area))
    return rendering.tile(place, zoom)
