# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening, adding, saving, exporting and autosaving in the background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PyQt6.QtCore import QCoreApplication, QLocale, QMimeData, QObject, QTimer, pyqtSignal
from PyQt6.QtWidgets import QWidget

from s2am_editor.document import commands
from s2am_editor.document.model import Document, Layer
from s2am_editor.files import document_io
from s2am_editor.files.recovery import Recovery, RecoveryCopy
from s2am_editor.window import clipboard
from s2am_editor.window.dialogs import standard_dialogs
from s2am_editor.window.dialogs.standard_dialogs import SaveAnswer
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.jobs import BackgroundJob, BackgroundJobs, Problem
from s2am_engine.image.io import IMAGE_SUFFIXES, ImageData

AUTOSAVE_INTERVAL = 40_000  # milliseconds; including the time of saving, a crash loses less than a minute


class DocumentFiles(QObject):
    """Opens and saves documents and adds layers, in the background."""

    failed = pyqtSignal(object)  # a Problem
    noted = pyqtSignal(str)  # a note about an opened file
    recent_changed = pyqtSignal()

    def __init__(self, session: EditorSession, jobs: BackgroundJobs, settings: EditorSettings, window: QWidget) -> None:
        """Work on a session's document; dialogs belong to a window."""
        super().__init__(window)
        self._session, self._jobs, self._settings, self._window = session, jobs, settings, window

    # ---- opening

    def choose_background(self) -> None:
        """Ask for a file and open it."""
        paths = standard_dialogs.choose_to_open(
            self._window, self._settings, self.tr("Open a background or a project"), file_patterns(projects=True)
        )
        if paths:
            self.open(paths[0], paths[1:])

    def choose_layers(self) -> None:
        """Ask for images and add them as layers."""
        title = self.tr("Add cutouts as layers")
        paths = standard_dialogs.choose_to_open(self._window, self._settings, title, file_patterns(projects=False))
        if paths:
            self.open_or_add(paths)

    def open_or_add(self, paths: Sequence[Path], at: tuple[float, float] | None = None) -> None:
        """Open dropped or named files: as layers of the open document, or the first as a new document."""
        if not paths:
            return
        if self._session.is_open and not document_io.is_project(paths[0]):
            self.add_layers(paths, at)
        else:
            self.open(paths[0], paths[1:])

    def open(self, path: Path, layers: Sequence[Path] = ()) -> None:
        """Open a file as the document, and others as its layers, after asking to save unsaved changes."""
        self.when_saved(lambda: self._open(path, layers))

    def _open(self, path: Path, layers: Sequence[Path]) -> None:
        def done(found: document_io.OpenedFile) -> None:
            project = path if document_io.is_project(path) else None
            self._session.open(found.document, path.stem if project is None else path.name, project)
            self._add_recent(path)
            if found.notes:
                self.noted.emit(" ".join(found.notes))
            if layers:
                self.add_layers(layers)

        title = self.tr("Opening {0}").format(path.name)
        self._jobs.start(title, lambda job: document_io.open_document(path, job.progress), done, self._fail)

    def add_layers(self, paths: Sequence[Path], at: tuple[float, float] | None = None) -> None:
        """Add images as layers; one that cannot be read does not prevent the others."""
        document = self._session.document

        def work(job: BackgroundJob) -> tuple[list[Layer], list[Exception]]:
            layers: list[Layer] = []
            errors: list[Exception] = []
            for index, path in enumerate(paths):
                job.progress(index / len(paths), path.name)
                try:
                    layers.append(document_io.read_layer(path, document, center=at))
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
        """Add files or an image from the clipboard or a drop. Return False if there is nothing to add."""
        paths = clipboard.files_of(data)
        if paths:
            self.open_or_add(paths, at)
            return True
        image = clipboard.image_of(data)
        if image is None:
            return False
        self.add_image(image, self.tr("Pasted"), at)
        return True

    def add_image(self, image: ImageData, name: str, at: tuple[float, float] | None = None) -> None:
        """Add an image as a layer, or open it as a document if none is open."""
        if not self._session.is_open:
            self._session.open(Document.from_image(image, name), name, saved=False)
            return
        document = self._session.document
        self._jobs.start(
            self.tr("Adding layers"),
            lambda _: document.new_layer(image, name, center=at),
            lambda layer: self._session.do(commands.add_layers([layer], "Paste")),
            self._fail,
        )

    # ---- saving

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
        name = Path(self._session.title).stem + document_io.PROJECT_SUFFIX
        kinds = self.tr("Project (*{0})").format(document_io.PROJECT_SUFFIX)
        path = standard_dialogs.choose_to_save(self._window, self._settings, self.tr("Save project"), name, kinds)
        if path:
            ends = path.suffix.lower() == document_io.PROJECT_SUFFIX
            self._save(path if ends else path.with_name(path.name + document_io.PROJECT_SUFFIX), then)

    def _save(self, path: Path, then: Callable[[], object]) -> None:
        document = self._session.document

        def done(_: object) -> None:
            self._session.mark_saved(document, path)
            self._add_recent(path)
            then()

        title = self.tr("Saving {0}").format(path.name)
        self._jobs.start(title, lambda job: document_io.save_project(path, document, job.progress), done, self._fail)

    def export(self, path: Path, quality: int = 95) -> None:
        """Export the flattened image to a file."""
        document = self._session.document

        def done(_: object) -> None:
            self._store_folder(path)

        self._jobs.start(
            self.tr("Exporting {0}").format(path.name),
            lambda job: document_io.export_image(path, document, quality=quality, progress=job.progress),
            done,
            self._fail,
        )

    # ---- questions

    def when_saved(self, then: Callable[[], object]) -> bool:
        """Call a function that replaces the document, once its changes are saved or discarded.

        Returns:
            False if the user canceled.
        """
        if not self._session.is_modified:
            then()
            return True
        answer = standard_dialogs.ask_to_save(self._window, self._session.title or self.tr("Untitled"))
        if answer is SaveAnswer.SAVE:
            self.save(then)
        elif answer is SaveAnswer.DISCARD:
            then()
        return answer is not SaveAnswer.CANCEL

    def _add_recent(self, path: Path) -> None:
        self._settings.add_recent(path)
        self.recent_changed.emit()

    def _store_folder(self, path: Path) -> None:
        self._settings.set_folder("save", path.parent)

    def _fail(self, problem: Problem) -> None:
        self.failed.emit(problem)


