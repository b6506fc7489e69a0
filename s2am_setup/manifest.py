# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of what the installer wrote: how to use it, how to repair it, what to remove one day.

It is saved before each change, not after: whatever is interrupted can still be undone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from s2am_common.atomic import atomic_write

_VERSION = 2


@dataclass
class Manifest:
    """What an installation consists of, kept in `file`.

    Attributes:
        file: where this is kept.
        environment: the Python environment in use, if any.
        command: the command on the PATH, if any.
        torch: the version of PyTorch, with its build ("2.13.0+cpu").
        source: the clone that it was installed from.
        offer_pictures: whether “open with” shows the editor for pictures.
        profiles: GIMP's profiles that have the plug-in.
        files: each file that was written, and its SHA-256; "" = not to be compared.
        folders: folders that were made; each goes when it is empty.
        trees: folders that are the program's alone, and go with all that is in them.
    """

    file: Path
    environment: Path | None = None
    command: Path | None = None
    torch: str = ""
    source: Path | None = None
    offer_pictures: bool = False
    profiles: list[Path] = field(default_factory=list)
    files: dict[Path, str] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)
    trees: list[Path] = field(default_factory=list)

    def save(self) -> None:
        """Write it whole or not at all. Raises OSError."""
        self.make_folder(self.file.parent)
        told = {
            "version": _VERSION,
            "environment": _text(self.environment),
            "command": _text(self.command),
            "torch": self.torch,
            "source": _text(self.source),
            "offer_pictures": self.offer_pictures,
            "profiles": [str(path) for path in self.profiles],
            "files": {str(path): digest for path, digest in sorted(self.files.items())},
            "folders": [str(path) for path in self.folders],
            "trees": [str(path) for path in self.trees],
        }
        with atomic_write(self.file, mode=0o644) as file:
            file.write((json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode())

    def make_folder(self, folder: Path) -> None:
        """Make a folder and those above it, and remember which of them are new."""
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        self.folders += [each for each in reversed(missing) if each not in self.folders]
        folder.mkdir(parents=True, exist_ok=True)

    def own(self, folder: Path) -> None:
        """Remember a folder that is ours alone, before it is made."""
        self.make_folder(folder.parent)
        if folder not in self.trees:
            self.trees.append(folder)
        self.save()

    def write(self, file: Path, content: bytes, mode: int = 0o644) -> None:
        """Write a file, whole or not at all."""
        self.make_folder(file.parent)
        self.files[file] = hashlib.sha256(content).hexdigest()
        self.save()
        with atomic_write(file, mode) as opened:
            opened.write(content)

    def note(self, files: Iterable[Path]) -> None:
        """Remember files as they are now."""
        self.files |= {file: digest(file) for file in files}
        self.save()

    def forget(self, folder: Path) -> None:
        """Remove a folder of ours, with all that is in it."""
        shutil.rmtree(folder, ignore_errors=True)
        self.files = {file: known for file, known in self.files.items() if folder not in file.parents}
        if not folder.exists():
            self.trees = [each for each in self.trees if each != folder]
        self.save()

    def drop(self, file: Path) -> None:
        """Remove a file of ours."""
        file.unlink(missing_ok=True)
        self.files.pop(file, None)
        self.save()


def read(file: Path) -> Manifest | None:
    """Return the manifest in a file, or None if there is none that can be understood."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        return Manifest(
            file,
            _path(told["environment"]),
            _path(told["command"]),
            str(told["torch"]),
            _path(told.get("source")),
            bool(told.get("offer_pictures", False)),
            [Path(each) for each in told.get("profiles", [])],
            {Path(each): str(known) for each, known in told.get("files", {}).items()},
            [Path(each) for each in told.get("folders", [])],
            [Path(each) for each in told.get("trees", [])],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def digest(file: Path) -> str:
    """Return a file's SHA-256, or "" if it can't be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def is_there(path: Path) -> bool:
    """Whether a path exists, be it a link that leads nowhere."""
    return os.path.lexists(path)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
