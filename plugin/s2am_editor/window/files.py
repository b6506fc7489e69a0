# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening, adding, saving, exporting and autosaving in the background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PyQt6.QtCore import QCoreApplication, QLocale, QMimeData, QObject, QTimer, pyqtSignal
from PyQt6.QtWidgets import QWidget

from s2am_editor.document import commands
from s2am_editor.document.model import Document, Layer
from s2am_editor.files import opening, saving
from s2am_editor.files.recovery import Recovered, Recovery
from s2am_editor.window import clipboard
from s2am_editor.window.dialogs import prompts
from s2am_editor.window.dialogs.prompts import Answer
from s2am_editor.window.jobs import BackgroundJob, BackgroundJobs, Problem
from s2am_editor.window.session import EditorSession
from s2am_editor.window.settings import EditorSettings
from s2am_engine.image.io import IMAGE_SUFFIXES, ImageData


class DocumentFiles(QObject):
    """All ways of pictures into the editor and out of it."""

    failed = pyqtSignal(object)  # a Problem
    noted = pyqtSignal(str)  # something to know about a file that was opened
    exported = pyqtSignal(object)  # a path
    recent_changed = pyqtSignal()

    def __init__(self, session: EditorSession, jobs: BackgroundJobs, settings: EditorSettings, window: QWidget) -> None:
        """Work on a session's document; dialogs belong to a window."""
        super().__init__(window)
        self._session, self._jobs, self._settings, self._window = session, jobs, settings, window

    # ---- in

    def choose_background(self) -> None:
        """Ask for a file and open it."""
        paths = prompts.choose_to_open(
            self._window, self._settings, self.tr("Open a background or a project"), patterns(projects=True)
        )
        if paths:
            self.open(paths[0], paths[1:])

    def choose_layers(self) -> None:
        """Ask for pictures and put them on top."""
        title = self.tr("Add cut-outs as layers")
        paths = prompts.choose_to_open(self._window, self._settings, title, patterns(projects=False))
        if paths:
            self.take(paths)

    def take(self, paths: Sequence[Path], at: tuple[float, float] | None = None) -> None:
        """Take files that were dropped or named: layers of the open document, or else a document with layers."""
        if not paths:
            return
        if self._session.is_open and not opening.is_project(paths[0]):
            self.add_layers(paths, at)
        else:
            self.open(paths[0], paths[1:])

    def open(self, path: Path, layers: Sequence[Path] = ()) -> None:
        """Open a file as document, and others as layers on it; asks to save the present one."""
        self.when_saved(lambda: self._open(path, layers))

    def _open(self, path: Path, layers: Sequence[Path]) -> None:
        def done(found: opening.Opened) -> None:
            project = path if opening.is_project(path) else None
            self._session.open(found.document, path.stem if project is None else path.name, project)
            self._remember(path)
            if found.notes:
                self.noted.emit(" ".join(found.notes))
            if layers:
                self.add_layers(layers)

        title = self.tr("Opening {0}").format(path.name)
        self._jobs.start(title, lambda job: opening.open_document(path, job.progress), done, self._fail)

    def add_layers(self, paths: Sequence[Path], at: tuple[float, float] | None = None) -> None:
        """Put pictures on top of the document; one that can't be read does not keep the others out."""
        document = self._session.document

        def work(job: BackgroundJob) -> tuple[list[Layer], list[Exception]]:
            layers: list[Layer] = []
            errors: list[Exception] = []
            for index, path in enumerate(paths):
                job.progress(index / len(paths), path.name)
                try:
                    layers += opening.read_layers(path, document, center=at)
                except Exception as error:
                    errors.append(error)
            return layers, errors

        def done(result: tuple[list[Layer], list[Exception]]) -> None:
            layers, errors = result
            if layers:
                self._session.do(commands.add_layers(layers))
            if errors:
                self._fail(Problem(errors[0]))

        self._jobs.start(self.tr("Adding layers"), work, done, self._fail)

    def paste(self, data: QMimeData | None, at: tuple[float, float] | None = None) -> bool:
        """Take files or a picture from the clipboard or a drop; whether there was anything to take."""
        paths = clipboard.files_of(data)
        if paths:
            self.take(paths, at)
            return True
        picture = clipboard.image_of(data)
        if picture is None:
            return False
        self.add_picture(picture, self.tr("Pasted"), at)
        return True

    def add_picture(self, picture: ImageData, name: str, at: tuple[float, float] | None = None) -> None:
        """Put a picture on top of the document; without a document it becomes one."""
        if not self._session.is_open:
            self._session.open(Document.from_picture(picture, name), name, saved=False)
            return
        document = self._session.document
        self._jobs.start(
            self.tr("Adding layers"),
            lambda _: document.adopt(picture, name, center=at),
            lambda layer: self._session.do(commands.add_layers([layer], "Paste")),
            self._fail,
        )

    # ---- out

    def save(self, then: Callable[[], object] = lambda: None) -> None:
        """Save the project; asks for a name if it has none."""
        if not self._session.is_open:
            return
        if self._session.path is None:
            self.save_as(then)
        else:
            self._save(self._session.path, then)

    def save_as(self, then: Callable[[], object] = lambda: None) -> None:
        """Ask for a name and save the project."""
        if not self._session.is_open:
            return
        name = Path(self._session.title).stem + saving.PROJECT_SUFFIX
        kinds = self.tr("Project (*{0})").format(saving.PROJECT_SUFFIX)
        path = prompts.choose_to_save(self._window, self._settings, self.tr("Save the project"), name, kinds)
        if path:
            ends = path.suffix.lower() == saving.PROJECT_SUFFIX
            self._save(path if ends else path.with_name(path.name + saving.PROJECT_SUFFIX), then)

    def _save(self, path: Path, then: Callable[[], object]) -> None:
        document = self._session.document

        def done(_: object) -> None:
            self._session.mark_saved(document, path)
            self._remember(path)
            then()

        title = self.tr("Saving {0}").format(path.name)
        self._jobs.start(title, lambda job: saving.save_project(path, document, job.progress), done, self._fail)

    def export(self, path: Path, quality: int = 95) -> None:
        """Write the picture as it is seen to a file of another format."""
        document = self._session.document

        def done(_: object) -> None:
            self._remember_folder(path)
            self.exported.emit(path)

        self._jobs.start(
            self.tr("Exporting {0}").format(path.name),
            lambda job: saving.export(path, document, quality=quality, progress=job.progress),
            done,
            self._fail,
        )

    # ---- questions

    def when_saved(self, then: Callable[[], object]) -> bool:
        """Do something that ends the present document, once nothing of it would be lost.

        Returns:
            False if the person wants to go on with the document.
        """
        if not self._session.is_modified:
            then()
            return True
        answer = prompts.ask_to_save(self._window, self._session.title or self.tr("Untitled"))
        if answer is Answer.SAVE:
            self.save(then)
        elif answer is Answer.DISCARD:
            then()
        return answer is not Answer.CANCEL

    def _remember(self, path: Path) -> None:
        self._settings.add_recent(path)
        self.recent_changed.emit()

    def _remember_folder(self, path: Path) -> None:
        self._settings.set_folder("save", path.parent)

    def _fail(self, problem: Problem) -> None:
        self.failed.emit(problem)


