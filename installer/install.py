# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of an installation. Running it again repairs or upgrades.

Each run creates a new environment next to the one in use and tests it on the sample. Only then are the command, the
plug-in and the launchers switched to it and the old environment removed: after a failure before that, the previous
installation is unchanged.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from platform import python_version

from installer import environment, packages
from installer.console import Console
from installer.environment import Environment
from installer.packages import PackageSources
from installer.torch_builds import TORCH_VERSION, select_torch_build
from s2am_common.errors import InstallError, S2AMError
from s2am_common.locks import ProcessLock
from s2am_setup.desktop import write_launchers
from s2am_setup.gimp_plugin import install_plugin, remove_plugin
from s2am_setup.gimp_profiles import GimpProfile, ensure_profile, find_gimp_profiles, find_gimps, select_profiles
from s2am_setup.installation import Installation, command_path, find_installation, path_advice, write_command
from s2am_setup.platform import Platform
from s2am_setup.prompts import prompt_choices, prompt_yes_no

CHECKOUT = Path(__file__).resolve().parent.parent
"""The clone that contains this installer."""

IMPORT_TEST = (
    "import s2am_engine.cli.main, s2am_engine.batch, s2am_engine.inference.harmonizer, s2am_engine.training.evaluation"
)
"""Statement that fails in an environment where a library is missing or damaged."""


@dataclass(frozen=True)
class InstallOptions:
    """Choices of the person who installs.

    Attributes:
        gimps: GIMPs that get the plug-in, see `select_profiles`; None = ask, or all.
        torch: "auto", "cpu" or a PyTorch tag.
        wheels: folder of wheels to install from, without a network.
        use_uv: use uv if it is installed.
        launcher: add the editor to the desktop's menus.
        open_with: add the editor to “open with” for images; None = ask, or as before.
        ask: ask questions.
        keep_choices: keep the GIMPs and launchers of the previous installation (repair).
    """

    gimps: list[str] | None = None
    torch: str = "auto"
    wheels: Path | None = None
    use_uv: bool = True
    launcher: bool = True
    open_with: bool | None = None
    ask: bool = True
    keep_choices: bool = False


@dataclass(frozen=True)
class _Step:
    text: str
    run: Callable[[], None]


