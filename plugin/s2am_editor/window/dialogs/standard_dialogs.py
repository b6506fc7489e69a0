# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions, file dialogs and the export dialog."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from PyQt6.QtCore import QCoreApplication
from PyQt6.QtWidgets import (
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from s2am_common.image_formats import IMAGE_FORMATS, FormatInfo, format_of_suffix
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.widgets.basic import heading, muted_label, primary_button, push_button
from s2am_editor.window.widgets.sliders import Slider

DEFAULT_QUALITY = 95


class SaveAnswer(Enum):
    """The answer to a question about unsaved changes."""

    SAVE = "save"
    DISCARD = "discard"
    CANCEL = "cancel"


def _tr(text: str) -> str:
    """Translate a text."""
    return QCoreApplication.translate("standard_dialogs", text)


def ask_to_save(parent: QWidget, title: str) -> SaveAnswer:
    """Ask what to do with unsaved changes."""
    box = QMessageBox(QMessageBox.Icon.Question, _tr("Save changes?"), _tr("Save the changes to “{0}”?").format(title))
    box.setInformativeText(_tr("Unsaved changes will be lost."))
    save = box.addButton(_tr("Save"), QMessageBox.ButtonRole.AcceptRole)
    discard = box.addButton(_tr("Don't save"), QMessageBox.ButtonRole.DestructiveRole)
    box.addButton(_tr("Cancel"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(save)
    _run(box, parent)
    if box.clickedButton() is save:
        return SaveAnswer.SAVE
    return SaveAnswer.DISCARD if box.clickedButton() is discard else SaveAnswer.CANCEL


def ask_question(parent: QWidget, title: str, text: str, accept_text: str, reject_text: str) -> bool:
    """Ask a question with two answers. Return True for the first."""
    box = QMessageBox(QMessageBox.Icon.Question, title, text)
    accept = box.addButton(accept_text, QMessageBox.ButtonRole.AcceptRole)
    box.addButton(reject_text, QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(accept)
    _run(box, parent)
    return box.clickedButton() is accept


def choose_to_open(parent: QWidget, settings: EditorSettings, title: str, patterns: str) -> list[Path]:
    """Ask for existing files."""
    found, _ = QFileDialog.getOpenFileNames(parent, title, settings.folder("open"), patterns)
    paths = [Path(one) for one in found]
    if paths:
        settings.set_folder("open", paths[0].parent)
    return paths


def choose_to_save(parent: QWidget, settings: EditorSettings, title: str, name: str, patterns: str) -> Path | None:
    """Ask for a file to write."""
    start = str(Path(settings.folder("save")) / name)
    found, _ = QFileDialog.getSaveFileName(parent, title, start, patterns)
    if not found:
        return None
    settings.set_folder("save", Path(found).parent)
    return Path(found)


def choose_folder(parent: QWidget, settings: EditorSettings, key: str, title: str) -> Path | None:
    """Ask for a folder."""
    found = QFileDialog.getExistingDirectory(parent, title, settings.folder(key))
    if not found:
        return None
    settings.set_folder(key, Path(found))
    return Path(found)


def _run(box: QMessageBox, parent: QWidget) -> None:
    box.setParent(parent, box.windowFlags())
    box.exec()


class ExportDialog(QDialog):
    """Asks for format, quality and file name; the answers are `path` and `quality`."""

    def __init__(self, session: EditorSession, settings: EditorSettings, parent: QWidget) -> None:
        """Ask about a session's document."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("Export"))
        self.path: Path | None = None
        self._session, self._settings = session, settings
        formats = (
            *((info.suffix, info.name, self.tr(info.summary)) for info in IMAGE_FORMATS),
            (".ora", self.tr("OpenRaster"), self.tr("All layers, for GIMP and Krita.")),
        )
        self._abouts = {suffix: about for suffix, _, about in formats}
        self.formats = QComboBox()
        for suffix, name, _ in formats:
            self.formats.addItem(f"{name} ({suffix})", suffix)
        self._about = muted_label()
        self._slider = Slider(1, 100, DEFAULT_QUALITY)
        self._number = QSpinBox()
        self._number.setRange(1, 100)
        self._number.setValue(DEFAULT_QUALITY)
        self._slider.valueChanged.connect(self._number.setValue)
        self._number.valueChanged.connect(self._slider.setValue)
        self._quality = QWidget()
        row = QHBoxLayout(self._quality)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._slider, 1)
        row.addWidget(self._number)
        self._label = QLabel(self.tr("Quality"))
        form = QFormLayout()
        form.setVerticalSpacing(10)
        form.addRow(self.tr("Format"), self.formats)
        form.addRow("", self._about)
        form.addRow(self._label, self._quality)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(push_button(self.tr("Cancel"), self.reject))
        self.export_button = primary_button(self.tr("Export…"), self._choose)
        self.export_button.setDefault(True)
        buttons.addWidget(self.export_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(14)
        column.addWidget(heading(self.tr("Export the image as shown")))
        column.addWidget(muted_label(self.tr("The background's color profile and metadata are included.")))
        column.addLayout(form)
        column.addStretch()
        column.addLayout(buttons)
        self.setMinimumWidth(420)
        self.formats.currentIndexChanged.connect(self._show_format)
        self.formats.setCurrentIndex(max(0, self.formats.findData(settings.text("export", IMAGE_FORMATS[0].suffix))))
        self._show_format()

    @property
    def suffix(self) -> str:
        """The suffix of the selected format."""
        return str(self.formats.currentData())

    @property
    def _format(self) -> FormatInfo | None:
        return format_of_suffix(self.suffix)

    @property
    def quality(self) -> int:
        """The JPEG quality, 1 to 100."""
        return self._number.value()

    def _show_format(self) -> None:
        self._about.setText(self._abouts[self.suffix])
        for widget in (self._label, self._quality):
            widget.setEnabled(self._format is not None and not self._format.lossless)

    def _choose(self) -> None:
        suffix = self.suffix
        name = f"{Path(self._session.title).stem}-harmonized{suffix}"
        pattern = f"{self.formats.currentText()} (*{suffix})"
        path = choose_to_save(self, self._settings, self.tr("Export"), name, pattern)
        if path is None:
            return
        if path.suffix.lower() not in (self._format.suffixes if self._format else (suffix,)):
            path = path.with_name(path.name + suffix)
        self._settings.set_text("export", suffix)
        self.path = path
        self.accept()
