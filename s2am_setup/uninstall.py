# SPDX-License-Identifier: GPL-3.0-or-later
"""Uninstalling: all and only what the manifest lists goes, and what stays is named."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

from s2am_common.errors import InstallError
from s2am_setup import desktop, plugins
from s2am_setup.installation import Installation
from s2am_setup.manifest import Manifest, is_there
from s2am_setup.questions import agreed

Tell = Callable[[str], None]


def run(
    installation: Installation, source: TextIO, out: TextIO, *, purge: bool, yes: bool, dry_run: bool, as_json: bool
) -> int:
    """Ask, remove, and say what went and what stayed; exit code 0, or 1 if something could not be removed.

    Raises:
        InstallError: nothing is installed, or not by the installer.
    """
    if not is_there(installation.paths.manifest):
        raise InstallError(
            "The installer has put nothing here: what pip or pipx installed goes with “pip uninstall s2am” or “pipx "
            "uninstall s2am”."
        )
    doomed = plan(installation, purge)
    doomed += [plugins.folder(profile) for profile in installation.manifest.profiles]
    doomed = list(dict.fromkeys(doomed))
    if not as_json:
        print("This removes:", *(f"  {path}" for path in doomed), sep="\n", file=out)
    if dry_run:
        stayed: list[Path] = []
    elif yes or as_json or agreed("Remove it?", True, source, out):
        stayed = uninstall(installation, lambda text: None if as_json else print(text, file=out), purge=purge)
    else:
        return 0
    failed = [path for path in stayed if path in doomed]
    if as_json:
        removed = [str(path) for path in doomed if path not in failed]
        told = {"removed": removed, "stayed": [str(path) for path in stayed]}
        print(json.dumps(told, ensure_ascii=False), file=out)
    elif not dry_run:
        print(*_farewell(installation, stayed, failed), sep="\n", file=out)
    return 1 if failed else 0


def _farewell(installation: Installation, stayed: list[Path], failed: list[Path]) -> list[str]:
    kept = [path for path in stayed if path not in failed]
    lines = ["s2am is uninstalled."] if not failed else ["Not all of s2am could be removed:", *map(str, failed)]
    if kept:
        lines += ["These are yours and stayed (they go with --purge):", *(f"  {path}" for path in kept)]
    if not installation.is_by_installer and installation.environment:
        lines.append("What pip or pipx installed goes with “pip uninstall s2am” or “pipx uninstall s2am”.")
    return lines


def plan(installation: Installation, purge: bool) -> list[Path]:
    """Return what uninstalling removes: files outside the program's own folders, and these folders."""
    known = installation.manifest
    files = [file for file in known.files if not any(tree in file.parents for tree in known.trees)]
    own = [installation.paths.data, installation.paths.config] if purge else []
    return [path for path in [*files, *known.trees, *own] if is_there(path)]


def uninstall(installation: Installation, tell: Tell, *, purge: bool = False) -> list[Path]:
    """Remove what was installed.

    Args:
        installation: what there is.
        tell: told each step.
        purge: also remove personal models and settings.

    Returns:
        What stayed: personal models, settings, and what could not be removed.
    """
    known, paths = installation.manifest, installation.paths
    installation.stop_engine()
    for profile in list(known.profiles):
        tell(f"Taking the plug-in out of {profile}")
        plugins.take_out(profile, known)
    for path in plan(installation, purge):
        if path != paths.manifest:
            tell(f"Removing {path}")
            _remove(path)
    _remove_data(installation)
    desktop.refresh_menus(installation.facts, Manifest(paths.manifest))
    kept = [paths.models, *(paths.config.iterdir() if paths.config.is_dir() else [])]
    return sorted({path for path in [*kept, *plan(installation, purge=False)] if is_there(path)})


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        # What a running program on Windows keeps open stays, and is named at the end.
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _remove_data(installation: Installation) -> None:
    """Remove the manifest and the log last, then every folder that was made and is empty now."""
    known, paths = installation.manifest, installation.paths
    for file in (paths.log, paths.lock):
        _remove(file)
    if not plan(installation, purge=False):
        _remove(paths.manifest)
    remove_empty([*known.folders, paths.environments, paths.data])


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove those of some folders that are empty, the innermost first."""
    for folder in sorted(folders, key=lambda each: len(each.parts), reverse=True):
        with contextlib.suppress(OSError):
            folder.rmdir()
