# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows' shortcut files ([MS-SHLLINK]), as bytes: no program of Windows is needed, and any path can be in them."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence

_CLASS = bytes.fromhex("0114020000000000c000000000000046")
_HAS_NAME, _HAS_ARGUMENTS, _HAS_ICON, _IS_UNICODE, _HAS_TARGET = 0x04, 0x20, 0x40, 0x80, 0x200
_NORMAL_WINDOW = 1
_TARGET_BLOCK = 0xA0000001
_LONGEST = 260  # characters of a path


def shortcut(program: str, arguments: Sequence[str], about: str, icon: str) -> bytes:
    """Return a shortcut that starts a program with arguments.

    Args:
        program: its whole path.
        arguments: what it gets.
        about: shown when the mouse rests on it.
        icon: the path of an icon file.

    Raises:
        ValueError: the path is too long for Windows.
    """
    if len(program) >= _LONGEST:
        raise ValueError(f"{program} is too long for a shortcut")
    flags = _HAS_NAME | _HAS_ARGUMENTS | _HAS_ICON | _IS_UNICODE | _HAS_TARGET
    # Neither dates nor size: Windows fills them in when it first follows the shortcut.
    header = struct.pack("<I16s2I3Q3I2H2I", 0x4C, _CLASS, flags, 0, 0, 0, 0, 0, 0, _NORMAL_WINDOW, 0, 0, 0, 0)
    texts = b"".join(map(_counted, (about, subprocess.list2cmdline(arguments), icon)))
    return header + texts + _target(program) + struct.pack("<I", 0)


def _counted(text: str) -> bytes:
    return struct.pack("<H", len(text.encode("utf-16-le")) // 2) + text.encode("utf-16-le")


def _target(program: str) -> bytes:
    """The block that names the program, in both of Windows' alphabets."""
    plain = program.encode("ascii", "replace").ljust(_LONGEST, b"\0")
    wide = program.encode("utf-16-le").ljust(2 * _LONGEST, b"\0")
    return struct.pack("<2I", 8 + len(plain) + len(wide), _TARGET_BLOCK) + plain + wide
