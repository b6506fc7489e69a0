# SPDX-License-Identifier: GPL-3.0-or-later
"""The one button that the editor is about, with the model and the reference that it uses."""

from __future__ import annotations

import warnings

from PyQt6.QtCore import QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from s2am_editor.document.model import BENEATH, Layer, Reference
from s2am_editor.window.session import Session
from s2am_editor.window.widgets.buttons import muted_label, primary_button, push_button
from s2am_engine.errors import EngineError
from s2am_engine.models.model_store import DEFAULT_MODEL, Model, list_models


class HarmonizePanel(QWidget):
    """Model, reference, Harmonize, Variants, and how sure the model was."""

    harmonize = pyqtSignal()
    variants = pyqtSignal()
    paint_reference = pyqtSignal()  # the painted area was chosen as reference, and nothing is painted yet

    def __init__(self, session: Session) -> None:
        """Work on a session's active layer."""
        super().__init__()
        self._session = session
        self._listed: list[tuple[int, str]] | None = None  # the layers among the references
        self.models = QComboBox()
        self.models.setToolTip(self.tr("Which model finds the colors; your own are beneath the bundled ones"))
        self.models.setAccessibleName(self.tr("Model"))
        self.references = QComboBox()
        self.references.setToolTip(self.tr("What the layer is to look like"))
        self.references.setAccessibleName(self.tr("Reference"))
        for box in (self.models, self.references):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(12)
        self.button = primary_button(self.tr("Harmonize"), self.harmonize.emit)
        self.button.setToolTip(self.tr("Make the layer belong to its background (Ctrl+Return)"))
        self.button.setMinimumHeight(34)
        self.variants_button = push_button(self.tr("Variants"), self.variants.emit)
        self.variants_button.setToolTip(self.tr("See what several models and strengths make of it, and pick one"))
        self.variants_button.setMinimumHeight(34)
        self._state = muted_label()
        form = QGridLayout()
        form.setHorizontalSpacing(10)
        form.setVerticalSpacing(6)
        form.setColumnStretch(1, 1)
        for line, (name, choice) in enumerate(
            ((self.tr("Model"), self.models), (self.tr("Reference"), self.references))
        ):
            label = QLabel(name)
            label.setBuddy(choice)
            form.addWidget(label, line, 0)
            form.addWidget(choice, line, 1)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.button, 1)
        row.addWidget(self.variants_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(form)
        column.addLayout(row)
        column.addWidget(self._state)
        self.list_models()
        self.references.activated.connect(self._chosen)
        session.opened.connect(self.refresh)
        session.changed.connect(self.refresh)
        self.refresh()

    @property
    def model(self) -> str:
        """The chosen model's name."""
        return str(self.models.currentData() or DEFAULT_MODEL)

    @property
    def reference(self) -> Reference:
        """The chosen reference; raises EngineError if that is an area and none is painted."""
        chosen = self.references.currentData()
        if chosen == "area":
            if self._session.document.area is None:
                raise EngineError(
                    self.tr("No reference area is painted yet: paint one with the reference brush, or choose another.")
                )
            return Reference("area", area=self._session.document.area)
        return Reference("layer", layer=chosen) if isinstance(chosen, int) else BENEATH

    def list_models(self, choose: str | None = None) -> None:
        """List the models that are there now, and choose one of them."""
        wanted = choose or self.model
        with QSignalBlocker(self.models):
            self.models.clear()
            for model in usable_models():
                label = model.card.name if model.bundled else self.tr("{0} (yours)").format(model.card.name)
                self.models.addItem(label, model.card.name)
                about = model.card.description[:1].upper() + model.card.description[1:]
                self.models.setItemData(self.models.count() - 1, about, Qt.ItemDataRole.ToolTipRole)
            self.models.setCurrentIndex(max(0, self.models.findData(wanted)))

    def choose_area(self) -> None:
        """Choose the painted area as reference."""
        self.references.setCurrentIndex(max(0, self.references.findData("area")))

    def refresh(self) -> None:
        """Show what can be done with the active layer, and what was."""
        layer = self._session.active
        can = layer is not None and can_harmonize(self._session, layer)
        self.button.setEnabled(can)
        self.variants_button.setEnabled(can)
        again = layer is not None and layer.harmonization is not None
        self.button.setText(self.tr("Harmonize again") if again else self.tr("Harmonize"))
        self._state.setText(self._describe(layer, can))
        self._list_references(layer)

    def _describe(self, layer: Layer | None, can: bool) -> str:
        if layer is None:
            return self.tr("Open a background and add a cut-out to begin.")
        if not can:
            return self.tr("This is the background: choose a layer above it, or cut one out of it.")
        if layer.harmonization is None:
            return ""
        sure = round(100 * layer.harmonization.confidence)
        return self.tr("By {0}, {1} % sure of it.").format(layer.harmonization.model, sure)

    def _list_references(self, active: Layer | None) -> None:
        chosen = self.references.currentData()
        layers = self._session.document.layers if self._session.is_open else ()
        listed = [(layer.id, layer.name) for layer in layers if layer is not active]
        if listed == self._listed:
            return
        self._listed = listed
        with QSignalBlocker(self.references):
            self.references.clear()
            self.references.addItem(self.tr("All beneath"), "beneath")
            self.references.addItem(self.tr("Painted area"), "area")
            for layer_id, name in reversed(listed):
                self.references.addItem(self.tr("Layer “{0}”").format(name), layer_id)
            self.references.setCurrentIndex(max(0, self.references.findData(chosen)))

    def _chosen(self) -> None:
        if self.references.currentData() == "area" and self._session.is_open and self._session.document.area is None:
            self.paint_reference.emit()


def can_harmonize(session: Session, layer: Layer) -> bool:
    """Whether there may be something that the layer can be harmonized with: it is not the lowest one, seen whole."""
    lowest = session.document.layers[0] is layer
    return layer.visible and not (lowest and layer.mask is None)


def usable_models() -> list[Model]:
    """All models but those that only find masks, the bundled ones first; damaged ones are left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [model for model in list_models() if model.card.recolors]
    return sorted(found, key=lambda model: not model.bundled)
