# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles that GIMP has yet to make: it makes its own, since a folder that is there already keeps it from that."""

from __future__ import annotations

from s2am_common.errors import InstallError
from s2am_setup.facts import Facts
from s2am_setup.manifest import Manifest
from s2am_setup.profiles import Profile

_START_AND_END = ("--no-interface", "--no-data", "--no-fonts", "--no-splash", "--quit")


def ensure_profile(profile: Profile, facts: Facts, manifest: Manifest) -> None:
    """Let GIMP make its profile if it hasn't yet; it then takes over the settings of older versions.

    A GIMP that can't be started from here finds a folder with nothing but the plug-in: that is good enough for it,
    unless there are settings of an older version, which it would then never take over.

    Raises:
        InstallError: GIMP must be started by a person first.
    """
    for gimp in profile.gimps:
        if gimp.console and not profile.folder.is_dir():
            facts.answer([*gimp.console, *_START_AND_END])
    if profile.folder.is_dir():
        return
    older = [folder for folder in profile.folder.parent.glob("[0-9]*.[0-9]*") if folder.is_dir()]
    if older:
        raise InstallError(
            f"start {profile.gimps[0]} once, so that it takes over the settings of {older[-1].name}, "
            "then run s2am doctor --fix"
        )
    manifest.make_folder(profile.plugins)
