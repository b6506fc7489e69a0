# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the real GIMP 3 with the plug-in, without windows or on a virtual screen."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gimp_bridge.client import EngineClient
from s2am_common.errors import BridgeError
from s2am_setup.gimp_plugin import PLUGIN_NAME, assemble_plugin, plugin_files
from tests.gimp.provision import HOST_ROOT, inside

GIMPS_OWN = "/usr/lib/x86_64-linux-gnu/gimp/3.0/plug-ins"
CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPTS = CHECKOUT / "tests/gimp/inside"
"""The scripts that run in GIMP's own Python: `support.py`, and a file for each part of the tests."""

SETTINGS = """(plug-in-path "{plugins}")
(show-welcome-dialog no)
(check-updates no)
(config-version "3.0.4")
"""

_SILENT = subprocess.DEVNULL
_TAIL = 6000
"""Number of characters of GIMP's output in an error."""


class GimpError(Exception):
    """GIMP failed; the message holds its output."""


@dataclass(frozen=True)
class Gimp3:
    """A GIMP with its own profile, plug-in and engine.

    root: the Debian that it is installed in.
    folder: shared between the Debian and its host under the same path.
    """

    root: Path
    folder: Path

    @property
    def plugin(self) -> Path:
        """The plug-in's folder."""
        return self.folder / "plug-ins" / PLUGIN_NAME

    @property
    def log(self) -> Path:
        """The log of the plug-in and the engine."""
        return self.folder / "home/.local/state/s2am/log/s2am.log"

    @property
    def bridge(self) -> Path:
        """The bridge folder."""
        return self.folder / "bridge"

    @property
    def output(self) -> Path:
        """The file with what GIMP and the programs beside it print."""
        return self.folder / "output.txt"

    def printed(self) -> str:
        """Return the end of that file."""
        return self.output.read_text(encoding="utf-8", errors="replace")[-_TAIL:] if self.output.exists() else ""

    def prepare(self, serve: Sequence[str] | None = None, settings: str = "") -> None:
        """Create the profile and install the plug-in.

        Args:
            serve: the command that runs the engine's server, inside the Debian; None = the engine of this environment.
            settings: further lines of GIMP's settings.
        """
        profile = self.folder / "profile"
        profile.mkdir(parents=True, exist_ok=True)
        lines = SETTINGS.format(plugins=f"{self.plugin.parent}:{GIMPS_OWN}") + settings
        (profile / "gimprc").write_text(lines, encoding="utf-8")
        assemble_plugin(self.plugin, plugin_files(engine_outside() if serve is None else serve))

    def command(self, program: Sequence[str], **environ: str) -> list[str]:
        """Return the command that runs a program inside the Debian."""
        variables = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "GIMP3_DIRECTORY": str(self.folder / "profile"),
            "S2AM_BRIDGE_FOLDER": str(self.bridge),
            "S2AM_TEST": str(self.folder),
        } | environ
        # Another number of threads rounds differently than the engine in the tests' process.
        variables |= {name: os.environ[name] for name in ("OMP_NUM_THREADS",) if name in os.environ}
        (self.folder / "home").mkdir(exist_ok=True)
        pairs = [f"{name}={value}" for name, value in variables.items()]
        return inside(self.root, ["env", "-i", *pairs, *program], (self.folder, CHECKOUT))

    def german(self) -> dict[str, str]:
        """Return the environment of a German GIMP; the Debian has no German locale, so the formats stay those of C.

        gettext ignores LANGUAGE in the locale C, so that a copy of it has the German name.
        """
        locales = self.folder / "locales"
        shutil.copytree(self.root / "usr/lib/locale/C.utf8", locales / "de_DE.UTF-8", dirs_exist_ok=True)
        return {"LANG": "de_DE.UTF-8", "LANGUAGE": "de", "LOCPATH": str(locales)}

    def run(self, script: str, seconds: float = 300, **environ: str) -> Any:
        """Run a script of `inside/` in a GIMP without windows.

        Returns:
            The content of its results.json.

        Raises:
            GimpError: it failed.
        """
        results = self.folder / "results.json"
        results.unlink(missing_ok=True)
        program = ["gimp-console", "--no-interface", "-d", "-f", "-s", *batch(script), "--quit"]
        process = _start(self.command(program, **environ), self.output)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise GimpError(f"GIMP gave no answer within {seconds:.0f} seconds:\n{self.printed()}") from error
        finally:
            _end(process)
        if status or not results.exists():
            raise GimpError(f"GIMP ended with {status}:\n{self.printed()}")
        return json.loads(results.read_text(encoding="utf-8"))

    @contextmanager
    def desktop(self, script: str, size: str = "1400x950", **environ: str) -> Iterator[Desktop]:
        """Provide a GIMP with windows on a virtual screen, in which a script of `inside/` runs."""
        read, write = os.pipe()
        screen = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{size}x24", "-nolisten", "tcp"]
        started = [_start(self.command(screen), self.output, pass_fds=(write,))]
        os.close(write)
        try:
            with os.fdopen(read) as numbers:
                display = f":{numbers.readline().strip()}"
            desktop = Desktop(self, display)
            started.append(_start(self.command(["openbox"], DISPLAY=display), self.output))
            program = ["dbus-run-session", "--", "gimp", "--no-splash", "--new-instance", *batch(script)]
            started.append(_start(self.command(program, DISPLAY=display, **environ), self.output))
            yield desktop
        finally:
            for process in reversed(started):
                _end(process)

    def wait_for(self, condition: Any, seconds: float, what: str) -> Any:
        """Wait as `wait_for` does; the error also has the end of GIMP's output."""
        try:
            return wait_for(condition, seconds, what)
        except GimpError as error:
            raise GimpError(f"{error}\nThe end of {self.output}:\n{self.printed()}") from error

    def end_engine(self) -> None:
        """End the engine, if one runs."""
        engine = EngineClient(None, self.bridge)
        try:
            engine.shutdown()
        except BridgeError:
            pass  # none runs
        finally:
            engine.close()


