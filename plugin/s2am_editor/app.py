# SPDX-License-Identifier: GPL-3.0-or-later
"""Start-up of the editor: the window is shown immediately, and slow imports follow in the background."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QApplication

import s2am_engine
from s2am_common.log import start_logging
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.jobs import close_all_jobs
from s2am_editor.window.main_window import MainWindow
from s2am_editor.window.theme import Theme, application_icon
from s2am_editor.window.translator import install_translators

logger = logging.getLogger(__name__)

WARM_UP_DELAY = 700  # milliseconds after the window is shown
EXIT_PATIENCE = 5.0  # seconds that canceled jobs get to end when the window is closed
LARGE_BLOCK = 1 << 20  # bytes; larger blocks of memory are returned to the system when they are freed
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of glibc's malloc.h
RECOVERY_DELAY = 200  # milliseconds after the window is shown: it has its place, and a dialog is centered on it


def make_application(arguments: Sequence[str] = ("s2am",)) -> QApplication:
    """Create the application, with the name that desktop entries use, and texts in the user's language."""
    _return_freed_memory()
    application = QApplication(list(arguments))
    application.setApplicationName("s2am")
    application.setApplicationDisplayName("s2am")
    application.setDesktopFileName("s2am")
    application.setWindowIcon(application_icon())
    install_translators(application)
    return application


def _return_freed_memory() -> None:
    """Make glibc return large blocks to the system, instead of keeping them in a heap for each thread that renders."""
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):  # another C library
            library = ctypes.CDLL(None)
            library.mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK)
            library.mallopt(_M_ARENA_MAX, 1)


def run_editor(files: Sequence[Path] = ()) -> int:
    """Show the window, open the given files, and run until it is closed.

    Returns:
        The exit code.
    """
    start_logging("editor", s2am_engine.__version__)
    application = make_application(sys.argv[:1])
    settings = EditorSettings()
    Theme(application, settings.appearance)
    window = MainWindow(settings)
    window.show()
    if files:
        QTimer.singleShot(0, lambda: window.open_files(files))
    QTimer.singleShot(RECOVERY_DELAY, window.autosave.offer_recovery)
    QTimer.singleShot(WARM_UP_DELAY, lambda: window.harmonizing.warm_up(window.sidebar.harmonize.model))
    code = application.exec()
    logger.info("closed")
    if not close_all_jobs(EXIT_PATIENCE):
        logger.warning("a canceled job did not end in time")
        logging.shutdown()
        os._exit(code)  # the interpreter would wait for its thread
    return code
