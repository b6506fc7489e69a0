# SPDX-License-Identifier: GPL-3.0-or-later
"""Common parts of the panels for an effect of the active layer: its sliders, and buttons that start and remove it."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QWidget

from s2am_common.sliders import SliderSpec
from s2am_editor.window.widgets.basic import muted_label, push_button
from s2am_editor.window.widgets.layouts import column_of, row_of
from s2am_editor.window.widgets.sliders import SliderRow


class EffectPanel(QWidget):
    """The sliders of a table, shown while the layer has the effect; a double click restores an automatic value."""

    wanted = pyqtSignal()  # the effect, with automatic values
    remove = pyqtSignal()

    def __init__(self, specs: Mapping[str, SliderSpec], tip: str) -> None:
        """Show the sliders of a table; `tip`: on the button that starts the effect."""
        super().__init__()
        self._specs = specs
        self.rows = {name: SliderRow.translated(spec) for name, spec in specs.items()}
        self.start_button = push_button("", self.wanted.emit)
        self.start_button.setToolTip(tip)
        self.remove_button = push_button(self.tr("Remove"), self.remove.emit)
        self.note = muted_label()
        self.note.setContentsMargins(0, 4, 0, 4)
        buttons = row_of([(self.start_button, 1), self.remove_button])
        column_of(self, [buttons, self.note, *self.rows.values()], spacing=3)
        SliderRow.align(self.rows.values())
        for name, row in self.rows.items():
            row.moved.connect(lambda value, drag, name=name: self._move(name, value, drag))

    def show_values(self, values: object | None, automatic: object | None, note: str = "") -> None:
        """Show an effect.

        Args:
            values: its values, as attributes; None = the layer does not have it.
            automatic: those that a double click restores; None = the defaults.
            note: on the automatic values.
        """
        has_effect = values is not None
        self.remove_button.setVisible(has_effect)
        for name, row in self.rows.items():
            row.setVisible(has_effect)
            row.set_neutral(getattr(automatic, name) if automatic else self._specs[name].default)
            if has_effect:
                row.set_value(getattr(values, name))
        self.note.setText(note)
        self.note.setVisible(bool(note) and has_effect)

    def _move(self, name: str, value: float, drag: object) -> None:
        """Set a value of the effect of the active layer."""
        raise NotImplementedError
