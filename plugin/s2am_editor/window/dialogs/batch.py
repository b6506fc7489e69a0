# SPDX-License-Identifier: GPL-3.0-or-later
"""Batch harmonizing of a folder: cutouts on one background, one cutout on backgrounds, or composites with masks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QObject, QSize, Qt, QUrl, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QDesktopServices
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from s2am_common.errors import EngineError
from s2am_editor.batch import BatchSettings, BeforeAfter, harmonize_batch, name_outputs
from s2am_editor.render.harmonize_layer import LoadedModels
from s2am_editor.window.dialogs import standard_dialogs
from s2am_editor.window.dialogs.batch_form import BatchForm
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.jobs import BackgroundJob, BackgroundJobs, Problem
from s2am_editor.window.messages import Banner
from s2am_editor.window.widgets.basic import heading, muted_label, plain_progress_bar, primary_button, push_button
from s2am_editor.window.widgets.layouts import DIALOG_MARGINS, column_of, fit_on_screen, row_of
from s2am_engine.batch import BatchEvent, BatchItem, plan_batch

CONTACT_SHEET = "contact-sheet.png"
MOST_FOR_NAMES = 0.4  # share of the list that long names take; they are wrapped


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
        fit_on_screen(self, QSize(760, 640))
        self._sheet: Path | None = None
        self._not_done: set[int] = set()  # lines of the images that have no result yet
        self.batch_job = BatchJob(self)
        self.banner = Banner()
        self.form = BatchForm(settings)
        self.table = QTableWidget(0, 2)
        self._make_table()
        self.bar = plain_progress_bar()
        self.state = muted_label(self.tr("The results are in the chosen folder, with a contact sheet."))
        self.start_button = primary_button(self.tr("Start"), self._start)
        self.cancel_button = push_button(self.tr("Cancel"), self._cancel)
        self.sheet_button = push_button(self.tr("Open contact sheet"), self._show_sheet, "variants")
        self.sheet_button.hide()
        title = heading(self.tr("Harmonize many images"))
        buttons = row_of([self.sheet_button, None, self.cancel_button, self.start_button])
        column_of(
            self,
            [title, self.banner, self.form, (self.table, 1), self.bar, self.state, buttons],
            spacing=10,
            margins=DIALOG_MARGINS,
        )
        self.form.changed.connect(self._refresh)
        self.batch_job.happened.connect(self._take)
        self.batch_job.finished.connect(self._finish)
        self.batch_job.failed.connect(self.banner.show_problem)
        self.batch_job.stopped.connect(self._stop)
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
            across.setSectionResizeMode(0, QHeaderView.ResizeMode.Interactive)
            across.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
            across.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
            down.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            down.hide()
        self.table.setWordWrap(True)

    def _refresh(self) -> None:
        busy = self.batch_job.busy
        self.start_button.setEnabled(self.form.is_complete and not busy)
        self.cancel_button.setText(self.tr("Cancel") if busy else self.tr("Close"))
        self.form.set_fields_enabled(not busy)

    # ---- running

    def _start(self) -> None:
        form = self.form
        sources, output, settings = form.sources.path, form.output.path, form.batch_settings
        if sources is None or output is None:
            return
        try:
            items = name_outputs(plan_batch(sources, output), form.pattern.text(), form.formats.currentData())
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
        self._fit_name_column()
        self._not_done = set(range(len(items)))
        self.bar.setRange(0, len(items))
        self.bar.setValue(0)

    def _fit_name_column(self) -> None:
        """Make the column of names as wide as they are, but leave the larger part to the reasons of failures."""
        viewport = self.table.viewport()
        most = round(viewport.width() * MOST_FOR_NAMES) if viewport else 0
        self.table.setColumnWidth(0, min(self.table.sizeHintForColumn(0), most))

    def _take(self, event: BatchEvent[BeforeAfter]) -> None:
        texts = {
            "started": self.tr("Working…"),
            "done": self.tr("Done in {0:.1f} s").format(event.seconds),
            "failed": str(event.error or ""),
        }
        self._show_status(event.index, texts[event.kind])
        self.table.scrollToItem(self.table.item(event.index, 1))
        if event.kind != "started":
            self._not_done.discard(event.index)
        self.bar.setValue(event.index + (event.kind != "started"))
        self.state.setText(self.tr("{0} of {1}").format(event.index + 1, event.total))

    def _show_status(self, line: int, text: str) -> None:
        cell = self.table.item(line, 1)
        if cell:
            cell.setText(text)
            cell.setToolTip(text)

    def _stop(self) -> None:
        """Name the images that were not harmonized, as the batch was canceled or could not run."""
        for line in self._not_done:
            self._show_status(line, self.tr("Not done"))
        self._refresh()

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
