# SPDX-License-Identifier: GPL-3.0-or-later
"""Feedback to the user: banner, progress of jobs, status bar with a hint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PyQt6.QtCore import QEvent, QObject, QSize, Qt, QTimer, QUrl
from PyQt6.QtGui import QAction, QDesktopServices
from PyQt6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QSizePolicy,
    QStatusBar,
    QToolButton,
    QWidget,
)

from s2am_editor.document.model import Document
from s2am_editor.render.blend import adjust_image, exact_shadows, render_exactly
from s2am_editor.render.cast_shadow import ScaledShadow
from s2am_editor.window.canvas.canvas import Canvas
from s2am_editor.window.clipboard import copy_text
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.jobs import BackgroundJob, BackgroundJobs, Problem
from s2am_editor.window.theme import icon, theme_of_application
from s2am_editor.window.widgets.basic import plain_progress_bar, push_button, small_button
from s2am_engine.image import icc
from s2am_engine.image.rect import Rect

SUCCESS_DURATION = 8000  # milliseconds for which a success is shown
MAX_BANNER_WIDTH = 900
SHOW_AFTER = 150  # milliseconds before a running job is shown
ZOOM_MENU = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class Banner(QWidget):
    """Shows one message: an error until its cause is gone, a note until it is closed, a success for some seconds."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Start hidden; it belongs into a layout unless `lay_over_parent` is called."""
        super().__init__(parent)
        self._frame = QFrame()
        self._frame.setObjectName("banner")
        margin = QHBoxLayout(self)
        margin.setContentsMargins(10, 8, 10, 8)
        margin.addWidget(self._frame)
        self._details = ""
        self._path: Path | None = None
        self._clears_itself = False
        self._over = False
        self._sign = QLabel()
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._copy = push_button(self.tr("Copy details"), self.copy_details)
        self._copy.setToolTip(self.tr("Copy a report with the path of the log file"))
        self.folder_button = push_button(self.tr("Show in folder"), self._show_folder)
        for button in (self._copy, self.folder_button):
            button.setProperty("flat", True)
        close = small_button("close", self.tr("Close message"), self.hide)
        row = QHBoxLayout(self._frame)
        row.setContentsMargins(12, 8, 8, 8)
        row.setSpacing(10)
        for widget in (self._sign, self._text, self._copy, self.folder_button, close):
            row.addWidget(widget)
        self._kind = "warning"
        theme = theme_of_application()
        if theme:
            theme.changed.connect(self._draw_sign)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SUCCESS_DURATION)
        self._timer.timeout.connect(self.hide)
        self.hide()

    @property
    def text(self) -> str:
        """The message."""
        return self._text.text()

    @property
    def details(self) -> str:
        """The text that “Copy details” copies."""
        return self._details

    def lay_over_parent(self) -> None:
        """Stay at the parent's upper edge, above everything else: a message does not move the widgets below it."""
        self._over = True
        parent = self.parentWidget()
        if parent:
            parent.installEventFilter(self)

    def show_problem(self, problem: Problem) -> None:
        """Show an error, until `clear_problem` or until it is closed."""
        self._details = problem.report
        self._show(problem.sentence, "warning")
        self._clears_itself = True

    def show_note(self, sentence: str) -> None:
        """Show a note, without details to copy, until it is closed."""
        self._details = ""
        self._show(sentence, "warning")

    def show_hint(self, sentence: str) -> None:
        """Show why a command did nothing, until `clear_problem` or until it is closed."""
        self.show_note(sentence)
        self._clears_itself = True

    def show_success(self, sentence: str, path: Path) -> None:
        """Report for some seconds that a file was written, with a button that shows its folder."""
        self._details = ""
        self._show(sentence, "done", path)
        self._timer.start()

    def clear_problem(self) -> None:
        """Hide an error after a later action has succeeded."""
        if self._clears_itself:
            self.hide()

    def _show(self, sentence: str, kind: str, path: Path | None = None) -> None:
        self._timer.stop()
        self._clears_itself = False
        self._path = path
        self._text.setText(sentence)
        self._kind = kind
        self._draw_sign()
        self._copy.setVisible(bool(self._details))
        self.folder_button.setVisible(path is not None)
        self._frame.setProperty("kind", kind)
        style = self._frame.style()
        if style:
            style.unpolish(self._frame)
            style.polish(self._frame)
        self.setAccessibleName(sentence)
        self.show()
        self._place()

    def _draw_sign(self) -> None:
        """Draw the icon in the current colors."""
        self._sign.setPixmap(icon(self._kind).pixmap(QSize(20, 20), self.devicePixelRatioF()))

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Follow the parent's size."""
        if event and event.type() is QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        parent = self.parentWidget()
        if parent and self._over:
            width = min(parent.width(), MAX_BANNER_WIDTH)
            height = max(self.heightForWidth(width), self.sizeHint().height())
            self.setGeometry((parent.width() - width) // 2, 0, width, height)
            self.raise_()

    def _show_folder(self) -> None:
        if self._path:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._path.parent)))

    def copy_details(self) -> None:
        """Copy the report to the clipboard."""
        copy_text(self._details)


