# SPDX-License-Identifier: GPL-3.0-or-later
"""The line at the bottom: what is being done, the document's size, the zoom."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QLabel, QMenu, QStatusBar, QToolButton

from s2am_editor.window.canvas import Canvas
from s2am_editor.window.jobs import Jobs
from s2am_editor.window.session import Session
from s2am_editor.window.widgets.job_bar import JobBar
from s2am_engine.image import profiles

SCALES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class Status(QStatusBar):
    """Follows session, canvas and jobs."""

    def __init__(self, session: Session, canvas: Canvas, jobs: Jobs) -> None:
        """Show how things are with these."""
        super().__init__()
        self._session, self._canvas = session, canvas
        self.setSizeGripEnabled(False)
        self.job_bar = JobBar(jobs)
        self._place, self._about = QLabel(), QLabel()
        self._place.setMinimumWidth(100)
        self.zoom = QToolButton()
        self.zoom.setToolTip(self.tr("Zoom"))
        self.zoom.setMinimumWidth(66)
        self.zoom.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.zoom.setMenu(self._scales())
        self.addWidget(self.job_bar)
        for widget in (self._place, self._about, self.zoom):
            self.addPermanentWidget(widget)
        canvas.zoomed.connect(self._show_zoom)
        canvas.hovered.connect(self._show_place)
        session.opened.connect(self.refresh)
        session.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Say what the document is like."""
        self.zoom.setVisible(self._session.is_open)
        if not self._session.is_open:
            self._about.setText("")
            self._place.setText("")
            return
        document = self._session.document
        bits = self.tr("{0} bit").format(8 * document.dtype.itemsize)
        space = "sRGB" if profiles.is_srgb(document.profile) else self.tr("own profile")
        self._about.setText(f"{document.width} × {document.height}   ·   {bits}   ·   {space}")

    def _scales(self) -> QMenu:
        menu = QMenu(self)
        fit = QAction(self.tr("Fit"), menu)
        fit.triggered.connect(self._canvas.fit)
        menu.addAction(fit)
        for scale in SCALES:
            action = QAction(f"{round(100 * scale)} %", menu)
            action.triggered.connect(lambda _=False, scale=scale: self._canvas.zoom_to(scale))
            menu.addAction(action)
        return menu

    def _show_zoom(self, scale: float) -> None:
        self.zoom.setText(f"{100 * scale:.{0 if scale >= 0.1 else 1}f} %")
        self.zoom.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)

    def _show_place(self, place: tuple[float, float] | None) -> None:
        inside = place and 0 <= place[0] < self._canvas.viewport.width and 0 <= place[1] < self._canvas.viewport.height
        self._place.setText(f"{int(place[0])}, {int(place[1])}" if place and inside else "")
