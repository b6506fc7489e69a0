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

from s2am_editor.window.session import EditorSession
from s2am_editor.window.settings import EditorSettings
from s2am_editor.window.widgets.basic import heading, muted_label, primary_button, push_button
from s2am_editor.window.widgets.sliders import Slider


class Answer(Enum):
    """What a person wants done with changes that no file holds."""

    SAVE = "save"
    DISCARD = "discard"
    CANCEL = "cancel"


def tr(text: str) -> str:
    """The text in the person's language."""
    return QCoreApplication.translate("questions", text)


def ask_to_save(parent: QWidget, title: str) -> Answer:
    """Ask what to do with unsaved changes."""
    box = QMessageBox(QMessageBox.Icon.Question, tr("Save changes?"), tr("Save the changes to “{0}”?").format(title))
    box.setInformativeText(tr("What you don't save is lost."))
    save = box.addButton(tr("Save"), QMessageBox.ButtonRole.AcceptRole)
    discard = box.addButton(tr("Don't save"), QMessageBox.ButtonRole.DestructiveRole)
    box.addButton(tr("Cancel"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(save)
    _run(box, parent)
    if box.clickedButton() is save:
        return Answer.SAVE
    return Answer.DISCARD if box.clickedButton() is discard else Answer.CANCEL


def ask(parent: QWidget, title: str, text: str, yes: str, no: str) -> bool:
    """Ask a question with two answers; whether it was the first."""
    box = QMessageBox(QMessageBox.Icon.Question, title, text)
    accept = box.addButton(yes, QMessageBox.ButtonRole.AcceptRole)
    box.addButton(no, QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(accept)
    _run(box, parent)
    return box.clickedButton() is accept


def choose_to_open(parent: QWidget, settings: EditorSettings, title: str, patterns: str) -> list[Path]:
    """Let files be chosen that are there."""
    found, _ = QFileDialog.getOpenFileNames(parent, title, settings.folder("open"), patterns)
    paths = [Path(one) for one in found]
    if paths:
        settings.set_folder("open", paths[0].parent)
    return paths


def choose_to_save(parent: QWidget, settings: EditorSettings, title: str, name: str, patterns: str) -> Path | None:
    """Let a file be named to write to."""
    start = str(Path(settings.folder("save")) / name)
    found, _ = QFileDialog.getSaveFileName(parent, title, start, patterns)
    if not found:
        return None
    settings.set_folder("save", Path(found).parent)
    return Path(found)


def choose_folder(parent: QWidget, settings: EditorSettings, key: str, title: str) -> Path | None:
    """Let a folder be chosen."""
    found = QFileDialog.getExistingDirectory(parent, title, settings.folder(key))
    if not found:
        return None
    settings.set_folder(key, Path(found))
    return Path(found)


def _run(box: QMessageBox, parent: QWidget) -> None:
    box.setParent(parent, box.windowFlags())
    box.exec()


BEST = 95


class ExportDialog(QDialog):
    """Asks how and where to; `path` and `quality` are the answer."""

    def __init__(self, session: EditorSession, settings: EditorSettings, parent: QWidget) -> None:
        """Ask about a session's document."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("Export"))
        self.path: Path | None = None
        self._session, self._settings = session, settings
        formats = (
            (".png", self.tr("PNG"), self.tr("Loses nothing; keeps 16 bits and transparency.")),
            (".jpg", self.tr("JPEG"), self.tr("Small; for the web and for prints. No transparency, 8 bits.")),
            (".tif", self.tr("TIFF"), self.tr("Loses nothing; keeps 16 and 32 bits; for other editors.")),
            (".webp", self.tr("WebP"), self.tr("Loses nothing and is smaller than PNG; 8 bits.")),
            (".ora", self.tr("OpenRaster"), self.tr("All layers, for GIMP and Krita.")),
        )
        self._abouts = {suffix: about for suffix, _, about in formats}
        self.formats = QComboBox()
        for suffix, name, _ in formats:
            self.formats.addItem(f"{name} ({suffix})", suffix)
        self._about = muted_label()
        self._slider = Slider(1, 100, BEST)
        self._number = QSpinBox()
        self._number.setRange(1, 100)
        self._number.setValue(BEST)
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
        self.export_button = primary_button(self.tr("Export …"), self._choose)
        self.export_button.setDefault(True)
        buttons.addWidget(self.export_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(14)
        column.addWidget(heading(self.tr("Export the picture as you see it")))
        column.addWidget(muted_label(self.tr("Color profile and metadata of the background go along.")))
        column.addLayout(form)
        column.addStretch()
        column.addLayout(buttons)
        self.setMinimumWidth(420)
        self.formats.currentIndexChanged.connect(self._show_format)
        self.formats.setCurrentIndex(max(0, self.formats.findData(settings.text("export", ".png"))))
        self._show_format()

    @property
    def suffix(self) -> str:
        """The chosen format's."""
        return str(self.formats.currentData())

    @property
    def quality(self) -> int:
        """Of JPEG, 1 to 100."""
        return self._number.value()

    def _show_format(self) -> None:
        self._about.setText(self._abouts[self.suffix])
        for widget in (self._label, self._quality):
            widget.setEnabled(self.suffix == ".jpg")

    def _choose(self) -> None:
        suffix = self.suffix
        name = f"{Path(self._session.title).stem}-harmonized{suffix}"
        pattern = f"{self.formats.currentText()} (*{suffix})"
        path = choose_to_save(self, self._settings, self.tr("Export"), name, pattern)
        if path is None:
            return
        if path.suffix.lower() != suffix and not (suffix == ".jpg" and path.suffix.lower() == ".jpeg"):
            path = path.with_name(path.name + suffix)
        self._settings.set_text("export", suffix)
        self.path = path
        self.accept()
