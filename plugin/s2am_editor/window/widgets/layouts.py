# SPDX-License-Identifier: GPL-3.0-or-later
"""Columns, rows and forms of widgets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from PyQt6.QtWidgets import QBoxLayout, QFormLayout, QHBoxLayout, QLabel, QLayout, QSizePolicy, QVBoxLayout, QWidget

_Box = TypeVar("_Box", bound=QBoxLayout)
DIALOG_MARGINS = (20, 18, 20, 16)  # left, top, right, bottom

Part = QWidget | QLayout | tuple[QWidget, int] | None
"""A widget, alone or with its stretch factor, a layout, or None = empty space that takes the room that is left."""


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


def form_of(rows: Iterable[tuple[str | QLabel, QWidget]], spacing: int) -> QFormLayout:
    """Put fields below each other, with their labels on the left, vertically centered."""
    form = QFormLayout()
    form.setVerticalSpacing(spacing)
    for name, field in rows:
        label = name if isinstance(name, QLabel) else QLabel(name)
        # Else Qt aligns it with the upper part of the field.
        label.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        label.setBuddy(field)
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
