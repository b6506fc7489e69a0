# SPDX-License-Identifier: GPL-3.0-or-later
"""States of the actions (enabled, checked, text), derived from that of the session."""

from __future__ import annotations

from PyQt6.QtCore import QObject

from s2am_editor.window.actions import Actions
from s2am_editor.window.editor_session import EditorSession, translated_command
from s2am_editor.window.panels.adjustment_target import AdjustmentTarget
from s2am_editor.window.tools.scribble_tool import Scribbling


class ActionStates(QObject):
    """Enables, checks and names the actions of a window."""

    def __init__(
        self,
        session: EditorSession,
        actions: Actions,
        target: AdjustmentTarget,
        scribbling: Scribbling,
        parent: QObject,
    ) -> None:
        """Follow the history, the strokes that have no result yet, and the target of the sliders."""
        super().__init__(parent)
        self._session, self._actions, self._target, self._scribbling = session, actions, target, scribbling
        session.history_changed.connect(self.refresh_history)
        scribbling.changed.connect(self.refresh_history)
        target.changed.connect(self._refresh_target)

    def refresh(self) -> None:
        """Show the state of the document and of its active item."""
        session, actions = self._session, self._actions
        layer, group, selected = session.active, session.active_group, session.selected
        actions.enable(
            document=session.is_open,
            item=session.active_item is not None,
            layer=layer is not None,
            harmonized=layer is not None and layer.harmonization is not None,
        )
        self._refresh_target()
        actions["lock"].setChecked(bool(selected) and selected[0].locked)
        actions["ungroup"].setEnabled(group is not None or (layer is not None and layer.group is not None))
        actions["remove-shadow"].setEnabled(layer is not None and layer.shadow is not None)
        actions.set_text("merge", self.tr("Mer&ge down") if group is None else self.tr("Mer&ge group"))
        self.refresh_history()

    def refresh_history(self) -> None:
        """Show the steps that can be undone and redone."""
        history = self._session.history if self._session.is_open else None
        last = history.undo_name if history else None
        if self._scribbling.has_pending:
            last = "Scribble"
        for name, text, with_step, step in (
            ("undo", self.tr("&Undo"), self.tr("&Undo {0}"), last),
            ("redo", self.tr("&Redo"), self.tr("&Redo {0}"), history.redo_name if history else None),
        ):
            self._actions[name].setEnabled(step is not None)
            self._actions.set_text(name, with_step.format(translated_command(step)) if step else text)

    def _refresh_target(self) -> None:
        self._actions["adjust-image"].setChecked(self._target.whole_image)
        self._actions["reset-sliders"].setEnabled(self._target.current is not None)
