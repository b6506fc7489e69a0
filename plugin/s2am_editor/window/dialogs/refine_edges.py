# SPDX-License-Identifier: GPL-3.0-or-later
"""Sliders for the edge of a layer's mask, with a preview on the canvas."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QDialog, QHBoxLayout, QVBoxLayout, QWidget

from s2am_common.edge_sliders import EDGE_SLIDERS
from s2am_editor.cutout.masks import alpha_to_mask, decontaminate_edges, refine_mask
from s2am_editor.document import commands
from s2am_editor.document.history import Command
from s2am_editor.document.model import Document, Layer
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.jobs import BackgroundJob, BackgroundJobs
from s2am_editor.window.widgets.basic import muted_label, primary_button, push_button
from s2am_editor.window.widgets.sliders import SliderRow
from s2am_engine.image.mask_edges import EdgeSettings

PREVIEW_DELAY = 120  # milliseconds without a movement of a slider, after which the preview is computed


@dataclass(frozen=True)
class _Refined:
    """A document with the refined layer, and the settings that it was made with."""

    document: Document
    settings: EdgeSettings
    clean: bool


class RefineEdgesDialog(QDialog):
    """Changes the edge of one layer's mask; the document changes once, when the result is accepted."""

    previewed = pyqtSignal(object)  # a Document to show, or None
    failed = pyqtSignal(object)  # a Problem

    def __init__(self, session: EditorSession, jobs: BackgroundJobs, layer: Layer, parent: QWidget) -> None:
        """Refine a layer of a session's document.

        Raises:
            DocumentError: the layer is locked, or has neither a mask nor transparency.
        """
        mask = layer.mask or alpha_to_mask(layer)
        # Refuses a locked layer before the user has moved any slider.
        commands.set_mask(layer.id, mask).change(session.document)
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("Refine edges"))
        self._session, self._jobs, self._layer = session, jobs, layer
        self._mask = mask
        self._job: BackgroundJob | None = None
        self._refined: _Refined | None = None
        self._waiting = False
        self.rows = {name: SliderRow.translated(spec) for name, spec in EDGE_SLIDERS.items()}
        self.clean = QCheckBox(self.tr("Remove the old background's color from soft edges"))
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PREVIEW_DELAY)
        self._timer.timeout.connect(self._compute)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 16, 20, 16)
        column.setSpacing(8)
        SliderRow.align(self.rows.values())
        for row in self.rows.values():
            column.addWidget(row)
            row.moved.connect(lambda *_: self._timer.start())
        column.addWidget(self.clean)
        self.clean.toggled.connect(lambda _: self._timer.start())
        column.addWidget(muted_label(self.tr("F shows the mask on other backgrounds.")))
        self.apply_button = primary_button(self.tr("Apply"), self._apply)
        self.apply_button.setDefault(True)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(push_button(self.tr("Cancel"), self.reject))
        buttons.addWidget(self.apply_button)
        column.addLayout(buttons)
        self.setMinimumWidth(400)
        session.repainted.connect(self._document_changed)
        session.opened.connect(self.reject)

    @property
    def settings(self) -> EdgeSettings:
        """The settings, in pixels of the layer."""
        transform = self._layer.transform
        pixels = 1 / (transform.scale_x * transform.scale_y) ** 0.5
        return EdgeSettings.from_values(
            {name: self.rows[name].value * (pixels if spec.unit == "px" else 1) for name, spec in EDGE_SLIDERS.items()}
        )

    @property
    def is_current(self) -> bool:
        """True if the preview shows the current settings."""
        wanted = self.settings, self.clean.isChecked()
        return self._refined is not None and (self._refined.settings, self._refined.clean) == wanted

    def _compute(self) -> None:
        if self._job is not None:
            self._job.cancel()
        settings, clean = self.settings, self.clean.isChecked()
        layer, document = self._layer, self._session.document

        def work(job: BackgroundJob) -> _Refined:
            refined = dataclasses.replace(layer, mask=refine_mask(layer, self._mask, settings, job.progress))
            job.progress(-1)
            if clean:
                refined = dataclasses.replace(refined, raster=decontaminate_edges(refined, job.progress))
            return _Refined(document.with_layer(refined), settings, clean)

        self._job = self._jobs.start(self.tr("Refining edges"), work, self._show, self.failed.emit, ended=self._end)

    def _end(self, job: BackgroundJob) -> None:
        if job is self._job:
            self._job = None
            if self._waiting:
                self._waiting = False
                if self.is_current:  # it did not fail
                    self._apply()

    def _show(self, refined: _Refined) -> None:
        self._refined = refined
        self.previewed.emit(refined.document)

    def _apply(self) -> None:
        """Put the result into the document, once it is computed."""
        if self.is_current and self._refined:
            after = self._refined.document
            self._session.repainted.disconnect(self._document_changed)
            self._session.do(Command("Refine edges", lambda before: _take_layer(before, after, self._layer.id)))
            self._refined = None
            self.accept()
        elif not self._waiting and (self.settings != EdgeSettings() or self.clean.isChecked()):
            self._waiting = True
            self._timer.stop()
            self._compute()
        elif not self._waiting:
            self.reject()

    def _document_changed(self, before: Document, after: Document) -> None:
        """Close if the document changed otherwise: the preview would hide that."""
        self._refined = None
        self.reject()

    def done(self, result: int) -> None:
        """Show the document itself again."""
        self._timer.stop()
        if self._job is not None:
            self._job.cancel()
        self.previewed.emit(None)
        super().done(result)


def _take_layer(document: Document, other: Document, layer_id: int) -> Document:
    """Return a document with one layer of another state of it."""
    return document.with_layer(other.layer(layer_id))
