# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `s2am` on the user's PATH."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from s2am_common.errors import InstallError
from s2am_setup.facts import Facts
from s2am_setup.manifest import Manifest, is_there
from s2am_setup.paths import InstallPaths

# Which file each shell reads, and the line that adds a folder in it.
_SHELL_LINES = {
    "fish": ("~/.config/fish/config.fish", "fish_add_path '{folder}'"),
    "zsh": ("~/.zshrc", 'export PATH="{folder}:$PATH"'),
    "bash": ("~/.bashrc", 'export PATH="{folder}:$PATH"'),
}


def scripts(environment: Path, system: str) -> Path:
    """Return the folder of an environment's programs."""
    return environment / ("Scripts" if system == "win32" else "bin")


def program(environment: Path, name: str, system: str) -> Path:
    """Return a program of an environment's."""
    return scripts(environment, system) / (f"{name}.exe" if system == "win32" else name)


def command_path(paths: InstallPaths, system: str) -> Path:
    """Return where the command goes; raises InstallError if a file that is not ours is there."""
    command = paths.commands / ("s2am.cmd" if system == "win32" else "s2am")
    if is_there(command) and not is_ours(command, paths):
        raise InstallError(
            f"{command} exists and belongs to something else: move it away, then run the same command again."
        )
    return command


def is_ours(command: Path, paths: InstallPaths) -> bool:
    """Whether a command that exists starts an environment of ours, be it one that is gone."""
    return paths.data in command.parents or (
        command.is_symlink() and command.readlink().match("s2am/environments/*/bin/s2am")
    )


def put(command: Path, environment: Path, manifest: Manifest) -> None:
    """Make `command` start an environment, in one step if it exists already.

    A link, or on Windows (where links need a privilege) a batch file that names the environment relative to itself,
    so that it holds ASCII only.
    """
    manifest.make_folder(command.parent)
    manifest.files[command] = ""
    manifest.save()
    part = command.with_name(f"{command.name}.{uuid.uuid4().hex}")
    if command.suffix == ".cmd":
        target = os.path.relpath(program(environment, "s2am", "win32"), command.parent).replace("/", "\\")
        part.write_text(f'@"%~dp0{target}" %*\n', encoding="ascii", newline="\r\n")
    else:
        part.symlink_to(program(environment, "s2am", "linux"))
    part.replace(command)


def path_advice(folder: Path, facts: Facts) -> list[str]:
    """Return what to tell the user about the PATH: nothing if `folder` is on it, else the line to add and where."""
    separator = ";" if facts.system == "win32" else ":"
    if str(folder) in facts.environ.get("PATH", "").split(separator):
        return []
    if facts.system == "win32":
        user_path = "[Environment]::GetEnvironmentVariable('Path', 'User')"
        return [
            "The command's folder is not on your PATH: run this line in PowerShell, then open a new window:",
            f"  [Environment]::SetEnvironmentVariable('Path', {user_path} + ';{folder}', 'User')",
        ]
    shell = Path(facts.environ.get("SHELL", "")).name
    file, line = _SHELL_LINES.get(shell, _SHELL_LINES["bash"])
    return [
        f"The command's folder is not on your PATH: add this line to {file} and open a new terminal:",
        "  " + line.format(folder=folder),
    ]
