# SPDX-License-Identifier: GPL-3.0-or-later
"""The active layer's sliders and tone curves."""

from __future__ import annotations

import numpy as np
from PyQt6.QtWidgets import QButtonGroup, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from s2am_common.sliders import SLIDERS
from s2am_editor.document import commands
from s2am_editor.document.model import Harmonization
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.widgets.basic import muted_label
from s2am_editor.window.widgets.curve_editor import (
    CHANNEL_COLORS,
    STRAIGHT_LINE,
    CurveEditor,
    Points,
    fit_points,
    sample_curve,
)
from s2am_editor.window.widgets.sliders import SliderRow
from s2am_engine.color.adjustments import Sliders
from s2am_engine.color.map import Curves

ALL_CHANNELS = 0  # button id of the curve for all channels


class AdjustPanel(QWidget):
    """The sliders of `s2am_common.sliders` for the active layer."""

    def __init__(self, session: EditorSession) -> None:
        """Show a session's active layer."""
        super().__init__()
        self._session = session
        self.rows = {name: SliderRow.from_spec(spec) for name, spec in SLIDERS.items()}
        self._hint = muted_label(self.tr("Harmonize a layer to adjust it here."))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addWidget(self._hint)
        for name, row in self.rows.items():
            column.addWidget(row)
            row.moved.connect(lambda value, drag, name=name: self._move(name, value, drag))
        session.opened.connect(self.refresh)
        session.layers_changed.connect(self.refresh)
        session.layer_adjusted.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the active layer's values."""
        layer = self._session.active
        harmonization = layer.harmonization if layer else None
        adjustments = harmonization.sliders if harmonization else Sliders()
        for name, row in self.rows.items():
            row.setEnabled(harmonization is not None)
            row.set_value(getattr(adjustments, name))
        self._hint.setVisible(harmonization is None)

    def reset(self) -> None:
        """Reset all sliders in one undo step."""
        layer = self._session.active
        if layer and layer.harmonization:
            self._session.do(commands.set_sliders(layer.id, **vars(Sliders())))

    def _move(self, name: str, value: float, drag: object) -> None:
        layer = self._session.active
        if layer and layer.harmonization:
            self._session.do(commands.set_sliders(layer.id, drag, **{name: value}))


class CurvesPanel(QWidget):
    """One curve for all channels, or one each for red, green and blue."""

    def __init__(self, session: EditorSession) -> None:
        """Show a session's active layer."""
        super().__init__()
        self._session = session
        self._points: list[Points] = [STRAIGHT_LINE] * 3
        self._curves: Curves | None = None
        self.editor = CurveEditor()
        self._group = QButtonGroup(self)
        row = QHBoxLayout()
        row.setSpacing(2)
        names = (self.tr("All"), self.tr("Red"), self.tr("Green"), self.tr("Blue"))
        for index, name in enumerate(names):
            button = QToolButton()
            button.setText(name)
            button.setCheckable(True)
            button.setToolTip(self.tr("Edit this curve"))
            self._group.addButton(button, index)
            row.addWidget(button)
        row.addStretch()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self.editor)
        self._group.button(ALL_CHANNELS).setChecked(True)  # type: ignore[union-attr]
        self._group.idToggled.connect(self._choose)
        self.editor.bent.connect(self._bend)
        session.opened.connect(self.refresh)
        session.layers_changed.connect(self.refresh)
        session.layer_adjusted.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the active layer's color map and curves."""
        layer = self._session.active
        harmonization = layer.harmonization if layer else None
        self.setEnabled(harmonization is not None)
        self.editor.show_map(gray_response(harmonization) if harmonization else None)
        curves = harmonization.curves if harmonization else None
        if curves is not self._curves:
            self._curves = curves
            values = None if curves is None else np.asarray(curves.values, np.float64)
            self._points = [STRAIGHT_LINE] * 3 if values is None else [fit_points(line) for line in values]
        self._show()

    def reset(self) -> None:
        """Remove the user's curves."""
        layer = self._session.active
        if layer and layer.harmonization and layer.harmonization.curves:
            self._session.do(commands.set_curves(layer.id, None))

    def _show(self) -> None:
        channel = self._group.checkedId()
        self.editor.color = None if channel == ALL_CHANNELS else CHANNEL_COLORS[channel - 1]
        self.editor.show_points(self._points[max(0, channel - 1)])

    def _choose(self, channel: int, on: bool) -> None:
        if on:
            self._show()

    def _bend(self, points: Points, drag: object) -> None:
        layer = self._session.active
        if not (layer and layer.harmonization):
            return
        channel = self._group.checkedId()
        self._points = [
            points if channel in (ALL_CHANNELS, index + 1) else old for index, old in enumerate(self._points)
        ]
        self._curves = Curves(np.stack([sample_curve(one) for one in self._points]).astype(np.float32))
        self._session.do(commands.set_curves(layer.id, self._curves, drag))


def gray_response(harmonization: Harmonization) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the values that a color map gives for 65 grays from black to white: (3, 65)."""
    grays = np.repeat(np.linspace(0, 1, 65, dtype=np.float32)[:, None], 3, axis=1)
    return np.asarray(harmonization.color_map(grays).T, np.float64)
