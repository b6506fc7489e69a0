# SPDX-License-Identifier: GPL-3.0-or-later
"""The copy of the installer in the data folder, which repairs an installation when the clone is gone.

`python3 DATA/repair` is the same command as `python3 -m installer` in a clone. The copy contains the installer, the
packages that it imports, and the program's wheel.
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

_NEEDED = ("s2am_common/", "s2am_setup/", "gimp_bridge/")
_MAIN = '''\
"""Installs, repairs or uninstalls s2am: python3 THIS_FOLDER --help."""

import sys

from installer.__main__ import main

sys.exit(main())
'''
_DIGEST = "source.sha256"
_PACKAGED = ("s2am_common", "s2am_engine", "gimp_bridge", "s2am_setup", "plugin", "pyproject.toml", "README.md")


def stored_wheel(folder: Path) -> Path | None:
    """Return the program's wheel in a copy of the installer, if it is there."""
    return next(iter(sorted(folder.glob("s2am-*.whl"))), None)


def source_digest(clone: Path) -> str:
    """Return a checksum of everything in a clone that a wheel is built from."""
    digest = hashlib.sha256()
    for name in _PACKAGED:
        path = clone / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(file.relative_to(clone).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def unchanged_wheel(folder: Path, clone: Path) -> Path | None:
    """Return the stored wheel if it was built from the present contents of a clone."""
    wheel, note = stored_wheel(folder), folder / _DIGEST
    if wheel and note.is_file() and note.read_text(encoding="ascii") == source_digest(clone):
        return wheel
    return None


def write_repair_copy(folder: Path, wheel: Path, installer: Path, clone: Path | None) -> None:
    """Write the copy of the installer; a previous one is replaced when the new one is complete.

    Args:
        folder: the folder to write.
        wheel: the program's wheel, which may lie in `folder`.
        installer: the folder of the package `installer`.
        clone: the clone that the wheel was built from, if any.

    Raises:
        OSError: the folder cannot be written.
    """
    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    shutil.copytree(installer, new / "installer", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(wheel, new / wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(new, [name for name in archive.namelist() if name.startswith(_NEEDED)])
    (new / "__main__.py").write_text(_MAIN, encoding="utf-8")
    if clone:
        (new / _DIGEST).write_text(source_digest(clone), encoding="ascii")
    elif wheel.parent == folder and (folder / _DIGEST).is_file():
        shutil.copy2(folder / _DIGEST, new / _DIGEST)
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)