class Installer:
    """One installation, repair or upgrade."""

    def __init__(self, platform: Platform, options: InstallOptions, checkout: Path, console: Console) -> None:
        """Prepare an installation as far as possible without questions.

        Args:
            platform: the computer and user.
            options: choices of the person who installs.
            checkout: the clone, or a wheel of the program.
            console: prints and logs the steps.

        Raises:
            InstallError: another program's file is where the command goes.
        """
        self._platform = platform
        self._options = options
        self._checkout = checkout
        self._console = console
        self._installation: Installation = find_installation(platform, None, "s2am doctor")
        self._paths = self._installation.paths
        self._manifest = self._installation.manifest
        uv = packages.find_uv() if options.use_uv else ""
        self._sources = PackageSources(options.wheels, uv, self._paths.downloads)
        self._build = select_torch_build(platform, options.torch)
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        self._new = Environment(self._paths.environments / name)
        self._old = self._manifest.environment
        self._command = command_path(self._paths, platform.system)
        self._torch = self._sample = ""
        self._profiles: list[GimpProfile] = []
        self._problems: list[str] = []

    def print_steps(self) -> int:
        """Print the steps without running them; return the exit code 0."""
        self._print_summary()
        self._profiles = self._choose_profiles()
        self._console.say(*(f"  {step.text}" for step in [*self._environment_steps(), *self._switching_steps()]))
        self._console.say("Nothing was changed (--dry-run).")
        return 0

    def run(self) -> int:
        """Run the steps.

        Returns:
            The exit code: 0, or 1 if the program works but the plug-in could not be installed in every GIMP.

        Raises:
            S2AMError, OSError: a step failed; the previous installation is still in use.
        """
        self._manifest.make_folder(self._paths.data)
        with self._locked():
            self._console.open_log(self._paths.install_log)
            self._print_summary()
            self._check_disk_space()
            self._profiles = self._choose_profiles()
            offer_images = self._choose_open_with()
            self._manifest.source = self._checkout if self._checkout.is_dir() else self._manifest.source
            for tree in (self._paths.environments, self._paths.downloads, self._paths.logs, self._paths.cache):
                self._manifest.add_tree(tree)
            self._remove_environments_except(self._old)
            try:
                self._run_steps(self._environment_steps())
            except BaseException:
                self._remove_environments_except(self._old)
                raise
            self._manifest.offer_images = offer_images
            self._run_steps(self._switching_steps())
        self._console.say("", *self._sample.splitlines(), "", f"Ready: {self._command}", *self._problems)
        self._console.say(*path_advice(self._paths.commands, self._platform))
        return 1 if self._problems else 0

    def _print_summary(self) -> None:
        build = self._build
        source = f"from {self._options.wheels}" if self._options.wheels else "to download"
        self._console.say(
            f"Installing s2am in {self._paths.data} with Python {python_version()}; {build.reason}.",
            f"About {build.download / 1e9:.1f} GB {source}, {build.disk_space / 1e9:.1f} GB of disk space during "
            "installation.",
        )

    def _check_disk_space(self) -> None:
        free = self._platform.free_bytes(self._paths.data)
        if free < self._build.disk_space:
            raise InstallError(
                f"The disk of {self._paths.data} has {free / 1e9:.1f} GB free and {self._build.disk_space / 1e9:.1f} "
                "GB are needed: free some space, then run the same command again."
            )

    def _choose_profiles(self) -> list[GimpProfile]:
        gimps = find_gimps(self._platform)
        for gimp in gimps:
            if not gimp.is_supported:
                self._console.say(f"{gimp} is too old: the plug-in needs GIMP 3.")
        found = find_gimp_profiles(self._platform, gimps)
        if self._options.keep_choices and self._manifest.profiles:
            return [profile for profile in found if profile.folder in self._manifest.profiles]
        if self._options.gimps is not None:
            return select_profiles(found, self._options.gimps)
        if not found:
            self._console.say("No GIMP 3 was found. When you have one, “s2am doctor --fix” installs the plug-in.")
        if not (found and self._options.ask):
            return found
        numbers = prompt_choices("Which GIMP gets the plug-in?", list(map(str, found)), sys.stdin, sys.stdout)
        return [found[number] for number in numbers]

    def _choose_open_with(self) -> bool:
        if self._options.open_with is not None:
            return self._options.open_with
        before = self._manifest.offer_images
        if not (self._options.ask and self._options.launcher):
            return before
        question = "Add the s2am editor to “open with” for images (the default program does not change)?"
        return prompt_yes_no(question, before, sys.stdin, sys.stdout)

    def _environment_steps(self) -> list[_Step]:
        """Return the steps that change nothing in use."""
        build = self._build
        tool = "uv" if self._sources.uv else "pip"
        return [
            _Step(f"Creating the environment {self._new.folder.name}", self._create_environment),
            _Step(f"Installing PyTorch {TORCH_VERSION} {build.tag}".rstrip() + f" with {tool}", self._install_torch),
            _Step("Installing s2am and its libraries", self._install_project),
            _Step("Testing that it starts", self._test_start),
            _Step("Harmonizing the sample", self._harmonize_sample),
        ]

    def _switching_steps(self) -> list[_Step]:
        """Return the steps that switch to the new environment."""
        chosen = [profile.folder for profile in self._profiles]
        dropped = [profile for profile in self._manifest.profiles if profile not in chosen]
        remove = [_Step(f"Removing the plug-in from {each}", partial(self._remove_plugin, each)) for each in dropped]
        install = [
            _Step(f"Installing the plug-in in {each}", partial(self._install_plugin, each)) for each in self._profiles
        ]
        menus = [_Step("Adding the editor to the menus", self._write_launchers)] if self._options.launcher else []
        return [
            _Step(f"Writing the command in {self._paths.commands}", self._write_command),
            *remove,
            *install,
            *menus,
            _Step("Removing files of the previous version", self._clean),
        ]

    def _run_steps(self, steps: list[_Step]) -> None:
        for step in steps:
            with self._console.step(step.text):
                step.run()

    def _create_environment(self) -> None:
        environment.make_environment(self._new, self._console)

    def _install_torch(self) -> None:
        self._torch = packages.install_torch(self._new, self._build, self._sources, self._console)

    def _install_project(self) -> None:
        wheels = sorted(self._options.wheels.glob("s2am-*.whl")) if self._options.wheels else []
        # Without a network a clone cannot be built, because its build tools would have to be downloaded.
        project = str(wheels[-1] if wheels else self._checkout)
        packages.install_project(self._new, project, self._torch, self._sources, self._console)

    def _test_start(self) -> None:
        self._new.run(["-c", IMPORT_TEST], self._console)

    def _harmonize_sample(self) -> None:
        self._manifest.add_tree(self._paths.sample)
        self._sample = self._new.run(["-m", "s2am_engine.image.sample", str(self._paths.sample)], self._console)

    def _write_command(self) -> None:
        self._manifest.environment, self._manifest.command = self._new.folder, self._command
        self._manifest.torch = self._torch
        self._manifest.add_tree(self._paths.data / "bridge")
        write_command(self._command, self._new.folder, self._manifest)
        self._installation.environment = self._new.folder

    def _remove_plugin(self, profile: Path) -> None:
        remove_plugin(profile, self._manifest)

    def _install_plugin(self, profile: GimpProfile) -> None:
        try:
            ensure_profile(profile, self._platform, self._manifest)
            install_plugin(profile.folder, self._installation.serve, self._manifest)
        except (S2AMError, OSError) as error:
            # The program works without it, and the other profiles still get it.
            self._problems.append(f"The plug-in is not in {profile.folder}: {error}")

    def _write_launchers(self) -> None:
        files = self._installation.launchers(self._manifest.offer_images)
        write_launchers(self._platform, files, self._manifest)

    def _clean(self) -> None:
        """Remove the old environment, and launchers that are no longer selected."""
        launchers = self._installation.launchers(self._manifest.offer_images) if self._options.launcher else {}
        for file in list(self._manifest.files):
            in_tree = any(tree in file.parents for tree in self._manifest.trees)
            if not in_tree and file not in {self._command, *launchers} and self._manifest.files[file]:
                self._manifest.remove_file(file)
        self._manifest.remove_tree(self._paths.downloads)
        self._installation.stop_engine()  # it belongs to the old environment
        self._remove_environments_except(self._new.folder)

    def _remove_environments_except(self, kept: Path | None) -> None:
        # Windows cannot remove a running program: the next run removes the rest.
        for folder in self._paths.environments.glob("*"):
            if folder != kept:
                shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Prevent two installers from running simultaneously.

        Raises:
            InstallError: another one is running.
        """
        lock = ProcessLock(self._paths.lock)
        if not lock.acquire():
            raise InstallError("Another installation is running: wait until it has ended, then run the same command.")
        try:
            yield
        finally:
            lock.release()
