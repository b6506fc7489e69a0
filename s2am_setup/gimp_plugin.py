# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-in in GIMP's profiles: assembled, installed, checked against GIMP's plug-in cache, removed."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from s2am_common import log
from s2am_common.atomic import atomic_write
from s2am_common.paths import user_paths
from s2am_common.translation import read_po
from s2am_setup.gimp_profiles import FLATPAK_ID, GimpProfile
from s2am_setup.manifest import Manifest
from s2am_setup.message_catalog import compile_catalog

PLUGIN_NAME = "harmonize-layer"
"""Name of the plug-in's folder and file: GIMP requires both to be the same."""

PLUGIN_PROCEDURE = "plug-in-harmonize-layer"

_ROOT = Path(__file__).resolve().parent.parent
_ENGINE_NOTE_VERSION = 1

_OUR_NAMES = re.compile(r"\.?(?:harmonize[-_ ]?layer|s2am).*", re.IGNORECASE)
_OUR_MARK = "Harmonize Layer"  # in the source of every version
_CACHE_ENTRY = re.compile(r'^\(plug-in-def "((?:[^"\\]|\\.)*)".*?(?=^[(#]|\Z)', re.MULTILINE | re.DOTALL)

PluginState = Literal["loaded", "not loaded yet", "skipped", "failed"]

PluginFiles = dict[Path, bytes]
"""The content of each file of the plug-in, by its path in the plug-in's folder."""


def plugin_files(serve: Sequence[str], packages: Path = _ROOT) -> PluginFiles:
    """Return the files of the plug-in: its own, the bridge's client, translations, and how to start the engine.

    Args:
        serve: the command that runs the engine's server.
        packages: folder of the program's packages, whose version may differ from that of this process; without them,
            those of this process are taken.

    Raises:
        OSError: the packages are incomplete.
    """
    root = packages if (packages / "s2am_setup").is_dir() else _ROOT
    packed = root / "s2am_setup" / PLUGIN_NAME  # in the wheel
    own = packed if packed.is_dir() else root / "plugin" / PLUGIN_NAME
    shared = _with_suffix(root / "s2am_common", ".py", ".po")
    names = runpy.run_path(str(root / "gimp_bridge/__init__.py"))["CLIENT_FILES"]
    client = [root / "gimp_bridge" / name for name in names]
    files = {path.relative_to(own): path.read_bytes() for path in _with_suffix(own, ".py", ".svg")}
    files |= {path.relative_to(root): path.read_bytes() for path in [*client, *shared]}
    for source in (path for path in shared if path.suffix == ".po"):
        # GIMP's menus take their texts from the gettext domain of the plug-in, which has its name.
        compiled = compile_catalog(read_po(source.read_text(encoding="utf-8")), source.stem)
        files[Path("locale", source.stem, "LC_MESSAGES", f"{PLUGIN_NAME}.mo")] = compiled
    note = {"version": _ENGINE_NOTE_VERSION, "serve": list(serve)}
    files[Path("engine.json")] = (json.dumps(note, indent=2) + "\n").encode()
    return files


def _with_suffix(folder: Path, *suffixes: str) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.suffix in suffixes]


def assemble_plugin(target: Path, files: PluginFiles) -> None:
    """Write the plug-in's folder atomically.

    Args:
        target: `<GIMP profile>/plug-ins/harmonize-layer`, which is replaced.
        files: see `plugin_files`.

    Raises:
        OSError: it cannot be written; a previous folder is then unchanged.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # GIMP skips a folder whose name begins with a dot and that contains no file of its name.
    new, old = (target.with_name(f".{target.name}.{state}") for state in ("new", "old"))
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        for name, content in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_bytes(content)
        (new / f"{PLUGIN_NAME}.py").chmod(0o755)  # without the executable bit GIMP skips it silently
        if target.exists():
            target.rename(old)
        new.rename(target)
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)


def plugin_folder(profile: Path) -> Path:
    """Return the plug-in's folder in a profile."""
    return profile / "plug-ins" / PLUGIN_NAME


def install_plugin(profile: Path, files: PluginFiles, manifest: Manifest) -> None:
    """Install the plug-in in a profile, replacing other versions, and make GIMP reload it.

    Raises:
        OSError, FileError: it cannot be written.
    """
    for other in find_other_versions(profile):
        delete(other)
    target = plugin_folder(profile)
    manifest.add_tree(target)
    if plugin_log(profile) != log.log_path():
        manifest.add_tree(plugin_log(profile).parent)
    assemble_plugin(target, files)
    clear_plugin_cache(profile)
    if profile not in manifest.profiles:
        manifest.profiles.append(profile)
        manifest.save()


