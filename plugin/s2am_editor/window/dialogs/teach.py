# SPDX-License-Identifier: GPL-3.0-or-later
"""“Teach it your pictures”: a folder, some minutes, and a model that knows their look."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import (
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QProgressBar,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from s2am_editor.window.dialogs import questions
from s2am_editor.window.dialogs.teach_progress import TeachProgress
from s2am_editor.window.dialogs.teach_result import TeachResult
from s2am_editor.window.flows.teaching import Found, Learned, Teaching
from s2am_editor.window.jobs import Problem
from s2am_editor.window.panels.harmonize_panel import usable_models
from s2am_editor.window.settings import Settings
from s2am_editor.window.widgets.banner import Banner
from s2am_editor.window.widgets.buttons import heading, muted_label, primary_button, push_button
from s2am_engine.errors import EngineError
from s2am_engine.models.model_files import check_free, check_name, free_name

SHOWN = 200  # skipped files that are listed


class TeachDialog(QDialog):
    """Choose, learn, keep or discard; three pages one after another."""

    learned = pyqtSignal(str)  # the name of a model that was kept

    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        """Start with the choice of a folder."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("Teach it your pictures"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(680, 600)
        self._settings = settings
        self._found: Found | None = None
        self.teaching = Teaching(self)
        self.banner = Banner()
        self.pages = QStackedWidget()
        self.choice = QWidget()
        self.progress = TeachProgress(self.teaching)
        self.outcome = TeachResult()
        self._make_choice()
        for page in (self.choice, self.progress, self.outcome):
            self.pages.addWidget(page)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(12)
        column.addWidget(self.banner)
        column.addWidget(self.pages, 1)
        teaching = self.teaching
        teaching.looking.connect(self._looking)
        teaching.found.connect(self._show_found)
        teaching.learned.connect(self._show_result)
        teaching.failed.connect(self._fail)
        self.progress.cancelled.connect(self._cancel)
        self.outcome.kept.connect(self._keep)
        self.outcome.discarded.connect(self.close)

    def _make_choice(self) -> None:
        self.folder_label = QLabel(self.tr("No folder chosen yet"))
        self.folder_label.setTextFormat(Qt.TextFormat.PlainText)
        row = QHBoxLayout()
        row.addWidget(push_button(self.tr("Choose a folder …"), self._choose_folder, "open"))
        row.addWidget(self.folder_label, 1)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.hide()
        self.state = muted_label(self.tr("From 20 photographs on; 40 are better. They stay on this computer."))
        self.skipped = QListWidget()
        self.skipped.setAccessibleName(self.tr("Pictures that were left out"))
        self.skipped.hide()
        self.name = QLineEdit(self.tr("my pictures"))
        self.base = QComboBox()
        for model in usable_models():
            self.base.addItem(model.card.name)
        self.minutes = QSpinBox()
        self.minutes.setRange(1, 600)
        self.minutes.setValue(10)
        self.minutes.setSuffix(self.tr(" minutes"))
        form = QFormLayout()
        form.setVerticalSpacing(8)
        form.addRow(self.tr("Call it"), self.name)
        form.addRow(self.tr("Begin with"), self.base)
        form.addRow(self.tr("Learn for"), self.minutes)
        self.start_button = primary_button(self.tr("Start"), self._begin)
        self.start_button.setEnabled(False)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(push_button(self.tr("Cancel"), self.close))
        buttons.addWidget(self.start_button)
        column = QVBoxLayout(self.choice)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        column.addWidget(heading(self.tr("Teach it how your photographs look")))
        text = self.tr(
            "A wedding in warm light, a film look, a product against gray: choose photographs of one look. "
            "A fifth of them is held out to measure what was learned."
        )
        column.addWidget(muted_label(text))
        column.addLayout(row)
        column.addWidget(self._bar)
        column.addWidget(self.state)
        column.addWidget(self.skipped, 1)
        column.addLayout(form)
        column.addStretch()
        column.addLayout(buttons)

    # ---- the choice

    def _choose_folder(self) -> None:
        folder = questions.choose_folder(self, self._settings, "teach", self.tr("Choose photographs of one look"))
        if folder:
            self.look_at(folder)

    def look_at(self, folder: Path) -> None:
        """Find out what a folder holds."""
        self._found = None
        self.banner.hide()
        self.skipped.clear()
        self.skipped.hide()
        self.start_button.setEnabled(False)
        self.folder_label.setText(str(folder))
        self.name.setText(free_or_plain(folder.name))
        self.state.setText(self.tr("Looking through the pictures …"))
        self._bar.setRange(0, 0)
        self._bar.show()
        self.teaching.look(folder)

    def _looking(self, done: int, total: int) -> None:
        self._bar.setRange(0, total)
        self._bar.setValue(done)
        self.state.setText(self.tr("Looking through the pictures: {0} of {1}").format(done, total))

    def _show_found(self, found: Found) -> None:
        self._found = found
        self._bar.hide()
        text = self.tr("{0} pictures found, {1} left out.").format(found.usable, len(found.skipped))
        enough = found.usable >= found.needed
        if not enough:
            text += " " + self.tr("At least {0} are needed: add more to the folder.").format(found.needed)
        self.state.setText(text)
        for one in found.skipped[:SHOWN]:
            self.skipped.addItem(f"{one.path.name}: {one.why}")
        self.skipped.setVisible(bool(found.skipped))
        self.start_button.setEnabled(enough)

    def _begin(self) -> None:
        if self._found is None:
            return
        try:
            name = check_name(self.name.text().strip())
            check_free(name)
        except EngineError as error:
            self.banner.show_problem(Problem(error))
            return
        self.banner.hide()
        self.progress.begin(self.minutes.value())
        self.pages.setCurrentWidget(self.progress)
        self.teaching.start(self._found.folder, name, self.base.currentText(), self.minutes.value())

    # ---- what comes of it

    def _cancel(self) -> None:
        self.teaching.cancel()
        self.pages.setCurrentWidget(self.choice)
        self.state.setText(self.tr("Cancelled: nothing was learned, and no model was made."))

    def _fail(self, problem: Problem) -> None:
        self._bar.hide()
        self.banner.show_problem(problem)
        self.state.setText("")
        self.pages.setCurrentWidget(self.choice)

    def _show_result(self, learned: Learned) -> None:
        self.outcome.show_result(learned)
        self.pages.setCurrentWidget(self.outcome)

    def _keep(self, name: str) -> None:
        self.learned.emit(name)
        self.close()

    def reject(self) -> None:
        """Close as the window's button does."""
        self.close()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Ask before work is lost; what was learned and not kept is discarded."""
        learning = self.teaching.busy and self.pages.currentWidget() is self.progress
        if (
            event
            and learning
            and not questions.ask(
                self,
                self.tr("Stop learning?"),
                self.tr("Nothing of what was learned so far is kept."),
                self.tr("Stop"),
                self.tr("Go on"),
            )
        ):
            event.ignore()
            return
        self.outcome.discard_unless_kept()
        self.teaching.close()
        super().reject()  # QDialog's closeEvent would come back here through `reject`


def free_or_plain(name: str) -> str:
    """A name for a model like a folder's, which no other model has."""
    try:
        return free_name(name)
    except EngineError:
        return free_name("my-pictures")
