# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonizing the active layer in several ways, to compare them and to choose one."""

from __future__ import annotations

import dataclasses

from PyQt6.QtCore import QObject, pyqtSignal

from s2am_common.errors import EngineError
from s2am_common.variants import first_variants
from s2am_editor.document.model import Reference
from s2am_editor.window.canvas.document_view import DocumentView
from s2am_editor.window.canvas.tiles import as_image
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.jobs import Problem
from s2am_editor.window.panels.harmonize_panel import (
    HarmonizePanel,
    LayerHarmonizer,
    Variant,
    usable_models,
)
from s2am_editor.window.panels.variants_panel import VariantsPanel
from s2am_engine.models.model_store import default_model


class VariantCommands(QObject):
    """Connects the panel of variants with the choices of the Harmonize panel."""

    failed = pyqtSignal(object)  # a Problem

    def __init__(
        self,
        session: EditorSession,
        harmonizing: LayerHarmonizer,
        choices: HarmonizePanel,
        panel: VariantsPanel,
        view: DocumentView,
        parent: QObject,
    ) -> None:
        """Show variants in a panel, and on the canvas while the pointer is on one."""
        super().__init__(parent)
        self._session, self._harmonizing, self._choices = session, harmonizing, choices
        self._panel, self._view = panel, view
        harmonizing.variant_found.connect(self._add)
        choices.variants.connect(self.show_first)
        panel.picked.connect(harmonizing.use_variant)
        panel.more_wanted.connect(self.show_more)
        panel.hovered.connect(self._preview)
        session.layer_adjusted.connect(lambda _: self.mark_current())

    def harmonize(self) -> bool:
        """Harmonize the active layer with the selected model and reference; return False if that is not possible."""
        reference = self._reference() if self._choices.button.isEnabled() else None
        if reference:
            self._harmonizing.harmonize(self._choices.model, reference)
        return reference is not None

    def show_first(self) -> None:
        """Show several results for the active layer."""
        choices = self._choices
        if choices.variants_button.isEnabled() and not self._harmonizing.busy:
            reference = self._reference()
            if reference:
                self._panel.begin()
                self._panel.more_button.show()
                known = [model.card.name for model in usable_models()]
                self._harmonizing.try_variants(first_variants(choices.model, known), reference)

    def show_more(self) -> None:
        """Also show the results of the models that were not tried yet."""
        reference = self._reference()
        names = [model.card.name for model in usable_models() if model.card.name not in self._panel.models]
        if reference and names and not self._harmonizing.busy:
            self._panel.more_button.hide()
            self._harmonizing.try_variants([(name, 1.0) for name in names], reference)

    def mark_current(self) -> None:
        """Mark the variant that the active layer has."""
        layer = self._session.active
        self._panel.mark(layer.harmonization if layer else None)

    def _reference(self) -> Reference | None:
        """Return the selected reference; None, after reporting the reason, if there is none."""
        try:
            return self._choices.reference
        except EngineError as error:
            self.failed.emit(Problem(error))
            return None

    def _add(self, variant: Variant) -> None:
        found, selected = variant.harmonization, self._choices.model
        if found.sliders.strength < 1:
            name = self.tr("Gentle")
        elif found.model == selected:
            name = self.tr("Recommended") if found.model == default_model() else self.tr("Selected model")
        else:
            name = self.tr("Alternative {0}").format(len(self._panel.models - {selected}) + 1)
        about = self.tr("Model: {0}, strength {1}%").format(found.model, round(100 * found.sliders.strength))
        self._panel.add(as_image(variant.pixels, opaque=False), name, about, variant)
        self.mark_current()

    def _preview(self, variant: Variant | None) -> None:
        """Show a variant on the canvas; the document does not change."""
        layers = self._session.document.layers if self._session.is_open else ()
        layer = next((one for one in layers if variant and one.id == variant.layer_id), None)
        if layer is None or variant is None:
            self._view.preview(None)
        else:
            shown = dataclasses.replace(layer, harmonization=variant.harmonization)
            self._view.preview(self._session.document.with_layer(shown))