def remove_plugin(profile: Path, manifest: Manifest) -> None:
    """Remove the plug-in from a profile and from GIMP's plug-in cache."""
    for other in find_other_versions(profile):
        delete(other)
    manifest.remove_tree(plugin_folder(profile))
    clear_plugin_cache(profile)
    manifest.profiles = [each for each in manifest.profiles if each != profile]
    manifest.save()


def find_other_versions(profile: Path) -> list[Path]:
    """Return copies of the plug-in under other names, outside a folder, or half written."""
    plugins = profile / "plug-ins"
    entries = sorted(plugins.iterdir()) if plugins.is_dir() else []
    ours = [entry for entry in entries if _OUR_NAMES.fullmatch(entry.name) and _has_our_mark(entry)]
    return [entry for entry in ours if entry != plugin_folder(profile)]


def _has_our_mark(entry: Path) -> bool:
    files = entry.rglob("*.py") if entry.is_dir() else [entry]
    return any(_OUR_MARK in file.read_text("utf-8", "replace") for file in files if file.is_file())


def delete(entry: Path) -> None:
    """Delete a file, a link, or a folder with its contents."""
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()


def clear_plugin_cache(profile: Path) -> None:
    """Remove the plug-in from GIMP's plug-in cache (pluginrc); the entries of other plug-ins are unchanged."""
    cache = profile / "pluginrc"
    if os.path.lexists(cache):
        before = _read_cache(cache)
        after = _CACHE_ENTRY.sub(lambda entry: "" if _is_our_path(entry[1]) else entry[0], before)
        if after != before:
            times = cache.stat()
            with atomic_write(cache) as file:
                file.write(after.encode("utf-8", "surrogateescape"))
            os.utime(cache, ns=(times.st_atime_ns, times.st_mtime_ns))  # GIMP's last start, see plugin_state


def plugin_state(profile: GimpProfile) -> PluginState:
    """Return the state of the plug-in after GIMP's last start, according to GIMP's plug-in cache."""
    cache, file = profile.folder / "pluginrc", plugin_folder(profile.folder) / f"{PLUGIN_NAME}.py"
    if not cache.is_file():
        return "not loaded yet"
    for entry in _CACHE_ENTRY.finditer(_read_cache(cache)):
        if _is_our_path(entry[1]):
            return "loaded" if f'(proc-def "{PLUGIN_PROCEDURE}"' in entry[0] else "failed"
    # The folder's time counts too, because copied files keep theirs.
    changed = max(file.stat().st_mtime, file.parent.stat().st_ctime)
    return "skipped" if cache.stat().st_mtime > changed else "not loaded yet"


def plugin_log(profile: Path) -> Path:
    """Return the log of the plug-in in a profile; a Flatpak sandbox has its own."""
    own = log.log_path()
    sandbox = next((folder for folder in profile.parents if folder.name == FLATPAK_ID), None)
    if sandbox is None:
        return own
    return user_paths("linux", {"XDG_STATE_HOME": str(sandbox / ".local/state")}).logs / own.name


def last_logged_error(profile: Path) -> str:
    """Return the last line of the last traceback in the log of a profile's plug-in, or ""."""
    try:
        lines = plugin_log(profile).read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    error, is_plugin = "", False
    for line in lines:
        if record := re.match(r"\d{4}\S+ \S+ (\S+)\[\d+\] (\w+) ", line):
            is_plugin = record.groups() == ("plug-in", "ERROR")
        elif is_plugin and re.match(r"\w*(Error|Exception)\b", line):
            error = line.strip()
    return error


def _read_cache(file: Path) -> str:
    """Read a file that may contain icons as raw bytes; encoding the text again gives the same bytes."""
    return file.read_bytes().decode("utf-8", "surrogateescape")


def _is_our_path(path: str) -> bool:
    """Return whether a path in GIMP's cache (such as "${gimp_dir}/plug-ins/NAME/NAME.py") is one of the plug-in."""
    return bool(_OUR_NAMES.fullmatch(re.split(r"[/\\]+", path)[-1]))
