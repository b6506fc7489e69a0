# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions, file dialogs and the export dialog."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from PyQt6.QtCore import QCoreApplication, Qt
from PyQt6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QLabel,
    QMessageBox,
    QWidget,
)

from s2am_common.image_formats import WRITABLE_FORMATS, FormatInfo, format_of_suffix
from s2am_common.path_checks import is_accessible
from s2am_common.translation import localized
from s2am_editor.files.document_io import ExportOptions, scaled_size
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.widgets.basic import (
    ChoiceBox,
    NumberBox,
    WholeNumberBox,
    heading,
    muted_label,
    primary_button,
    push_button,
)
from s2am_editor.window.widgets.layouts import DIALOG_MARGINS, column_of, form_of, row_of, widget_of
from s2am_editor.window.widgets.sliders import Slider

DEFAULT_QUALITY = 95
MAX_NAMES = 8  # file names that a question lists


class FileKind(NamedTuple):
    """A kind of files to write, for a save dialog; the first suffix (with dot) is appended to a name without one."""

    label: str
    suffixes: tuple[str, ...]

    @property
    def pattern(self) -> str:
        """The pattern as Qt's file dialogs expect it."""
        return f"{self.label} ({' '.join(f'*{suffix}' for suffix in self.suffixes)})"


class SaveAnswer(Enum):
    """The answer to a question about unsaved changes."""

    SAVE = "save"
    DISCARD = "discard"
    CANCEL = "cancel"


def _tr(text: str) -> str:
    """Translate a text."""
    return QCoreApplication.translate("standard_dialogs", text)


def ask_to_save(parent: QWidget, title: str) -> SaveAnswer:
    """Ask whether unsaved changes are saved or discarded."""
    save, discard = _tr("Save"), _tr("Don't save")
    answer = choose_answer(
        parent,
        _tr("Save changes?"),
        _tr("Save the changes to “{0}”?").format(title),
        save,
        discard,
        details=_tr("Unsaved changes will be lost."),
    )
    return {save: SaveAnswer.SAVE, discard: SaveAnswer.DISCARD, None: SaveAnswer.CANCEL}[answer]


def choose_answer(
    parent: QWidget, title: str, text: str, *answers: str, cancel: str = "", details: str = "", careful: bool = False
) -> str | None:
    """Ask a question whose answers all do something, with another button that does nothing.

    Args:
        parent: the window that waits for the answer.
        title: of the dialog.
        text: the question.
        answers: texts of the buttons, the first of which Return presses.
        cancel: text of the button that does nothing; "" = Cancel.
        details: more about the question, in smaller type.
        careful: Return presses the button that does nothing.

    Returns:
        The chosen answer; None for the other button, for Escape and for the dialog's close button.
    """
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle(title)
    box.setTextFormat(Qt.TextFormat.PlainText)  # names of files and layers can contain < and &
    box.setText(text)
    box.setInformativeText(details)
    roles = QMessageBox.ButtonRole.AcceptRole, *[QMessageBox.ButtonRole.DestructiveRole] * (len(answers) - 1)
    buttons = {answer: box.addButton(answer, role) for answer, role in zip(answers, roles, strict=True)}
    dismiss = box.addButton(cancel or _tr("Cancel"), QMessageBox.ButtonRole.RejectRole)
    box.setEscapeButton(dismiss)
    box.setDefaultButton(dismiss if careful else buttons[answers[0]])
    box.exec()
    clicked = box.clickedButton()
    box.deleteLater()
    return next((answer for answer, button in buttons.items() if button is clicked), None)


def may_replace(parent: QWidget, paths: Sequence[Path]) -> bool:
    """Return True if no file has one of these names, or the user agrees that these files are replaced.

    Whatever in the editor writes files under names that a file dialog has not confirmed asks here.
    """
    existing = [path for path in paths if is_accessible(path)]  # in a locked folder, writing reports it
    if not existing:
        return True
    names = [path.name for path in existing[:MAX_NAMES]]
    if len(existing) == 1:
        text = _tr("“{0}” exists already. Replace it?").format(names[0])
        details = _tr("In the folder {0}.").format(existing[0].parent)
    else:
        text = _tr("{0} files exist already. Replace them?").format(len(existing))
        names += ["…"] * (len(existing) > MAX_NAMES)
        details = _tr("In the folder {0}: {1}").format(existing[0].parent, ", ".join(names))
    answer = choose_answer(parent, _tr("Replace files?"), text, _tr("Replace"), details=details, careful=True)
    return answer is not None


def choose_to_open(parent: QWidget, settings: EditorSettings, title: str, patterns: str) -> list[Path]:
    """Ask for existing files."""
    found, _ = QFileDialog.getOpenFileNames(parent, title, settings.folder("open"), patterns)
    paths = [Path(one) for one in found]
    if paths:
        settings.set_folder("open", paths[0].parent)
    return paths


