# SPDX-License-Identifier: GPL-3.0-or-later
"""The active layer's sliders and tone curves."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtWidgets import QButtonGroup, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from s2am_common.sliders import SLIDERS
from s2am_editor.document import commands
from s2am_editor.document.geometry import Rect
from s2am_editor.document.model import Harmonization, Layer
from s2am_editor.document.raster import MAX_LEVEL, Raster, TiledMask
from s2am_editor.document.tone_curves import ALL, Points, ToneCurves
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.widgets.basic import muted_label
from s2am_editor.window.widgets.curve_editor import CHANNEL_COLORS, CurveEditor
from s2am_editor.window.widgets.sliders import SliderRow
from s2am_engine.color.adjustments import Sliders
from s2am_engine.image.arrays import to_unit

HISTOGRAM_BINS = 64
MAX_SAMPLED_SIDE = 96  # pixels of the reduced layer that the histogram is made from: it follows sliders at once


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
    """One curve for all channels, and one each for red, green and blue."""

    def __init__(self, session: EditorSession) -> None:
        """Show a session's active layer."""
        super().__init__()
        self._session = session
        self._sampled: tuple[Raster, TiledMask | None, NDArray[np.float32]] | None = None
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
        self._group.button(ALL).setChecked(True)  # type: ignore[union-attr]
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
        self.editor.show_histogram(self._histogram(layer) if layer and harmonization else None)
        self._show()

    def reset(self) -> None:
        """Remove the user's curves."""
        layer = self._session.active
        if layer and layer.harmonization and layer.harmonization.curves:
            self._session.do(commands.set_curves(layer.id, None))

    def _show(self) -> None:
        channel = self._group.checkedId()
        self.editor.color = None if channel == ALL else CHANNEL_COLORS[channel - 1]
        self.editor.show_points(self._curves.lines[channel])

    def _histogram(self, layer: Layer) -> NDArray[np.float64]:
        """Return how often the tones occur that the curves are applied to: (3, HISTOGRAM_BINS), at most 1."""
        if self._sampled is None or self._sampled[0] is not layer.raster or self._sampled[1] is not layer.mask:
            self._sampled = layer.raster, layer.mask, visible_colors(layer)
        colors = self._sampled[2]
        if layer.harmonization is not None:
            colors = dataclasses.replace(layer.harmonization, curves=None).color_map(colors)
        counts = [np.histogram(channel, HISTOGRAM_BINS, (0, 1))[0] for channel in np.clip(colors, 0, 1).T]
        return np.stack(counts) / max(1, np.max(counts))

    @property
    def _curves(self) -> ToneCurves:
        """The active layer's curves; straight lines if it has none."""
        layer = self._session.active
        harmonization = layer.harmonization if layer else None
        return (harmonization.curves if harmonization else None) or ToneCurves()

    def _choose(self, channel: int, on: bool) -> None:
        if on:
            self._show()

    def _bend(self, points: Points, drag: object) -> None:
        layer = self._session.active
        if not (layer and layer.harmonization):
            return
        curves = self._curves.with_line(self._group.checkedId(), points)
        self._session.do(commands.set_curves(layer.id, curves, drag))


def visible_colors(layer: Layer) -> NDArray[np.float32]:
    """Return some of a layer's visible colors, in their original state: N×3 in [0, 1]."""
    level = 0
    while max(layer.size) >> level > MAX_SAMPLED_SIDE and level < MAX_LEVEL:
        level += 1
    reduced = layer.raster.level(level)
    covered = np.ones(reduced.pixels.shape[:2], bool)
    if reduced.alpha is not None:
        covered &= to_unit(reduced.alpha) > 0.5
    if layer.mask is not None:
        covered &= layer.mask.read(Rect(0, 0, *reduced.size), level) > 127
    return to_unit(reduced.pixels[covered])


def gray_response(harmonization: Harmonization) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the values that a color map gives for 65 grays from black to white: (3, 65)."""
    grays = np.repeat(np.linspace(0, 1, 65, dtype=np.float32)[:, None], 3, axis=1)
    return np.asarray(harmonization.color_map(grays).T, np.float64)
