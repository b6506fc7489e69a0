# SPDX-License-Identifier: GPL-3.0-or-later
"""Choice among the recovery copies that crashes left behind."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QDateTime, QLocale, QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import QDialog, QListWidget, QListWidgetItem, QWidget

from s2am_editor.files.recovery import RecoveryCopy
from s2am_editor.window.dialogs.standard_dialogs import choose_answer
from s2am_editor.window.widgets.basic import heading, muted_label, primary_button, push_button
from s2am_editor.window.widgets.layouts import DIALOG_MARGINS, column_of, fit_on_screen, row_of


class RecoveryDialog(QDialog):
    """Lists recovery copies. Closing it in any way keeps them all for the next start."""

    chosen = pyqtSignal(object)  # the RecoveryCopy to open

    def __init__(self, copies: Sequence[RecoveryCopy], parent: QWidget) -> None:
        """List copies, the latest first."""
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("Recover unsaved work"))
        self.list = QListWidget()
        self.list.setAccessibleName(self.tr("Unsaved documents"))
        for copy in copies:
            item = QListWidgetItem(self._describe(copy))
            item.setData(Qt.ItemDataRole.UserRole, copy)
            if copy.path:
                item.setToolTip(str(copy.path))
            self.list.addItem(item)
        self.list.setCurrentRow(0)
        self.list.itemActivated.connect(lambda _: self._open())
        self.discard_button = push_button(self.tr("Discard…"), self._discard)
        self.later_button = push_button(self.tr("Ask again next time"), self.reject)
        self.open_button = primary_button(self.tr("Open"), self._open)
        self.open_button.setDefault(True)
        buttons = row_of([self.discard_button, None, self.later_button, self.open_button])
        title = heading(self.tr("The editor was not closed properly"))
        question = muted_label(self.tr("These documents had unsaved changes. Open one of them?"))
        column_of(self, [title, question, (self.list, 1), buttons], spacing=10, margins=DIALOG_MARGINS)
        fit_on_screen(self, QSize(480, 260))
        self.open_button.setFocus()

    def _describe(self, copy: RecoveryCopy) -> str:
        name = copy.path.name if copy.path else copy.title or self.tr("Untitled")
        when = QDateTime.fromSecsSinceEpoch(int(copy.when.timestamp()))
        return self.tr("{0}, as of {1}").format(name, QLocale().toString(when, QLocale.FormatType.ShortFormat))

    @property
    def _copy(self) -> RecoveryCopy | None:
        item = self.list.currentItem()
        return item.data(Qt.ItemDataRole.UserRole) if item else None

    def _open(self) -> None:
        if (copy := self._copy) is not None:
            self.accept()
            self.chosen.emit(copy)

    def _discard(self) -> None:
        copy = self._copy
        if copy is None:
            return
        text = self.tr("Discard the unsaved changes of “{0}”? They cannot be recovered afterwards.")
        name = copy.path.name if copy.path else copy.title
        discard = self.tr("Discard")
        if choose_answer(self, self.tr("Discard?"), text.format(name), discard, careful=True) == discard:
            copy.discard()
            self.list.takeItem(self.list.currentRow())
            if not self.list.count():
                self.accept()
