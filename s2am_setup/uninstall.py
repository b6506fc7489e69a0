# SPDX-License-Identifier: GPL-3.0-or-later
"""Uninstalling: everything in the manifest is removed and nothing else; remaining files are listed."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TextIO

from s2am_common.errors import InstallError
from s2am_setup.console import prompt_yes_no
from s2am_setup.desktop import update_mime_cache
from s2am_setup.gimp_plugin import remove_plugin
from s2am_setup.installation import Installation, InstallPaths, exclusive, tool_commands
from s2am_setup.manifest import Manifest


def run_uninstall(installation: Installation, source: TextIO, out: TextIO, options: argparse.Namespace) -> int:
    """Ask for confirmation, uninstall, and report.

    Args:
        installation: the installation to remove.
        source: where the answer is read from.
        out: where the report is printed.
        options: those of the command line; with `json`, it does not ask.

    Returns:
        The exit code: 0, or 1 if a file could not be removed.

    Raises:
        InstallError: nothing is installed, or not by the installer.
    """
    paths = installation.paths
    removed = paths_to_remove(installation, options.purge)
    if not removed and not os.path.lexists(paths.manifest):
        own = [path for path in own_files(paths) if os.path.lexists(path)]
        kept = f" Your own files remain (--purge removes them): {', '.join(map(str, own))}." if own else ""
        raise InstallError(
            "The installer has installed nothing here: remove a program that uv, pipx or pip installed with "
            f"“{tool_commands(installation.environment or Path(sys.prefix))[1]}”.{kept}"
        )
    say = partial(print, file=io.StringIO() if options.json else out)
    say("This removes:", *(f"  {path}" for path in removed), sep="\n")
    if options.dry_run:
        remaining: list[Path] = []
    elif options.yes or options.json or prompt_yes_no("Remove it?", source, out):
        with exclusive(paths) if paths.data.is_dir() else contextlib.nullcontext():
            remaining = uninstall(installation, say, purge=options.purge)
        _remove_data_folder(installation)  # with the lock's file, which Windows cannot delete while it is held
    else:
        return 0
    failed = [path for path in remaining if path in removed]
    if options.json:
        report = {"removed": [str(path) for path in removed if path not in failed], "stayed": list(map(str, remaining))}
        print(json.dumps(report, ensure_ascii=False), file=out)
    elif not options.dry_run:
        say(*_summary(installation, remaining, failed), sep="\n")
    return 1 if failed else 0


def _summary(installation: Installation, remaining: list[Path], failed: list[Path]) -> list[str]:
    kept = [path for path in remaining if path not in failed]
    is_by_tool = installation.is_by_tool
    done = "The plug-in, the menu entries and the log are removed." if is_by_tool else "s2am is uninstalled."
    lines = [done] if not failed else ["Some files could not be removed:", *map(str, failed)]
    if kept:
        later = "“python3 -m installer uninstall --purge” in a clone removes them, also later"
        lines += [f"Your own files were kept ({later}):", *(f"  {path}" for path in kept)]
    if appimage := installation.platform.environ.get("APPIMAGE"):
        lines.append(f"To remove the program itself, delete {appimage}.")
    elif is_by_tool and installation.environment:
        lines.append(f"To remove the program itself, run “{tool_commands(installation.environment)[1]}”.")
    return lines


def own_files(paths: InstallPaths) -> list[Path]:
    """Return the folders of personal models, settings, recovery copies and prepared photographs."""
    return [paths.data, paths.config, paths.state, paths.cache, paths.logs]


def paths_to_remove(installation: Installation, purge: bool) -> list[Path]:
    """Return the existing files and folders that uninstalling removes, without those in a folder that is removed."""
    manifest, paths = installation.manifest, installation.paths
    # Programs fill these while they run, whoever installed them: none has work of a person.
    working = [paths.cache, paths.logs, paths.bridge]
    wanted = [*manifest.files, *manifest.trees, *working, *(own_files(paths) if purge else [])]
    found = dict.fromkeys(path for path in wanted if os.path.lexists(path))
    return [path for path in found if found.keys().isdisjoint(path.parents)]


def uninstall(installation: Installation, report: Callable[[str], None], *, purge: bool = False) -> list[Path]:
    """Remove an installation.

    Args:
        installation: the installation.
        report: called with a description of each step.
        purge: also remove personal models, settings and recovery copies.

    Returns:
        Remaining files: personal models, settings, recovery copies, and files that could not be removed.
    """
    manifest, paths = installation.manifest, installation.paths
    installation.stop_engine()
    for profile in list(manifest.profiles):
        report(f"Removing the plug-in from {profile}")
        remove_plugin(profile, manifest)
    for path in paths_to_remove(installation, purge):
        if path != paths.manifest:
            report(f"Removing {path}")
            _delete_quietly(path)
    _remove_data_folder(installation)
    update_mime_cache(installation.platform, Manifest(paths.manifest))
    kept = [paths.models, paths.state / "recovery", *(paths.config.iterdir() if paths.config.is_dir() else [])]
    return sorted({path for path in [*kept, *paths_to_remove(installation, purge=False)] if os.path.lexists(path)})


def _delete_quietly(path: Path) -> None:
    # Windows keeps the files of a running program; they are listed at the end.
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        path.unlink()  # a file or a link


def _remove_data_folder(installation: Installation) -> None:
    """Remove the manifest and the log last, then every recorded folder that is empty.

    Nothing has recorded the folders that a program of uv, pipx or an AppImage made: of the folders above its own, those
    that are empty go.
    """
    manifest, paths = installation.manifest, installation.paths
    for file in (paths.install_log, paths.lock):
        _delete_quietly(file)
    if not paths_to_remove(installation, purge=False):
        _delete_quietly(paths.manifest)
    own = own_files(paths)
    home = installation.platform.home
    above = [each for path in own for each in path.parents if home in each.parents] if installation.is_by_tool else []
    folders = [*manifest.folders, paths.environments, *own, *above]
    for folder in sorted(folders, key=lambda each: len(each.parts), reverse=True):  # the innermost first
        with contextlib.suppress(OSError):
            folder.rmdir()
