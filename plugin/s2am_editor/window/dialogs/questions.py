# SPDX-License-Identifier: GPL-3.0-or-later
"""Short questions, and the system's own dialogs for files."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from PyQt6.QtCore import QCoreApplication
from PyQt6.QtWidgets import QFileDialog, QMessageBox, QWidget

from s2am_editor.window.settings import Settings


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


def choose_to_open(parent: QWidget, settings: Settings, title: str, patterns: str) -> list[Path]:
    """Let files be chosen that are there."""
    found, _ = QFileDialog.getOpenFileNames(parent, title, settings.folder("open"), patterns)
    paths = [Path(one) for one in found]
    if paths:
        settings.set_folder("open", paths[0].parent)
    return paths


def choose_to_save(parent: QWidget, settings: Settings, title: str, name: str, patterns: str) -> Path | None:
    """Let a file be named to write to."""
    start = str(Path(settings.folder("save")) / name)
    found, _ = QFileDialog.getSaveFileName(parent, title, start, patterns)
    if not found:
        return None
    settings.set_folder("save", Path(found).parent)
    return Path(found)


def choose_folder(parent: QWidget, settings: Settings, key: str, title: str) -> Path | None:
    """Let a folder be chosen."""
    found = QFileDialog.getExistingDirectory(parent, title, settings.folder(key))
    if not found:
        return None
    settings.set_folder(key, Path(found))
    return Path(found)


def _run(box: QMessageBox, parent: QWidget) -> None:
    box.setParent(parent, box.windowFlags())
    box.exec()
