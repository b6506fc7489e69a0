# SPDX-License-Identifier: GPL-3.0-or-later
"""Automatic copies of what is being edited, and finding them again after a crash.

Each document that is open has a folder. Pixels never change, so they are written to it once; what is written again and
again is small. A folder is locked as long as its editor runs: whatever lies in an unlocked one was left behind.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import weakref
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from s2am_common.atomic import atomic_write
from s2am_common.paths import user_paths
from s2am_editor.document.mask import Mask
from s2am_editor.document.model import Document
from s2am_editor.document.raster import Raster
from s2am_editor.files.archive import DAMAGE
from s2am_editor.files.description import describe, rebuild
from s2am_engine.errors import EngineError

_DESCRIPTION, _LOCK = "document.json", "lock"


def default_folder() -> Path:
    """Where automatic copies are kept."""
    return user_paths().state / "recovery"


class Recovery:
    """The automatic copy of one document that is open."""

    def __init__(self, folder: Path | None = None) -> None:
        """Begin with nothing saved; folder: where all copies are kept, None = the user's own."""
        self._base = folder or default_folder()
        self._store: _Store | None = None
        self._lock: FileLock | None = None

    def save(self, document: Document, title: str, path: Path | None = None) -> None:
        """Keep a document as it is now; what was kept of it before is replaced once this is on the disk.

        Args:
            document: it may be of any size: only what is new since the last time is written.
            title: what to call it when it is found again.
            path: the project's file, if it has one.

        Raises:
            EngineError: the disk is full, or the folder can't be written to.
        """
        try:
            store = self._opened()
        except OSError as error:
            raise EngineError(
                f"No automatic copy could be made in {self._base} ({error.strerror or error})."
            ) from error
        data = {
            "title": title,
            "path": None if path is None else str(path),
            "when": datetime.now(timezone.utc).isoformat(),
            "document": describe(document, store),
        }
        with atomic_write(store.folder / _DESCRIPTION) as file:
            file.write(json.dumps(data).encode())
        store.drop_the_rest()

    def clear(self) -> None:
        """Forget the copy: the document was saved, or is closed by the person's own will."""
        if self._store is None or self._lock is None:
            return
        # The description goes first: without it nothing of the rest is ever taken for a copy.
        with suppress(OSError):
            (self._store.folder / _DESCRIPTION).unlink()
        self._lock.release()
        shutil.rmtree(self._store.folder, ignore_errors=True)
        self._store = self._lock = None

    def found(self) -> list[Recovered]:
        """The copies that editors left behind which do not run any more, the latest first."""
        left = [found for folder in self._folders() if (found := _left_behind(folder)) is not None]
        return sorted(left, key=lambda each: each.when, reverse=True)

    def _folders(self) -> list[Path]:
        own = None if self._store is None else self._store.folder
        try:
            return [folder for folder in self._base.iterdir() if folder.is_dir() and folder != own]
        except OSError:
            return []

    def _opened(self) -> _Store:
        if self._store is None:
            folder = self._base / secrets.token_hex(8)
            folder.mkdir(parents=True, mode=0o700)
            self._lock = FileLock(folder / _LOCK)
            self._lock.acquire(blocking=False)
            self._store = _Store(folder)
        return self._store


@dataclass(frozen=True)
class Recovered:
    """A copy that was left behind. title, path: of the document. when: it was made, in UTC."""

    folder: Path
    title: str
    path: Path | None
    when: datetime

    def load(self) -> Document:
        """Open it. The copy stays until it is discarded.

        Raises:
            EngineError: it is damaged.
        """
        try:
            data = json.loads((self.folder / _DESCRIPTION).read_bytes())
            return rebuild(data["document"], _Store(self.folder))
        except (*DAMAGE, MemoryError) as error:
            raise EngineError(f"The automatic copy of “{self.title}” is damaged and can't be opened.") from error

    def discard(self) -> None:
        """Delete it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _left_behind(folder: Path) -> Recovered | None:
    """The copy in a folder; None where an editor still runs, or where there is nothing to recover."""
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(blocking=False)
    except (Timeout, OSError):
        return None
    lock.release()
    try:
        data = json.loads((folder / _DESCRIPTION).read_bytes())
        path = None if data["path"] is None else Path(data["path"])
        return Recovered(folder, str(data["title"]), path, datetime.fromisoformat(data["when"]))
    except FileNotFoundError:
        shutil.rmtree(folder, ignore_errors=True)  # ended before its first copy was whole
    except DAMAGE:
        pass
    return None


class _Store:
    """Pixels and masks as numpy's files in a folder; each is written once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: weakref.WeakKeyDictionary[Raster | Mask, str] = weakref.WeakKeyDictionary()
        self._used: set[str] = set()

    def put_raster(self, raster: Raster) -> str:
        """Write a layer's pixels, unless they are there already."""
        return self._put(raster, lambda name: self._write_raster(name, raster))

    def put_mask(self, mask: Mask) -> str:
        """Write a mask, unless it is there already."""
        return self._put(mask, lambda name: self._write(f"{name}.npy", mask.to_array()))

    def raster(self, name: str) -> Raster:
        """Read a layer's pixels. Raises what DAMAGE says."""
        alpha = self.folder / f"{name}-alpha.npy"
        return Raster(self._read(f"{name}.npy", 3), self._read(alpha.name, 2) if alpha.exists() else None)

    def mask(self, name: str) -> Mask:
        """Read a mask. Raises what DAMAGE says."""
        return Mask.from_array(self._read(f"{name}.npy", 2))

    def drop_the_rest(self) -> None:
        """Delete the files that the description just written does not name."""
        for file in self.folder.glob("*.npy"):
            if file.stem.removesuffix("-alpha") not in self._used:
                with suppress(OSError):
                    file.unlink()
        self._used.clear()

    def _put(self, thing: Raster | Mask, write: Any) -> str:
        name = self._names.get(thing)
        if name is None or not (self.folder / f"{name}.npy").exists():
            name = secrets.token_hex(8)
            write(name)
            self._names[thing] = name
        self._used.add(name)
        return name

    def _write_raster(self, name: str, raster: Raster) -> None:
        if raster.alpha is not None:
            self._write(f"{name}-alpha.npy", raster.alpha)
        self._write(f"{name}.npy", raster.pixels)

    def _write(self, name: str, values: NDArray[Any]) -> None:
        with atomic_write(self.folder / name) as file:
            np.save(file, values, allow_pickle=False)

    def _read(self, name: str, axes: int) -> NDArray[Any]:
        if os.sep in name or "/" in name:
            raise ValueError(f"{name} is no file of this folder")
        values: NDArray[Any] = np.load(self.folder / name, allow_pickle=False)
        if values.ndim != axes:
            raise ValueError(f"{name} holds something else")
        return values
