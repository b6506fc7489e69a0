# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of images that end with the plug-in.

GIMP's Cancel kills the plug-in, and GIMP keeps the images that it has made. They are therefore marked with the name of
a lock that the plug-in holds as long as it lives, and the next call deletes those whose lock is free.
"""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from gi.repository import Gimp

from gimp_bridge.bridge_folder import make_private
from s2am_common.locks import ProcessLock, is_unlocked
from s2am_common.paths import user_paths

COPY_PARASITE = "harmonize-layer-copy"

_own: list[tuple[str, ProcessLock]] = []
"""Name and lock of this process, once it has made a copy."""


def mark_copy(image: Gimp.Image) -> None:
    """Mark an image that this process has made and will delete."""
    if not _own:
        make_private(_folder())
        name = secrets.token_hex(8)
        lock = ProcessLock(_lock_file(name))
        lock.acquire()
        _own.append((name, lock))
    image.attach_parasite(Gimp.Parasite.new(COPY_PARASITE, 0, _own[0][0].encode("ascii")))


def delete_stray_copies() -> None:
    """Delete the copies of plug-ins that were killed."""
    for image in Gimp.get_images():
        mark = image.get_parasite(COPY_PARASITE)
        if mark is not None and _is_stray(bytes(mark.get_data()).decode("ascii", "replace")):
            image.delete()
    for file in _folder().glob(f"*{_SUFFIX}"):
        with contextlib.suppress(OSError):  # Windows does not delete the file of a lock that is held
            if is_unlocked(file):
                file.unlink()


def _is_stray(name: str) -> bool:
    file = _lock_file(name)
    return not file.exists() or is_unlocked(file)


_SUFFIX = ".copies"


def _folder() -> Path:
    return user_paths().bridge


def _lock_file(name: str) -> Path:
    return _folder() / f"{name}{_SUFFIX}"
