# SPDX-License-Identifier: GPL-3.0-or-later
"""The third page of “Teach it your pictures”: what was gained, to keep or to discard."""

from __future__ import annotations

from contextlib import suppress

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from s2am_editor.window.flows.teaching import Learned
from s2am_editor.window.widgets.buttons import heading, muted_label, primary_button, push_button
from s2am_editor.window.widgets.picture_label import PictureLabel
from s2am_engine.errors import EngineError
from s2am_engine.models.model_files import delete_model


class TeachResult(QWidget):
    """Measured gain, held-out pictures before and after, and the decision."""

    kept = pyqtSignal(str)  # the model's name
    discarded = pyqtSignal()

    def __init__(self) -> None:
        """Start with nothing to show."""
        super().__init__()
        self._name: str | None = None  # of a model that is there and was not decided on yet
        self._title = heading("")
        self.figures = QLabel()
        self._advice = muted_label()
        self.picture = PictureLabel()
        self._discard_button = push_button(self.tr("Discard"), self._discard)
        self._keep_button = primary_button(self.tr("Keep it"), self._keep)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(self._discard_button)
        buttons.addWidget(self._keep_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        for widget in (self._title, self.figures, self._advice):
            column.addWidget(widget)
        column.addWidget(self.picture, 1)
        column.addLayout(buttons)

    def show_result(self, learned: Learned) -> None:
        """Show what came of it."""
        result = learned.result
        self._name = result.model.card.name if result.model else None
        look = result.look
        lines = [
            self.tr("On held-out pictures of this look: {0:+.2f} dB, {1:.0%} less error than before.").format(
                look.psnr_gained, look.fmse_saved
            ),
            self.tr("On other looks: {0:+.2f} dB.").format(result.others.psnr_gained),
        ]
        self.figures.setText("\n".join(lines))
        self.picture.show_image(learned.sheet)
        if self._name is None:
            self._title.setText(self.tr("The model that was there stays the better one"))
            self._advice.setText(self.tr("No model was made. More photographs of one look, or more minutes, help."))
        else:
            self._title.setText(self.tr("“{0}” is the better one for this look").format(self._name))
            self._advice.setText(self.tr("Keep it, and it is among the models that you choose from."))
        self._discard_button.setVisible(self._name is not None)
        self._keep_button.setText(self.tr("Keep it") if self._name else self.tr("Close"))

    def discard_unless_kept(self) -> None:
        """Delete a model that nobody decided to keep."""
        if self._name is not None:
            with suppress(EngineError):  # then it stays in the list, and can be deleted there
                delete_model(self._name)
            self._name = None

    def _keep(self) -> None:
        name, self._name = self._name, None
        if name is None:
            self.discarded.emit()
        else:
            self.kept.emit(name)

    def _discard(self) -> None:
        self.discard_unless_kept()
        self.discarded.emit()