def choose_to_save(
    parent: QWidget, settings: EditorSettings, title: str, start: Path, kinds: Sequence[FileKind]
) -> Path | None:
    """Ask for a file to write, and before one is replaced.

    Args:
        parent: the window that waits for the answer.
        settings: stores the folder.
        title: of the dialog.
        start: the proposed file; a relative one lies in the folder that was used last.
        kinds: of which the user chooses one; its suffix is appended to a name without a suffix of any kind.
    """
    start = Path(settings.folder("save")) / start
    patterns = {kind.pattern: kind for kind in kinds}
    while True:
        found, pattern = QFileDialog.getSaveFileName(parent, title, str(start), ";;".join(patterns))
        if not found:
            return None
        path = Path(found)
        if path.suffix.lower() not in {suffix for kind in kinds for suffix in kind.suffixes}:
            path = path.with_name(path.name + patterns.get(pattern, kinds[0]).suffixes[0])
        # The dialog has asked about the name as it was typed only.
        if path == Path(found) or may_replace(parent, [path]):
            settings.set_folder("save", path.parent)
            return path
        start = path


def choose_folder(parent: QWidget, settings: EditorSettings, key: str, title: str) -> Path | None:
    """Ask for a folder."""
    found = QFileDialog.getExistingDirectory(parent, title, settings.folder(key))
    if not found:
        return None
    settings.set_folder(key, Path(found))
    return Path(found)


class ExportDialog(QDialog):
    """Asks for format, size, quality and file name; the answers are `path` and `options`."""

    def __init__(self, session: EditorSession, settings: EditorSettings, parent: QWidget) -> None:
        """Ask about a session's document."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("Export"))
        self.path: Path | None = None
        self._session, self._settings = session, settings
        self.formats, self._about = ChoiceBox(), muted_label()
        self._abouts: dict[str, str] = {}
        self._list_formats()
        self._quality_label, self._quality_row = QLabel(self.tr("Quality")), self._make_quality()
        self._size_row = self._make_size()
        self.srgb = QCheckBox(self.tr("Convert to sRGB, for the web"))
        self.metadata = QCheckBox(self.tr("Include the background's metadata"))
        self.metadata.setChecked(True)
        self.export_button = primary_button(self.tr("Export…"), self._choose)
        self.export_button.setDefault(True)
        self._lay_out()
        self.formats.currentIndexChanged.connect(self._show_format)
        self.formats.setCurrentIndex(max(0, self.formats.findData(settings.text("export", WRITABLE_FORMATS[0].suffix))))
        self._show_format()

    def _list_formats(self) -> None:
        for suffix, name, about in (
            *((info.suffix, info.name, localized(info.summary)) for info in WRITABLE_FORMATS),
            (".ora", self.tr("OpenRaster"), self.tr("All layers, for GIMP and Krita.")),
        ):
            self.formats.addItem(f"{name} ({suffix})", suffix)
            self._abouts[suffix] = about

    def _make_quality(self) -> QWidget:
        """Return a slider and a number for the quality, which follow each other."""
        slider = Slider(1, 100, DEFAULT_QUALITY)
        self._number = WholeNumberBox()
        self._number.setRange(1, 100)
        self._number.setValue(DEFAULT_QUALITY)
        slider.valueChanged.connect(self._number.setValue)
        self._number.valueChanged.connect(slider.setValue)
        return widget_of(row_of([(slider, 1), self._number]))

    def _make_size(self) -> QWidget:
        """Return a number for the scale, and the size in pixels next to it."""
        self.scale = NumberBox()
        self.scale.setRange(1, 400)
        self.scale.setDecimals(1)
        self.scale.setValue(100)
        self.scale.setSuffix("%")
        self.scale.valueChanged.connect(self._show_size)
        self._size = muted_label()
        return widget_of(row_of([self.scale, (self._size, 1)]))

    def _lay_out(self) -> None:
        rows: list[tuple[str | QLabel, QWidget]] = [
            (self.tr("Format"), self.formats),
            ("", self._about),
            (self._quality_label, self._quality_row),
            (self.tr("Size"), self._size_row),
            ("", self.srgb),
            ("", self.metadata),
        ]
        title = heading(self.tr("Export the image as shown"))
        buttons = row_of([None, push_button(self.tr("Cancel"), self.reject), self.export_button])
        column_of(self, [title, form_of(rows, spacing=10), None, buttons], spacing=14, margins=DIALOG_MARGINS)
        self.setMinimumWidth(420)

    @property
    def suffix(self) -> str:
        """The suffix of the selected format."""
        return str(self.formats.currentData())

    @property
    def _format(self) -> FormatInfo | None:
        return format_of_suffix(self.suffix)

    @property
    def options(self) -> ExportOptions:
        """The chosen options."""
        return ExportOptions(
            self._number.value(), self.scale.value() / 100, self.srgb.isChecked(), self.metadata.isChecked()
        )

    def _show_size(self) -> None:
        width, height = scaled_size(self._session.document, self.scale.value() / 100)
        self._size.setText(self.tr("{0} × {1} pixels").format(width, height))

    def _show_format(self) -> None:
        self._about.setText(self._abouts[self.suffix])
        for widget in (self._quality_label, self._quality_row):
            widget.setEnabled(self._format is not None and not self._format.lossless)
        for widget in (self._size_row, self.srgb, self.metadata):
            widget.setEnabled(self._format is not None)
        self._show_size()

    def _choose(self) -> None:
        suffix = self.suffix
        start = self._session.folder / f"{Path(self._session.name).stem}-harmonized{suffix}"
        kind = FileKind(self.formats.currentText(), self._format.suffixes if self._format else (suffix,))
        path = choose_to_save(self, self._settings, self.tr("Export"), start, [kind])
        if path is None:
            return
        self._settings.set_text("export", suffix)
        self.path = path
        self.accept()
