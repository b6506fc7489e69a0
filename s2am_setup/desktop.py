# SPDX-License-Identifier: GPL-3.0-or-later
"""The editor in the desktop's menus: launcher, icon, and an entry in “open with” for images."""

from __future__ import annotations

import plistlib
import re
import shlex
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from s2am_common.image_formats import IMAGE_FORMATS
from s2am_setup.manifest import Manifest
from s2am_setup.platform import Platform

DISPLAY_NAME = "s2am editor"

_DESCRIPTION = "Harmonize a pasted foreground with its background"
_ICONS = Path(__file__).parent / "icons"

# A menu has no terminal: the script shows the reason for a failed start in a window, whatever failed.
_START_SCRIPT = """\
# Starts the s2am editor from a menu, and shows the reason if it ends with an error.
errors=$({command} "$@" 2>&1 >/dev/null) && exit
code=$?
message=$(printf '%s\\n' "$errors" | sed -n 's/^error: //p' | tail -n 1)
[ "$message" ] || message=$(printf '%s\\n' "$errors" | tail -n 1)
[ "$message" ] || message="The editor ended with code $code."
{lines}{dialogs}
exit $code
"""
_GONE = "{program} is missing: run “{repair}”."
_DIALOGS = """\
zenity --error --no-markup --title="{name}" --text="$message" 2>/dev/null ||
kdialog --title "{name}" --error "$message" 2>/dev/null ||
notify-send --urgency=critical "{name}" "$message" 2>/dev/null ||
xmessage -center "$message" 2>/dev/null ||
printf '%s\n' "$message" >&2"""
_MACOS_DIALOG = """\
osascript -e 'on run argv' -e 'display alert "{name}" message (item 1 of argv) as critical' -e 'end run' -- "$message" \
>/dev/null"""

LauncherFiles = dict[Path, tuple[bytes, int]]
"""Files to write, each with its content and mode."""


def launcher_files(platform: Platform, edit: Sequence[str], data: Path, repair: str) -> LauncherFiles:
    """Return the files that add the editor to the desktop's menus; it never becomes the default program.

    Args:
        platform: the computer and user.
        edit: the command that opens the editor; file names may be appended to it.
        data: the program's data folder.
        repair: the command that reinstalls everything, shown if the program is gone.
    """
    if platform.system == "win32":
        return _windows(platform, edit, data)
    if platform.system == "darwin":
        return _macos(platform, start_script(edit, repair, _MACOS_DIALOG))
    script = data / "start-editor"
    content = start_script(edit, repair, _DIALOGS)
    return {script: (content, 0o755)} | _freedesktop(platform, script)


def start_script(edit: Sequence[str], repair: str, dialogs: str = _DIALOGS) -> bytes:
    """Return the shell script that starts the editor and shows a window if that fails."""
    gone = shlex.quote(_GONE.format(program=edit[0], repair=repair))
    lines = [f"command -v {shlex.quote(edit[0])} >/dev/null || message={gone}\n"]
    return f"#!/bin/sh\n{start_and_report(shlex.join(edit), lines, dialogs)}".encode()


def start_and_report(command: str, lines: Sequence[str] = (), dialogs: str = _DIALOGS) -> str:
    """Return the part of a shell script that runs a command, shows the reason in a window if it fails, and exits.

    Args:
        command: the command, quoted for the shell.
        lines: further lines, each with its end, that may set the variable `message` after a failure.
        dialogs: shows the message.
    """
    shown = dialogs.format(name=DISPLAY_NAME)
    return _START_SCRIPT.format(command=command, lines="".join(lines), dialogs=shown)


def write_launchers(platform: Platform, files: LauncherFiles, manifest: Manifest) -> None:
    """Write launchers and record them.

    Raises:
        FileError: one cannot be written.
    """
    for file, (content, mode) in files.items():
        manifest.write(file, content, mode)
    if platform.system == "linux":
        update_mime_cache(platform, manifest)


def update_mime_cache(platform: Platform, manifest: Manifest) -> None:
    """Update the cache behind “open with”; a cache file that did not exist before is recorded as the program's."""
    folder = _share(platform) / "applications"
    cache = folder / "mimeinfo.cache"
    existed = cache.exists()
    if folder.is_dir():
        platform.run(["update-desktop-database", str(folder)])
    if cache.exists() and not existed:
        manifest.files[cache] = ""
        manifest.save()


def _share(platform: Platform) -> Path:
    return platform.folder("XDG_DATA_HOME", platform.home / ".local/share")


def _icon(suffix: str) -> bytes:
    return (_ICONS / f"s2am.{suffix}").read_bytes()


