# SPDX-License-Identifier: GPL-3.0-or-later
"""Feedback to the user: banner, hint over the canvas, progress of jobs, status bar."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, Qt, QTimer
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStatusBar,
    QToolButton,
    QWidget,
)

from s2am_editor.window.canvas.canvas import Canvas
from s2am_editor.window.clipboard import copy_text
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.jobs import BackgroundJob, BackgroundJobs, Problem
from s2am_editor.window.theme import icon
from s2am_editor.window.widgets.basic import small_button
from s2am_engine.image import icc

HINT_MARGIN = 18
SHOW_AFTER = 150  # milliseconds before a running job is shown
ZOOM_MENU = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class Banner(QWidget):
    """Shows one message until it is closed or replaced."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Start hidden."""
        super().__init__(parent)
        frame = QFrame()
        frame.setObjectName("banner")
        margin = QHBoxLayout(self)
        margin.setContentsMargins(10, 8, 10, 8)
        margin.addWidget(frame)
        self._details = ""
        sign = QLabel()
        sign.setPixmap(icon("warning").pixmap(20, 20))
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._copy = QPushButton(self.tr("Copy details"))
        self._copy.setProperty("flat", True)
        self._copy.setToolTip(self.tr("Copy a report with the path of the log file"))
        self._copy.clicked.connect(self.copy_details)
        close = QToolButton()
        close.setIcon(icon("close"))
        close.setToolTip(self.tr("Close"))
        close.setAccessibleName(self.tr("Close message"))
        close.clicked.connect(self.hide)
        row = QHBoxLayout(frame)
        row.setContentsMargins(12, 8, 8, 8)
        row.setSpacing(10)
        for widget in (sign, self._text, self._copy, close):
            row.addWidget(widget)
        self.hide()

    @property
    def text(self) -> str:
        """The message."""
        return self._text.text()

    @property
    def details(self) -> str:
        """The text that “Copy details” copies."""
        return self._details

    def show_problem(self, problem: Problem) -> None:
        """Show an error."""
        self._details = problem.report
        self._show(problem.sentence, copyable=True)

    def show_note(self, sentence: str) -> None:
        """Show a note, without details to copy."""
        self._details = ""
        self._show(sentence, copyable=False)

    def _show(self, sentence: str, *, copyable: bool) -> None:
        self._text.setText(sentence)
        self._copy.setVisible(copyable)
        self.setAccessibleName(sentence)
        self.show()

    def copy_details(self) -> None:
        """Copy the report to the clipboard."""
        copy_text(self._details)


class HintOverlay(QLabel):
    """A hint at the center of its parent's lower edge; mouse events pass through it."""

    def __init__(self, parent: QWidget) -> None:
        """Create the hint over a widget."""
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setStyleSheet("background: rgba(20, 20, 22, 205); color: white; border-radius: 15px; padding: 6px 16px;")
        parent.installEventFilter(self)
        self.hide()

    def show_hint(self, text: str) -> None:
        """Show a hint; "" hides it."""
        if text != self.text():
            self.setText(text)
            self.setVisible(bool(text))
            self._place()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Follow the parent's size."""
        if event and event.type() is QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        parent = self.parentWidget()
        if parent:
            self.adjustSize()
            self.move((parent.width() - self.width()) // 2, parent.height() - self.height() - HINT_MARGIN)
            self.raise_()


class JobBar(QWidget):
    """Shows the latest running job."""

    def __init__(self, jobs: BackgroundJobs, parent: QWidget | None = None) -> None:
        """Show these jobs."""
        super().__init__(parent)
        self._job: BackgroundJob | None = None
        self._label = QLabel()
        self._bar = QProgressBar()
        self._bar.setFixedWidth(150)
        self._bar.setTextVisible(False)
        self.cancel_button = small_button("close", self.tr("Cancel"), self.cancel)
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 0, 4, 0)
        for widget in (self._label, self._bar, self.cancel_button):
            row.addWidget(widget)
        self._jobs = jobs
        self._shown: list[BackgroundJob] = []
        jobs.started.connect(self._start)
        jobs.ended.connect(self._end)
        self.hide()

    def cancel(self) -> None:
        """Cancel the job shown."""
        if self._job:
            self._label.setText(self.tr("Canceling…"))
            self._job.cancel()

    def _start(self, job: BackgroundJob) -> None:
        self._shown.append(job)
        job.progressed.connect(lambda share, what, job=job: self._progress(job, share, what))
        self._show(job)

    def _end(self, job: BackgroundJob) -> None:
        if job in self._shown:
            self._shown.remove(job)
        self._show(self._shown[-1] if self._shown else None)

    def _show(self, job: BackgroundJob | None) -> None:
        self._job = job
        if job is None:
            self.hide()
            return
        self._label.setText(job.title)
        self._bar.setRange(0, 0)
        QTimer.singleShot(SHOW_AFTER, self._appear)

    def _appear(self) -> None:
        self.setVisible(self._job is not None)

    def _progress(self, job: BackgroundJob, share: float, what: str) -> None:
        if job is not self._job:
            return
        self._label.setText(f"{job.title}: {what}" if what else job.title)
        self._bar.setRange(0, 0 if share < 0 else 1000)
        self._bar.setValue(round(1000 * max(0.0, share)))


class StatusBar(QStatusBar):
    """Shows the running job, pointer position, image size and zoom."""

    def __init__(self, session: EditorSession, canvas: Canvas, jobs: BackgroundJobs) -> None:
        """Show the state of these."""
        super().__init__()
        self._session, self._canvas = session, canvas
        self.setSizeGripEnabled(False)
        self.job_bar = JobBar(jobs)
        self._pointer, self._info = QLabel(), QLabel()
        self._pointer.setMinimumWidth(100)
        self.zoom = QToolButton()
        self.zoom.setToolTip(self.tr("Zoom"))
        self.zoom.setMinimumWidth(66)
        self.zoom.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.zoom.setMenu(self._scales())
        self.addWidget(self.job_bar)
        for widget in (self._pointer, self._info, self.zoom):
            self.addPermanentWidget(widget)
        canvas.zoomed.connect(self._show_zoom)
        canvas.hovered.connect(self._show_place)
        session.opened.connect(self.refresh)
        session.layers_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the document's size, depth and color space."""
        self.zoom.setVisible(self._session.is_open)
        if not self._session.is_open:
            self._info.setText("")
            self._pointer.setText("")
            return
        document = self._session.document
        bits = self.tr("{0}-bit").format(8 * document.dtype.itemsize)
        space = "sRGB" if icc.is_srgb(document.profile) else self.tr("custom profile")
        self._info.setText(f"{document.width} × {document.height}   ·   {bits}   ·   {space}")

    def _scales(self) -> QMenu:
        menu = QMenu(self)
        fit = QAction(self.tr("Fit"), menu)
        fit.triggered.connect(self._canvas.fit)
        menu.addAction(fit)
        for scale in ZOOM_MENU:
            action = QAction(f"{round(100 * scale)}%", menu)
            action.triggered.connect(lambda _=False, scale=scale: self._canvas.zoom_to(scale))
            menu.addAction(action)
        return menu

    def _show_zoom(self, scale: float) -> None:
        self.zoom.setText(f"{100 * scale:.{0 if scale >= 0.1 else 1}f}%")
        self.zoom.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)

    def _show_place(self, place: tuple[float, float] | None) -> None:
        inside = place and 0 <= place[0] < self._canvas.viewport.width and 0 <= place[1] < self._canvas.viewport.height
        self._pointer.setText(f"{int(place[0])}, {int(place[1])}" if place and inside else "")
