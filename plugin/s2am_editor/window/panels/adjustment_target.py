# SPDX-License-Identifier: GPL-3.0-or-later
"""Target of sliders and curves: the color map of the active layer, or the whole image."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from PyQt6.QtCore import QObject, pyqtSignal

from s2am_common.sliders import IMAGE_SLIDERS, SLIDERS, SliderSpec
from s2am_editor.document import commands
from s2am_editor.document.model import Harmonization, ImageAdjustment
from s2am_editor.document.tone_curves import ToneCurves
from s2am_editor.window.editor_session import EditorSession
from s2am_engine.color.adjustments import Sliders


class AdjustmentTarget(QObject):
    """The choice between layer and image, which the panels of sliders and curves share."""

    changed = pyqtSignal()  # the choice, or the values to show

    def __init__(self, session: EditorSession, parent: QObject | None = None) -> None:
        """Start with the active layer of a session."""
        super().__init__(parent)
        self._session = session
        self._whole_image = False
        session.opened.connect(lambda: self.choose(whole_image=False))
        for signal in (session.opened, session.layers_changed, session.layer_adjusted, session.image_adjusted):
            signal.connect(lambda *_: self.changed.emit())

    @property
    def whole_image(self) -> bool:
        """True if the whole image is adjusted."""
        return self._whole_image

    def choose(self, *, whole_image: bool) -> None:
        """Choose the whole image or the active layer."""
        if whole_image != self._whole_image:
            self._whole_image = whole_image
            self.changed.emit()

    @property
    def specs(self) -> Mapping[str, SliderSpec]:
        """The sliders that apply."""
        return IMAGE_SLIDERS if self._whole_image else SLIDERS

    @property
    def current(self) -> Harmonization | ImageAdjustment | None:
        """Harmonization of the active layer (None if it has none), or adjustment of the whole image."""
        if self._whole_image and self._session.is_open:
            return self._session.document.adjustment or ImageAdjustment()
        layer = self._session.active
        return layer.harmonization if layer else None

    def set_sliders(self, drag: object = None, **values: float) -> None:
        """Set sliders by name; `drag`: see `commands.gesture`."""
        current, layer = self.current, self._session.active
        if isinstance(current, ImageAdjustment):
            adjusted = dataclasses.replace(current, sliders=current.sliders.replace(**values))
            self._session.do(commands.set_image_adjustment(adjusted, drag=drag))
        elif current is not None and layer:
            self._session.do(commands.set_sliders(layer.id, drag, **values))

    def reset_sliders(self) -> None:
        """Reset all sliders in one undo step."""
        self.set_sliders(**vars(Sliders()))

    def set_curves(self, curves: ToneCurves | None, drag: object = None) -> None:
        """Set the curves; None = none."""
        current, layer = self.current, self._session.active
        if isinstance(current, ImageAdjustment):
            adjusted = dataclasses.replace(current, curves=curves)
            self._session.do(commands.set_image_adjustment(adjusted, drag=drag))
        elif current is not None and layer:
            self._session.do(commands.set_curves(layer.id, curves, drag))
