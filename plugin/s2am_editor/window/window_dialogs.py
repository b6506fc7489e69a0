# SPDX-License-Identifier: GPL-3.0-or-later
"""What menus start that needs a dialog, the clipboard or the sample."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject
from PyQt6.QtWidgets import QApplication, QLineEdit, QMessageBox, QPlainTextEdit

import s2am_engine
from s2am_editor.compose.flatten import flatten
from s2am_editor.document import commands
from s2am_editor.document.model import Document, Layer
from s2am_editor.window import clipboard
from s2am_editor.window.dialogs import questions
from s2am_editor.window.dialogs.export import ExportDialog
from s2am_editor.window.dialogs.shortcuts import ShortcutsDialog
from s2am_editor.window.jobs import Job
from s2am_engine.atomic import atomic_write
from s2am_engine.cli.commands import map_text

if TYPE_CHECKING:
    from s2am_editor.window.main_window import MainWindow


class WindowDialogs(QObject):
    """Belongs to a window."""

    def __init__(self, window: MainWindow) -> None:
        """Open dialogs over a window."""
        super().__init__(window)
        self._window = window

    def export(self) -> None:
        """Ask for format and quality, then for a name, and export."""
        window = self._window
        dialog = ExportDialog(window.session, window.settings, window)
        if dialog.exec() and dialog.path is not None:
            window.files.export(dialog.path, dialog.quality)

    def copy_picture(self) -> None:
        """Put the picture as it is seen on the clipboard."""
        window, document = self._window, self._window.session.document
        window.jobs.start(
            self.tr("Copying"),
            lambda job: flatten(document, progress=job.progress),
            clipboard.copy_picture,
            window.show_problem,
        )

    def paste(self) -> None:
        """Take what is on the clipboard; a text field that has the focus takes its text."""
        focused = QApplication.focusWidget()
        if isinstance(focused, QLineEdit | QPlainTextEdit):
            focused.paste()
        elif not self._window.files.paste(clipboard.clipboard_data()):
            self._window.show_note(self.tr("There is no picture on the clipboard: copy one, or drop a file here."))

    def save_map(self) -> None:
        """Save the active layer's color map for other programs."""
        window = self._window
        layer = window.session.active
        if layer is None or layer.harmonization is None:
            return
        found = layer.harmonization.color_map
        patterns = self.tr("Look-up table for other programs (*.cube);;Color map of s2am (*.json)")
        path = questions.choose_to_save(
            window, window.settings, self.tr("Save the color map"), f"{layer.name}.cube", patterns
        )
        if path is None:
            return

        def work(_: Job) -> None:
            with atomic_write(path) as file:
                file.write(map_text(found, path).encode())

        window.jobs.start(self.tr("Saving {0}").format(path.name), work, None, window.show_problem)

    def open_sample(self) -> None:
        """Open an astronaut before a rocket, to try the editor on."""
        window = self._window

        def work(job: Job) -> tuple[Document, Layer]:
            from s2am_engine.image import sample

            job.progress(-1)
            document = Document.from_picture(sample.background(), self.tr("Rocket"))
            cut = sample.cut_out()
            height, width = cut.pixels.shape[:2]
            center = sample.AT[0] + width / 2, sample.AT[1] + height / 2
            return document, document.adopt(cut, self.tr("Astronaut"), center=center)

        def done(made: tuple[Document, Layer]) -> None:
            document, layer = made
            window.session.open(document, self.tr("Sample"))
            window.session.do(commands.add_layers([layer]))

        window.files.when_saved(
            lambda: window.jobs.start(self.tr("Opening the sample"), work, done, window.show_problem)
        )

    def teach(self) -> None:
        """Teach a model somebody's pictures."""
        from s2am_editor.window.dialogs.teach import TeachDialog

        window = self._window
        dialog = TeachDialog(window.settings, window)
        dialog.learned.connect(window.sidebar.harmonize.list_models)
        dialog.learned.connect(window.harmonizing.models.forget)
        dialog.show()

    def batch(self) -> None:
        """Harmonize many pictures."""
        from s2am_editor.window.dialogs.batch import BatchDialog

        BatchDialog(self._window.settings, self._window).show()

    def shortcuts(self) -> None:
        """Show all keys."""
        ShortcutsDialog(self._window.all_actions, self._window.tool_box, self._window).show()

    def about(self) -> None:
        """Say what this is."""
        text = self.tr("s2am {0}\nMakes a pasted foreground belong to its photograph.\n\nPython {1}. GPL-3.0-or-later.")
        QMessageBox.about(
            self._window, self.tr("About s2am"), text.format(s2am_engine.__version__, platform.python_version())
        )
