# SPDX-License-Identifier: GPL-3.0-or-later
"""Columns, rows and forms of widgets, and sizes that suit the font and the screen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QFontMetrics
from PyQt6.QtWidgets import (
    QApplication,
    QBoxLayout,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

_Box = TypeVar("_Box", bound=QBoxLayout)
DIALOG_MARGINS = (20, 18, 20, 16)  # left, top, right, bottom
WINDOW_FRAME = QSize(16, 48)  # generous size of the frame and title bar that a system adds to a window
_USUAL_FONT_HEIGHT = 15.0  # pixels of a line of the usual font, for which sizes are given

Part = QWidget | QLayout | tuple[QWidget, int] | None
"""A widget, alone or with its stretch factor, a layout, or None = empty space that takes the room that is left."""


def for_font(pixels: int) -> int:
    """Return a length in proportion to the application's font, if that is larger than usual."""
    return round(pixels * max(1.0, QFontMetrics(QApplication.font()).height() / _USUAL_FONT_HEIGHT))


def fit_on_screen(window: QWidget, size: QSize) -> None:
    """Give a window a size that is meant for the usual font, but not more than the screen has."""
    wanted, screen = QSize(for_font(size.width()), for_font(size.height())), window.screen()
    window.resize(wanted.boundedTo(screen.availableSize() - WINDOW_FRAME) if screen else wanted)


def align_labels(labels: Iterable[QLabel]) -> None:
    """Give labels below each other one width, so that the fields beside them begin at the same place."""
    listed = list(labels)
    for label in listed:
        label.ensurePolished()
    widest = max(label.sizeHint().width() for label in listed)
    for label in listed:
        label.setMinimumWidth(max(widest, label.minimumWidth()))


def column_of(
    owner: QWidget, parts: Iterable[Part], spacing: int, margins: tuple[int, int, int, int] = (0, 0, 0, 0)
) -> QVBoxLayout:
    """Put parts below each other into a widget."""
    column = QVBoxLayout(owner)
    column.setContentsMargins(*margins)
    return _filled(column, parts, spacing)


def row_of(parts: Iterable[Part], spacing: int = 6) -> QHBoxLayout:
    """Put parts next to each other."""
    return _filled(QHBoxLayout(), parts, spacing)


def widget_of(layout: QLayout) -> QWidget:
    """Return a widget that a layout fills, to show, hide or disable its parts together."""
    widget = QWidget()
    layout.setContentsMargins(0, 0, 0, 0)
    widget.setLayout(layout)
    return widget


def name_field(name: str, field: QWidget) -> None:
    """Name a field, or the inputs in it, for screen readers, as its label does for the eye; "" = it has no label."""
    for widget in (field, *field.findChildren(QWidget)):
        if name and widget.focusPolicy() != Qt.FocusPolicy.NoFocus and not widget.objectName().startswith("qt_"):
            text = widget.text() if isinstance(widget, QPushButton) else ""
            widget.setAccessibleName(f"{name}: {text}" if text else name)


def form_of(rows: Iterable[tuple[str | QLabel, QWidget]], spacing: int) -> QFormLayout:
    """Put fields below each other, with their labels on the left, vertically centered."""
    form = QFormLayout()
    form.setVerticalSpacing(spacing)
    for name, field in rows:
        label = name if isinstance(name, QLabel) else QLabel(name)
        # Else Qt aligns it with the upper part of the field.
        label.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        label.setBuddy(field)
        name_field(label.text(), field)
        form.addRow(label, field)
    return form


def _filled(box: _Box, parts: Iterable[Part], spacing: int) -> _Box:
    box.setSpacing(spacing)
    for part in parts:
        if part is None:
            box.addStretch()
        elif isinstance(part, QLayout):
            box.addLayout(part)
        elif isinstance(part, QWidget):
            box.addWidget(part)
        else:
            box.addWidget(*part)
    return box