def file_patterns(*, projects: bool) -> str:
    """Return the file pattern of a dialog that opens files."""
    suffixes = document_io.OPEN_SUFFIXES if projects else IMAGE_SUFFIXES
    listed = " ".join(f"*{suffix}" for suffix in suffixes)
    return f"{QCoreApplication.translate('DocumentFiles', 'Images')} ({listed})"


class Autosave(QObject):
    """Keeps a recovery copy of unsaved changes, and offers the copy left by a crash."""

    failed = pyqtSignal(object)  # a Problem

    def __init__(self, session: EditorSession, jobs: BackgroundJobs, window: QWidget) -> None:
        """Keep copies of a session's document."""
        super().__init__(window)
        self._session, self._jobs, self._window = session, jobs, window
        self._recovery = Recovery()
        self._saved_document: Document | None = None
        self._reported_failure = False
        self._timer = QTimer(self)
        self._timer.setInterval(AUTOSAVE_INTERVAL)
        self._timer.timeout.connect(self.save_copy)
        self._timer.start()
        session.opened.connect(self._discard_copy)
        session.file_changed.connect(self._discard_if_saved)

    def save_copy(self) -> None:
        """Write a recovery copy if there are unsaved changes."""
        if not self._session.is_modified or self._session.document is self._saved_document:
            return
        document, title, path = self._session.document, self._session.title, self._session.path

        def done(_: object) -> None:
            self._saved_document = document
            if not self._session.is_modified:  # saved or closed meanwhile
                self._discard_copy()

        self._jobs.start("", lambda _: self._recovery.save(document, title, path), done, self._fail, quiet=True)

    def offer_recovery(self) -> None:
        """Ask whether to open a recovery copy, if there is one."""
        copies = self._recovery.find_copies()
        if not copies:
            return
        found = copies[0]
        text = self.tr("The editor was not closed properly. Open “{0}” as of {1}?")
        accept, decline = self.tr("Open"), self.tr("Discard")
        text = text.format(
            found.title or self.tr("Untitled"),
            QLocale().toString(found.when.astimezone(), QLocale.FormatType.ShortFormat),
        )
        if not standard_dialogs.ask_question(self._window, self.tr("Recover unsaved work?"), text, accept, decline):
            found.discard()
            return
        self._jobs.start(
            self.tr("Recovering"), lambda _: found.load(), lambda document: self._show(found, document), self._fail
        )

    def close(self) -> None:
        """Delete the recovery copy."""
        self._timer.stop()
        self._recovery.clear()

    def _show(self, found: RecoveryCopy, document: Document) -> None:
        self._session.open(document, found.title, found.path, saved=False)
        found.discard()
        self.save_copy()

    def _discard_copy(self) -> None:
        self._saved_document = None
        self._recovery.clear()

    def _discard_if_saved(self) -> None:
        if not self._session.is_modified:
            self._discard_copy()

    def _fail(self, problem: Problem) -> None:
        if not self._reported_failure:  # a full disk would cause one message per minute
            self._reported_failure = True
            self.failed.emit(problem)
