# SPDX-License-Identifier: GPL-3.0-or-later
"""Contents of packages of Debian and Ubuntu, without root.

apt-get downloads packages and checks their signatures for any user; only installing them needs root. The downloaded
packages are unpacked into a folder instead.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from s2am_common import system_libraries
from s2am_common.errors import InstallError, S2AMError

RunIn = Callable[[Sequence[str], Path], str]
"""Runs a command in a folder; returns its output, or raises S2AMError."""

_MAX_ROUNDS = 8


def has_packages() -> bool:
    """Return whether packages can be downloaded and unpacked here."""
    return bool(shutil.which("apt-get") and shutil.which("dpkg-deb"))


def unpack_packages(names: Sequence[str], folder: Path, run: RunIn) -> Path:
    """Download packages into a folder and unpack them.

    Args:
        names: names of packages; where Debian 13 and Ubuntu 24.04 have renamed one to NAMEt64, that one is taken.
        folder: an existing folder for the downloads; used again, it keeps the lists of packages.
        run: runs a command.

    Returns:
        The folder with the contents.

    Raises:
        S2AMError: a package cannot be downloaded.
    """
    options: list[str] = []
    lists = folder / "lists/partial"
    if lists.exists():
        options = _private_lists(folder)
    try:
        _download(names, folder, options, run)
    except S2AMError:  # container images often have no package lists, or old ones
        if options:
            raise
        for part in (lists, folder / "cache/archives/partial"):
            part.mkdir(parents=True)
        options = _private_lists(folder)
        run(["apt-get", *options, "-o", "APT::Update::Error-Mode=any", "update"], folder)
        _download(names, folder, options, run)
    for package in folder.glob("*.deb"):
        run(["dpkg-deb", "-x", str(package), str(folder / "root")], folder)
        package.unlink()
    return folder / "root"


def _private_lists(folder: Path) -> list[str]:
    return ["-o", f"Dir::State::Lists={folder / 'lists'}", "-o", f"Dir::Cache={folder / 'cache'}"]


def _download(names: Sequence[str], folder: Path, options: Sequence[str], run: RunIn) -> None:
    present = [_present_name(name, folder, options, run) for name in names]
    run(["apt-get", *options, "download", *present], folder)


def _present_name(name: str, folder: Path, options: Sequence[str], run: RunIn) -> str:
    for candidate in (name, f"{name}t64"):
        with contextlib.suppress(S2AMError):
            # Nothing but a note is printed for a name that other packages only provide.
            if f"Package: {candidate}\n" in run(["apt-cache", *options, "show", candidate], folder):
                return candidate
    return name


def fetch_libraries(files: Sequence[Path], target: Path, temporary: Path, run: RunIn) -> None:
    """Put the system libraries that some files lack into a folder.

    Args:
        files: shared libraries, such as Qt's.
        target: folder for the fetched libraries, see `system_libraries.preload`.
        temporary: an empty folder for downloads.
        run: runs a command.

    Raises:
        S2AMError: a package cannot be downloaded, or does not contain its library.
    """
    # A fetched library may need further ones.
    for _ in range(_MAX_ROUNDS):
        missing = system_libraries.find_missing(files, target)
        if not missing:
            return
        packages = dict.fromkeys(map(system_libraries.debian_package, missing))
        root = unpack_packages(list(packages), temporary, run)
        target.mkdir(parents=True, exist_ok=True)
        for library in missing:
            found = next((path for path in root.rglob(library) if path.exists()), None)
            if found is None:
                raise InstallError(f"No package of this system contains {library}.")
            shutil.copy(found, target / library)
    raise InstallError(f"Some libraries are still missing: {', '.join(system_libraries.find_missing(files, target))}.")
