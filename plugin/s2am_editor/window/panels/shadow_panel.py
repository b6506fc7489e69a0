# SPDX-License-Identifier: GPL-3.0-or-later
"""The shadow of the active layer: its sliders, and its estimation in the background."""

from __future__ import annotations

from PyQt6.QtCore import QObject, pyqtSignal

from s2am_common.shadow_sliders import SHADOW_SLIDERS
from s2am_common.translation import localized
from s2am_editor.document import commands
from s2am_editor.document.turning import turns_since
from s2am_editor.render import harmonize_layer
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.jobs import BackgroundJobs
from s2am_editor.window.panels.effect_panel import EffectPanel
from s2am_engine.shadow.estimate import ShadowEstimate


class ShadowPanel(EffectPanel):
    """The sliders of `s2am_common.shadow_sliders` for the active layer."""

    def __init__(self, session: EditorSession) -> None:
        """Show a session's active layer."""
        super().__init__(SHADOW_SLIDERS, self.tr("Estimate light and ground from the layers below"))
        self._session = session
        self._estimates: dict[int, ShadowEstimate] = {}
        session.opened.connect(self._opened)
        session.layers_changed.connect(self.refresh)
        self.refresh()

    def show_estimate(self, layer_id: int, estimate: ShadowEstimate) -> None:
        """Keep the automatic values of a layer, which a double click on a slider restores."""
        self._estimates[layer_id] = estimate
        self.refresh()

    def refresh(self) -> None:
        """Show the shadow of the active layer."""
        layer = self._session.active
        shadow = layer.shadow if layer else None
        estimate = self._estimates.get(layer.id) if layer else None
        self.start_button.setEnabled(layer is not None)
        self.start_button.setText(self.tr("Cast a shadow") if shadow is None else self.tr("Automatic shadow"))
        note = " ".join(map(localized, estimate.notes)) if estimate else ""
        automatic = estimate and estimate.shadow
        if shadow and automatic:  # the image may have been turned since
            automatic = automatic.turned(shadow.turns - automatic.turns)
        self.show_values(shadow, automatic, note)

    def _opened(self) -> None:
        self._estimates.clear()
        self.refresh()

    def _move(self, name: str, value: float, drag: object) -> None:
        layer = self._session.active
        if layer and layer.shadow:
            label = SHADOW_SLIDERS[name].label
            self._session.do(commands.set_shadow(layer.id, layer.shadow.replace(**{name: value}), label, drag))


class ShadowCaster(QObject):
    """Estimates shadows in the background and puts them into the document."""

    failed = pyqtSignal(object)  # a Problem
    estimated = pyqtSignal(int, object)  # id of a layer, and its ShadowEstimate

    def __init__(self, session: EditorSession, jobs: BackgroundJobs, parent: QObject) -> None:
        """Work on a session's document."""
        super().__init__(parent)
        self._session, self._jobs = session, jobs

    def cast(self) -> None:
        """Give the active layer the shadow that it would cast on the layers below."""
        layer = self._session.active
        if layer is None:
            return
        document = self._session.document

        def done(estimate: ShadowEstimate) -> None:
            now = self._session.document
            if any(one.id == layer.id for one in now.layers):
                shadow = estimate.shadow.turned(turns_since(document, now))  # while it was estimated
                self._session.do(commands.set_shadow(layer.id, shadow, "Cast shadow"))
                self.estimated.emit(layer.id, estimate)

        title = self.tr("Estimating the shadow")
        self._jobs.start(title, lambda _: harmonize_layer.find_shadow(document, layer.id), done, self.failed.emit)

    def remove(self) -> None:
        """Remove the shadow of the active layer."""
        layer = self._session.active
        if layer and layer.shadow:
            self._session.do(commands.set_shadow(layer.id, None, "Remove shadow"))