@dataclass(frozen=True)
class Desktop:
    """The screen with GIMP's windows, and its mouse and keyboard."""

    gimp: Gimp3
    display: str

    def do(self, *words: str) -> str:
        """Run xdotool and return its output."""
        command = self.gimp.command(["xdotool", *words], DISPLAY=self.display)
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    def wait_for_window(self, title: str, seconds: float = 60) -> str:
        """Wait for a window with a title and return its number."""
        found = self.gimp.wait_for(
            lambda: self.do("search", "--onlyvisible", "--name", title), seconds, f"a window “{title}”"
        )
        return found.splitlines()[-1]

    def shoot(self, file: Path, window: str = "root") -> None:
        """Save a screenshot of the screen or a window as a PNG file in GIMP's folder."""
        command = ["import", "-window", window, str(file)]
        subprocess.run(self.gimp.command(command, DISPLAY=self.display), check=True, capture_output=True)


def wait_for(condition: Any, seconds: float, what: str) -> Any:
    """Wait until a condition returns something true, and return that. Raises GimpError after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise GimpError(f"There was no sign of {what} within {seconds:.0f} seconds.")
        time.sleep(0.1)
    return found


def batch(script: str) -> list[str]:
    """Return GIMP's options to run a script of `inside/` in its own Python."""
    file = SCRIPTS / script
    start = f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); exec(open({str(file)!r}).read(), globals())"
    return ["--batch-interpreter=python-fu-eval", "-b", start]


def engine_outside() -> list[str]:
    """Return the command that runs this environment's engine from inside the chroot."""
    return ["/usr/sbin/chroot", HOST_ROOT, sys.executable, "-m", "s2am_engine.cli", "serve"]


def _start(command: Sequence[str], output: Path, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    """Start a program in a group of its own, whose output is appended to a file."""
    with output.open("ab") as file:
        return subprocess.Popen(
            command, stdin=_SILENT, stdout=file, stderr=file, start_new_session=True, pass_fds=pass_fds
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a program with all that it started."""
    with contextlib.suppress(ProcessLookupError):  # the whole group has ended
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
