# SPDX-License-Identifier: GPL-3.0-or-later
"""GIMP's profile folders: those that are there, those that a GIMP will make, and which of them are wanted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from s2am_common.errors import InstallError
from s2am_setup.facts import Facts
from s2am_setup.gimps import Gimp, config_folder, config_folders, find_gimps, parse_version


@dataclass(frozen=True)
class Profile:
    """A folder that GIMP 3 keeps plug-ins in, and the GIMPs that read it (none, where no program was found)."""

    folder: Path
    gimps: tuple[Gimp, ...] = ()

    def __str__(self) -> str:
        """Name it for people."""
        readers = ", ".join(map(str, self.gimps)) or f"GIMP {self.folder.name} (its program was not found)"
        return f"{readers}: {self.folder}"

    @property
    def plugins(self) -> Path:
        """Where its plug-ins lie."""
        return self.folder / "plug-ins"

    @property
    def is_made(self) -> bool:
        """Whether GIMP has made it."""
        return self.folder.is_dir()


def find_profiles(facts: Facts, gimps: Sequence[Gimp] | None = None) -> list[Profile]:
    """Return the profiles of every GIMP 3: those that exist, and those that the GIMPs found will make."""
    usable = [gimp for gimp in (find_gimps(facts) if gimps is None else gimps) if gimp.is_usable]
    found: dict[Path, Profile] = {}
    for config in dict.fromkeys([*(gimp.config for gimp in usable), *config_folders(facts)]):
        for folder in sorted(config.glob("[0-9]*.[0-9]*")):
            if folder.is_dir() and parse_version(folder.name) >= (3,):
                found[folder] = Profile(folder)
    given = facts.environ.get("GIMP3_DIRECTORY")
    for gimp in usable:
        own = gimp.profile
        if given and gimp.config == config_folder(facts):
            own = facts.home / given  # an absolute path stays as it is
        if own:
            known = found.get(own, Profile(own))
            found[own] = replace(known, gimps=(*known.gimps, gimp))
    return list(found.values())


def choose(profiles: Sequence[Profile], wanted: Sequence[str]) -> list[Profile]:
    """Return the profiles that a person named.

    Args:
        profiles: all that there are.
        wanted: each "all", "none", a version ("3.2"), a kind ("flatpak"), or a profile's folder.

    Raises:
        InstallError: a word means none of them.
    """
    chosen: list[Profile] = []
    for word in wanted:
        if word == "none":
            continue
        matching = [profile for profile in profiles if word == "all" or _is_meant(profile, word)]
        if not matching and word != "all":
            known = ", ".join(dict.fromkeys(name for profile in profiles for name in _names(profile)))
            raise InstallError(f"No GIMP 3 is meant by “{word}”: give one of all, none{', ' if known else ''}{known}.")
        chosen += matching
    return list(dict.fromkeys(chosen))


def _is_meant(profile: Profile, word: str) -> bool:
    return word.lower() in _names(profile) or Path(word).expanduser() == profile.folder


def _names(profile: Profile) -> list[str]:
    version = re.fullmatch(r"\d+\.\d+", profile.folder.name)
    return [*([version[0]] if version else []), *(gimp.kind.lower() for gimp in profile.gimps)]
