# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing a file whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from s2am_engine.errors import EngineError

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Give a binary file to write to; `path` holds all of it when the block ends, or is left as it was.

    The bytes go to a temporary file in the same folder, which is flushed to the disk and then renamed over `path`; it
    is removed on any failure, Ctrl-C included. A replaced file keeps its mode bits, a new one gets those of the umask,
    and a symbolic link keeps pointing at the file it names.

    Raises:
        EngineError: no such folder, read-only folder or file, disk full, not a regular file.
    """
    try:
        target = Path(os.path.realpath(path))
        mode = _mode_of_replaced(target, path)
        temporary = target.with_name(f".s2am-{secrets.token_hex(8)}.tmp")
        try:
            with _created(temporary) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if mode is not None:
                with contextlib.suppress(OSError):
                    temporary.chmod(mode)
            temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise EngineError(_sentence(path, error)) from error
    except ValueError as error:
        if "null" not in str(error):
            raise
        raise EngineError(f"{str(path)!r} is not a file name: choose another.") from error
    _flush_folder(target.parent)


def _created(temporary: Path) -> BinaryIO:
    # Not tempfile: its files are private (mode 0600), and a picture should be as readable as any other new file.
    return temporary.open("xb")


def _mode_of_replaced(target: Path, path: str | os.PathLike[str]) -> int | None:
    try:
        found = target.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found):
        raise EngineError(f"{path} is a folder: give the name of a file to write.")
    if not stat.S_ISREG(found):
        raise EngineError(f"{path} is not an ordinary file: choose another name to write to.")
    if not os.access(target, os.W_OK):
        raise EngineError(f"{path} is write-protected: choose another name, or allow writing to it.")
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


def _sentence(path: str | os.PathLike[str], error: OSError) -> str:
    folder = Path(path).parent
    if error.errno in _FULL:
        return f"The disk is full, so {path} was not written: free some space or choose another folder."
    if error.errno == errno.EFBIG:
        return f"{path} was not written: it is larger than this disk or account allows; choose another folder."
    if error.errno in _FORBIDDEN and folder.is_dir() and os.access(folder, os.W_OK) and os.name == "nt":
        return f"{path} cannot be written: it is open in another program; close it there or choose another name."
    if error.errno in _FORBIDDEN:
        return f"{path} cannot be written: the folder {folder} is read-only; choose another folder."
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return f"{path} cannot be written: there is no folder {folder}; create it or choose another."
    if error.errno == errno.ENAMETOOLONG:
        return f"{path} cannot be written: the name is too long; choose a shorter one."
    return f"{path} was not written ({error.strerror or error}): choose another folder or try again."
