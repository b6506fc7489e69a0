# SPDX-License-Identifier: GPL-3.0-or-later
"""The upper part of the batch dialog: which images are harmonized, how, and where the results go."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QGridLayout, QLabel, QLineEdit, QWidget

from s2am_common.image_formats import WRITABLE_FORMATS
from s2am_common.sliders import SLIDERS
from s2am_editor.batch import BatchSettings
from s2am_editor.window.dialogs import standard_dialogs
from s2am_editor.window.document_files import file_patterns
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.panels.harmonize_panel import usable_models
from s2am_editor.window.widgets.basic import ChoiceBox, PathRow, WholeNumberBox
from s2am_editor.window.widgets.layouts import name_field, row_of, widget_of
from s2am_editor.window.widgets.sliders import SliderRow
from s2am_engine.models.model_store import default_model

CUTOUT_MODE, BACKGROUND_MODE, COMPOSITE_MODE = range(3)


class BatchForm(QWidget):
    """The fields for one batch; only those of the chosen mode are shown."""

    changed = pyqtSignal()

    def __init__(self, settings: EditorSettings) -> None:
        """Start with nothing chosen; file dialogs start in the folders of the settings."""
        super().__init__()
        self._settings = settings
        self._make_mode_and_paths()
        self._make_placement()
        self._make_results()
        self._lay_out()
        self.kind.currentIndexChanged.connect(self._show_mode)
        for row in (self.sources, self.background, self.cutout, self.masks, self.output):
            row.changed.connect(self.changed)
        self._show_mode()

    # ---- construction

    def _make_mode_and_paths(self) -> None:
        self.kind = ChoiceBox()
        self.kind.addItems(
            [
                self.tr("Cutouts on one background"),
                self.tr("One cutout on many backgrounds"),
                self.tr("Composites with masks"),
            ]
        )
        self.sources = PathRow(lambda: self._folder("batch-in", self.tr("Choose a folder of images")))
        self.background = PathRow(lambda: self._image(self.tr("Choose a background")))
        self.cutout = PathRow(lambda: self._image(self.tr("Choose a cutout")))
        self.masks = PathRow(lambda: self._folder("batch-masks", self.tr("Choose a folder of masks")))
        self.output = PathRow(lambda: self._folder("batch-out", self.tr("Choose a folder for the results")))

    def _make_placement(self) -> None:
        self.placement = ChoiceBox()
        for name, anchor in (
            (self.tr("Center"), (0.5, 0.5)),
            (self.tr("Bottom center"), (0.5, 1.0)),
            (self.tr("Bottom left"), (0.0, 1.0)),
            (self.tr("Bottom right"), (1.0, 1.0)),
            (self.tr("Left"), (0.0, 0.5)),
            (self.tr("Right"), (1.0, 0.5)),
            (self.tr("Top center"), (0.5, 0.0)),
        ):
            self.placement.addItem(name, anchor)
        self.height_field = WholeNumberBox()
        self.height_field.setRange(0, 400)
        self.height_field.setSuffix(self.tr("% of the background's height"))
        self.height_field.setSpecialValueText(self.tr("Its own size, or smaller to fit"))
        self._placement_row = widget_of(row_of([(self.placement, 1), (self.height_field, 1)]))

    def _make_results(self) -> None:
        self.pattern = QLineEdit("{name}")
        self.pattern.setToolTip(self.tr("{name} stands for the image's name, {number} for its number"))
        self.formats = ChoiceBox()
        self.formats.addItem(self.tr("Lossless, like the image"), "")
        for info in WRITABLE_FORMATS:
            self.formats.addItem(info.name, info.suffix)
        self._name_row = widget_of(row_of([(self.pattern, 1), (self.formats, 1)]))
        self.model = ChoiceBox()
        for model in usable_models():
            self.model.addItem(model.card.name)
        self.model.setCurrentText(default_model())
        self.strength = SliderRow.translated(SLIDERS["strength"])
        self.strength.hide_label()  # the form has one

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(7)
        grid.setColumnStretch(1, 1)
        self._labels: dict[QWidget, QLabel] = {}
        rows = (
            (self.tr("Mode"), self.kind),
            (self.tr("Images"), self.sources),
            (self.tr("Background"), self.background),
            (self.tr("Cutout"), self.cutout),
            (self.tr("Masks"), self.masks),
            (self.tr("Placement and size"), self._placement_row),
            (self.tr("Results"), self.output),
            (self.tr("Name and format"), self._name_row),
            (self.tr("Model"), self.model),
            (self.tr("Strength"), self.strength),
        )
        for line, (name, field) in enumerate(rows):
            self._labels[field] = QLabel(name)
            grid.addWidget(self._labels[field], line, 0)
            grid.addWidget(field, line, 1)
            name_field(name, field)
        self.placement.setAccessibleName(self.tr("Placement"))
        self.height_field.setAccessibleName(self.tr("Size"))
        self.pattern.setAccessibleName(self.tr("Name"))
        self.formats.setAccessibleName(self.tr("Format"))

    def _folder(self, key: str, title: str) -> Path | None:
        return standard_dialogs.choose_folder(self, self._settings, key, title)

    def _image(self, title: str) -> Path | None:
        found = standard_dialogs.choose_to_open(self, self._settings, title, file_patterns(projects=False))
        return found[0] if found else None

    # ---- state

    @property
    def mode(self) -> int:
        """One of the three modes."""
        return self.kind.currentIndex()

    @property
    def is_complete(self) -> bool:
        """True if all paths of the mode are chosen."""
        return all(row.path for row in (self.sources, self._other_path, self.output))

    @property
    def batch_settings(self) -> BatchSettings:
        """The chosen settings."""
        return BatchSettings(
            self.model.currentText(),
            self.strength.value,
            background=self.background.path if self.mode == CUTOUT_MODE else None,
            cutout=self.cutout.path if self.mode == BACKGROUND_MODE else None,
            masks=self.masks.path if self.mode == COMPOSITE_MODE else None,
            anchor=self.placement.currentData(),
            height=self.height_field.value() / 100 or None,
        )

    @property
    def _other_path(self) -> PathRow:
        """The path that the mode needs besides images and results."""
        return {CUTOUT_MODE: self.background, BACKGROUND_MODE: self.cutout, COMPOSITE_MODE: self.masks}[self.mode]

    def set_fields_enabled(self, enabled: bool) -> None:
        """Enable or disable the fields; the labels stay as they are."""
        for field in self._labels:
            field.setEnabled(enabled)

    def _show_mode(self) -> None:
        for row in (self.background, self.cutout, self.masks):
            self._show_row(row, row is self._other_path)
        self._show_row(self._placement_row, self.mode != COMPOSITE_MODE)
        images = self.tr("Backgrounds") if self.mode == BACKGROUND_MODE else self.tr("Images")
        self._labels[self.sources].setText(images)
        name_field(images, self.sources)
        self.changed.emit()

    def _show_row(self, field: QWidget, shown: bool) -> None:
        field.setVisible(shown)
        self._labels[field].setVisible(shown)
