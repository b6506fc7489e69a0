# SPDX-License-Identifier: GPL-3.0-or-later
"""What the editor remembers between its runs, in one small file of the user's settings folder."""

from __future__ import annotations

from pathlib import Path

import platformdirs
from PyQt6.QtCore import QByteArray, QSettings

from s2am_common.paths import user_paths
from s2am_editor.window.theme import Appearance

MOST_RECENT = 10


class EditorSettings:
    """Reads and writes the settings; damaged values count as absent."""

    def __init__(self, file: Path | None = None) -> None:
        """Open a file; None = the user's own."""
        self._file = file or user_paths().config / "editor.ini"
        self._store = QSettings(str(self._file), QSettings.Format.IniFormat)

    @property
    def recent(self) -> list[Path]:
        """DocumentFiles that were opened or saved and are still there, the last one first."""
        value = self._store.value("recent", [])
        paths = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        return [Path(path) for path in paths if isinstance(path, str) and Path(path).is_file()]

    def add_recent(self, path: Path) -> None:
        """Put a file first."""
        path = path.resolve()
        rest = [other for other in self.recent if other != path]
        self._store.setValue("recent", [str(one) for one in [path, *rest][:MOST_RECENT]])

    def clear_recent(self) -> None:
        """Forget all files."""
        self._store.setValue("recent", [])

    @property
    def appearance(self) -> Appearance:
        """Light, dark, or as the system is."""
        try:
            return Appearance(self.text("appearance"))
        except ValueError:
            return Appearance.SYSTEM

    @appearance.setter
    def appearance(self, appearance: Appearance) -> None:
        self._store.setValue("appearance", appearance.value)

    def text(self, key: str, default: str = "") -> str:
        """A text that was kept."""
        value = self._store.value(key, default)
        return value if isinstance(value, str) else default

    def set_text(self, key: str, value: str) -> None:
        """Keep a text."""
        self._store.setValue(key, value)

    def folder(self, key: str) -> str:
        """The folder that a dialog was last at, or the pictures'."""
        path = self.text(f"folder/{key}")
        return path if path and Path(path).is_dir() else platformdirs.user_pictures_dir()

    def set_folder(self, key: str, path: Path) -> None:
        """Remember where a dialog was."""
        self._store.setValue(f"folder/{key}", str(path))

    def state(self, key: str) -> QByteArray | None:
        """A window's or splitter's state."""
        value = self._store.value(f"state/{key}")
        return value if isinstance(value, QByteArray) else None

    def set_state(self, key: str, value: QByteArray) -> None:
        """Keep a window's or splitter's state."""
        self._store.setValue(f"state/{key}", value)

    def flush(self) -> None:
        """Write what was changed."""
        self._store.sync()
