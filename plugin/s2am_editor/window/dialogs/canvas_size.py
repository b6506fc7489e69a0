# SPDX-License-Identifier: GPL-3.0-or-later
"""Another size of the canvas."""

from __future__ import annotations

from PyQt6.QtWidgets import QDialog, QWidget

from s2am_editor.document.model import Document
from s2am_editor.window.widgets.basic import (
    ChoiceBox,
    WholeNumberBox,
    heading,
    muted_label,
    primary_button,
    push_button,
)
from s2am_editor.window.widgets.layouts import DIALOG_MARGINS, column_of, form_of, row_of
from s2am_engine.image.data import MAX_PIXELS
from s2am_engine.image.rect import Rect

MAX_CANVAS_SIDE = 100_000  # pixels


class CanvasSizeDialog(QDialog):
    """Asks for width and height, and for the part of the image that stays in place; the answer is `chosen`."""

    def __init__(self, document: Document, parent: QWidget) -> None:
        """Start with a document's size."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("Canvas size"))
        self._document = document
        self.width_field, self.height_field = (self._field(side) for side in (document.width, document.height))
        self.anchor = ChoiceBox()
        for name, anchor in (
            (self.tr("Center"), (0.5, 0.5)),
            (self.tr("Upper left corner"), (0.0, 0.0)),
            (self.tr("Upper edge"), (0.5, 0.0)),
            (self.tr("Upper right corner"), (1.0, 0.0)),
            (self.tr("Left edge"), (0.0, 0.5)),
            (self.tr("Right edge"), (1.0, 0.5)),
            (self.tr("Lower left corner"), (0.0, 1.0)),
            (self.tr("Lower edge"), (0.5, 1.0)),
            (self.tr("Lower right corner"), (1.0, 1.0)),
        ):
            self.anchor.addItem(name, anchor)
        form = form_of(
            [
                (self.tr("Width"), self.width_field),
                (self.tr("Height"), self.height_field),
                (self.tr("Stays in place"), self.anchor),
            ],
            spacing=10,
        )
        self.apply_button = primary_button(self.tr("Apply"), self.accept)
        self.apply_button.setDefault(True)
        buttons = row_of([None, push_button(self.tr("Cancel"), self.reject), self.apply_button])
        title = heading(self.tr("Enlarge or crop the canvas"))
        about = muted_label(self.tr("Layers keep their size, and what lies outside."))
        column_of(self, [title, about, form, buttons], spacing=12, margins=DIALOG_MARGINS)
        self.setMinimumWidth(340)
        for field in (self.width_field, self.height_field):
            field.valueChanged.connect(self._check)

    def _field(self, side: int) -> WholeNumberBox:
        field = WholeNumberBox()
        field.setRange(1, MAX_CANVAS_SIDE)
        field.setSuffix(self.tr(" pixels"))
        field.setValue(side)
        return field

    @property
    def chosen(self) -> Rect:
        """The chosen canvas, in pixels of the current one."""
        width, height = self.width_field.value(), self.height_field.value()
        across, down = self.anchor.currentData()
        left, top = round((self._document.width - width) * across), round((self._document.height - height) * down)
        return Rect(left, top, left + width, top + height)

    def _check(self) -> None:
        """Allow as many pixels as files can have."""
        self.apply_button.setEnabled(self.width_field.value() * self.height_field.value() <= MAX_PIXELS)