class HintLabel(QLabel):
    """A hint on the next step, in the status bar: over the canvas, it would hide handles."""

    def __init__(self) -> None:
        """Start without a hint."""
        super().__init__()
        self.setProperty("role", "hint")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.hide()

    def show_hint(self, text: str) -> None:
        """Show a hint; "" hides it."""
        self.setText(text)
        self.setToolTip(text)
        self.setVisible(bool(text))


class JobBar(QWidget):
    """Shows the latest running job."""

    def __init__(self, jobs: BackgroundJobs, parent: QWidget | None = None) -> None:
        """Show these jobs."""
        super().__init__(parent)
        self._job: BackgroundJob | None = None
        self._label = QLabel()
        self._bar = plain_progress_bar()
        self._bar.setFixedWidth(150)
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
    """Shows the running job, pointer position with the color there, image size and zoom."""

    def __init__(self, session: EditorSession, canvas: Canvas, jobs: BackgroundJobs) -> None:
        """Show the state of these."""
        super().__init__()
        self._session, self._canvas = session, canvas
        self._shadows: tuple[object, Mapping[int, ScaledShadow]] = None, {}
        self.setSizeGripEnabled(False)
        self.job_bar = JobBar(jobs)
        self.pointer, self._info = QLabel(), QLabel()
        self.pointer.setMinimumWidth(190)
        self.pointer.setToolTip(self.tr("Position of the pointer, and red, green and blue of the image there"))
        self.zoom = QToolButton()
        self.zoom.setToolTip(self.tr("Zoom"))
        self.zoom.setMinimumWidth(66)
        self.zoom.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.zoom.setMenu(self._scales())
        self.hint = HintLabel()
        self.addWidget(self.job_bar)
        self.addWidget(self.hint, 1)
        for widget in (self.pointer, self._info, self.zoom):
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
            self.pointer.setText("")
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
        if not (place and inside and self._session.is_open):
            self.pointer.setText("")
            return
        x, y = int(place[0]), int(place[1])
        document = self._session.document
        image = render_exactly(document, 1.0, Rect(x, y, x + 1, y + 1), shadows=self._shown_shadows(document))
        image = adjust_image(document, image)
        values = "  ".join(
            f"{value:.3f}" if image.pixels.dtype.kind == "f" else str(value) for value in image.pixels[0, 0]
        )
        self.pointer.setText(f"{x}, {y}   ·   {values}")

    def _shown_shadows(self, document: Document) -> Mapping[int, ScaledShadow]:
        """Return the shadows of all layers, rendered again only after they changed: a large one takes a while."""
        casting = [layer for layer in document.layers if layer.shadow is not None and document.shows(layer)]
        key = (document.rect, *((one.id, one.shadow, one.raster, one.mask, one.transform) for one in casting))
        if self._shadows[0] != key:
            self._shadows = key, exact_shadows(document)
        return self._shadows[1]
