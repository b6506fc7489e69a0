# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting the editor: the window shows at once; what takes time to load is loaded behind it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QLibraryInfo, QLocale, QTimer, QTranslator
from PyQt6.QtWidgets import QApplication

from s2am_editor.window.main_window import MainWindow
from s2am_editor.window.settings import EditorSettings
from s2am_editor.window.theme import Theme, application_icon
from s2am_engine.models.model_store import DEFAULT_MODEL

WARM_UP = 700  # milliseconds after the window shows, in which it answers first


def make_application(arguments: Sequence[str] = ("s2am",)) -> QApplication:
    """Make the application, named as the desktop knows it."""
    application = QApplication(list(arguments))
    application.setApplicationName("s2am")
    application.setApplicationDisplayName("s2am")
    application.setDesktopFileName("s2am")
    application.setWindowIcon(application_icon())
    translator = QTranslator(application)
    folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    if translator.load(QLocale(), "qtbase", "_", folder):
        application.installTranslator(translator)
    return application


def run(files: Sequence[Path] = ()) -> int:
    """Open the window, with files if some are named, and stay until it is closed.

    Returns:
        The exit code.
    """
    application = make_application(sys.argv[:1])
    settings = EditorSettings()
    Theme(application, settings.appearance)
    window = MainWindow(settings)
    window.show()
    if files:
        QTimer.singleShot(0, lambda: window.take_files(files))
    else:
        QTimer.singleShot(0, window.autosave.offer_recovery)
    QTimer.singleShot(WARM_UP, lambda: window.harmonizing.warm_up(DEFAULT_MODEL))
    return application.exec()
