# SPDX-License-Identifier: GPL-3.0-or-later
"""A calm line over the picture that says what went wrong and what to do."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QToolButton, QWidget

from s2am_editor.window.icons import icon
from s2am_editor.window.jobs import Problem
from s2am_editor.window.theme import copy_text


class Banner(QWidget):
    """Shows one problem, until it is closed or another one comes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Start hidden."""
        super().__init__(parent)
        frame = QFrame()
        frame.setObjectName("banner")
        room = QHBoxLayout(self)
        room.setContentsMargins(10, 8, 10, 8)
        room.addWidget(frame)
        self._details = ""
        sign = QLabel()
        sign.setPixmap(icon("warning").pixmap(20, 20))
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._copy = QPushButton(self.tr("Copy details"))
        self._copy.setProperty("flat", True)
        self._copy.setToolTip(self.tr("Copy what happened, for a report"))
        self._copy.clicked.connect(self._copy_details)
        close = QToolButton()
        close.setIcon(icon("close"))
        close.setToolTip(self.tr("Close"))
        close.setAccessibleName(self.tr("Close message"))
        close.clicked.connect(self.hide)
        row = QHBoxLayout(frame)
        row.setContentsMargins(12, 8, 8, 8)
        row.setSpacing(10)
        for widget in (sign, self._text, self._copy, close):
            row.addWidget(widget)
        self.hide()

    @property
    def text(self) -> str:
        """What it says."""
        return self._text.text()

    @property
    def details(self) -> str:
        """What “Copy details” copies."""
        return self._details

    def show_problem(self, problem: Problem) -> None:
        """Show what went wrong."""
        self._details = f"{problem.sentence}\n\n{problem.details}"
        self._show(problem.sentence, copyable=True)

    def show_note(self, sentence: str) -> None:
        """Show something to know, that needs no report."""
        self._details = ""
        self._show(sentence, copyable=False)

    def _show(self, sentence: str, *, copyable: bool) -> None:
        self._text.setText(sentence)
        self._copy.setVisible(copyable)
        self.setAccessibleName(sentence)
        self.show()

    def _copy_details(self) -> None:
        copy_text(self._details)
