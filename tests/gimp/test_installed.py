# SPDX-License-Identifier: GPL-3.0-or-later
"""Installation from a clone into a real GIMP, and removal, with the commands that people use."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s2am_setup import gimp_plugin
from tests.gimp import pictures
from tests.gimp.harness import SCRIPTS, batch, wait_for
from tests.gimp.provision import Host, inside
from tests.installer import fakes


class Person:
    """A user with a home folder, a clone and GIMP 3."""

    def __init__(self, root: Path, version: str, folder: Path) -> None:
        self._root = root
        self._folder = folder
        self.home = folder / "home/Zoë Müller"
        self.home.mkdir(parents=True)
        self.profile = self.home / f".config/GIMP/{version}"
        self.clone = folder / "s2am"
        subprocess.run(["git", "clone", "--quiet", fakes.CHECKOUT, self.clone], check=True)
        self.wheels = folder / "wheels"
        self.wheels.mkdir()
        fakes.make_libraries(self.wheels)

    def environ(self) -> dict[str, str]:
        """Return the environment of a terminal, without variables that lead out of the home folder."""
        return fakes.clean_environ() | {"HOME": str(self.home)}

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command in the clone."""
        return subprocess.run(command, cwd=self.clone, env=self.environ(), capture_output=True, text=True, check=False)

    def gimp(self, *options: str) -> None:
        """Start GIMP without windows, with the user's own profile."""
        variables = [f"HOME={self.home}", f"S2AM_TEST={self._folder}", "PATH=/usr/bin:/bin", "LANG=C.UTF-8"]
        program = ["env", "-i", *variables, "gimp-console", "--no-interface", "-d", "-f", "-s", *options, "--quit"]
        command = inside(self._root, program, (self._folder, SCRIPTS))
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False)

    def ask_gimp(self) -> dict[str, Any]:
        """Start GIMP with a script that reports on the plug-in."""
        results = self._folder / "results.json"
        results.unlink(missing_ok=True)
        self.gimp(*batch("installed.py"))
        report: dict[str, Any] = json.loads(results.read_text(encoding="utf-8"))["installed"]
        return report


@pytest.fixture
def person(gimp_host: Host, gimp_root: Path) -> Iterator[Person]:
    with tempfile.TemporaryDirectory(prefix="s2am-") as folder:  # a short name: sockets' names must be
        made = Person(gimp_root, gimp_host.version, Path(folder))
        pictures.write(Path(folder))
        made.gimp()  # GIMP has been used before
        yield made


def test_installer_adds_and_uninstall_removes_the_plug_in(person: Person) -> None:
    python = sys.executable
    cache = person.profile / "pluginrc"
    assert b"harmonize-layer" not in cache.read_bytes()
    done = person.run(python, "-m", "installer", "--yes", "--wheels", person.wheels)
    assert done.returncode == 0, done.stdout + done.stderr
    command = person.home / ".local/bin/s2am"
    # GIMP runs in another Debian here, where the engine's Python is not: as with Flatpak, the engine runs already.
    with subprocess.Popen([command, "serve"], env=person.environ(), stdout=subprocess.DEVNULL) as engine:
        try:
            wait_for((person.home / ".local/share/s2am/bridge/running.json").exists, 60, "the engine")
            report = person.ask_gimp()
        finally:
            engine.terminate()
    assert report["known"]
    assert report["layers"] == 3
    assert report["changed"]
    checks = json.loads(person.run(command, "doctor", "--json").stdout)["checks"]
    (plugin,) = [check for check in checks if check["name"].startswith("plug-in")]
    assert plugin["message"].startswith("installed and loaded by GIMP")

    done = person.run(python, "-m", "installer", "uninstall", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not gimp_plugin.plugin_folder(person.profile).exists()
    assert not command.exists()
    assert not (person.home / ".local/share/s2am").exists()
    assert b"harmonize-layer" not in cache.read_bytes()
    assert person.ask_gimp() == {"known": False, "seconds": pytest.approx(0, abs=60)}
