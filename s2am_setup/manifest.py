# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest: a record of everything that an installation wrote, for repairing and removing it.

It is saved before each change, not after: an interrupted change can still be undone.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from s2am_common.atomic import atomic_write

_VERSION = 2


@dataclass
class Manifest:
    """Contents of an installation, stored as JSON in `file`.

    Attributes:
        file: the manifest's own file.
        environment: the Python environment in use, if any.
        command: the command on the PATH, if any.
        torch: version of PyTorch with its build, such as "2.13.0+cpu".
        parts: names of the optional parts that were added; PyTorch's is `torch`.
        editor: whether the editor was chosen.
        profiles: folders of the GIMP profiles that contain the plug-in.
        files: each file that was written, with its SHA-256; "" = contents not compared.
        folders: folders that did not exist before; uninstalling removes them if they are empty.
        trees: folders that belong to the program alone; uninstalling removes them with their contents.
    """

    file: Path
    environment: Path | None = None
    command: Path | None = None
    torch: str = ""
    parts: list[str] = field(default_factory=list)
    editor: bool = True
    profiles: list[Path] = field(default_factory=list)
    files: dict[Path, str] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)
    trees: list[Path] = field(default_factory=list)

    def save(self) -> None:
        """Write the manifest atomically.

        Raises:
            FileError: it cannot be written.
        """
        self.make_folder(self.file.parent)
        data = {"version": _VERSION, **vars(self)}
        del data["file"]
        data["files"] = {str(path): digest for path, digest in sorted(self.files.items())}
        with atomic_write(self.file, mode=0o644) as file:
            file.write((json.dumps(data, indent=2, ensure_ascii=False, default=str) + "\n").encode())

    def make_folder(self, folder: Path) -> None:
        """Create a folder and its parents, and record those that are new."""
        self.add_missing(folder)
        folder.mkdir(parents=True, exist_ok=True)

    def add_missing(self, folder: Path) -> None:
        """Record those of a folder and its parents that do not exist, and which the program may create."""
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        self.folders += [each for each in reversed(missing) if each not in self.folders]

    def add_tree(self, folder: Path) -> None:
        """Record a folder that belongs to the program alone, before it is created."""
        self.make_folder(folder.parent)
        if folder not in self.trees:
            self.trees.append(folder)
        self.save()

    def write(self, file: Path, content: bytes, mode: int = 0o644) -> None:
        """Record a file and write it atomically."""
        self.make_folder(file.parent)
        self.files[file] = hashlib.sha256(content).hexdigest()
        self.save()
        with atomic_write(file, mode) as opened:
            opened.write(content)

    def remove_tree(self, folder: Path) -> None:
        """Delete one of the recorded trees."""
        shutil.rmtree(folder, ignore_errors=True)
        self.files = {file: digest for file, digest in self.files.items() if folder not in file.parents}
        if not folder.exists():
            self.trees = [each for each in self.trees if each != folder]
        self.save()

    def remove_file(self, file: Path) -> None:
        """Delete one of the recorded files."""
        file.unlink(missing_ok=True)
        self.files.pop(file, None)
        self.save()


def read_manifest(file: Path) -> Manifest | None:
    """Return the manifest in a file, or None if it is missing or damaged."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return Manifest(
            file,
            data["environment"] and Path(data["environment"]),
            data["command"] and Path(data["command"]),
            str(data["torch"]),
            [str(each) for each in data.get("parts", [])],
            bool(data.get("editor", True)),
            [Path(each) for each in data.get("profiles", [])],
            {Path(each): str(digest) for each, digest in data.get("files", {}).items()},
            [Path(each) for each in data.get("folders", [])],
            [Path(each) for each in data.get("trees", [])],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def sha256_of(file: Path) -> str:
    """Return a file's SHA-256 in hexadecimal, or "" if it cannot be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""
