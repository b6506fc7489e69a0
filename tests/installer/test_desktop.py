# SPDX-License-Identifier: GPL-3.0-or-later
"""Launchers of the editor, parsed as the desktops parse them."""

from __future__ import annotations

import configparser
import io
import os
import plistlib
import shlex
import struct
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from s2am_setup import desktop
from tests.installer import machines

DATA = '50% "off" $HOME\\x'
EDIT = ['/home/Zoë Müller/50% "off" $HOME\\x/s2am', "edit"]


def launchers(folder: Path, system: str) -> tuple[Path, desktop.LauncherFiles]:
    platform = machines.machine(folder, system).platform
    found = desktop.launcher_files(platform, EDIT, folder / DATA, "python3 /data/repair")
    return platform.home, found


def split_exec(line: str) -> list[str]:
    """Split the Exec line of a desktop entry by its specification: first string escapes, then quoting."""
    text = line.replace("\\\\", "\0").replace("\0", "\\")
    words, word, quoted, index = [], "", False, 0
    while index < len(text):
        character = text[index]
        if character == "\\" and quoted:
            index += 1
            word += text[index]
        elif character == '"':
            quoted = not quoted
        elif character == " " and not quoted:
            words.append(word)
            word = ""
        else:
            word += character
        index += 1
    return [one.replace("%%", "%") for one in [*words, word]]


def test_launcher_files_freedesktop_quotes_any_path(tmp_path: Path) -> None:
    home, files = launchers(tmp_path, "linux")
    entry = configparser.RawConfigParser()
    entry.optionxform = str  # type: ignore[assignment,method-assign]
    entry.read_string(files[home / ".local/share/applications/s2am-editor.desktop"][0].decode())
    entry_fields = entry["Desktop Entry"]
    assert split_exec(entry_fields["Exec"]) == [str(tmp_path / DATA / "start-editor"), "%F"]
    assert "image/png" in entry_fields["MimeType"]
    assert home / f".local/share/icons/hicolor/scalable/apps/{entry_fields['Icon']}.svg" in files


def write_program(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def desktop_programs(tmp_path: Path) -> Path:
    """A folder for the PATH, with a kdialog that stores its message and a zenity that fails."""
    folder = tmp_path / "programs"
    write_program(folder / "kdialog", f"printf '%s' \"$4\" > {shlex.quote(str(tmp_path / 'shown'))}")
    write_program(folder / "zenity", "exit 255")
    return folder


@pytest.mark.skipif(os.name != "posix", reason="menus start a shell script on Linux and macOS only")
@pytest.mark.parametrize(
    ("program", "shown", "code"),
    [
        ('[ "$2" = "a b.png" ] || exit 9; echo output; echo warning >&2', None, 0),
        ("echo 'note: slow' >&2; echo 'error: There is no display.' >&2; exit 1", "There is no display.", 1),
        ("echo 'Traceback'; echo 'KeyError: 1' >&2; exit 1", "KeyError: 1", 1),
        ("kill -ABRT $$", "The editor ended with code 134.", 134),
        (None, "is missing: run “python3 /data/repair”.", 127),
    ],
)
def test_start_script_shows_any_failure_in_a_window(
    program: str | None, shown: str | None, code: int, tmp_path: Path, desktop_programs: Path
) -> None:
    s2am = tmp_path / 'it\'s "s2am"'
    if program:
        write_program(s2am, program)
    script = tmp_path / "start-editor"
    script.write_bytes(desktop.start_script([str(s2am), "edit"], "python3 /data/repair"))
    environ = {"PATH": f"{desktop_programs}:/usr/bin:/bin"}
    done = subprocess.run(["sh", script, "a b.png"], env=environ, capture_output=True, check=False)
    assert done.returncode == code
    said = (tmp_path / "shown").read_text(encoding="utf-8") if (tmp_path / "shown").exists() else None
    assert said is None if shown is None else said is not None and said.endswith(shown)


def test_launcher_files_macos_bundle_starts_editor_as_alternate_handler(tmp_path: Path) -> None:
    home, files = launchers(tmp_path, "darwin")
    contents = home / "Applications/s2am editor.app/Contents"
    info = plistlib.loads(files[contents / "Info.plist"][0])
    script, mode = files[contents / "MacOS" / info["CFBundleExecutable"]]
    assert mode & 0o111
    assert shlex.join(EDIT) in script.decode()
    assert "osascript" in script.decode()
    assert [one["LSHandlerRank"] for one in info["CFBundleDocumentTypes"]] == ["Alternate"]
    icon = files[contents / "Resources" / info["CFBundleIconFile"]][0]
    assert struct.unpack(">4sI", icon[:8]) == (b"icns", len(icon))
    assert Image.open(io.BytesIO(icon)).size[0] >= 512


def test_windows_shortcut_has_target_arguments_and_icon() -> None:
    program, icon = "C:\\Users\\Zoë Юля\\s2am\\pythonw.exe", "C:\\Users\\Zoë Юля\\s2am.ico"
    content = desktop.windows_shortcut(program, ["-m", "s2am_engine.cli", "edit"], "about", icon)
    size, _, flags = struct.unpack_from("<I16sI", content)
    assert size == 0x4C
    assert flags == 0x04 | 0x20 | 0x40 | 0x80 | 0x200
    texts, offset = [], size
    for _ in range(3):
        (count,) = struct.unpack_from("<H", content, offset)
        texts.append(content[offset + 2 : offset + 2 + 2 * count].decode("utf-16-le"))
        offset += 2 + 2 * count
    assert texts == ["about", "-m s2am_engine.cli edit", icon]
    length, signature = struct.unpack_from("<2I", content, offset)
    assert (length, signature) == (0x314, 0xA0000001)
    assert content[offset + 8 + 260 : offset + length].decode("utf-16-le").rstrip("\0") == program
    assert content[offset + length :] == b"\0\0\0\0"


def test_windows_shortcut_rejects_too_long_path() -> None:
    with pytest.raises(ValueError, match="too long"):
        desktop.windows_shortcut("C:\\" + "x" * 300, [], "", "")


def test_launcher_files_windows_are_in_start_menu_and_send_to(tmp_path: Path) -> None:
    home, files = launchers(tmp_path, "win32")
    roaming = home / "AppData/Roaming/Microsoft/Windows"
    assert files[roaming / "SendTo/s2am editor.lnk"] == files[roaming / "Start Menu/Programs/s2am editor.lnk"]
    icon = files[tmp_path / DATA / "s2am.ico"][0]
    assert {(16, 16), (256, 256)} <= Image.open(io.BytesIO(icon)).info["sizes"]
    assert files[roaming / "Start Menu/Programs/s2am editor.lnk"][0].startswith(b"\x4c\0\0\0")
