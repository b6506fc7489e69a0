# SPDX-License-Identifier: GPL-3.0-or-later
"""An installation on a machine: what the doctor looks at, and what takes part in repairing it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gimp_bridge.client import EngineClient
from s2am_common.errors import BridgeError
from s2am_setup import desktop, launcher, manifest
from s2am_setup.facts import Facts
from s2am_setup.manifest import Manifest
from s2am_setup.paths import InstallPaths, install_paths


@dataclass
class Installation:
    """What is installed for a person, and how it was found.

    Attributes:
        facts: the machine.
        paths: the person's folders.
        manifest: what was written; empty where nothing was installed yet, or by pip or pipx.
        environment: the Python environment of the engine, if there is one.
        doctor: the command by which this was asked, for sentences.
        repair: the command that makes everything anew, for sentences.
        reinstall: makes everything anew, where this side can.
    """

    facts: Facts
    paths: InstallPaths
    manifest: Manifest
    environment: Path | None
    doctor: str
    repair: str
    reinstall: Callable[[], None] | None = field(default=None, repr=False)

    @property
    def is_by_installer(self) -> bool:
        """Whether the installer made the environment, in a folder of its own."""
        return self.environment is not None and self.paths.environments in self.environment.parents

    @property
    def starter(self) -> list[str]:
        """The program that starts every part of ours, by a path that upgrades keep if there is one."""
        if self.facts.system != "win32" and self.manifest.command:
            return [str(self.manifest.command)]
        return [str(self.program("s2am"))] if self.environment else ["s2am"]

    @property
    def serve(self) -> list[str]:
        """The command that runs the engine's server."""
        return [*self.starter, "serve"]

    @property
    def edit(self) -> list[str]:
        """The command that opens the editor; on Windows without a terminal's window."""
        if self.facts.system == "win32" and self.environment:
            return [str(self.program("pythonw")), "-m", "s2am_engine.cli", "edit"]
        return [*self.starter, "edit"]

    def program(self, name: str) -> Path:
        """Return a program of the environment's."""
        return launcher.program(self.environment or Path(sys.prefix), name, self.facts.system)

    def stop_engine(self) -> None:
        """End the engine if it runs."""
        if self.paths.bridge.is_dir():
            with contextlib.suppress(BridgeError):
                EngineClient(None, self.paths.bridge, silence=5).shutdown()

    def launchers(self, offer_pictures: bool) -> desktop.Files:
        """Return the files that put the editor in the menus."""
        return desktop.launchers(self.facts, self.edit, self.paths.data, offer_pictures)


def find(facts: Facts, own: Path | None, doctor: str, reinstall: Callable[[], None] | None = None) -> Installation:
    """Return a person's installation.

    Args:
        facts: the machine.
        own: the environment that this runs in, if the program is installed in it (by pip or pipx).
        doctor: see Installation.
        reinstall: see Installation.
    """
    paths = install_paths(facts)
    known = manifest.read(paths.manifest) or Manifest(paths.manifest)
    repair = "python3 -m installer"
    if known.source:
        repair = f'cd "{known.source}" && {repair}'
    return Installation(facts, paths, known, known.environment or own, doctor, repair, reinstall)


def own_environment(facts: Facts) -> Path | None:
    """Return the environment that this Python belongs to, if the command `s2am` is in it."""
    prefix = Path(sys.prefix)
    return prefix if launcher.program(prefix, "s2am", facts.system).exists() else None
