# SPDX-License-Identifier: GPL-3.0-or-later
"""An installation: its folders, its environment, and the command `s2am` on the PATH."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from gimp_bridge.bridge_folder import ENGINE_LOCK
from gimp_bridge.client import EngineClient
from s2am_common.errors import InstallError, S2AMError
from s2am_common.locks import ProcessLock, is_unlocked
from s2am_common.paths import UserPaths, user_paths
from s2am_setup.desktop import LauncherFiles, launcher_files
from s2am_setup.gimp_plugin import PluginFiles, plugin_files
from s2am_setup.manifest import Manifest, read_manifest
from s2am_setup.platform import Platform
from s2am_setup.python_environment import Environment, program_path

_SHUTDOWN_SECONDS = 10.0
# For the file that a tool leaves in its environments, or the AppImage above its own: how to reinstall and to remove it.
_TOOL_COMMANDS = {
    "../AppRun": ("download the AppImage again", "rm s2am-*.AppImage"),
    "pipx_metadata.json": ("pipx reinstall s2am", "pipx uninstall s2am"),
    "uv-receipt.toml": ("uv tool upgrade --reinstall s2am", "uv tool uninstall s2am"),
}
_PIP_COMMANDS = ("pip install --force-reinstall s2am", "pip uninstall s2am")

# The startup file of each shell, and the line that adds a folder to the PATH in it.
_SHELL_LINES = {
    "fish": ("~/.config/fish/config.fish", "fish_add_path '{folder}'"),
    "zsh": ("~/.zshrc", 'export PATH="{folder}:$PATH"'),
    "bash": ("~/.bashrc", 'export PATH="{folder}:$PATH"'),
}


@dataclass(frozen=True)
class InstallPaths(UserPaths):
    """A user's folders, with those in the data folder that the installer fills.

    Attributes:
        environments: folder of the Python environment in use and, during an installation, of the new one.
        downloads: download cache of an installation; an interrupted one resumes from it.
        manifest: list of every file that the installer wrote, and of the environment in use.
        lock: lock file that prevents two installers from running simultaneously.
        install_log: output of all commands of the last installation.
        repair: copy of the installer and of the program's wheel, which repairs the installation without a clone.
        sample: folder of the sample composite, its result and the before/after sheet.
    """

    environments: Path
    downloads: Path
    manifest: Path
    lock: Path
    install_log: Path
    repair: Path
    sample: Path


def install_paths(platform: Platform) -> InstallPaths:
    """Return the folders of a user."""
    paths = user_paths(platform.system, platform.environ, platform.home)
    return InstallPaths(
        **vars(paths),
        environments=paths.data / "environments",
        downloads=paths.data / "downloads",
        manifest=paths.data / "installed.json",
        lock=paths.data / "installer.lock",
        install_log=paths.data / "installer.log",
        repair=paths.data / "repair",
        sample=paths.data / "sample",
    )


@dataclass
class Installation:
    """The installation of a user.

    Attributes:
        platform: the computer and user.
        paths: the user's folders.
        manifest: the record of written files; empty if nothing was installed, or by uv, pipx or pip.
        environment: the Python environment of the engine, if there is one.
        doctor: the command that checks it, for messages.
        repair: the command that reinstalls everything, for messages.
        reinstall: reinstalls everything; None if that is not possible from here.
    """

    platform: Platform
    paths: InstallPaths
    manifest: Manifest
    environment: Path | None
    doctor: str
    repair: str
    reinstall: Callable[[], object] | None = field(default=None, repr=False)

    @property
    def is_by_installer(self) -> bool:
        """True if the installer, and not uv, pipx or pip, created the environment."""
        return self.environment is not None and self.paths.environments in self.environment.parents

    @property
    def is_by_tool(self) -> bool:
        """True if uv, pipx or pip created the environment, or it is an AppImage's."""
        return self.environment is not None and not self.is_by_installer

    @property
    def starter(self) -> list[str]:
        """The program `s2am`, by a path that upgrades keep if there is one."""
        if appimage := self.platform.environ.get("APPIMAGE"):
            # Without FUSE, GIMP must start it unpacked, too.
            is_unpacked = "appimage_extracted_" in self.platform.environ.get("APPDIR", "")
            return [appimage, *(["--appimage-extract-and-run"] if is_unpacked else [])]
        if self.platform.system != "win32" and self.manifest.command:
            return [str(self.manifest.command)]
        return [str(self.program("s2am"))] if self.environment else ["s2am"]

    @property
    def serve(self) -> list[str]:
        """The command that runs the engine's server."""
        return [*self.starter, "serve"]

    @property
    def edit(self) -> list[str]:
        """The command that opens the editor; on Windows without a console window."""
        if self.platform.system == "win32" and self.environment:
            return [str(self.program("pythonw")), "-m", "s2am_engine.cli", "edit"]
        return [*self.starter, "edit"]

    def program(self, name: str) -> Path:
        """Return a program of the environment."""
        return program_path(self.environment or Path(sys.prefix), name, self.platform.system)

    def stop_engine(self) -> None:
        """End the engine process if one is running, and wait until it has ended."""
        if self.paths.bridge.is_dir():
            with contextlib.suppress(S2AMError):
                EngineClient(None, self.paths.bridge, silence=5).shutdown()
                is_unlocked(self.paths.bridge / ENGINE_LOCK, _SHUTDOWN_SECONDS)

    @property
    def plugin_files(self) -> PluginFiles:
        """The files of GIMP's plug-in, in the version of the environment."""
        return plugin_files(self.serve, Environment(self.environment or Path(sys.prefix)).packages)

    @property
    def launchers(self) -> LauncherFiles:
        """The files that add the editor to the desktop's menus."""
        repair = repair_command(self.paths, self.platform.system) if self.is_by_installer else self.repair
        return launcher_files(self.platform, self.edit, self.paths.data, repair)

    @property
    def is_in_menus(self) -> bool:
        """True if the editor was added to the desktop's menus."""
        return not self.launchers.keys().isdisjoint(self.manifest.files)


