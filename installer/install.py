# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of an installation. Running it again repairs or upgrades.

Each run creates a new environment next to the one in use, reuses the undamaged packages of that one, and starts what
people will start: the command, the engine with the sample, the editor. Only then are the command, the plug-in and the
launchers switched to it and the old environment removed: after a failure before that, the previous installation is
unchanged.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from platform import python_version

from installer import access, environment, repair_copy, reuse, wheels
from s2am_common import system_libraries
from s2am_common.errors import InstallError, S2AMError
from s2am_common.optional_parts import OPTIONAL_PARTS
from s2am_setup import debian, packages, start_check, torch_builds
from s2am_setup.console import Console, format_bytes, prompt_yes_no
from s2am_setup.desktop import write_launchers
from s2am_setup.gimp_plugin import install_plugin, remove_plugin
from s2am_setup.gimp_profiles import GET_GIMP, GimpProfile, ensure_profile, find_gimp_profiles, find_gimps
from s2am_setup.installation import command_path, exclusive, find_installation, path_advice, write_command
from s2am_setup.packages import PackageSources
from s2am_setup.platform import Platform
from s2am_setup.python_environment import Environment, clean_environ
from s2am_setup.uninstall import own_files

CHECKOUT = Path(__file__).resolve().parent.parent
"""The clone that contains this installer, or its copy in the data folder."""

IMPORT_TEST = (
    "import s2am_engine.cli.main, s2am_engine.file_harmonizer, s2am_engine.inference.harmonizer; "
    "import s2am_engine.training.evaluation"
)
"""Statement that fails in an environment where a library is missing or damaged."""


@dataclass(frozen=True)
class InstallOptions:
    """Choices of the person who installs.

    Attributes:
        plugin: install the plug-in in GIMP; which of several GIMPs get it is asked.
        torch: "none", "cpu", a PyTorch tag, or "auto" for that of this computer's GPU, if any; "" = as before, at first
            "auto".
        wheels: folder of wheels to install from, without a network.
        editor: install the editor, and add it to the desktop's menus, unless the present installation is without it.
        ask: ask questions.
        keep_choices: keep the GIMPs of the previous installation (repair).
    """

    plugin: bool = True
    torch: str = ""
    wheels: Path | None = None
    editor: bool = True
    ask: bool = True
    keep_choices: bool = False


_Step = tuple[str, Callable[[], object]]
"""A step of the installation: the text that is printed while it runs, and its function."""


