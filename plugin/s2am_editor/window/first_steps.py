# SPDX-License-Identifier: GPL-3.0-or-later
"""Hints for a user's first document, until a layer is harmonized."""

from __future__ import annotations

from PyQt6.QtCore import QObject

from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.messages import HintLabel


class FirstSteps(QObject):
    """Shows the next step."""

    def __init__(self, session: EditorSession, settings: EditorSettings, label: HintLabel, parent: QObject) -> None:
        """Show hints in a label."""
        super().__init__(parent)
        self._session, self._settings, self._label = session, settings, label

    def refresh(self) -> None:
        """Show the hint for the document's state; after the first harmonized layer, never again."""
        hint = ""
        if self._session.is_open and self._settings.text("hints") != "off":
            layers = self._session.document.layers
            if any(layer.harmonization for layer in layers):
                self._settings.set_text("hints", "off")
            elif len(layers) < 2:
                hint = self.tr("Drop or paste a cutout here, or cut out a subject with the tools on the left.")
            else:
                hint = self.tr("Place the layer with its handles, then click Harmonize on the right.")
        self._label.show_hint(hint)
