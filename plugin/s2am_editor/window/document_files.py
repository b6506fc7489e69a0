# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening, adding, saving and exporting in the background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QCoreApplication, QMimeData, QObject, pyqtSignal
from PyQt6.QtWidgets import QWidget

from s2am_common.image_formats import READABLE_SUFFIXES
from s2am_common.translation import localized
from s2am_editor.document import commands
from s2am_editor.document.model import Document, Layer
from s2am_editor.files import document_io
from s2am_editor.files.opened_file import OpenedFile
from s2am_editor.window import clipboard
from s2am_editor.window.dialogs import standard_dialogs
from s2am_editor.window.dialogs.standard_dialogs import FileKind, SaveAnswer
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.jobs import BackgroundJob, BackgroundJobs, Problem
from s2am_engine.image.data import ImageData


class DocumentFiles(QObject):
    """Opens and saves documents and adds layers, in the background."""

    failed = pyqtSignal(object)  # a Problem
    noted = pyqtSignal(str)  # a note about an opened file
    recent_changed = pyqtSignal()
    written = pyqtSignal(object)  # the path of a saved project or an exported image

    def __init__(self, session: EditorSession, jobs: BackgroundJobs, settings: EditorSettings, window: QWidget) -> None:
        """Work on a session's document; dialogs belong to a window."""
        super().__init__(window)
        self._session, self._jobs, self._settings, self._window = session, jobs, settings, window
        self._on_disk: tuple[Path, int, int] | None = None  # the project file as it was opened or saved last

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

    def open_or_add(
        self, paths: Sequence[Path], at: tuple[float, float] | None = None, *, ordered: bool = True
    ) -> None:
        """Open dropped or named files: as layers of the open document, or one of them as a new document.

        Args:
            paths: the files.
            at: position of new layers, see `Document.new_layer`.
            ordered: the first one is the background, as on the command line; else the first without transparency.
        """
        if not paths:
            return
        if self._session.is_open and not document_io.is_project(paths[0]):
            self.add_layers(paths, at)
        else:
            background = paths[0] if ordered else document_io.likely_background(paths)
            self.open(background, [path for path in paths if path != background])

    def open(self, path: Path, layers: Sequence[Path] = ()) -> None:
        """Open a file as the document, and others as its layers, after asking to save unsaved changes."""
        self.when_saved(lambda: self._open(path, layers))

    def _open(self, path: Path, layers: Sequence[Path]) -> None:
        def show(found: OpenedFile) -> None:
            self._on_disk = state
            project = path if document_io.is_project(path) else None
            title = path.stem if project is None else path.name
            self._session.open(found.document, title, project, source=path, losses=found.notes)
            self._add_recent(path)
            if found.notes:
                self.noted.emit(" ".join(found.notes))
            if found.merged is not None:
                self._offer_merged(found.merged, found.notes)
            if layers:
                self.add_layers(layers)

        state, replace = file_state(path), self.replace_later()
        self._jobs.start(
            self.tr("Opening {0}").format(path.name),
            lambda job: document_io.open_document(path, job.progress),
            partial(replace, show),
            self._fail,
        )

    def _offer_merged(self, merged: ImageData, notes: Sequence[str]) -> None:
        """Ask whether to add a file's own merged image as the top layer, as the other layers look different here."""
        add = self.tr("Add the merged image")
        text = self.tr("Add the document's own merged image as the top layer?")
        title, keep = self.tr("Layers look different"), self.tr("Keep the layers only")
        if standard_dialogs.choose_answer(self._window, title, text, add, cancel=keep, details=" ".join(notes)) == add:
            self.add_image(merged, self.tr("Merged image"))

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
            if layers and not self._fits(document):
                self.add_layers(paths, at)
                return
            if layers:
                self._session.do(commands.add_layers(layers))
            if errors:
                self._fail(Problem.joined(errors))

        self._jobs.start(self.tr("Adding layers"), work, done, self._fail)

    def paste(self, data: QMimeData | None, at: tuple[float, float] | None = None, *, dropped: bool = False) -> bool:
        """Add files or an image from the clipboard or a drop. Return False if there is nothing to add."""
        paths = clipboard.files_of(data)
        if paths:
            self.open_or_add(paths, at, ordered=not dropped)  # file managers sort what they drop by name
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

        def done(layer: Layer) -> None:
            if self._fits(document):
                self._session.do(commands.add_layers([layer], "Paste"))
            else:
                self.add_image(image, name, at)

        self._jobs.start(
            self.tr("Adding layers"),
            lambda _: document.new_layer(image, name, center=at),
            done,
            self._fail,
        )

    def _fits(self, document: Document) -> bool:
        """Return True if layers that were converted for a document fit the one that is open now."""
        if not self._session.is_open:
            return False
        now = self._session.document
        return (now.dtype, now.profile) == (document.dtype, document.profile)

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
        start = self._session.folder / (Path(self._session.name).stem + document_io.PROJECT_SUFFIX)
        kind = FileKind(self.tr("Project"), (document_io.PROJECT_SUFFIX,))
        path = standard_dialogs.choose_to_save(self._window, self._settings, self.tr("Save project"), start, [kind])
        if path:
            self._save(path, then)

    def _save(self, path: Path, then: Callable[[], object]) -> None:
        if path == self._session.path and not self._may_save_in_place(path, then):
            return
        document = self._session.document

        def done(_: object) -> None:
            self._on_disk = file_state(path)
            self._session.mark_saved(document, path)
            self._add_recent(path)
            self.written.emit(path)
            then()

        self._jobs.start(
            self.tr("Saving {0}").format(path.name),
            lambda job: document_io.save_project(path, document, job.progress),
            done,
            self._fail,
            writes=True,
        )

    def _may_save_in_place(self, path: Path, then: Callable[[], object]) -> bool:
        """Ask before the project file is replaced by less than it contains; saving another file is an answer, too."""
        known = self._on_disk if self._on_disk and self._on_disk[0] == path else None
        if known and file_state(path) not in (None, known):
            text, details = self.tr("“{0}” was changed by another program. Replace it?"), ""
        elif self._session.losses:
            text = self.tr("“{0}” contains more than this program can save. Replace it?")
            details = "\n".join(self._session.losses)
        else:
            return True
        replace, elsewhere = self.tr("Replace"), self.tr("Save as…")
        title, text = self.tr("Replace the file?"), text.format(path.name)
        answer = standard_dialogs.choose_answer(self._window, title, text, elsewhere, replace, details=details)
        if answer == elsewhere:
            self.save_as(then)
        return answer == replace

    def export(self, path: Path, options: document_io.ExportOptions | None = None) -> None:
        """Export the flattened image to a file."""
        document = self._session.document

        self._jobs.start(
            self.tr("Exporting {0}").format(path.name),
            lambda job: document_io.export_image(path, document, options, progress=job.progress),
            lambda omitted: self._exported(path, omitted),
            self._fail,
            writes=True,
        )

    def _exported(self, path: Path, omitted: Sequence[str]) -> None:
        self.written.emit(path)
        if omitted:
            text = self.tr("{0} lacks {1}, which its format cannot store.")
            self.noted.emit(text.format(path.name, ", ".join(map(localized, omitted))))

    # ---- questions

    def when_saved(self, then: Callable[[], object]) -> bool:
        """Call a function that replaces the document, once its changes are saved or discarded.

        Returns:
            False if the user canceled.
        """
        if not self._session.is_modified:
            then()
            return True
        answer = standard_dialogs.ask_to_save(self._window, self._session.name or self.tr("Untitled"))
        if answer is SaveAnswer.SAVE:
            self.save(then)
        elif answer is SaveAnswer.DISCARD:
            then()
        return answer is not SaveAnswer.CANCEL

    def replace_later(self) -> Callable[[Callable[[Any], object], Any], None]:
        """Return a function that opens the result of a job, and first asks about changes since this call."""
        before = self._session.document if self._session.is_open else None

        def replace(show: Callable[[Any], object], result: Any) -> None:
            if (self._session.document if self._session.is_open else None) is before:
                show(result)
            else:
                self.when_saved(lambda: show(result))

        return replace

    def _add_recent(self, path: Path) -> None:
        self._settings.add_recent(path)
        self.recent_changed.emit()

    def _fail(self, problem: Problem) -> None:
        self.failed.emit(problem)


def file_state(path: Path) -> tuple[Path, int, int] | None:
    """Return the fingerprint of a file's state: path, size and time of the last change; None if it is missing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return path, status.st_size, status.st_mtime_ns


def file_patterns(*, projects: bool) -> str:
    """Return the file pattern of a dialog that opens files."""
    suffixes = document_io.OPEN_SUFFIXES if projects else READABLE_SUFFIXES
    listed = " ".join(f"*{suffix}" for suffix in suffixes)
    return f"{QCoreApplication.translate('DocumentFiles', 'Images')} ({listed})"
