# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-in in GIMP's profiles: putting it there, what GIMP knows of it, taking it out."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from s2am_common import log
from s2am_common.atomic import atomic_write
from s2am_setup import plugin_folder
from s2am_setup.manifest import Manifest, is_there
from s2am_setup.profiles import Profile

PROCEDURE = "plug-in-harmonize-layer"
_OURS = re.compile(r"\.?(?:harmonize[-_ ]?layer|s2am).*", re.IGNORECASE)
_MARK = "Harmonize Layer"  # in every version's first lines
_ENTRY = re.compile(r'^\(plug-in-def "((?:[^"\\]|\\.)*)".*?(?=^[(#]|\Z)', re.MULTILINE | re.DOTALL)

Seen = Literal["seen", "not asked yet", "passed over", "failed"]


def folder(profile: Path) -> Path:
    """Return where the plug-in is in a profile; GIMP loads it only from a folder that is named as its file."""
    return profile / "plug-ins" / plugin_folder.NAME


def put(profile: Path, serve: Sequence[str], manifest: Manifest) -> None:
    """Put the plug-in in a profile, instead of any older one, and let GIMP look at it anew. Raises OSError."""
    for old in older(profile):
        _remove(old)
    target = folder(profile)
    manifest.own(target)
    manifest.files = {file: known for file, known in manifest.files.items() if target not in file.parents}
    written = plugin_folder.assemble(target, serve)
    manifest.note(written)
    forget(profile)
    if profile not in manifest.profiles:
        manifest.profiles.append(profile)
        manifest.save()


def take_out(profile: Path, manifest: Manifest) -> None:
    """Remove the plug-in from a profile, and what GIMP remembers of it."""
    for left in older(profile):
        _remove(left)
    manifest.forget(folder(profile))
    forget(profile)
    manifest.profiles = [each for each in manifest.profiles if each != profile]
    manifest.save()


def older(profile: Path) -> list[Path]:
    """Return earlier versions of the plug-in in a profile: under other names, loose, or half written."""
    plugins = profile / "plug-ins"
    entries = sorted(plugins.iterdir()) if plugins.is_dir() else []
    ours = [entry for entry in entries if _OURS.fullmatch(entry.name) and _is_marked(entry)]
    return [entry for entry in ours if entry != folder(profile)]


def _is_marked(entry: Path) -> bool:
    files = entry.rglob("*.py") if entry.is_dir() else [entry]
    return any(_MARK in file.read_text("utf-8", "replace") for file in files if file.is_file())


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()


def forget(profile: Path) -> None:
    """Remove what GIMP has cached of the plug-in, in any version; what it cached of others stays as it is."""
    cache = profile / "pluginrc"
    if is_there(cache):
        before = _read(cache)
        after = _ENTRY.sub(lambda entry: "" if _is_of_ours(entry[1]) else entry[0], before)
        if after != before:
            was = cache.stat()
            with atomic_write(cache) as file:
                file.write(after.encode("utf-8", "surrogateescape"))
            os.utime(cache, ns=(was.st_atime_ns, was.st_mtime_ns))  # it still tells when GIMP looked last


def seen(profile: Profile) -> Seen:
    """Return what GIMP made of the plug-in when it last looked, as its cache tells."""
    cache, file = profile.folder / "pluginrc", folder(profile.folder) / f"{plugin_folder.NAME}.py"
    if not cache.is_file():
        return "not asked yet"
    for entry in _ENTRY.finditer(_read(cache)):
        if _is_of_ours(entry[1]):
            return "seen" if f'(proc-def "{PROCEDURE}"' in entry[0] else "failed"
    # The folder's own time, too: files keep theirs when they are copied.
    changed = max(file.stat().st_mtime, file.parent.stat().st_ctime)
    return "passed over" if cache.stat().st_mtime > changed else "not asked yet"


def last_error() -> str:
    """Return the last line of the plug-in's last traceback in the log, or ""."""
    try:
        lines = log.log_path().read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    error, is_plugin = "", False
    for line in lines:
        if record := re.match(r"\d{4}\S+ \S+ (\S+)\[\d+\] (\w+) ", line):
            is_plugin = record.groups() == ("plug-in", "ERROR")
        elif is_plugin and re.match(r"\w*(Error|Exception)\b", line):
            error = line.strip()
    return error


def _read(file: Path) -> str:
    """Read a file of GIMP's, in which icons lie as bytes: these come back as they were, line ends too."""
    return file.read_bytes().decode("utf-8", "surrogateescape")


def _is_of_ours(path: str) -> bool:
    """Whether a path in GIMP's cache ("${gimp_dir}/plug-ins/NAME/NAME.py") is a plug-in of ours."""
    return bool(_OURS.fullmatch(re.split(r"[/\\]+", path)[-1]))
