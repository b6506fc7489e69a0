# SPDX-License-Identifier: GPL-3.0-or-later
"""Batch harmonizing of a folder: cut-outs on one background, or composites with their masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QObject, Qt, QUrl, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QDesktopServices
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QProgressBar,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from s2am_editor.batch import queue
from s2am_editor.batch.queue import Event, Item, list_items
from s2am_editor.batch.queue import Settings as BatchSettings
from s2am_editor.compose.harmonize import Models
from s2am_editor.window.dialogs import prompts
from s2am_editor.window.jobs import BackgroundJob, BackgroundJobs, Problem
from s2am_editor.window.messages import Banner
from s2am_editor.window.panels.harmonize_panel import usable_models
from s2am_editor.window.settings import EditorSettings
from s2am_editor.window.widgets.basic import PathRow, heading, muted_label, primary_button, push_button
from s2am_editor.window.widgets.sliders import SliderRow
from s2am_engine.errors import EngineError
from s2am_engine.image.io import IMAGE_SUFFIXES

SHEET = "sheet.png"


class BatchJob(QObject):
    """One queue at a time."""

    happened = pyqtSignal(object)  # a batch.queue.Event
    finished = pyqtSignal(int)  # how many failed
    failed = pyqtSignal(object)  # a Problem: nothing could be done at all
    stopped = pyqtSignal()  # whatever ran has ended

    def __init__(self, parent: QObject) -> None:
        """Start with nothing to do."""
        super().__init__(parent)
        self._jobs = BackgroundJobs(self)
        self._models = Models()
        self._job: BackgroundJob | None = None

    @property
    def busy(self) -> bool:
        """Whether a queue is being worked on."""
        return self._job is not None

    def start(self, items: Sequence[Item], settings: BatchSettings, sheet: Path) -> None:
        """Work on a queue; a sheet of all pictures is drawn at its end."""
        job = self._jobs.start(
            "",
            lambda job: queue.run(items, settings, self._models, job.tell, sheet),
            self.finished.emit,
            self.failed.emit,
            quiet=True,
        )
        self._job = job
        job.told.connect(self.happened)
        job.ended.connect(self._end)

    def cancel(self) -> None:
        """Stop after the present picture; what was written stays."""
        if self._job:
            self._job.cancel()

    def close(self) -> None:
        """Stop and wait for it."""
        self._jobs.close()

    def _end(self) -> None:
        self._job = None
        self.stopped.emit()


CUT_OUTS, COMPOSITES = 0, 1


class BatchDialog(QDialog):
    """Choose, watch, look at the sheet."""

    def __init__(self, settings: EditorSettings, parent: QWidget | None = None) -> None:
        """Start with nothing chosen."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("Batch"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(760, 640)
        self._settings = settings
        self._sheet: Path | None = None
        self.batching = BatchJob(self)
        self.banner = Banner()
        self.kind = QComboBox()
        self.kind.addItems([self.tr("Cut-outs on one background"), self.tr("Composites with masks")])
        self.sources = PathRow(lambda: self._folder("batch-in", self.tr("Choose the folder of pictures")))
        self.background = PathRow(self._choose_background)
        self.masks = PathRow(lambda: self._folder("batch-masks", self.tr("Choose the folder of masks")))
        self.output = PathRow(lambda: self._folder("batch-out", self.tr("Choose where the results go")))
        self.model = QComboBox()
        for model in usable_models():
            self.model.addItem(model.card.name)
        self.strength = SliderRow("", self.tr("How much of the harmonization"), 0, 1, 1)
        self.table = QTableWidget(0, 2)
        self._make_table()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.state = muted_label(self.tr("Each result has the name of its picture."))
        self.start_button = primary_button(self.tr("Start"), self._start)
        self.cancel_button = push_button(self.tr("Cancel"), self._cancel)
        self.sheet_button = push_button(self.tr("Show the sheet"), self._show_sheet, "variants")
        self.sheet_button.hide()
        self._lay_out()
        self.kind.currentIndexChanged.connect(self._refresh)
        for row in (self.sources, self.background, self.masks, self.output):
            row.changed.connect(self._refresh)
        self.batching.happened.connect(self._take)
        self.batching.finished.connect(self._finish)
        self.batching.failed.connect(self.banner.show_problem)
        self.batching.stopped.connect(self._refresh)
        self._refresh()

    def _make_table(self) -> None:
        self.table.setHorizontalHeaderLabels([self.tr("Picture"), self.tr("State")])
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setShowGrid(False)
        self.table.setAccessibleName(self.tr("Queue"))
        for header in (self.table.horizontalHeader(), self.table.verticalHeader()):
            if header:
                header.setHighlightSections(False)
        across, down = self.table.horizontalHeader(), self.table.verticalHeader()
        if across and down:
            across.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
            across.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
            across.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
            down.hide()

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(7)
        grid.setColumnStretch(1, 1)
        self._labels: dict[QWidget, QLabel] = {}
        rows = (
            (self.tr("What"), self.kind),
            (self.tr("Pictures"), self.sources),
            (self.tr("Background"), self.background),
            (self.tr("Masks"), self.masks),
            (self.tr("Results"), self.output),
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
        column.addWidget(heading(self.tr("Harmonize many pictures")))
        column.addWidget(self.banner)
        column.addLayout(grid)
        column.addWidget(self.table, 1)
        column.addWidget(self.bar)
        column.addWidget(self.state)
        column.addLayout(buttons)

    def _folder(self, key: str, title: str) -> Path | None:
        return prompts.choose_folder(self, self._settings, key, title)

    def _choose_background(self) -> Path | None:
        patterns = f"{self.tr('Pictures')} ({' '.join(f'*{suffix}' for suffix in IMAGE_SUFFIXES)})"
        found = prompts.choose_to_open(self, self._settings, self.tr("Choose the background"), patterns)
        return found[0] if found else None

    def _refresh(self) -> None:
        cut_outs = self.kind.currentIndex() == CUT_OUTS
        for row, shown in ((self.background, cut_outs), (self.masks, not cut_outs)):
            row.setVisible(shown)
            self._labels[row].setVisible(shown)
        other = self.background if cut_outs else self.masks
        busy = self.batching.busy
        complete = all(row.path for row in (self.sources, other, self.output))
        self.start_button.setEnabled(complete and not busy)
        self.cancel_button.setText(self.tr("Cancel") if busy else self.tr("Close"))
        for widget in (self.kind, self.sources, other, self.output, self.model, self.strength):
            widget.setEnabled(not busy)

    # ---- the work

    def _start(self) -> None:
        sources, output = self.sources.path, self.output.path
        if sources is None or output is None:
            return
        cut_outs = self.kind.currentIndex() == CUT_OUTS
        settings = BatchSettings(
            self.model.currentText(),
            self.strength.value,
            background=self.background.path if cut_outs else None,
            masks=None if cut_outs else self.masks.path,
        )
        try:
            items = list_items(sources, output)
        except EngineError as error:
            self.banner.show_problem(Problem(error))
            return
        self.banner.hide()
        self.sheet_button.hide()
        self._sheet = output / SHEET
        self._fill(items)
        self.batching.start(items, settings, self._sheet)
        self._refresh()

    def _fill(self, items: list[Item]) -> None:
        self.table.setRowCount(len(items))
        for line, item in enumerate(items):
            for column, text in enumerate((item.source.name, self.tr("Waiting"))):
                self.table.setItem(line, column, QTableWidgetItem(text))
        self.bar.setRange(0, len(items))
        self.bar.setValue(0)

    def _take(self, event: Event) -> None:
        texts = {
            "started": self.tr("Working …"),
            "done": self.tr("Done in {0:.1f} s").format(event.seconds),
            "failed": event.error or "",
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
        text = self.tr("{0} of {1} pictures harmonized.").format(total - failed, total)
        if failed:
            text += " " + self.tr("The list says what to do about the others.")
        self.state.setText(text)
        self.sheet_button.setVisible(self._sheet is not None and self._sheet.is_file())

    def _cancel(self) -> None:
        if self.batching.busy:
            self.batching.cancel()
            self.state.setText(self.tr("Cancelled: what is done stays."))
        else:
            self.close()

    def _show_sheet(self) -> None:
        if self._sheet:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._sheet)))

    def reject(self) -> None:
        """Close as the window's button does."""
        self.close()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Stop what runs."""
        self.batching.close()
        super().reject()  # QDialog's closeEvent would come back here through `reject`
