# SPDX-License-Identifier: GPL-3.0-or-later
"""The editor's own settings (window geometry, recent files, folders), in `editor.ini` in the configuration folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QByteArray, QSettings, QStandardPaths

from s2am_common.errors import FileError
from s2am_common.path_checks import is_folder, is_regular_file
from s2am_common.paths import user_paths
from s2am_editor.window.theme import Appearance

MAX_RECENT = 10


class EditorSettings:
    """Reads and writes the settings; damaged values count as absent."""

    def __init__(self, file: Path | None = None) -> None:
        """Open a settings file; None = the user's own."""
        self._file = file or user_paths().config / "editor.ini"
        self._store = QSettings(str(self._file), QSettings.Format.IniFormat)

    @property
    def recent(self) -> list[Path]:
        """Files that were opened or saved and still exist, the latest first."""
        value = self._store.value("recent", [])
        paths = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        return [Path(path) for path in paths if isinstance(path, str) and _holds(is_regular_file, path)]

    def add_recent(self, path: Path) -> None:
        """Put a file at the top of the recent files."""
        path = path.resolve()
        rest = [other for other in self.recent if other != path]
        self._store.setValue("recent", [str(one) for one in [path, *rest][:MAX_RECENT]])

    def clear_recent(self) -> None:
        """Clear the list of recent files."""
        self._store.setValue("recent", [])

    @property
    def appearance(self) -> Appearance:
        """Light, dark, or the system's color scheme."""
        try:
            return Appearance(self.text("appearance"))
        except ValueError:
            return Appearance.SYSTEM

    @appearance.setter
    def appearance(self, appearance: Appearance) -> None:
        self._store.setValue("appearance", appearance.value)

    def text(self, key: str, default: str = "") -> str:
        """Return a stored text."""
        value = self._store.value(key, default)
        return value if isinstance(value, str) else default

    def set_text(self, key: str, value: str) -> None:
        """Store a text."""
        self._store.setValue(key, value)

    def folder(self, key: str) -> str:
        """Return the folder last used in a dialog, or the pictures folder, or else the home folder."""
        pictures = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation)
        candidates = (self.text(f"folder/{key}"), pictures)
        return next((path for path in candidates if path and _holds(is_folder, path)), str(Path.home()))

    def set_folder(self, key: str, path: Path) -> None:
        """Store the folder used in a dialog."""
        self._store.setValue(f"folder/{key}", str(path))

    def state(self, key: str) -> QByteArray | None:
        """Return the stored state of a window or splitter."""
        value = self._store.value(f"state/{key}")
        return value if isinstance(value, QByteArray) else None

    def set_state(self, key: str, value: QByteArray) -> None:
        """Store the state of a window or splitter."""
        self._store.setValue(f"state/{key}", value)

    def flush(self) -> None:
        """Write changes to the file."""
        self._store.sync()


def _holds(check: Callable[[Path], bool], path: str) -> bool:
    """Return the result of a check; False in a folder that may not be entered."""
    try:
        return check(Path(path))
    except FileError:
        return False
