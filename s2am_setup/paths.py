# SPDX-License-Identifier: GPL-3.0-or-later
"""The folders and files of an installation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from s2am_common.paths import UserPaths, user_paths
from s2am_setup.facts import Facts


@dataclass(frozen=True)
class InstallPaths(UserPaths):
    """A user's folders, with those that the installer fills."""

    @property
    def environments(self) -> Path:
        """Folder of the Python environment in use and, during an installation, of the new one."""
        return self.data / "environments"

    @property
    def downloads(self) -> Path:
        """Download cache of an installation; an interrupted one resumes from it."""
        return self.data / "downloads"

    @property
    def manifest(self) -> Path:
        """List of every file that the installer wrote, and of the environment in use."""
        return self.data / "installed.json"

    @property
    def lock(self) -> Path:
        """Lock file that prevents two installers from running at once."""
        return self.data / "installer.lock"

    @property
    def log(self) -> Path:
        """Output of all commands of the last installation."""
        return self.data / "installer.log"

    @property
    def sample(self) -> Path:
        """Folder of the sample composite, its result and the before/after sheet."""
        return self.data / "sample"


def install_paths(facts: Facts) -> InstallPaths:
    """Return the folders of a user."""
    return InstallPaths(**vars(user_paths(facts.system, facts.environ, facts.home)))