def find_installation(
    platform: Platform, own: Path | None, doctor: str, reinstall: Callable[[], object] | None = None
) -> Installation:
    """Return a user's installation.

    Args:
        platform: the computer and user.
        own: the environment that this process runs in, if the program is installed in it (by uv, pipx or pip).
        doctor: see `Installation`.
        reinstall: see `Installation`.
    """
    paths = install_paths(platform)
    manifest = read_manifest(paths.manifest) or Manifest(paths.manifest)
    if own and manifest.environment is None:  # installed by uv, pipx or pip
        return Installation(platform, paths, manifest, own, doctor, tool_commands(own)[0], reinstall)
    repair = repair_command(paths, platform.system) if manifest.environment else "python3 -m installer"
    if reinstall is None and (paths.repair / "__main__.py").is_file():
        # The Python that the environment was made with, because this one is in the environment.
        python = getattr(sys, "_base_executable", sys.executable)
        fault = "The installation could not be repaired"
        reinstall = partial(run_repair, [python, str(paths.repair), "repair"], fault)
    return Installation(platform, paths, manifest, manifest.environment, doctor, repair, reinstall)


def tool_commands(environment: Path) -> tuple[str, str]:
    """Return the commands that reinstall and remove a program that uv, pipx or pip installed in an environment."""
    found = (commands for file, commands in _TOOL_COMMANDS.items() if (environment / file).is_file())
    return next(found, _PIP_COMMANDS)


def repair_command(paths: InstallPaths, system: str) -> str:
    """Return the command of the installer's copy; `system` is a value of `sys.platform`."""
    return f'{"py" if system == "win32" else "python3"} "{paths.repair}"'


def run_repair(command: Sequence[str], fault: str) -> None:
    """Run a command that repairs the installation; its steps go to stderr, because stdout has the doctor's results.

    Raises:
        InstallError: it failed: the message is `fault`; its own message has been printed.
    """
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode:
        raise InstallError(f"{fault}; the reason is above.")


@contextlib.contextmanager
def exclusive(paths: InstallPaths) -> Iterator[None]:
    """Prevent two installers or uninstallers from running simultaneously.

    Raises:
        InstallError: another one is running.
    """
    lock = ProcessLock(paths.lock)
    if not lock.acquire():
        raise InstallError(
            "Another installation is running or being removed: wait until it has ended, then run the same command."
        )
    try:
        yield
    finally:
        lock.release()


def own_environment(platform: Platform) -> Path | None:
    """Return the environment of this process if it contains the command `s2am`."""
    prefix = Path(sys.prefix)
    return prefix if program_path(prefix, "s2am", platform.system).exists() else None


def command_path(paths: InstallPaths, system: str) -> Path:
    """Return the path of the command `s2am`.

    Raises:
        InstallError: another program's file is there.
    """
    command = paths.commands / ("s2am.cmd" if system == "win32" else "s2am")
    if os.path.lexists(command) and not _is_ours(command, paths):
        raise InstallError(
            f"{command} exists and belongs to another program: move it away, then run the same command again."
        )
    return command


def _is_ours(command: Path, paths: InstallPaths) -> bool:
    """Return whether an existing command starts an environment of this program, even one that was removed."""
    return paths.data in command.parents or (
        command.is_symlink() and command.readlink().match("s2am/environments/*/bin/s2am")
    )


def write_command(command: Path, environment: Path, manifest: Manifest) -> None:
    """Write the command that starts an environment; an existing one is replaced atomically.

    The command is a symbolic link. On Windows, where links need a privilege, it is a batch file; it names the
    environment relative to itself and so contains ASCII characters only.
    """
    manifest.make_folder(command.parent)
    manifest.files[command] = ""
    manifest.save()
    new = command.with_name(f"{command.name}.{uuid.uuid4().hex}")
    if command.suffix == ".cmd":
        target = os.path.relpath(program_path(environment, "s2am", "win32"), command.parent).replace("/", "\\")
        new.write_text(f'@"%~dp0{target}" %*\n', encoding="ascii", newline="\r\n")
    else:
        new.symlink_to(program_path(environment, "s2am", "linux"))
    new.replace(command)


def path_advice(folder: Path, platform: Platform) -> list[str]:
    """Return two lines of advice on adding a folder to the PATH; none if it is on the PATH."""
    separator = ";" if platform.system == "win32" else ":"
    if str(folder) in platform.environ.get("PATH", "").split(separator):
        return []
    if platform.system == "win32":
        user_path = "[Environment]::GetEnvironmentVariable('Path', 'User')"
        return [
            "The command's folder is not on your PATH: run this line in PowerShell, then open a new window:",
            f"  [Environment]::SetEnvironmentVariable('Path', {user_path} + ';{folder}', 'User')",
        ]
    shell = Path(platform.environ.get("SHELL", "")).name
    file, line = _SHELL_LINES.get(shell, _SHELL_LINES["bash"])
    return [
        f"The command's folder is not on your PATH: add this line to {file} and open a new terminal:",
        "  " + line.format(folder=folder),
    ]
