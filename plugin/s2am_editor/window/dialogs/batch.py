# SPDX-License-Identifier: GPL-3.0-or-later
"""Batch harmonizing of a folder: cutouts on one background, one cutout on backgrounds, or composites with masks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QObject, Qt, QUrl, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QDesktopServices
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QProgressBar,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from s2am_common.image_formats import WRITABLE_FORMATS
from s2am_common.sliders import SLIDERS
from s2am_editor.batch import BatchSettings, BeforeAfter, harmonize_batch, name_outputs
from s2am_editor.render.harmonize_layer import LoadedModels
from s2am_editor.window.dialogs import standard_dialogs
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.jobs import BackgroundJob, BackgroundJobs, Problem
from s2am_editor.window.messages import Banner
from s2am_editor.window.panels.harmonize_panel import usable_models
from s2am_editor.window.widgets.basic import (
    ChoiceBox,
    PathRow,
    WholeNumberBox,
    heading,
    muted_label,
    primary_button,
    push_button,
)
from s2am_editor.window.widgets.sliders import SliderRow
from s2am_engine.batch import BatchEvent, BatchItem, plan_batch
from s2am_engine.errors import EngineError
from s2am_engine.image.io import IMAGE_SUFFIXES
from s2am_engine.models.model_store import default_model

CONTACT_SHEET = "contact-sheet.png"
CUTOUT_MODE, BACKGROUND_MODE, COMPOSITE_MODE = range(3)


class BatchJob(QObject):
    """Runs a batch in the background."""

    happened = pyqtSignal(object)  # a BatchEvent
    finished = pyqtSignal(int)  # number of failed images
    failed = pyqtSignal(object)  # a Problem: the batch could not run
    stopped = pyqtSignal()  # done, failed or canceled

    def __init__(self, parent: QObject) -> None:
        """Start idle."""
        super().__init__(parent)
        self._jobs = BackgroundJobs(self)
        self._models = LoadedModels()
        self._job: BackgroundJob | None = None

    @property
    def busy(self) -> bool:
        """True while a batch is running."""
        return self._job is not None

    def start(self, items: Sequence[BatchItem], settings: BatchSettings, sheet: Path) -> None:
        """Harmonize the items, then write a contact sheet of the results."""
        self._job = self._jobs.start(
            "",
            lambda job: harmonize_batch(items, settings, self._models, job.report, sheet, job.progress),
            self.finished.emit,
            self.failed.emit,
            reported=self.happened.emit,
            ended=self._end,
            quiet=True,
        )

    def cancel(self) -> None:
        """Stop after the current step of the current image; finished results stay."""
        if self._job:
            self._job.cancel()

    def close_with(self, owner: QObject) -> None:
        """Cancel, and delete the object that owns this one when the current step is finished."""
        self._jobs.close_with(owner)

    def _end(self, job: BackgroundJob) -> None:
        self._job = None
        self.stopped.emit()


class BatchDialog(QDialog):
    """Choose folders, watch progress, open the contact sheet."""

    def __init__(self, settings: EditorSettings, parent: QWidget | None = None) -> None:
        """Start with nothing chosen."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("Batch"))
        self.resize(760, 640)
        self._settings = settings
        self._sheet: Path | None = None
        self.batch_job = BatchJob(self)
        self.banner = Banner()
        self.kind = ChoiceBox()
        self.kind.addItems(
            [
                self.tr("Cutouts on one background"),
                self.tr("One cutout on many backgrounds"),
                self.tr("Composites with masks"),
            ]
        )
        self.sources = PathRow(lambda: self._folder("batch-in", self.tr("Choose a folder of images")))
        self.background = PathRow(lambda: self._choose_image(self.tr("Choose a background")))
        self.cutout = PathRow(lambda: self._choose_image(self.tr("Choose a cutout")))
        self.masks = PathRow(lambda: self._folder("batch-masks", self.tr("Choose a folder of masks")))
        self.output = PathRow(lambda: self._folder("batch-out", self.tr("Choose a folder for the results")))
        self.model = ChoiceBox()
        for model in usable_models():
            self.model.addItem(model.card.name)
        self.model.setCurrentText(default_model())
        self.strength = SliderRow.from_spec(SLIDERS["strength"])
        self.strength.hide_label()  # the form has one
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
        self.pattern = QLineEdit("{name}")
        self.pattern.setToolTip(self.tr("{name} stands for the image's name, {number} for its number"))
        self.formats = ChoiceBox()
        self.formats.addItem(self.tr("Lossless, like the image"), "")
        for info in WRITABLE_FORMATS:
            self.formats.addItem(info.name, info.suffix)
        self.table = QTableWidget(0, 2)
        self._make_table()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.state = muted_label(self.tr("The results are in the chosen folder, with a contact sheet."))
        self.start_button = primary_button(self.tr("Start"), self._start)
        self.cancel_button = push_button(self.tr("Cancel"), self._cancel)
        self.sheet_button = push_button(self.tr("Open contact sheet"), self._show_sheet, "variants")
        self.sheet_button.hide()
        self._lay_out()
        self.kind.currentIndexChanged.connect(self._refresh)
        for row in (self.sources, self.background, self.cutout, self.masks, self.output):
            row.changed.connect(self._refresh)
        self.batch_job.happened.connect(self._take)
        self.batch_job.finished.connect(self._finish)
        self.batch_job.failed.connect(self.banner.show_problem)
        self.batch_job.stopped.connect(self._refresh)
        self._refresh()

    def _make_table(self) -> None:
        self.table.setHorizontalHeaderLabels([self.tr("Image"), self.tr("Status")])
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setShowGrid(False)
        self.table.setAccessibleName(self.tr("Queue"))
        for header in (self.table.horizontalHeader(), self.table.verticalHeader()):
            if header is not None:
                header.setHighlightSections(False)
        across, down = self.table.horizontalHeader(), self.table.verticalHeader()
        if across is not None and down is not None:  # an empty header is false
            across.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
            across.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
            across.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
            down.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            down.hide()
        self.table.setWordWrap(True)

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(7)
        grid.setColumnStretch(1, 1)
        self._labels: dict[QWidget, QLabel] = {}
        self._place_row, self._name_row = QWidget(), QWidget()
        for pair, fields in (
            (self._place_row, (self.placement, self.height_field)),
            (self._name_row, (self.pattern, self.formats)),
        ):
            row = QHBoxLayout(pair)
            row.setContentsMargins(0, 0, 0, 0)
            for field in fields:
                row.addWidget(field, 1)
        rows = (
            (self.tr("Mode"), self.kind),
            (self.tr("Images"), self.sources),
            (self.tr("Background"), self.background),
            (self.tr("Cutout"), self.cutout),
            (self.tr("Masks"), self.masks),
            (self.tr("Placement and size"), self._place_row),
            (self.tr("Results"), self.output),
            (self.tr("Name and format"), self._name_row),
            (self.tr("Model"), self.model),
            (self.tr("Strength"), self.strength),
        )
        for line, (name, widget) in enumerate(rows):
            self._labels[widget] = QLabel(name)
            grid.addWidget(self._labels[widget], line, 0)
            grid.addWidget(widget, line, 1)
        buttons = QHBoxLayout()
        buttons.addWidget(self.sheet_button)
        buttons.addStretch()
        buttons.addWidget(self.cancel_button)
        buttons.addWidget(self.start_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(10)
        column.addWidget(heading(self.tr("Harmonize many images")))
        column.addWidget(self.banner)
        column.addLayout(grid)
        column.addWidget(self.table, 1)
        column.addWidget(self.bar)
        column.addWidget(self.state)
        column.addLayout(buttons)

    def _folder(self, key: str, title: str) -> Path | None:
        return standard_dialogs.choose_folder(self, self._settings, key, title)

    def _choose_image(self, title: str) -> Path | None:
        patterns = f"{self.tr('Images')} ({' '.join(f'*{suffix}' for suffix in IMAGE_SUFFIXES)})"
        found = standard_dialogs.choose_to_open(self, self._settings, title, patterns)
        return found[0] if found else None

    def _refresh(self) -> None:
        mode = self.kind.currentIndex()
        others = {CUTOUT_MODE: self.background, BACKGROUND_MODE: self.cutout, COMPOSITE_MODE: self.masks}
        other = others[mode]
        for row in (*others.values(), self._place_row):
            shown = row is other or (row is self._place_row and mode != COMPOSITE_MODE)
            row.setVisible(shown)
            self._labels[row].setVisible(shown)
        self._labels[self.sources].setText(self.tr("Backgrounds") if mode == BACKGROUND_MODE else self.tr("Images"))
        busy = self.batch_job.busy
        complete = all(row.path for row in (self.sources, other, self.output))
        self.start_button.setEnabled(complete and not busy)
        self.cancel_button.setText(self.tr("Cancel") if busy else self.tr("Close"))
        for widget in self._labels:
            widget.setEnabled(not busy)

    # ---- running

    def _start(self) -> None:
        sources, output = self.sources.path, self.output.path
        if sources is None or output is None:
            return
        mode = self.kind.currentIndex()
        settings = BatchSettings(
            self.model.currentText(),
            self.strength.value,
            background=self.background.path if mode == CUTOUT_MODE else None,
            cutout=self.cutout.path if mode == BACKGROUND_MODE else None,
            masks=self.masks.path if mode == COMPOSITE_MODE else None,
            anchor=self.placement.currentData(),
            height=self.height_field.value() / 100 or None,
        )
        try:
            items = name_outputs(plan_batch(sources, output), self.pattern.text(), self.formats.currentData())
        except EngineError as error:
            self.banner.show_problem(Problem(error))
            return
        sheet = free_path(output / CONTACT_SHEET, [item.output for item in items])
        if not standard_dialogs.may_replace(self, [*(item.output for item in items if not item.problem), sheet]):
            return
        self.banner.hide()
        self.sheet_button.hide()
        self._sheet = sheet
        self._fill(items)
        self.batch_job.start(items, settings, self._sheet)
        self._refresh()

    def _fill(self, items: list[BatchItem]) -> None:
        self.table.setRowCount(len(items))
        for line, item in enumerate(items):
            for column, text in enumerate((item.source.name, self.tr("Waiting"))):
                self.table.setItem(line, column, QTableWidgetItem(text))
        self.bar.setRange(0, len(items))
        self.bar.setValue(0)

    def _take(self, event: BatchEvent[BeforeAfter]) -> None:
        texts = {
            "started": self.tr("Working…"),
            "done": self.tr("Done in {0:.1f} s").format(event.seconds),
            "failed": str(event.error or ""),
        }
        cell = self.table.item(event.index, 1)
        if cell:
            cell.setText(texts[event.kind])
            cell.setToolTip(texts[event.kind])
            self.table.scrollToItem(cell)
        self.bar.setValue(event.index + (event.kind != "started"))
        self.state.setText(self.tr("{0} of {1}").format(event.index + 1, event.total))

    def _finish(self, failed: int) -> None:
        total = self.table.rowCount()
        text = self.tr("{0} of {1} images harmonized.").format(total - failed, total)
        if failed:
            text += " " + self.tr("The list shows the reasons for the others.")
        self.state.setText(text)
        self.sheet_button.setVisible(self._sheet is not None and self._sheet.is_file())

    def _cancel(self) -> None:
        if self.batch_job.busy:
            self.batch_job.cancel()
            self.state.setText(self.tr("Canceled. Finished results were kept."))
        else:
            self.close()

    def _show_sheet(self) -> None:
        if self._sheet:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._sheet)))

    def reject(self) -> None:
        """Close like the window's button."""
        self.close()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Ask before stopping the batch."""
        if self.batch_job.busy and not self._may_stop():
            if event:
                event.ignore()
            return
        self.batch_job.close_with(self)
        super().reject()  # QDialog.closeEvent would call `reject` again

    def _may_stop(self) -> bool:
        answer = standard_dialogs.choose_answer(
            self,
            self.tr("Stop the batch?"),
            self.tr("Images that are not finished will be missing among the results."),
            self.tr("Stop"),
            cancel=self.tr("Continue"),
            careful=True,
        )
        return answer is not None


def free_path(path: Path, taken: Sequence[Path]) -> Path:
    """Return a path, with a number if it is one of those that are taken, regardless of case."""
    names = {other.name.casefold() for other in taken}
    candidates = (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(2))
    return next(one for one in itertools.chain([path], candidates) if one.name.casefold() not in names)