class Installer:
    """One installation, repair or upgrade."""

    def __init__(self, platform: Platform, options: InstallOptions, checkout: Path, console: Console) -> None:
        """Prepare an installation as far as possible without questions.

        Args:
            platform: the computer and user.
            options: choices of the person who installs.
            checkout: the clone, a wheel of the program, or the folder of the installer's copy with its wheel.
            console: prints and logs the steps.

        Raises:
            InstallError: another program's file is where the command goes, or the options cannot be carried out.
        """
        self._platform = platform
        self._options = options
        self._clone = checkout if (checkout / "pyproject.toml").is_file() else None
        self._project = checkout if checkout.is_file() else repair_copy.stored_wheel(checkout)
        self._console = console
        self._installation = find_installation(platform, None, "s2am doctor")
        self._paths = self._installation.paths
        self._manifest = self._installation.manifest
        self._editor = options.editor and self._manifest.editor
        access.check_user(platform)
        self._sources = PackageSources(options.wheels, cache=self._paths.downloads)
        self._build = torch_builds.select_torch_build(platform, self._torch_tag())
        if options.wheels:
            # Without a request, PyTorch may come from the present installation.
            wheels.check_wheels(options.wheels, options.torch)
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        self._new = Environment(self._paths.environments / name)
        self._old = self._manifest.environment
        self._command = command_path(self._paths, platform.system)
        self._torch = self._sample = ""
        self._profiles: list[GimpProfile] = []
        self._problems: list[str] = []
        self._editor_fault = ""
        self._switched = False

    def _torch_tag(self) -> str:
        """Return the requested build of PyTorch; without a request, the present one stays."""
        if self._options.torch:
            return self._options.torch
        if not self._manifest.environment:
            given = self._options.wheels
            is_left_out = given and not any(given.glob(wheels.TORCH_WHEEL))
            return torch_builds.NO_TORCH if is_left_out else torch_builds.AUTO_BUILD
        if not self._manifest.torch:
            return torch_builds.NO_TORCH
        present = self._manifest.torch.partition("+")[2] or torch_builds.CPU_ONLY
        return present if present in torch_builds.KNOWN_TAGS else torch_builds.AUTO_BUILD

    def print_steps(self) -> int:
        """Check everything that needs no changes, print the steps without running them; return the exit code 0.

        Raises:
            InstallError: the installation would fail.
        """
        self._print_summary()
        self._profiles = self._choose_profiles()
        self._check_targets()
        self._console.say(*(f"  {text}" for text, _run in [*self._environment_steps(), *self._switching_steps()]))
        self._console.say("Nothing was changed (--dry-run).")
        return 0

    def run(self) -> int:
        """Run the steps.

        Returns:
            The exit code: 0, or 1 if the program works but the plug-in could not be installed in every GIMP.

        Raises:
            S2AMError, OSError: a step failed; the previous installation is still in use.
        """
        access.check_writable([self._paths.data])
        self._manifest.make_folder(self._paths.data)
        with exclusive(self._paths):
            self._console.open_log(self._paths.install_log)
            self._print_summary()
            self._profiles = self._choose_profiles()
            self._check_targets()
            for folder in own_files(self._paths):
                self._manifest.add_missing(folder)
            paths = self._paths
            for tree in (paths.environments, paths.downloads, paths.logs, paths.cache, paths.repair):
                self._manifest.add_tree(tree)
            self._remove_environments_except(self._old)
            try:
                with self._own_temporary_folder():
                    self._run_steps(self._environment_steps())
                    self._manifest.editor = self._editor
                    self._run_steps(self._switching_steps())
            except KeyboardInterrupt:
                if not self._switched:
                    raise
                raise InstallError(
                    f"Stopped. The new version is in use already ({self._command}): to finish the remaining steps, "
                    "run the same command."
                ) from None
            finally:
                self._remove_environments_except(self._new.folder if self._switched else self._old)
        self._console.say("", *self._sample.splitlines(), "", *self._next_steps(), *self._problems)
        self._console.say(*path_advice(self._paths.commands, self._platform))
        return 1 if self._problems else 0

    def _next_steps(self) -> list[str]:
        """Return the next steps of a person with the installed program."""
        lines = [f"Ready: the command is {self._command}."]
        if self._profiles:
            lines.append("In GIMP: start it again, select the pasted layer, and choose Filters > Harmonize Layer.")
        if self._editor_fault:
            lines.append(self._editor_fault)
        elif self._editor:
            lines.append("The editor: “s2am editor” in your menu, or “s2am edit”.")
        else:
            lines.append("“s2am install editor” adds the editor.")
        return lines

    @contextlib.contextmanager
    def _own_temporary_folder(self) -> Iterator[None]:
        """Put temporary files into the data folder, because /tmp is often too small for the downloads."""
        folder = self._paths.downloads / "temporary"
        folder.mkdir(parents=True, exist_ok=True)
        before = os.environ.get("TMPDIR")
        os.environ["TMPDIR"] = str(folder)
        tempfile.tempdir = None
        try:
            yield
        finally:
            os.environ.pop("TMPDIR")
            if before is not None:
                os.environ["TMPDIR"] = before
            tempfile.tempdir = None

    def _print_summary(self) -> None:
        editor = OPTIONAL_PARTS["editor"].download
        about = "At most" if self._old else "About"
        download = self._build.sizes[0] - (0 if self._editor else editor)
        source = f"from {self._options.wheels}" if self._options.wheels else "to download"
        self._console.say(
            f"Installing s2am in {self._paths.data} with Python {python_version()}; {self._build.reason}.",
            f"{about} {format_bytes(download)} {source}, "
            f"{format_bytes(sum(self._build.sizes))} of disk space during installation.",
        )
        if self._old:
            self._console.say("Undamaged packages of the present installation are used again, and need no download.")
        elif self._editor and self._options.ask:
            question = f"Install the editor, too ({format_bytes(editor)} of the download)?"
            self._editor = prompt_yes_no(question, sys.stdin, sys.stdout)

    def _check_targets(self) -> None:
        """Check disk space, and that everything can be written, before anything is downloaded.

        Raises:
            InstallError: not enough space, or a folder of another user.
        """
        launchers = self._installation.launchers if self._editor else {}
        access.check_writable([self._paths.data, self._paths.commands, *launchers])
        free, needed = self._platform.free_bytes(self._paths.data), sum(self._build.sizes)
        if free < needed:
            raise InstallError(
                f"The disk of {self._paths.data} has {format_bytes(free)} free and {format_bytes(needed)} are needed: "
                "free some space, then run the same command again."
            )

    def _choose_profiles(self) -> list[GimpProfile]:
        if not self._options.plugin:
            return []
        gimps = find_gimps(self._platform)
        advice = "" if any(gimp.is_supported for gimp in gimps) else f" {GET_GIMP}."
        for gimp in gimps:
            if not gimp.is_supported:
                self._console.say(f"{gimp} is too old for the plug-in, which needs GIMP 3.{advice}")
        found = find_gimp_profiles(self._platform, gimps)
        if self._options.keep_choices and self._manifest.profiles:
            return [profile for profile in found if profile.folder in self._manifest.profiles]
        if not found:
            self._console.say("No GIMP 3 was found. When you have one, “s2am doctor --fix” installs the plug-in.")
        if not self._options.ask:
            return found
        return [each for each in found if prompt_yes_no(f"Install the plug-in in {each}?", sys.stdin, sys.stdout)]

    def _environment_steps(self) -> list[_Step]:
        """Return the steps that change nothing in use."""
        torch = [(f"Installing PyTorch {self._build.name}", self._install_torch)]
        return [
            ("Making a place for the program", self._create_environment),
            *(torch if self._build.tag != torch_builds.NO_TORCH else []),
            ("Installing s2am and its libraries", self._install_project),
            ("Testing that command, engine and editor start", self._test_start),
            ("Harmonizing the sample", self._harmonize_sample),
        ]

    def _switching_steps(self) -> list[_Step]:
        """Return the steps that switch to the new environment."""
        chosen = [profile.folder for profile in self._profiles]
        dropped = [profile for profile in self._manifest.profiles if profile not in chosen]
        menus = [("Adding the editor to the menus", self._write_launchers)] if self._editor else []
        return [
            (f"Writing the command in {self._paths.commands}", self._write_command),
            *((f"Removing the plug-in from {each}", partial(remove_plugin, each, self._manifest)) for each in dropped),
            *((f"Installing the plug-in in {each}", partial(self._install_plugin, each)) for each in self._profiles),
            *menus,
            ("Removing files of the previous version", self._clean),
        ]

    def _run_steps(self, steps: list[_Step]) -> None:
        for text, run in steps:
            with self._console.step(text):
                run()

    def _create_environment(self) -> None:
        if self._old:
            environment.make_empty_environment(self._new, self._console)
            if "pip" in self._reuse(self._old):
                return
        environment.make_environment(self._new, self._console, self._options.wheels)
        if self._old:
            self._reuse(self._old)

    def _reuse(self, old: Path) -> list[str]:
        """Take over the undamaged packages of the old environment; return the names of the packages."""
        fetched, target = map(system_libraries.fetched_libraries, (old, self._new.folder))
        if fetched.is_dir():
            shutil.copytree(fetched, target, dirs_exist_ok=True)
        # PyTorch that a person added without the installer stays, too, unless it is to go.
        without = torch_builds.TORCH_PACKAGES if self._options.torch == torch_builds.NO_TORCH else None
        return reuse.reuse_packages(Environment(old), self._new, self._console.show_bytes, without=without)

    def _install_torch(self) -> None:
        try:
            self._torch = packages.install_torch(self._new, self._build, self._sources, self._console)
        except InstallError as error:
            if error.code != packages.TORCH_NOT_FOUND or self._options.torch:
                raise
            self._build = torch_builds.without_torch()
            self._problems.append(f"Installed {self._build.reason}. {error}")

    def _install_project(self) -> None:
        wheel = self._find_wheel()
        project = packages.with_extras(wheel, self._build, self._editor)
        packages.install_project(self._new, project, self._torch, self._sources, self._console)
        packages.install_sample_photographs(self._new, self._sources, self._console)
        source = None if self._options.wheels else self._clone
        repair_copy.write_repair_copy(self._paths.repair, wheel, Path(__file__).parent, source)

    def _find_wheel(self) -> Path:
        """Return the program's wheel: from the folder of wheels, from the last time, or built from the clone."""
        if self._options.wheels and (found := sorted(self._options.wheels.glob("s2am-*.whl"))):
            # Without a network a clone cannot be built, because its build tools would have to be downloaded.
            return found[-1]
        if self._clone is None:
            if self._project is None:
                raise InstallError("The program's wheel is missing here: run “python3 -m installer” in a clone.")
            return self._project
        if unchanged := repair_copy.unchanged_wheel(self._paths.repair, self._clone):
            return unchanged
        folder = self._paths.downloads / "wheel"
        self._new.pip(["wheel", "--no-deps", "--wheel-dir", str(folder), str(self._clone)], self._console)
        return next(folder.glob("s2am-*.whl"))

    def _test_start(self) -> None:
        self._new.run(["-c", IMPORT_TEST + (", torch" if self._torch else "")], self._console)
        self._console.run([str(self._new.program("s2am")), "--version"], clean_environ())
        if self._editor:
            self._test_editor()

    def _test_editor(self) -> None:
        """Open the editor's window unseen; fetch the system's libraries that it lacks, if that is possible."""
        run = partial(self._console.run, environ=clean_environ())
        start = start_check.start_editor([self._new.python], run)
        if start.missing and not self._options.wheels and debian.has_packages():
            try:
                debian.fetch_libraries(start.files, self._new.folder, self._console)
                start = start_check.start_editor([self._new.python], run)
            except S2AMError as error:
                self._console.log(str(error))  # named with the command that installs them, below
        if start.fault:
            advice = f": {start.advice}" if start.advice else ""
            self._editor_fault = f"Everything but the editor works; {start.fault}{advice}."

    def _harmonize_sample(self) -> None:
        self._manifest.add_tree(self._paths.sample)
        self._sample = self._new.run(["-m", "s2am_engine.image.sample", str(self._paths.sample)], self._console)

    def _write_command(self) -> None:
        self._manifest.environment, self._manifest.command = self._new.folder, self._command
        self._manifest.torch = self._torch
        self._manifest.add_tree(self._paths.data / "bridge")
        self._switched = True
        write_command(self._command, self._new.folder, self._manifest)
        self._installation.environment = self._new.folder

    def _install_plugin(self, profile: GimpProfile) -> None:
        try:
            ensure_profile(profile, self._platform, self._manifest)
            install_plugin(profile.folder, self._installation.plugin_files, self._manifest)
            for gimp in profile.gimps:
                if start_check.loads_plugin(gimp, self._installation.plugin_files, self._platform) is False:
                    self._problems.append(
                        f"{gimp} starts, but does not load the plug-in: run “s2am doctor” for details."
                    )
        except (S2AMError, OSError) as error:
            # The program works without it, and the other profiles still get it.
            self._problems.append(f"The plug-in is not in {profile.folder}: {error}")

    def _write_launchers(self) -> None:
        try:
            write_launchers(self._platform, self._installation.launchers, self._manifest)
        except (S2AMError, OSError) as error:
            self._problems.append(f"The editor is not in the menus, but “s2am edit” opens it: {error}")

    def _clean(self) -> None:
        """Remove the old environment, and launchers that are no longer selected."""
        launchers = self._installation.launchers if self._editor else {}
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
