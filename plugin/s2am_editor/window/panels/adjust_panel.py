# SPDX-License-Identifier: GPL-3.0-or-later
"""Sliders and tone curves of the active layer or of the whole image."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtWidgets import QButtonGroup, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from s2am_common.sliders import SLIDERS
from s2am_editor.document.model import Document, Harmonization, ImageAdjustment, Layer
from s2am_editor.document.raster import MAX_LEVEL
from s2am_editor.document.tone_curves import ALL, Points, ToneCurves
from s2am_editor.render.blend import render_exactly, scaled_canvas
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.panels.adjustment_target import AdjustmentTarget
from s2am_editor.window.widgets.basic import muted_label
from s2am_editor.window.widgets.curve_editor import CHANNEL_COLORS, CurveEditor
from s2am_editor.window.widgets.sliders import SliderRow
from s2am_engine.color.adjustments import Sliders
from s2am_engine.color.map import ColorMap
from s2am_engine.image.arrays import to_unit
from s2am_engine.image.rect import Rect

HISTOGRAM_BINS = 64
MAX_SAMPLED_SIDE = 96  # pixels of the reduced layer that the histogram is made from: it follows sliders at once


class AdjustPanel(QWidget):
    """The sliders of `s2am_common.sliders` for the active layer, or those that apply to the whole image."""

    def __init__(self, target: AdjustmentTarget) -> None:
        """Show the values of a target, and let the user choose between layer and image."""
        super().__init__()
        self._target = target
        self.rows = {name: SliderRow.translated(spec) for name, spec in SLIDERS.items()}
        self._hint = muted_label(self.tr("Harmonize a layer to adjust it here."))
        self.targets = QButtonGroup(self)
        choice = QHBoxLayout()
        choice.setSpacing(2)
        for whole_image, name, tip in (
            (False, self.tr("Layer"), self.tr("Adjust the active layer, after it was harmonized")),
            (True, self.tr("Whole image"), self.tr("Adjust all layers together, as they are blended")),
        ):
            choice.addWidget(_choice_button(self.targets, int(whole_image), name, tip))
        choice.addStretch()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addLayout(choice)
        column.addWidget(self._hint)
        SliderRow.align(self.rows.values())
        for name, row in self.rows.items():
            column.addWidget(row)
            row.moved.connect(lambda value, drag, name=name: target.set_sliders(drag, **{name: value}))
        self.targets.idClicked.connect(lambda chosen: target.choose(whole_image=bool(chosen)))
        target.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the values of the target."""
        current = self._target.current
        adjustments = current.sliders if current else Sliders()
        check_button(self.targets, int(self._target.whole_image))
        for name, row in self.rows.items():
            row.setVisible(name in self._target.specs)
            row.setEnabled(current is not None)
            row.set_value(getattr(adjustments, name))
        self._hint.setVisible(current is None)


class CurvesPanel(QWidget):
    """One curve for all channels, and one each for red, green and blue."""

    def __init__(self, session: EditorSession, target: AdjustmentTarget) -> None:
        """Show the curves of a target in a session's document."""
        super().__init__()
        self._session, self._target = session, target
        self._sampled: tuple[object, NDArray[np.float32]] = None, np.zeros((0, 3), np.float32)
        self.editor = CurveEditor()
        self._group = QButtonGroup(self)
        row = QHBoxLayout()
        row.setSpacing(2)
        names = (self.tr("All"), self.tr("Red"), self.tr("Green"), self.tr("Blue"))
        for index, name in enumerate(names):
            row.addWidget(_choice_button(self._group, index, name, self.tr("Edit this curve")))
        row.addStretch()
        self._note = muted_label(self.tr("Curves of the whole image"))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._note)
        column.addLayout(row)
        column.addWidget(self.editor)
        check_button(self._group, ALL)
        self._group.idToggled.connect(self._choose)
        self.editor.bent.connect(self._bend)
        target.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the color map and the curves of the target."""
        current = self._target.current
        self.setEnabled(current is not None)
        self._note.setVisible(self._target.whole_image)
        self.editor.show_map(gray_response(current.color_map) if current else None)
        self.editor.show_histogram(self._histogram(current) if current else None)
        self._show()

    def reset(self) -> None:
        """Remove the user's curves."""
        if (current := self._target.current) and current.curves:
            self._target.set_curves(None)

    def _show(self) -> None:
        channel = self._group.checkedId()
        self.editor.color = None if channel == ALL else CHANNEL_COLORS[channel - 1]
        self.editor.show_points(self._curves.lines[channel])

    def _histogram(self, current: Harmonization | ImageAdjustment) -> NDArray[np.float64]:
        """Return the frequencies of the tones that the curves are applied to: (3, HISTOGRAM_BINS), at most 1."""
        colors = dataclasses.replace(current, curves=None).color_map(self._original_colors())
        counts = [np.histogram(channel, HISTOGRAM_BINS, (0, 1))[0] for channel in np.clip(colors, 0, 1).T]
        return np.stack(counts) / max(1, np.max(counts))

    def _original_colors(self) -> NDArray[np.float32]:
        """Return some colors of the target before it was adjusted: N×3; sampled again only after they changed."""
        document, layer = self._session.document, self._session.active
        key: tuple[object, ...]
        if self._target.whole_image or layer is None:
            key = document.layers, document.groups, document.rect
            colors = partial(blended_colors, document)
        else:
            key = layer.raster, layer.mask
            colors = partial(visible_colors, layer)
        if self._sampled[0] != key:
            self._sampled = key, colors()
        return self._sampled[1]

    @property
    def _curves(self) -> ToneCurves:
        """The curves of the target; straight lines if it has none."""
        current = self._target.current
        return (current.curves if current else None) or ToneCurves()

    def _choose(self, channel: int, on: bool) -> None:
        if on:
            self._show()

    def _bend(self, points: Points, drag: object) -> None:
        self._target.set_curves(self._curves.with_line(self._group.checkedId(), points), drag)


def _choice_button(group: QButtonGroup, index: int, text: str, tip: str) -> QToolButton:
    """Create one of several buttons of which one is checked."""
    button = QToolButton()
    button.setText(text)
    button.setCheckable(True)
    button.setToolTip(tip)
    group.addButton(button, index)
    return button


def check_button(group: QButtonGroup, index: int) -> None:
    """Check the button with an index."""
    if button := group.button(index):
        button.setChecked(True)


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


def blended_colors(document: Document) -> NDArray[np.float32]:
    """Return some colors of the blended layers, before the adjustment of the whole image: N×3 in [0, 1]."""
    zoom = min(1.0, MAX_SAMPLED_SIDE / max(document.width, document.height))
    image = render_exactly(document, zoom, scaled_canvas(document, zoom))
    pixels = to_unit(image.pixels)
    return pixels.reshape(-1, 3) if image.alpha is None else pixels[to_unit(image.alpha) > 0.5]


def gray_response(color_map: ColorMap) -> NDArray[np.float64]:
    """Return the values that a color map gives for 65 grays from black to white: (3, 65)."""
    grays = np.repeat(np.linspace(0, 1, 65, dtype=np.float32)[:, None], 3, axis=1)
    return np.asarray(color_map(grays).T, np.float64)
