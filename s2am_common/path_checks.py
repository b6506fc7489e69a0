# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of paths that a person names: the same on all versions of Python, where the system refuses access."""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable
from pathlib import Path

from s2am_common.errors import FileError, os_error

_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP}
_ABSENT_ON_WINDOWS = {21, 123, 1921}  # drive not ready, invalid name, broken link: as `Path.exists` until Python 3.13


def file_exists(path: Path, refused: Callable[[OSError, Path], FileError] = os_error) -> bool:
    """Return whether a file or folder exists.

    Args:
        path: the file or folder.
        refused: returns the error for a path that the system refuses; for a file to write, see `atomic.output_exists`.

    Raises:
        FileError: the system refuses access, or the name is too long.
    """
    return _mode(path, refused) != 0


def is_accessible(path: Path) -> bool:
    """Return whether a file or folder exists and the system does not refuse access."""
    try:
        return file_exists(path)
    except FileError:
        return False


def is_regular_file(path: Path) -> bool:
    """Return whether a regular file exists, or a symbolic link to one.

    Raises:
        FileError: as `file_exists`.
    """
    return stat.S_ISREG(_mode(path))


def is_folder(path: Path) -> bool:
    """Return whether a folder exists, or a symbolic link to one.

    Raises:
        FileError: as `file_exists`.
    """
    return stat.S_ISDIR(_mode(path))


def _mode(path: Path, refused: Callable[[OSError, Path], FileError] = os_error) -> int:
    """Return the type and permission bits of a file or folder; 0 if there is none."""
    # Not `Path.exists` and its kind: since Python 3.14 they are False where access is refused.
    try:
        return path.stat().st_mode
    except OSError as error:
        if error.errno in _ABSENT or getattr(error, "winerror", None) in _ABSENT_ON_WINDOWS:
            return 0
        raise refused(error, path) from error
    except ValueError:  # a null character
        return 0
