# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery copies: automatic copies of open documents, which can be restored after a crash.

Each open document has a folder. Pixels never change and are therefore written once; only a small description is
written repeatedly. The folder is locked while its editor runs: an unlocked one is left from a crash.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from s2am_common.atomic import atomic_write
from s2am_common.errors import FileError
from s2am_common.paths import user_paths
from s2am_editor.document.model import Document
from s2am_editor.document.raster import Raster, TiledMask
from s2am_editor.files.project import DAMAGE_ERRORS, document_from_json, document_to_json, read_array

_DESCRIPTION, _LOCK = "document.json", "lock"


def default_folder() -> Path:
    """Return the folder that contains the recovery copies of all documents."""
    return user_paths().state / "recovery"


class Recovery:
    """The recovery copy of one open document."""

    def __init__(self, folder: Path | None = None) -> None:
        """Start without a copy; `folder` contains the copies of all documents, None = `default_folder`."""
        self._base = folder or default_folder()
        self._store: _FolderStore | None = None
        self._lock: FileLock | None = None

    def save(self, document: Document, title: str, path: Path | None = None, losses: Sequence[str] = ()) -> None:
        """Write a copy of the document; the previous copy is replaced when this one is complete.

        Args:
            document: only pixels and masks that are new since the last call are written.
            title: name for the list of copies after a crash.
            path: the project's file; None = never saved.
            losses: sentences on contents of that file that are not part of the document.

        Raises:
            FileError: the disk is full, or the folder is not writable.
        """
        try:
            store = self._open_store()
            data = {
                "title": title,
                "path": None if path is None else str(path),
                "losses": list(losses),
                "when": datetime.now(timezone.utc).isoformat(),
                "document": document_to_json(document, store),
            }
            with atomic_write(store.folder / _DESCRIPTION) as file:
                file.write(json.dumps(data).encode())
        except (OSError, FileError) as error:  # a FileError's own advice is to choose another folder
            cause = error if isinstance(error, OSError) else error.__cause__
            reason = getattr(cause, "strerror", None) or error
            raise FileError(
                f"No recovery copy of your changes was written to {self._base} ({reason}): save your project often."
            ) from error
        store.delete_unused()

    def clear(self) -> None:
        """Delete the copy, after the document was saved or closed."""
        if self._store is None or self._lock is None:
            return
        # Without the description, nothing else in the folder can be taken for a copy: delete it first.
        with suppress(OSError):
            (self._store.folder / _DESCRIPTION).unlink()
        self._lock.release()
        shutil.rmtree(self._store.folder, ignore_errors=True)
        self._store = self._lock = None

    def find_copies(self) -> list[RecoveryCopy]:
        """Return the copies of editors that no longer run, the latest first."""
        copies = [copy for folder in self._other_folders() if (copy := _read_copy(folder)) is not None]
        return sorted(copies, key=lambda copy: copy.when, reverse=True)

    def _other_folders(self) -> list[Path]:
        own = None if self._store is None else self._store.folder
        try:
            return [folder for folder in self._base.iterdir() if folder.is_dir() and folder != own]
        except OSError:
            return []

    def _open_store(self) -> _FolderStore:
        if self._store is None:
            folder = self._base / secrets.token_hex(8)
            folder.mkdir(parents=True, mode=0o700)
            self._lock = FileLock(folder / _LOCK)
            self._lock.acquire(blocking=False)
            self._store = _FolderStore(folder)
        return self._store


@dataclass(frozen=True)
class RecoveryCopy:
    """A copy that a crash left behind.

    Attributes:
        folder: contains the copy.
        title: name of the document.
        path: the project's file; None = never saved.
        when: time of the copy, in UTC.
        losses: sentences on contents of the project's file that are not part of the document.
    """

    folder: Path
    title: str
    path: Path | None
    when: datetime
    losses: tuple[str, ...] = ()

    def load(self) -> Document:
        """Restore the document. The copy remains until `discard`.

        Raises:
            FileError: the copy is damaged.
        """
        try:
            data = json.loads((self.folder / _DESCRIPTION).read_bytes())
            return document_from_json(data["document"], _FolderStore(self.folder))
        except (*DAMAGE_ERRORS, MemoryError) as error:
            raise FileError(f"The recovery copy of “{self.title}” is damaged and cannot be opened.") from error

    def discard(self) -> None:
        """Delete the copy."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _read_copy(folder: Path) -> RecoveryCopy | None:
    """Return the copy in a folder; None if its editor is running, or there is no complete copy."""
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(blocking=False)
    except (Timeout, OSError):
        return None
    lock.release()
    try:
        data = json.loads((folder / _DESCRIPTION).read_bytes())
        path = None if data["path"] is None else Path(data["path"])
        losses = tuple(str(one) for one in data.get("losses", ()))
        return RecoveryCopy(folder, str(data["title"]), path, datetime.fromisoformat(data["when"]), losses)
    except FileNotFoundError:
        shutil.rmtree(folder, ignore_errors=True)  # the editor ended before its first copy was complete
    except DAMAGE_ERRORS:
        pass
    return None


class _FolderStore:
    """Pixels and masks as .npy files in a folder, each written once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: weakref.WeakKeyDictionary[Raster | TiledMask, str] = weakref.WeakKeyDictionary()
        self._used: set[str] = set()

    def put_raster(self, raster: Raster) -> str:
        """Write a raster, unless the folder contains it."""
        return self._put(raster, lambda name: self._write_raster(name, raster))

    def put_mask(self, mask: TiledMask) -> str:
        """Write a mask, unless the folder contains it."""
        return self._put(mask, lambda name: self._write(f"{name}.npy", mask.to_array()))

    def raster(self, name: str) -> Raster:
        """Read a raster. Raises one of DAMAGE_ERRORS."""
        alpha = self.folder / f"{name}-alpha.npy"
        return Raster(self._read(f"{name}.npy", 3), self._read(alpha.name, 2) if alpha.exists() else None)

    def mask(self, name: str) -> TiledMask:
        """Read a mask. Raises one of DAMAGE_ERRORS."""
        return TiledMask.from_array(self._read(f"{name}.npy", 2))

    def delete_unused(self) -> None:
        """Delete all files that were not put since the last call."""
        for file in self.folder.glob("*.npy"):
            if file.stem.removesuffix("-alpha") not in self._used:
                with suppress(OSError):
                    file.unlink()
        self._used.clear()

    def _put(self, pixels: Raster | TiledMask, write: Callable[[str], None]) -> str:
        name = self._names.get(pixels)
        if name is None or not (self.folder / f"{name}.npy").exists():
            name = secrets.token_hex(8)
            write(name)
            self._names[pixels] = name
        self._used.add(name)
        return name

    def _write_raster(self, name: str, raster: Raster) -> None:
        if raster.alpha is not None:
            self._write(f"{name}-alpha.npy", raster.alpha)
        self._write(f"{name}.npy", raster.pixels)

    def _write(self, name: str, values: NDArray[Any]) -> None:
        with atomic_write(self.folder / name) as file:
            np.save(file, values, allow_pickle=False)

    def _read(self, name: str, ndim: int) -> NDArray[Any]:
        if os.sep in name or "/" in name:
            raise ValueError(f"{name} is not a file of this folder")
        path = self.folder / name
        with path.open("rb") as file:
            return read_array(file, path.stat().st_size, ndim)
