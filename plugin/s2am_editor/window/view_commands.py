# SPDX-License-Identifier: GPL-3.0-or-later
"""Views of the canvas: before and after, and the mask of the active layer."""

from __future__ import annotations

from PyQt6.QtCore import QObject

from s2am_editor.document.frame import Frame
from s2am_editor.window.actions import Actions
from s2am_editor.window.canvas.canvas import Canvas, Compare
from s2am_editor.window.canvas.document_view import DocumentView, MaskView
from s2am_editor.window.editor_session import EditorSession


class ViewCommands(QObject):
    """Handlers of the View menu, whose entries show the choice."""

    def __init__(
        self, session: EditorSession, canvas: Canvas, view: DocumentView, actions: Actions, parent: QObject
    ) -> None:
        """Start with the document as it is."""
        super().__init__(parent)
        self._session, self._canvas, self._view, self._actions = session, canvas, view, actions
        for choice in MaskView:
            action = actions[f"mask-{choice.value}"]
            action.triggered.connect(lambda _=False, choice=choice: self._choose_mask_view(choice))
        actions.connect(
            mask_next=lambda: self._choose_mask_view(self._next_mask_view()),
            fit=canvas.fit,
            actual=lambda: canvas.zoom_to(1.0),
            zoom_in=lambda: canvas.zoom_step(True),
            zoom_out=lambda: canvas.zoom_step(False),
            split=lambda: self._toggle_compare(Compare.SPLIT),
            side_by_side=lambda: self._toggle_compare(Compare.SIDE_BY_SIDE),
        )
        canvas.compare_changed.connect(self._show_compare)
        self._choose_mask_view(MaskView.COMPOSITE)

    def reset(self) -> None:
        """Show the document as it is."""
        self._canvas.set_compare(Compare.AFTER)
        self._choose_mask_view(MaskView.COMPOSITE)

    def _choose_mask_view(self, chosen: MaskView) -> None:
        self._view.set_mask_view(chosen)
        for choice in MaskView:
            self._actions[f"mask-{choice.value}"].setChecked(choice is chosen)

    def _next_mask_view(self) -> MaskView:
        views = list(MaskView)
        return views[(views.index(self._view.mask_view) + 1) % len(views)]

    def _toggle_compare(self, compare: Compare) -> None:
        layer = self._session.active
        subject = Frame.of(layer).box.intersection(self._session.document.rect) if layer else None
        middle = None if subject is None else (subject.left + subject.right) / 2
        self._canvas.set_compare(Compare.AFTER if self._canvas.compare is compare else compare, middle)

    def _show_compare(self, compare: Compare) -> None:
        self._actions["split"].setChecked(compare is Compare.SPLIT)
        self._actions["side-by-side"].setChecked(compare is Compare.SIDE_BY_SIDE)
