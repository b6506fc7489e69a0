# SPDX-License-Identifier: GPL-3.0-or-later
"""The editor in the desktop's menus: its launcher and icon, and the offer to open pictures with it."""

from __future__ import annotations

import plistlib
import re
import shlex
import struct
from collections.abc import Sequence
from pathlib import Path

from s2am_common.image_formats import IMAGE_FORMATS
from s2am_setup.facts import Facts
from s2am_setup.manifest import Manifest
from s2am_setup.shortcut import shortcut

NAME = "s2am editor"
ABOUT = "Make a pasted foreground belong to its photograph"
_ICONS = Path(__file__).parent / "icons"

Files = dict[Path, tuple[bytes, int]]
"""The files to write, with content and mode."""


def launchers(facts: Facts, edit: Sequence[str], data: Path, offer_pictures: bool) -> Files:
    """Return what puts the editor in the menus.

    Args:
        facts: the machine.
        edit: the command that opens the editor; files' names may follow it.
        data: the program's own folder.
        offer_pictures: whether “open with” shows the editor for pictures; it never becomes the default for any.
    """
    if facts.system == "win32":
        return _windows(facts, edit, data, offer_pictures)
    if facts.system == "darwin":
        return _macos(facts, edit, offer_pictures)
    return _freedesktop(facts, edit, offer_pictures)


def put(facts: Facts, files: Files, manifest: Manifest) -> None:
    """Write launchers. Raises OSError."""
    for file, (content, mode) in files.items():
        manifest.write(file, content, mode)
    if facts.system == "linux":
        refresh_menus(facts, manifest)


def refresh_menus(facts: Facts, manifest: Manifest) -> None:
    """Let a freedesktop's list of “open with” know; made by this for the first time, it goes with the launchers."""
    folder = _share(facts) / "applications"
    cache = folder / "mimeinfo.cache"
    was_there = cache.exists()
    if folder.is_dir():
        facts.answer(["update-desktop-database", str(folder)])
    if cache.exists() and not was_there:
        manifest.files[cache] = ""
        manifest.save()


def _share(facts: Facts) -> Path:
    return facts.folder("XDG_DATA_HOME", facts.home / ".local/share")


def _freedesktop(facts: Facts, edit: Sequence[str], offer_pictures: bool) -> Files:
    lines = [
        "[Desktop Entry]",
        "Type=Application",
        f"Name={NAME}",
        f"Comment={ABOUT}",
        f"Exec={' '.join(map(quote_exec, edit))} %F",
        "Icon=s2am",
        "Terminal=false",
        "Categories=Graphics;2DGraphics;RasterGraphics;Photography;",
        "Keywords=harmonize;composite;paste;color;color;",
        "StartupNotify=true",
        *([f"MimeType={';'.join(info.mime for info in IMAGE_FORMATS)};"] if offer_pictures else []),
    ]
    icons = _share(facts) / "icons/hicolor"
    return {
        icons / "scalable/apps/s2am.svg": ((_ICONS / "s2am.svg").read_bytes(), 0o644),
        icons / "256x256/apps/s2am.png": (_png(), 0o644),
        _share(facts) / "applications/s2am-editor.desktop": ("\n".join([*lines, ""]).encode(), 0o644),
    }


def quote_exec(word: str) -> str:
    """Quote a word for a desktop entry's Exec line, whatever its characters."""
    quoted = re.sub(r'(["`$\\])', r"\\\1", word)
    return f'"{quoted}"'.replace("\\", "\\\\").replace("%", "%%")


def _macos(facts: Facts, edit: Sequence[str], offer_pictures: bool) -> Files:
    contents = facts.home / f"Applications/{NAME}.app/Contents"
    info: dict[str, object] = {
        "CFBundleExecutable": "s2am-editor",
        "CFBundleIdentifier": "org.s2am.editor",
        "CFBundleName": NAME,
        "CFBundlePackageType": "APPL",
        "CFBundleIconFile": "s2am.icns",
        "NSHighResolutionCapable": True,
    }
    if offer_pictures:
        types = {
            "CFBundleTypeRole": "Editor",
            "LSHandlerRank": "Alternate",
            "LSItemContentTypes": [info.uniform_type for info in IMAGE_FORMATS],
        }
        info["CFBundleDocumentTypes"] = [types]
    return {
        contents / "Info.plist": (plistlib.dumps(info), 0o644),
        contents / "MacOS/s2am-editor": (f'#!/bin/sh\nexec {shlex.join(edit)} "$@"\n'.encode(), 0o755),
        contents / "Resources/s2am.icns": (as_icns(_png()), 0o644),
    }


def _windows(facts: Facts, edit: Sequence[str], data: Path, offer_pictures: bool) -> Files:
    windows = facts.folder("APPDATA", facts.home / "AppData/Roaming") / "Microsoft/Windows"
    icon = data / "s2am.ico"
    link = shortcut(str(edit[0]), list(edit[1:]), ABOUT, str(icon))
    # “Send to” offers a program for any file, and changes what opens none of them.
    folders = [windows / "Start Menu/Programs", *([windows / "SendTo"] if offer_pictures else [])]
    return {icon: (as_ico(_png()), 0o644)} | {folder / f"{NAME}.lnk": (link, 0o644) for folder in folders}


def _png() -> bytes:
    return (_ICONS / "s2am.png").read_bytes()


def as_ico(png: bytes) -> bytes:
    """Return a PNG of 256 pixels a side as Windows' icon file."""
    header = struct.pack("<3H", 0, 1, 1)
    entry = struct.pack("<4B2H2I", 0, 0, 0, 0, 1, 32, len(png), len(header) + 16)
    return header + entry + png


def as_icns(png: bytes) -> bytes:
    """Return a PNG of 256 pixels a side as macOS's icon file."""
    return struct.pack(">4sI4sI", b"icns", len(png) + 16, b"ic08", len(png) + 8) + png
