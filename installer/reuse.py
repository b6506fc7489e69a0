# SPDX-License-Identifier: GPL-3.0-or-later
"""Reusing the undamaged packages of the previous environment: a repair or upgrade downloads only the missing ones."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from importlib.metadata import Distribution, PackagePath, distributions
from pathlib import Path

from s2am_setup.python_environment import Environment

_BLOCK = 1 << 20
_PROGRAM = "s2am"  # always installed anew: its version may stay the same while its files change


def reuse_packages(
    old: Environment, new: Environment, progress: Callable[[int, int], None], *, without: re.Pattern[str] | None = None
) -> list[str]:
    """Link the undamaged packages of an environment into a new one, except for those that it has already.

    Args:
        old: the previous environment, which is not changed.
        new: an environment of the same Python.
        progress: called with (done, total) bytes.
        without: pattern of the names of packages that are not reused.

    Returns:
        The names of the reused packages; empty if the environments have different versions of Python.
    """
    source, target = old.packages, new.packages
    if source.relative_to(old.folder) != target.relative_to(new.folder):
        return []
    present = {_PROGRAM, *(_name(one) for one in distributions(path=[str(target)]))}
    packages = {_name(one): _files(one, old) for one in distributions(path=[str(source)])}
    wanted = [name for name in packages if name not in present and not (without and without.fullmatch(name))]
    sizes = {name: sum(recorded.size or 0 for recorded in packages[name]) for name in wanted}
    done, reused = 0, []
    for name in wanted:
        files = packages[name]
        if files and all(_is_as_recorded(recorded, file) for recorded, file in files.items()):
            for recorded, file in files.items():
                _link(file, new.folder / file.relative_to(old.folder), old, new, is_script=_is_outside(recorded))
            reused.append(name)
        done += sizes[name]
        progress(done, sum(sizes.values()))
    return sorted(reused)


def _name(package: Distribution) -> str:
    return str(package.metadata["Name"] or "").lower().replace("_", "-")


def _files(package: Distribution, environment: Environment) -> dict[PackagePath, Path]:
    """Return the path of each recorded file of a package."""
    found = {}
    for recorded in package.files or ():
        file = Path(os.path.normpath(str(recorded.locate())))
        if environment.folder in file.parents and recorded.suffix != ".pyc":
            found[recorded] = file
    return found


def _is_outside(recorded: PackagePath) -> bool:
    return recorded.parts[:1] == ("..",)


def _is_as_recorded(recorded: PackagePath, file: Path) -> bool:
    try:
        if recorded.hash is None or _is_outside(recorded):  # scripts contain the environment's path
            return file.is_file()
        digest = hashlib.new(recorded.hash.mode)
        with file.open("rb") as opened:
            while block := opened.read(_BLOCK):
                digest.update(block)
    except (OSError, ValueError):
        return False
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode() == recorded.hash.value


def _link(file: Path, target: Path, old: Environment, new: Environment, *, is_script: bool) -> None:
    """Make a hard link, or a copy on disks without links; a script is copied, and names the new environment."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if is_script:
        content = file.read_bytes().replace(os.fsencode(old.folder), os.fsencode(new.folder))
        target.write_bytes(content)
        shutil.copymode(file, target)
        return
    try:
        os.link(file, target)
    except OSError:
        shutil.copy2(file, target)
