# SPDX-License-Identifier: GPL-3.0-or-later
"""Contents of packages of Debian and Ubuntu, without root.

apt-get downloads packages and checks their signatures for any user; only installing them needs root. The downloaded
packages are unpacked into a folder instead.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from s2am_common import system_libraries
from s2am_common.errors import InstallError, S2AMError
from s2am_setup.console import Console

_MAX_ROUNDS = 8


def has_packages() -> bool:
    """Return whether packages can be downloaded and unpacked here."""
    return bool(shutil.which("apt-get") and shutil.which("dpkg-deb"))


def unpack_packages(names: Sequence[str], folder: Path, console: Console) -> Path:
    """Download packages into a folder and unpack them.

    Args:
        names: names of packages; where Debian 13 and Ubuntu 24.04 have renamed one to NAMEt64, that one is taken.
        folder: an existing folder for the downloads; used again, it keeps the lists of packages.
        console: runs the commands.

    Returns:
        The folder with the contents.

    Raises:
        S2AMError: a package cannot be downloaded.
    """
    private = ["-o", f"Dir::State::Lists={folder / 'lists'}", "-o", f"Dir::Cache={folder / 'cache'}"]
    options = private if (folder / "lists").exists() else []
    try:
        _download(names, folder, options, console)
    except S2AMError:  # container images often have no package lists, or old ones
        if options:
            raise
        for part in ("lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True)
        console.run(["apt-get", *private, "-o", "APT::Update::Error-Mode=any", "update"], cwd=folder)
        _download(names, folder, private, console)
    for package in folder.glob("*.deb"):
        console.run(["dpkg-deb", "-x", str(package), str(folder / "root")], cwd=folder)
        package.unlink()
    return folder / "root"


def _download(names: Sequence[str], folder: Path, options: Sequence[str], console: Console) -> None:
    present = [_present_name(name, options, console) for name in names]
    console.run(["apt-get", *options, "download", *present], cwd=folder)


def _present_name(name: str, options: Sequence[str], console: Console) -> str:
    for candidate in (name, f"{name}t64"):
        with contextlib.suppress(S2AMError):
            # Nothing but a note is printed for a name that other packages only provide.
            if f"Package: {candidate}\n" in console.run(["apt-cache", *options, "show", candidate]):
                return candidate
    return name


def fetch_libraries(files: Sequence[Path], environment: Path, console: Console) -> None:
    """Put the system libraries that some files lack into an environment, see `system_libraries.preload`.

    Args:
        files: shared libraries, such as Qt's.
        environment: folder of the environment.
        console: runs the commands.

    Raises:
        S2AMError: a package cannot be downloaded, or does not contain its library.
    """
    target = system_libraries.fetched_libraries(environment)
    with tempfile.TemporaryDirectory() as temporary:
        # A fetched library may need further ones.
        for _ in range(_MAX_ROUNDS):
            missing = system_libraries.find_missing(files, target)
            if not missing:
                return
            packages = dict.fromkeys(map(system_libraries.debian_package, missing))
            root = unpack_packages(list(packages), Path(temporary), console)
            target.mkdir(parents=True, exist_ok=True)
            for library in missing:
                found = next((path for path in root.rglob(library) if path.exists()), None)
                if found is None:
                    raise InstallError(f"No package of this system contains {library}.")
                shutil.copy(found, target / library)
    raise InstallError(f"Some libraries are still missing: {', '.join(missing)}.")
