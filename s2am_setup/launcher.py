# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `s2am` on the user's PATH."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path

from installer.console import InstallError
from installer.places import Places

# Which file each shell reads, and the line that adds a folder in it.
_SHELL_LINES = {
    "fish": ("~/.config/fish/config.fish", "fish_add_path '{folder}'"),
    "zsh": ("~/.zshrc", 'export PATH="{folder}:$PATH"'),
    "bash": ("~/.bashrc", 'export PATH="{folder}:$PATH"'),
}


def command_path(places: Places, system: str) -> Path:
    """Return where the command goes; raises InstallError if a file that is not ours is there."""
    command = places.commands / ("s2am.cmd" if system == "win32" else "s2am")
    ours = places.data in command.parents or (
        command.is_symlink() and command.readlink().match("s2am/environments/*/bin/s2am")
    )
    if os.path.lexists(command) and not ours:
        raise InstallError(
            f"{command} exists and belongs to something else: move it away, then run the same command again."
        )
    return command


def put(command: Path, scripts: Path) -> None:
    """Make `command` start the environment whose programs are in `scripts`, in one step if it exists already.

    A link, or on Windows (where links need a privilege) a batch file that names the environment relative to itself,
    so that it holds ASCII only.
    """
    command.parent.mkdir(parents=True, exist_ok=True)
    part = command.with_name(f"{command.name}.{uuid.uuid4().hex}")
    if command.suffix == ".cmd":
        target = os.path.relpath(scripts / "s2am.exe", command.parent).replace("/", "\\")
        part.write_text(f'@"%~dp0{target}" %*\n', encoding="ascii", newline="\r\n")
    else:
        part.symlink_to(scripts / "s2am")
    part.replace(command)


def path_advice(folder: Path, system: str, environ: Mapping[str, str]) -> list[str]:
    """Return what to tell the user about the PATH: nothing if `folder` is on it, else the line to add and where."""
    if str(folder) in environ.get("PATH", "").split(os.pathsep):
        return []
    if system == "win32":
        user_path = "[Environment]::GetEnvironmentVariable('Path', 'User')"
        return [
            "The command's folder is not on your PATH: run this line in PowerShell, then open a new window:",
            f"  [Environment]::SetEnvironmentVariable('Path', {user_path} + ';{folder}', 'User')",
        ]
    shell = Path(environ.get("SHELL", "")).name
    file, line = _SHELL_LINES.get(shell, _SHELL_LINES["bash"])
    return [
        f"The command's folder is not on your PATH: add this line to {file} and open a new terminal:",
        "  " + line.format(folder=folder),
    ]
