# SPDX-License-Identifier: GPL-3.0-or-later
"""Files without permission, for tests that may run as root."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest


@contextlib.contextmanager
def ordinary_user() -> Iterator[Path]:
    """Yield a read-only folder with old.png and an unreadable secret.png; root becomes another user meanwhile."""
    folder = Path(tempfile.mkdtemp())
    root = hasattr(os, "getuid") and os.getuid() == 0
    if root and not hasattr(os, "setresuid"):
        pytest.skip("root cannot step down here")
    (folder / "old.png").write_bytes(b"precious")
    (folder / "secret.png").write_bytes(b"\x89PNG")
    (folder / "secret.png").chmod(0)
    folder.chmod(0o555)
    if root:
        os.setresuid(65534, 65534, 0)
    try:
        yield folder
    finally:
        if root:
            os.setresuid(0, 0, 0)
        folder.chmod(0o700)
        shutil.rmtree(folder)


@contextlib.contextmanager
def locked_folder(files: Mapping[str, bytes]) -> Iterator[tuple[Path, Path]]:
    """Yield two folders with files; the second one may not be entered. Root becomes another user meanwhile."""
    folder, place = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    root = hasattr(os, "getuid") and os.getuid() == 0
    if root and not hasattr(os, "setresuid"):
        pytest.skip("root cannot step down here")
    for name, content in files.items():
        (folder / name).write_bytes(content)
        (place / name).write_bytes(content)
    place.chmod(0o777)
    folder.chmod(0)
    if root:
        os.setresuid(65534, 65534, 0)
    try:
        yield place, folder
    finally:
        if root:
            os.setresuid(0, 0, 0)
        folder.chmod(0o700)
        shutil.rmtree(folder)
        shutil.rmtree(place)
