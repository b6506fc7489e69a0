# SPDX-License-Identifier: GPL-3.0-or-later
"""The editor in the menus of each desktop, read back as the desktop reads it."""

from __future__ import annotations

import configparser
import plistlib
import struct
import subprocess
from pathlib import Path

import pytest

from s2am_setup import desktop
from s2am_setup.shortcut import shortcut
from tests.installer import machines

EDIT = ['/home/Zoë Müller/50% "off" $HOME\\x/s2am', "edit"]


def launchers(folder: Path, system: str, offer: bool) -> tuple[Path, desktop.Files]:
    facts = machines.machine(folder, system).facts
    found = desktop.launchers(facts, EDIT, folder / "data", offer)
    return facts.home, found


def split_exec(line: str) -> list[str]:
    """A desktop entry's Exec line as words, by the specification: string escapes first, then quoting."""
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


@pytest.mark.parametrize("offer", [True, False])
def test_freedesktop_entry_starts_the_editor_whatever_its_path(offer: bool, tmp_path: Path) -> None:
    home, files = launchers(tmp_path, "linux", offer)
    entry = configparser.RawConfigParser()
    entry.optionxform = str  # type: ignore[assignment,method-assign]
    entry.read_string(files[home / ".local/share/applications/s2am-editor.desktop"][0].decode())
    told = entry["Desktop Entry"]
    assert split_exec(told["Exec"]) == [*EDIT, "%F"]
    assert ("image/png" in told.get("MimeType", "")) == offer
    assert home / f".local/share/icons/hicolor/scalable/apps/{told['Icon']}.svg" in files


@pytest.mark.parametrize("offer", [True, False])
def test_macos_bundle_starts_the_editor_and_takes_no_files_over(offer: bool, tmp_path: Path) -> None:
    home, files = launchers(tmp_path, "darwin", offer)
    contents = home / "Applications/s2am editor.app/Contents"
    info = plistlib.loads(files[contents / "Info.plist"][0])
    script, mode = files[contents / "MacOS" / info["CFBundleExecutable"]]
    assert mode & 0o111
    program = tmp_path / "program"
    program.write_bytes(script.replace(b"exec", b"printf '%s\\n'"))
    said = subprocess.run(["sh", program, "a b.png"], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == [*EDIT, "a b.png"]
    assert [one["LSHandlerRank"] for one in info.get("CFBundleDocumentTypes", [])] == (["Alternate"] if offer else [])
    icon = files[contents / "Resources" / info["CFBundleIconFile"]][0]
    assert struct.unpack(">4sI", icon[:8]) == (b"icns", len(icon))
    assert icon[16:20] == b"\x89PNG"


def test_windows_shortcut_holds_target_arguments_and_icon() -> None:
    program, icon = "C:\\Users\\Zoë Юля\\s2am\\pythonw.exe", "C:\\Users\\Zoë Юля\\s2am.ico"
    content = shortcut(program, ["-m", "s2am_engine.cli", "edit"], "about", icon)
    size, _, flags = struct.unpack_from("<I16sI", content)
    assert size == 0x4C
    assert flags == 0x04 | 0x20 | 0x40 | 0x80 | 0x200
    texts, place = [], size
    for _ in range(3):
        (count,) = struct.unpack_from("<H", content, place)
        texts.append(content[place + 2 : place + 2 + 2 * count].decode("utf-16-le"))
        place += 2 + 2 * count
    assert texts == ["about", "-m s2am_engine.cli edit", icon]
    length, signature = struct.unpack_from("<2I", content, place)
    assert (length, signature) == (0x314, 0xA0000001)
    assert content[place + 8 + 260 : place + length].decode("utf-16-le").rstrip("\0") == program
    assert content[place + length :] == b"\0\0\0\0"


def test_shortcut_refuses_a_path_that_windows_would_cut() -> None:
    with pytest.raises(ValueError, match="too long"):
        shortcut("C:\\" + "x" * 300, [], "", "")


@pytest.mark.parametrize("offer", [True, False])
def test_windows_offers_pictures_in_send_to_alone(offer: bool, tmp_path: Path) -> None:
    home, files = launchers(tmp_path, "win32", offer)
    roaming = home / "AppData/Roaming/Microsoft/Windows"
    assert (roaming / "SendTo/s2am editor.lnk" in files) == offer
    icon = files[tmp_path / "data/s2am.ico"][0]
    assert struct.unpack_from("<3H", icon) == (0, 1, 1)
    assert icon[22:26] == b"\x89PNG"
    assert files[roaming / "Start Menu/Programs/s2am editor.lnk"][0].startswith(b"\x4c\0\0\0")
