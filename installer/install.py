# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of an installation, in order. Running it again repairs and upgrades.

Each run makes a new environment beside the one in use, tries it on the sample, and only then points the command, the
plug-in and the launchers at it and removes the old one: whatever goes wrong before that leaves the previous
installation as it was.
"""

from __future__ import annotations

import contextlib
import platform
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from installer import engine, environment, packages, torch_builds
from installer.console import Console
from installer.environment import Environment
from installer.packages import Sources
from s2am_common.errors import InstallError, S2AMError
from s2am_common.locks import ProcessLock
from s2am_setup import desktop, installation, launcher, making, plugins
from s2am_setup.facts import Facts
from s2am_setup.gimps import find_gimps
from s2am_setup.installation import Installation
from s2am_setup.profiles import Profile, choose, find_profiles
from s2am_setup.questions import agreed, picked

IMPORT_ALL = (
    "import s2am_engine.cli.main, s2am_engine.cli.commands, s2am_engine.inference.harmonizer, "
    "s2am_engine.training.evaluation"
)


@dataclass(frozen=True)
class Wishes:
    """What the person asked for.

    Attributes:
        gimps: which GIMPs get the plug-in, see `profiles.choose`; None = to be asked, or all.
        torch: "auto", "cpu" or a tag of PyTorch's.
        wheels: a folder of wheels to install from, without a network.
        use_uv: whether uv is used if there is one.
        launcher: whether the editor is put in the menus.
        open_with: whether the editor is offered for pictures; None = to be asked, or as it was.
        ask: whether questions are asked.
        again: repair: the GIMPs and the offer stay as they were chosen.
    """

    gimps: list[str] | None = None
    torch: str = "auto"
    wheels: Path | None = None
    use_uv: bool = True
    launcher: bool = True
    open_with: bool | None = None
    ask: bool = True
    again: bool = False


@dataclass(frozen=True)
class Step:
    """One step: what a person reads, and what does it."""

    text: str
    do: Callable[[], None]


class Install:
    """One run of the installer."""

    def __init__(self, facts: Facts, wishes: Wishes, checkout: Path, console: Console) -> None:
        """Decide what to do, as far as no question is needed; `checkout` is the clone, or a wheel of the program."""
        self._facts = facts
        self._wishes = wishes
        self._checkout = checkout
        self._console = console
        self._now: Installation = installation.find(facts, None, "s2am doctor")
        self._paths = self._now.paths
        self._manifest = self._now.manifest
        self._sources = Sources(wishes.wheels, packages.find_uv() if wishes.use_uv else "", self._paths.downloads)
        self._build = torch_builds.wanted(facts, wishes.torch)
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        self._new = Environment(self._paths.environments / name)
        self._old = self._manifest.environment
        self._command = launcher.command_path(self._paths, facts.system)
        self._torch = self._sample = ""
        self._profiles: list[Profile] = []
        self._troubles: list[str] = []

    def rehearse(self) -> int:
        """Say what would be done, and do nothing."""
        self._introduce()
        self._profiles = self._choose_profiles()
        self._console.say(*(f"  {step.text}" for step in [*self._making(), *self._switching()]))
        self._console.say("Nothing was changed: this was a rehearsal (--dry-run).")
        return 0

    def run(self) -> int:
        """Do it; 0, or 1 if the program works but something beside it could not be done.

        Raises InstallError or OSError where a step fails; the previous installation is then still in use.
        """
        self._manifest.make_folder(self._paths.data)
        with self._alone():
            self._console.open_log(self._paths.log)
            self._introduce()
            self._check_room()
            self._profiles = self._choose_profiles()
            open_with = self._choose_open_with()
            self._manifest.source = self._checkout if self._checkout.is_dir() else self._manifest.source
            self._manifest.own(self._paths.environments)
            self._manifest.own(self._paths.downloads)
            self._remove_environments_but(self._old)
            try:
                self._go(self._making())
            except BaseException:
                self._remove_environments_but(self._old)
                raise
            self._manifest.offer_pictures = open_with
            self._go(self._switching())
        self._console.say("", *self._sample.splitlines(), "", f"Ready: {self._command}", *self._troubles)
        self._console.say(*launcher.path_advice(self._paths.commands, self._facts))
        return 1 if self._troubles else 0

    def _introduce(self) -> None:
        build = self._build
        source = f"from {self._wishes.wheels}" if self._wishes.wheels else "to download"
        self._console.say(
            f"Installing s2am in {self._paths.data} with Python {platform.python_version()}; {build.reason}.",
            f"About {build.download / 1e9:.1f} GB {source}, {build.room / 1e9:.1f} GB of disk while it installs.",
        )

    def _check_room(self) -> None:
        free = self._facts.free(self._paths.data)
        if free < self._build.room:
            raise InstallError(
                f"The disk of {self._paths.data} has {free / 1e9:.1f} GB free and {self._build.room / 1e9:.1f} GB are "
                "needed: free some space, then run the same command again."
            )

    def _choose_profiles(self) -> list[Profile]:
        gimps = find_gimps(self._facts)
        for gimp in gimps:
            if not gimp.is_usable:
                self._console.say(f"{gimp} needs GIMP 3: the plug-in does not run in it.")
        found = find_profiles(self._facts, gimps)
        if self._wishes.again and self._manifest.profiles:
            return [profile for profile in found if profile.folder in self._manifest.profiles]
        if self._wishes.gimps is not None:
            return choose(found, self._wishes.gimps)
        if not found:
            self._console.say("No GIMP 3 was found: when you have one, “s2am doctor --fix” brings it the plug-in.")
        if not (found and self._wishes.ask):
            return found
        numbers = picked("Which GIMP gets the plug-in?", list(map(str, found)), sys.stdin, sys.stdout)
        return [found[number] for number in numbers]

    def _choose_open_with(self) -> bool:
        if self._wishes.open_with is not None:
            return self._wishes.open_with
        before = self._manifest.offer_pictures
        if not (self._wishes.ask and self._wishes.launcher):
            return before
        question = "Offer the s2am editor in “open with” for pictures (what opens them now stays)?"
        return agreed(question, before, sys.stdin, sys.stdout)

    def _making(self) -> list[Step]:
        """The steps that touch nothing that is in use."""
        build, version = self._build, torch_builds.VERSION
        tool = "uv" if self._sources.uv else "pip"
        return [
            Step(f"Making the environment {self._new.folder.name}", self._make_environment),
            Step(f"Installing PyTorch {version} {build.tag}".rstrip() + f" with {tool}", self._install_torch),
            Step("Installing s2am and the libraries that it uses", self._install_project),
            Step("Checking that it starts", self._check_start),
            Step("Harmonizing the sample", self._try_sample),
        ]

    def _switching(self) -> list[Step]:
        """The steps that put the new environment to use."""
        chosen = [profile.folder for profile in self._profiles]
        left = [profile for profile in self._manifest.profiles if profile not in chosen]
        leave = [Step(f"Taking the plug-in out of {each}", partial(self._take_out, each)) for each in left]
        enter = [Step(f"Putting the plug-in in {each}", partial(self._put_plugin, each)) for each in self._profiles]
        menus = [Step("Putting the editor in the menus", self._put_launchers)] if self._wishes.launcher else []
        return [
            Step(f"Putting the command in {self._paths.commands}", self._put_command),
            *leave,
            *enter,
            *menus,
            Step("Removing what the new version does not need", self._clean),
        ]

    def _go(self, steps: list[Step]) -> None:
        for step in steps:
            with self._console.step(step.text):
                step.do()

    def _make_environment(self) -> None:
        environment.make(self._new, self._console)

    def _install_torch(self) -> None:
        self._torch = engine.install_torch(self._new, self._build, self._sources, self._console)

    def _install_project(self) -> None:
        wheels = sorted(self._wishes.wheels.glob("s2am-*.whl")) if self._wishes.wheels else []
        # Without a network a clone can't be built: what builds it would have to be fetched.
        project = str(wheels[-1] if wheels else self._checkout)
        engine.install_project(self._new, project, self._torch, self._sources, self._console)

    def _check_start(self) -> None:
        self._new.run(["-c", IMPORT_ALL], self._console)

    def _try_sample(self) -> None:
        self._manifest.own(self._paths.sample)
        self._sample = self._new.run(["-m", "s2am_engine.image.sample", str(self._paths.sample)], self._console)

    def _put_command(self) -> None:
        self._manifest.environment, self._manifest.command = self._new.folder, self._command
        self._manifest.torch = self._torch
        self._manifest.own(self._paths.data / "bridge")
        launcher.put(self._command, self._new.folder, self._manifest)
        self._now.environment = self._new.folder

    def _take_out(self, profile: Path) -> None:
        plugins.take_out(profile, self._manifest)

    def _put_plugin(self, profile: Profile) -> None:
        try:
            making.ensure_profile(profile, self._facts, self._manifest)
            plugins.put(profile.folder, self._now.serve, self._manifest)
        except (S2AMError, OSError) as error:
            # The program works all the same; the others get theirs.
            self._troubles.append(f"The plug-in is not in {profile.folder}: {error}")

    def _put_launchers(self) -> None:
        files = self._now.launchers(self._manifest.offer_pictures)
        desktop.put(self._facts, files, self._manifest)

    def _clean(self) -> None:
        """Remove the old environment, and launchers that are not wanted any more."""
        wanted = {self._command, *(self._now.launchers(self._manifest.offer_pictures) if self._wishes.launcher else ())}
        for file in list(self._manifest.files):
            in_tree = any(tree in file.parents for tree in self._manifest.trees)
            if not in_tree and file not in wanted and self._manifest.files[file]:
                self._manifest.drop(file)
        self._manifest.forget(self._paths.downloads)
        self._now.stop_engine()  # it is of the old environment
        self._remove_environments_but(self._new.folder)

    def _remove_environments_but(self, kept: Path | None) -> None:
        # Windows cannot remove a program that runs: what stays behind goes at the next run.
        for folder in self._paths.environments.glob("*"):
            if folder != kept:
                shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no second installer work at the same time. Raises InstallError."""
        lock = ProcessLock(self._paths.lock)
        if not lock.acquire():
            raise InstallError("Another installation is running: wait until it has ended, then run the same command.")
        try:
            yield
        finally:
            lock.release()
