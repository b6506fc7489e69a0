# SPDX-License-Identifier: GPL-3.0-or-later
"""Buttons as the whole editor has them."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtWidgets import QFrame, QLabel, QPushButton, QToolButton

from s2am_editor.window.icons import icon


def small_button(drawing: str, tip: str, clicked: Callable[[], object], *, checkable: bool = False) -> QToolButton:
    """A button that is an icon alone; the tip is its accessible name, too."""
    button = QToolButton()
    button.setIcon(icon(drawing))
    button.setIconSize(QSize(18, 18))
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    button.setCheckable(checkable)
    button.clicked.connect(lambda: clicked())
    return button


def primary_button(text: str, clicked: Callable[[], object], drawing: str | None = None) -> QPushButton:
    """The one button that a view is about."""
    button = push_button(text, clicked, drawing)
    button.setProperty("primary", True)
    return button


def push_button(text: str, clicked: Callable[[], object], drawing: str | None = None) -> QPushButton:
    """An ordinary button."""
    button = QPushButton(text)
    if drawing:
        button.setIcon(icon(drawing))
    button.clicked.connect(lambda: clicked())
    return button


def muted_label(text: str = "") -> QLabel:
    """A quiet line of text."""
    label = QLabel(text)
    label.setProperty("role", "muted")
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def heading(text: str, role: str = "heading") -> QLabel:
    """A line of text that stands out; `title` is larger than `heading`."""
    label = QLabel(text)
    label.setProperty("role", role)
    return label


def rule() -> QFrame:
    """A quiet line between parts."""
    line = QFrame()
    line.setObjectName("rule")
    return line
