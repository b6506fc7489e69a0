# SPDX-License-Identifier: GPL-3.0-or-later
"""The six sliders of a harmonized layer."""

from __future__ import annotations

from PyQt6.QtWidgets import QVBoxLayout, QWidget

from s2am_editor.document import commands
from s2am_editor.window.session import Session
from s2am_editor.window.widgets.buttons import muted_label
from s2am_editor.window.widgets.slider_row import SliderRow
from s2am_engine.color.adjustments import Sliders


class AdjustPanel(QWidget):
    """Strength, brightness, contrast, warmth, tint and saturation of the active layer."""

    def __init__(self, session: Session) -> None:
        """Show a session's active layer."""
        super().__init__()
        self._session = session
        self.rows = {
            "strength": SliderRow(self.tr("Strength"), self.tr("How much of the harmonization"), 0, 1, 1),
            "brightness": SliderRow(self.tr("Brightness"), self.tr("Lighter or darker; black and white stay")),
            "contrast": SliderRow(self.tr("Contrast"), self.tr("Steeper or flatter around middle gray")),
            "warmth": SliderRow(self.tr("Warmth"), self.tr("Towards amber or towards blue")),
            "tint": SliderRow(self.tr("Tint"), self.tr("Towards magenta or towards green")),
            "saturation": SliderRow(self.tr("Saturation"), self.tr("Stronger or paler colors")),
        }
        self._hint = muted_label(self.tr("Harmonize a layer, then fine-tune it here."))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addWidget(self._hint)
        for name, row in self.rows.items():
            column.addWidget(row)
            row.moved.connect(lambda value, drag, name=name: self._move(name, value, drag))
        session.opened.connect(self.refresh)
        session.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what the active layer says."""
        layer = self._session.active
        harmonization = layer.harmonization if layer else None
        adjustments = harmonization.adjustments if harmonization else Sliders()
        for name, row in self.rows.items():
            row.setEnabled(harmonization is not None)
            row.set_value(getattr(adjustments, name))
        self._hint.setVisible(harmonization is None)

    def reset(self) -> None:
        """Put all sliders back to where they do nothing, as one step."""
        layer = self._session.active
        if layer and layer.harmonization:
            self._session.do(commands.set_adjustments(layer.id, **vars(Sliders())))

    def _move(self, name: str, value: float, drag: object) -> None:
        layer = self._session.active
        if layer and layer.harmonization:
            self._session.do(commands.set_adjustments(layer.id, drag, **{name: value}))
