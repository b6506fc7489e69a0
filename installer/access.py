# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of users and folders before anything is downloaded."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from s2am_common.errors import InstallError
from s2am_setup.platform import Platform


def check_user(platform: Platform) -> None:
    """Check that the installer was not started with sudo, which would install for root.

    Raises:
        InstallError: it was.
    """
    user = platform.environ.get("SUDO_USER")
    if user and user != "root" and os.name == "posix" and os.geteuid() == 0:
        raise InstallError(f"This would install s2am for root, not for {user}: run the same command without sudo.")


def check_writable(paths: Iterable[Path]) -> None:
    """Check that files and folders, which need not exist, can be written.

    Raises:
        InstallError: one cannot; the message has the command that changes that.
    """
    for path in paths:
        existing = next(folder for folder in (path, *path.parents) if os.path.lexists(folder))
        folder = existing if existing.is_dir() or existing != path else existing.parent
        if not folder.is_dir():
            raise InstallError(f"{folder} is a file, but a folder is needed: rename it, then try again.")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InstallError(f"{folder} cannot be written: {write_advice(folder)}, then run the same command again.")


def write_advice(path: Path) -> str:
    """Return advice for getting the permission to write a file or folder, or to create it."""
    existing = next(folder for folder in (path, *path.parents) if os.path.lexists(folder))
    if os.name != "posix" or not hasattr(os, "getuid"):
        return "allow that in its properties"
    if existing.stat().st_uid != os.getuid():
        return f'make it yours with  sudo chown -R "$(id -un)" "{existing}"'
    return f'allow it with  chmod u+rwx "{existing}"'
