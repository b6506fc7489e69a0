# SPDX-License-Identifier: GPL-3.0-or-later
"""Atomic writing: a file is replaced as a whole or not at all; the folders of such files."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from s2am_common.errors import DiskFullError, FileError
from s2am_common.path_checks import file_exists

_DISK_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_NO_PERMISSION = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], mode: int | None = None) -> Iterator[BinaryIO]:
    """Open a binary file for writing and reading; `path` is replaced when the block ends without an exception.

    The bytes go to a temporary file in the same folder, which is flushed to the disk and then renamed to `path`. It is
    removed on any failure, Ctrl-C included. A symbolic link is kept, and the file that it names is replaced.

    Args:
        path: the file to write.
        mode: permission bits of the file; None = those of the replaced file, or those of any new file (umask).

    Raises:
        FileError: no such folder, read-only folder or file, disk full (DiskFullError), not a regular file.
    """
    target = temporary = Path(path)
    try:
        target = Path(os.path.realpath(path))
        replaced = _mode_of_replaced(target, path)
        temporary = target.with_name(f".s2am-{secrets.token_hex(8)}.tmp")
        try:
            with _open_new(temporary, 0o666 if mode is None else mode) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            final = replaced if mode is None else mode
            if final is not None:
                with contextlib.suppress(OSError):
                    temporary.chmod(final)
            temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        if error.filename is not None and os.path.realpath(error.filename) not in {str(target), str(temporary)}:
            raise  # of another file that the block reads
        raise _write_error(error, path) from error
    except ValueError as error:
        if "null" not in str(error):
            raise
        raise FileError(f"{str(path)!r} is not a file name: choose another.", path=repr(path)) from error
    _flush_folder(target.parent)


def check_target(path: str | os.PathLike[str]) -> None:
    """Check that `atomic_write` can write a file, by creating and removing its temporary file.

    Raises:
        FileError: as `atomic_write`.
    """
    try:
        target = Path(os.path.realpath(path))
        _mode_of_replaced(target, path)
        temporary = target.with_name(f".s2am-{secrets.token_hex(8)}.tmp")
        _open_new(temporary, 0o600).close()
        temporary.unlink()
    except OSError as error:
        raise _write_error(error, path) from error


def output_exists(path: Path) -> bool:
    """Return whether there is a file or folder under the name of one to write.

    Raises:
        FileError: it cannot be written, because its folder may not be entered or the name is too long.
    """
    return file_exists(path, refused=_write_error)


def ensure_folder(folder: Path, code: str = "file.folder") -> None:
    """Create a folder and its parents, unless it exists.

    Args:
        folder: the folder.
        code: code of the error.

    Raises:
        FileError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise folder_error(error, folder, code) from error


def folder_error(error: OSError, folder: Path, code: str = "file.folder") -> FileError:
    """Return the error for a folder that cannot be created or used."""
    message = f"The folder {folder} cannot be created ({error.strerror}): allow writing there, then try again."
    return FileError(message, code=code, path=str(folder))


def _open_new(path: Path, mode: int) -> BinaryIO:
    # Not the module tempfile, whose files are private (mode 0600) regardless of the umask.
    return open(path, "x+b", opener=lambda name, flags: os.open(name, flags, mode))


def _mode_of_replaced(target: Path, path: str | os.PathLike[str]) -> int | None:
    try:
        found = target.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found):
        raise FileError(f"{path} is a folder: give the name of a file to write.", path=str(path))
    if not stat.S_ISREG(found):
        raise FileError(f"{path} is not a regular file: choose another name.", path=str(path))
    if not os.access(target, os.W_OK):
        message = f"{path} is write-protected: choose another name, or allow writing to it."
        raise FileError(message, code="file.read-only", path=str(path))
    return stat.S_IMODE(found)


def _flush_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _write_error(error: OSError, path: str | os.PathLike[str]) -> FileError:
    is_link = os.path.islink(path)  # noqa: PTH114 (Path.is_symlink raises in locked folders until 3.13)
    folder = Path(os.path.realpath(path) if is_link else path).parent
    if error.errno in _DISK_FULL:
        message = f"The disk is full, so {path} was not written: free some space or choose another folder."
        return DiskFullError(message, path=str(path))
    code = "file.write"
    if error.errno == errno.EFBIG:
        message = f"{path} was not written: it is larger than this disk or account allows; choose another folder."
    elif error.errno in _NO_PERMISSION and os.name == "nt" and folder.is_dir() and os.access(folder, os.W_OK):
        message = f"{path} cannot be written: it is open in another program; close it there or choose another name."
    elif error.errno in _NO_PERMISSION:
        code = "file.read-only"
        message = f"{path} cannot be written: the folder {folder} is read-only; choose another folder."
    elif error.errno in {errno.ENOENT, errno.ENOTDIR}:
        code = "file.no-folder"
        message = f"{path} cannot be written: there is no folder {folder}; create it or choose another."
    elif error.errno == errno.ENAMETOOLONG:
        code = "file.name"
        message = f"{path} cannot be written: the name is too long; choose a shorter one."
    else:
        message = f"{path} was not written ({error.strerror or error}): choose another folder or try again."
    return FileError(message, code=code, path=str(path))
