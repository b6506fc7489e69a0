# SPDX-License-Identifier: GPL-3.0-or-later
"""Fine-tuning a model on the user's photographs: choose a folder, watch training, keep or discard the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import (
    QDialog,
    QLabel,
    QLineEdit,
    QListWidget,
    QSizePolicy,
    QStackedWidget,
    QWidget,
)

from s2am_common.errors import EngineError
from s2am_common.translation import localized
from s2am_editor.window.dialogs import standard_dialogs
from s2am_editor.window.dialogs.fine_tune_pages import ResultPage, TrainingPage
from s2am_editor.window.dialogs.fine_tuning import FineTuneOutcome, FineTuning, PhotoFolder
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.jobs import Problem
from s2am_editor.window.messages import Banner
from s2am_editor.window.panels.harmonize_panel import usable_models
from s2am_editor.window.widgets.basic import (
    ChoiceBox,
    WholeNumberBox,
    heading,
    muted_label,
    plain_progress_bar,
    primary_button,
    push_button,
)
from s2am_editor.window.widgets.layouts import DIALOG_MARGINS, Part, column_of, fit_on_screen, form_of, row_of
from s2am_engine.models.model_files import check_free, check_name, free_name

if TYPE_CHECKING:
    from s2am_editor.window.dialogs.fine_tuning import Trainer
    from s2am_engine.training.photo_cache import Skipped

MAX_LISTED = 200  # maximum number of skipped files listed
CHOICE_SIZE, PROGRESS_SIZE = QSize(680, 320), QSize(680, 600)  # of the dialog


class FineTuneDialog(QDialog):
    """Three pages: choose photos, watch training, keep or discard the model."""

    kept = pyqtSignal(str)  # the name of the kept model

    def __init__(self, settings: EditorSettings, parent: QWidget | None = None, trainer: Trainer | None = None) -> None:
        """Start with the choice of a folder; trainer: see `FineTuning`."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("Fine-tune on my photos"))
        fit_on_screen(self, CHOICE_SIZE)
        self._settings = settings
        self._found: PhotoFolder | None = None
        self.fine_tuning = FineTuning(self, trainer)
        self.banner = Banner()
        self.pages = QStackedWidget()
        self.pages.currentChanged.connect(self._give_room)
        self.choice = QWidget()
        self.progress = TrainingPage(self.fine_tuning)
        self.outcome = ResultPage()
        self._make_choice()
        for page in (self.choice, self.progress, self.outcome):
            self.pages.addWidget(page)
        column_of(self, [self.banner, (self.pages, 1)], spacing=12, margins=DIALOG_MARGINS)
        fine_tuning = self.fine_tuning
        fine_tuning.scanned.connect(self._show_scan)
        fine_tuning.found.connect(self._show_found)
        fine_tuning.finished.connect(self._show_result)
        fine_tuning.failed.connect(self._fail)
        fine_tuning.canceled.connect(self._show_canceled)
        self.progress.canceled.connect(self._cancel)
        self.outcome.kept.connect(self._keep)
        self.outcome.discarded.connect(self.close)

    def _make_choice(self) -> None:
        self.folder_label = QLabel(self.tr("No folder chosen yet"))
        self.folder_label.setTextFormat(Qt.TextFormat.PlainText)
        row = row_of([push_button(self.tr("Choose a folder…"), self._choose_folder, "open"), (self.folder_label, 1)])
        self._bar = plain_progress_bar()
        self._bar.hide()
        self.state = muted_label(self.tr("At least 20 photos, better 40. They stay on this computer."))
        self.skipped = QListWidget()
        self.skipped.setAccessibleName(self.tr("Skipped files"))
        self.skipped.hide()
        self.name = QLineEdit(self.tr("my photos"))
        self.base = ChoiceBox()
        for model in usable_models():
            if model.card.adjustable:
                self.base.addItem(model.card.name)
        self.minutes = WholeNumberBox()
        self.minutes.setRange(1, 600)
        self.minutes.setValue(10)
        self.minutes.setSuffix(self.tr(" minutes"))
        form = form_of(
            [
                (self.tr("Name"), self.name),
                (self.tr("Base model"), self.base),
                (self.tr("Training time"), self.minutes),
            ],
            spacing=8,
        )
        self.start_button = primary_button(self.tr("Start"), self._begin)
        self.start_button.setEnabled(False)
        buttons = row_of([None, push_button(self.tr("Cancel"), self.close), self.start_button])
        title = heading(self.tr("Fine-tune a model on your photos"))
        text = self.tr(
            "Choose photos of one style: a wedding in warm light, a film look, products on gray. "
            "Each of them is held out once to measure the result."
        )
        about = muted_label(text)
        parts: list[Part] = [title, about, row, self._bar, self.state, (self.skipped, 1), form, None, buttons]
        column_of(self.choice, parts, spacing=10)

    def _give_room(self) -> None:
        """Make the dialog as large as its page needs; the others do not count."""
        for page in (self.choice, self.progress, self.outcome):
            current = page is self.pages.currentWidget()
            policy = QSizePolicy.Policy.Preferred if current else QSizePolicy.Policy.Ignored
            page.setSizePolicy(policy, policy)
        if self.pages.currentWidget() is not self.choice:
            before = self.size()
            fit_on_screen(self, PROGRESS_SIZE)
            self.resize(self.size().expandedTo(before))

    # ---- choosing photos

    def _choose_folder(self) -> None:
        folder = standard_dialogs.choose_folder(self, self._settings, "teach", self.tr("Choose photos of one style"))
        if folder:
            self.scan_folder(folder)

    def scan_folder(self, folder: Path) -> None:
        """Read the photographs of a folder in the background, and count the usable ones."""
        self._found = None
        self.banner.hide()
        self.skipped.clear()
        self.skipped.hide()
        self.start_button.setEnabled(False)
        self.folder_label.setText(str(folder))
        self.name.setText(unused_name(folder.name))
        self.state.setText(self.tr("Reading photos…"))
        self._bar.setRange(0, 0)
        self._bar.show()
        self.fine_tuning.scan(folder)

    def _show_scan(self, done: int, total: int) -> None:
        self._bar.setRange(0, total)
        self._bar.setValue(done)
        self.state.setText(self.tr("Reading photos: {0} of {1}").format(done, total))

    def _show_found(self, found: PhotoFolder) -> None:
        self._found = found
        self._bar.hide()
        text = self.tr("{0} usable photos, {1} skipped.").format(found.usable, len(found.skipped))
        enough = found.usable >= found.needed
        if not enough:
            text += " " + self.tr("At least {0} are needed. Add more to the folder.").format(found.needed)
        self.state.setText(text)
        for one in found.skipped[:MAX_LISTED]:
            self.skipped.addItem(_reason(one))
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
        self.progress.begin()
        self.pages.setCurrentWidget(self.progress)
        self.fine_tuning.start(self._found.folder, name, self.base.currentText(), self.minutes.value())

    # ---- result

    def _cancel(self) -> None:
        self.fine_tuning.cancel()
        self.progress.end()

    def _show_canceled(self) -> None:
        if self.pages.currentWidget() is self.progress:
            self.pages.setCurrentWidget(self.choice)
            self.state.setText(self.tr("Canceled. No model was created."))

    def _fail(self, problem: Problem) -> None:
        self._bar.hide()
        self.banner.show_problem(problem)
        self.state.setText("")
        self.pages.setCurrentWidget(self.choice)

    def _show_result(self, finished: FineTuneOutcome) -> None:
        self.outcome.show_result(finished)
        self.pages.setCurrentWidget(self.outcome)

    def _keep(self, name: str) -> None:
        self.kept.emit(name)
        self.close()

    def reject(self) -> None:
        """Close like the window's button."""
        self.close()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Ask before stopping the training, and whether to keep a finished model."""
        learning = self.fine_tuning.busy and self.pages.currentWidget() is self.progress
        if not (self._may_stop() if learning else self._decide()):
            if event:
                event.ignore()
            return
        self.fine_tuning.close_with(self)
        super().reject()  # QDialog.closeEvent would call `reject` again

    def _may_stop(self) -> bool:
        answer = standard_dialogs.choose_answer(
            self,
            self.tr("Stop training?"),
            self.tr("The model trained so far will be discarded."),
            self.tr("Stop"),
            cancel=self.tr("Continue"),
            careful=True,
        )
        return answer is not None

    def _decide(self) -> bool:
        """Ask about a model that was neither kept nor discarded. Return False if the dialog is to stay open."""
        if self.outcome.undecided is None:
            return True
        keep, discard = self.tr("Keep"), self.tr("Discard")
        text = self.tr("Keep the model “{0}”?").format(self.outcome.undecided)
        answer = standard_dialogs.choose_answer(self, self.tr("Keep the model?"), text, keep, discard)
        if answer == keep:
            self.kept.emit(self.outcome.undecided)
        elif answer == discard:
            self.outcome.discarded.disconnect(self.close)
            self.outcome.discard()
        return answer is not None


def unused_name(name: str) -> str:
    """Return an unused model name based on a folder's name."""
    try:
        return free_name(name)
    except EngineError:
        return free_name("my-photos")


def _reason(skipped: Skipped) -> str:
    """Return a sentence on a photograph that cannot be used, in the user's language."""
    name, why = skipped.path.name, skipped.why
    for sentence in (f"{name} is {why}.", f"{name} {why}."):  # the clause comes from one of them
        translated = localized(sentence)
        if translated != sentence:
            return translated
    return f"{name}: {why}"