def desktop_entry(command: str) -> bytes:
    """Return the editor's desktop entry; the command is quoted for the Exec line."""
    lines = [
        "[Desktop Entry]",
        "Type=Application",
        f"Name={DISPLAY_NAME}",
        f"Comment={_DESCRIPTION}",
        f"Exec={command} %F",
        "Icon=s2am",
        "Terminal=false",
        "Categories=Graphics;2DGraphics;RasterGraphics;Photography;",
        "Keywords=harmonize;composite;paste;color;",
        "StartupNotify=true",
        f"MimeType={';'.join(each.mime for each in IMAGE_FORMATS)};",
    ]
    return "\n".join([*lines, ""]).encode()


def _freedesktop(platform: Platform, script: Path) -> LauncherFiles:
    icons = _share(platform) / "icons/hicolor"
    return {
        icons / "scalable/apps/s2am.svg": (_icon("svg"), 0o644),
        icons / "256x256/apps/s2am.png": (_icon("png"), 0o644),
        _share(platform) / "applications/s2am-editor.desktop": (desktop_entry(quote_exec(str(script))), 0o644),
    }


def quote_exec(word: str) -> str:
    """Quote a word for the Exec line of a desktop entry (Desktop Entry Specification, “The Exec key”)."""
    quoted = re.sub(r'(["`$\\])', r"\\\1", word)
    return f'"{quoted}"'.replace("\\", "\\\\").replace("%", "%%")


def _macos(platform: Platform, script: bytes) -> LauncherFiles:
    contents = platform.home / f"Applications/{DISPLAY_NAME}.app/Contents"
    info: dict[str, object] = {
        "CFBundleExecutable": "s2am-editor",
        "CFBundleIdentifier": "org.s2am.editor",
        "CFBundleName": DISPLAY_NAME,
        "CFBundlePackageType": "APPL",
        "CFBundleIconFile": "s2am.icns",
        "NSHighResolutionCapable": True,
        "CFBundleDocumentTypes": [
            {
                "CFBundleTypeRole": "Editor",
                "LSHandlerRank": "Alternate",
                "LSItemContentTypes": [each.uniform_type for each in IMAGE_FORMATS],
            }
        ],
    }
    return {
        contents / "Info.plist": (plistlib.dumps(info), 0o644),
        contents / "MacOS/s2am-editor": (script, 0o755),
        contents / "Resources/s2am.icns": (_icon("icns"), 0o644),
    }


def _windows(platform: Platform, edit: Sequence[str], data: Path) -> LauncherFiles:
    windows = platform.folder("APPDATA", platform.home / "AppData/Roaming") / "Microsoft/Windows"
    icon = data / "s2am.ico"
    link = windows_shortcut(str(edit[0]), list(edit[1:]), _DESCRIPTION, str(icon))
    # “Send to” lists a program for any file without changing the default program of any file type.
    links = (windows / name / f"{DISPLAY_NAME}.lnk" for name in ("Start Menu/Programs", "SendTo"))
    return {icon: (_icon("ico"), 0o644)} | dict.fromkeys(links, (link, 0o644))


_LINK_CLASS = bytes.fromhex("0114020000000000c000000000000046")
_HAS_NAME, _HAS_ARGUMENTS, _HAS_ICON, _IS_UNICODE, _HAS_TARGET = 0x04, 0x20, 0x40, 0x80, 0x200
_NORMAL_WINDOW = 1
_TARGET_BLOCK = 0xA0000001
_MAX_PATH = 260


def windows_shortcut(program: str, arguments: Sequence[str], description: str, icon: str) -> bytes:
    """Return the bytes of a Windows shortcut file (MS-SHLLINK), made without any program of Windows.

    Args:
        program: full path of the program.
        arguments: its arguments.
        description: tooltip of the shortcut.
        icon: path of an icon file.

    Raises:
        ValueError: the path is too long for Windows.
    """
    if len(program) >= _MAX_PATH:
        raise ValueError(f"{program} is too long for a shortcut")
    flags = _HAS_NAME | _HAS_ARGUMENTS | _HAS_ICON | _IS_UNICODE | _HAS_TARGET
    # Dates and size are zero: Windows fills them in when the shortcut is first used.
    header = struct.pack("<I16s2I3Q3I2H2I", 0x4C, _LINK_CLASS, flags, 0, 0, 0, 0, 0, 0, _NORMAL_WINDOW, 0, 0, 0, 0)
    texts = b"".join(map(_counted_text, (description, subprocess.list2cmdline(arguments), icon)))
    return header + texts + _target_block(program) + struct.pack("<I", 0)


def _counted_text(text: str) -> bytes:
    return struct.pack("<H", len(text.encode("utf-16-le")) // 2) + text.encode("utf-16-le")


def _target_block(program: str) -> bytes:
    """Return the block with the program's path, in ANSI and in UTF-16."""
    ansi = program.encode("ascii", "replace").ljust(_MAX_PATH, b"\0")
    unicode = program.encode("utf-16-le").ljust(2 * _MAX_PATH, b"\0")
    return struct.pack("<2I", 8 + len(ansi) + len(unicode), _TARGET_BLOCK) + ansi + unicode
