# SPDX-License-Identifier: GPL-3.0-or-later
"""The finish of the active layer: its sliders, and the measurement of layer and background."""

from __future__ import annotations

from PyQt6.QtCore import QCoreApplication, QLocale, QObject, pyqtSignal

from s2am_common.sliders import FINISH_SLIDERS
from s2am_common.translation import localized
from s2am_editor.document import commands
from s2am_editor.document.basis import Outdated
from s2am_editor.document.measured_finish import MeasuredFinish
from s2am_editor.document.out_of_date import finish_outdated
from s2am_editor.render import harmonize_layer
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.jobs import BackgroundJobs
from s2am_editor.window.panels.effect_panel import EffectPanel

_MATCHED = tuple(name for name, spec in FINISH_SLIDERS.items() if spec.automatic)


class FinishPanel(EffectPanel):
    """The sliders of `s2am_common.sliders.FINISH_SLIDERS` for the active layer."""

    def __init__(self, session: EditorSession) -> None:
        """Show a session's active layer."""
        super().__init__(
            FINISH_SLIDERS, self.tr("Measure grain, sharpness and edges of the layer, and the layers below")
        )
        self._session = session
        session.opened.connect(self.refresh)
        session.layers_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the finish of the active layer."""
        layer = self._session.active
        finish = layer.finish if layer else None
        self.start_button.setEnabled(layer is not None)
        self.start_button.setText(self.tr("Match the finish") if finish is None else self.tr("Match again"))
        if layer is None or finish is None:
            self.show_values(None, None)
            return
        self.rows["light"].setEnabled(finish.shading is not None)
        hints = {
            Outdated.PLACEMENT: self.tr("Moved since: match again to measure the new surroundings."),
            Outdated.CUTOUT: self.tr("The cutout changed since: match again to measure it."),
            Outdated.BACKGROUND: self.tr("The background changed since: match again to measure it."),
        }
        notes = [self._describe(finish), *(hints[one] for one in finish_outdated(self._session.document, layer)[:1])]
        if finish.shading is None:
            notes.append(self.tr("An earlier version measured this layer: match again to predict its light."))
        note = "\n".join(notes)
        self.show_values(finish.values, finish.automatic, note)

    def reset(self) -> None:
        """Restore all automatic values in one undo step."""
        layer = self._session.active
        if layer and layer.finish:
            finish = layer.finish.replace(**vars(layer.finish.automatic))
            self._session.do(commands.set_finish(layer.id, finish, "Automatic finish"))

    def _describe(self, finish: MeasuredFinish) -> str:
        """Return the automatic values, and notes on those that could not be measured."""
        found = []
        for name in _MATCHED:
            spec = FINISH_SLIDERS[name]
            label = QCoreApplication.translate("sliders", spec.label)
            value = spec.factor * getattr(finish.automatic, name)
            sign, unit = "+" if value > 0 > spec.low else "", " %" if spec.unit == "%" else ""
            found.append(f"{label} {sign}{QLocale().toString(float(value), 'f', spec.digits)}{unit}")
        return " ".join(
            [self.tr("Automatic: {0}.").format(", ".join(found)), *map(localized, finish.measurement.notes)]
        )

    def _move(self, name: str, value: float, drag: object) -> None:
        layer = self._session.active
        if layer and layer.finish:
            finish = layer.finish.replace(**{name: value})
            self._session.do(commands.set_finish(layer.id, finish, FINISH_SLIDERS[name].label, drag))


class FinishMatcher(QObject):
    """Measures layers and their backgrounds, and puts the matching finish into the document."""

    failed = pyqtSignal(object)  # a Problem

    def __init__(self, session: EditorSession, jobs: BackgroundJobs, parent: QObject) -> None:
        """Work on a session's document."""
        super().__init__(parent)
        self._session, self._jobs = session, jobs

    def match(self) -> None:
        """Match the active layer to the layers below; sliders without an automatic value are kept."""
        layer = self._session.active
        if layer is None:
            return
        document = self._session.document

        def done(found: MeasuredFinish) -> None:
            current = next((one for one in self._session.document.layers if one.id == layer.id), None)
            if current is None:
                return
            if current.finish is not None:
                values = vars(current.finish.values).items()
                found = found.replace(**{name: value for name, value in values if name not in _MATCHED})
            self._session.do(commands.set_finish(layer.id, found, "Match finish"))

        self._jobs.start(
            self.tr("Measuring grain, sharpness and edges"),
            lambda job: harmonize_layer.find_finish(document, layer.id, job.progress),
            done,
            self.failed.emit,
        )

    def remove(self) -> None:
        """Remove the finish of the active layer."""
        layer = self._session.active
        if layer and layer.finish:
            self._session.do(commands.set_finish(layer.id, None, "Remove finish"))