def patterns(*, projects: bool) -> str:
    """What a dialog for opening files lists."""
    suffixes = opening.SUFFIXES if projects else IMAGE_SUFFIXES
    listed = " ".join(f"*{suffix}" for suffix in suffixes)
    return f"{QCoreApplication.translate('DocumentFiles', 'Pictures')} ({listed})"


INTERVAL = 40_000  # milliseconds; with the time that saving takes it stays below a minute


class Autosave(QObject):
    """Keeps copies, and offers the one that a crash left."""

    failed = pyqtSignal(object)  # a Problem

    def __init__(self, session: EditorSession, jobs: BackgroundJobs, window: QWidget) -> None:
        """Look after a session's document."""
        super().__init__(window)
        self._session, self._jobs, self._window = session, jobs, window
        self._recovery = Recovery()
        self._kept: Document | None = None
        self._told = False
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL)
        self._timer.timeout.connect(self.keep)
        self._timer.start()
        session.opened.connect(self._forget)
        session.file_changed.connect(self._forget_if_saved)

    def keep(self) -> None:
        """Keep a copy, if there is something that no file holds yet."""
        if not self._session.is_modified or self._session.document is self._kept:
            return
        document, title, path = self._session.document, self._session.title, self._session.path

        def done(_: object) -> None:
            self._kept = document
            if not self._session.is_modified:  # saved or closed in the meantime
                self._forget()

        self._jobs.start("", lambda _: self._recovery.save(document, title, path), done, self._fail, quiet=True)

    def offer_recovery(self) -> None:
        """Ask whether to open what a crash left, if it left anything."""
        left = self._recovery.found()
        if not left:
            return
        found = left[0]
        text = self.tr("The editor was not closed properly. Open “{0}” as it was at {1}?")
        yes, no = self.tr("Open it"), self.tr("Throw it away")
        text = text.format(
            found.title or self.tr("Untitled"),
            QLocale().toString(found.when.astimezone(), QLocale.FormatType.ShortFormat),
        )
        if not prompts.ask(self._window, self.tr("Recover your work?"), text, yes, no):
            found.discard()
            return
        self._jobs.start(
            self.tr("Recovering"), lambda _: found.load(), lambda document: self._show(found, document), self._fail
        )

    def close(self) -> None:
        """Throw the copy away: all is saved."""
        self._timer.stop()
        self._recovery.clear()

    def _show(self, found: Recovered, document: Document) -> None:
        self._session.open(document, found.title, found.path, saved=False)
        found.discard()
        self.keep()

    def _forget(self) -> None:
        self._kept = None
        self._recovery.clear()

    def _forget_if_saved(self) -> None:
        if not self._session.is_modified:
            self._forget()

    def _fail(self, problem: Problem) -> None:
        if not self._told:  # a full disk would tell it every minute
            self._told = True
            self.failed.emit(problem)
