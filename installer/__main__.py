# SPDX-License-Identifier: GPL-3.0-or-later
"""`python3 -m installer`: the steps, in order. Running it again repairs and upgrades.

Each run makes a new environment beside the one in use, tries it on the sample, and only then points the command at
it and removes the old one: whatever goes wrong before that leaves the previous installation as it was.
"""

from __future__ import annotations

import argparse
import os
import platform
import secrets
import shutil
import sys
import time
from pathlib import Path

from installer import environment, launcher, manifest, torch_builds
from installer.console import Console, InstallError
from installer.places import Places, find_places

CHECKOUT = Path(__file__).resolve().parent.parent
IMPORT_ALL = "import s2am_engine.cli, s2am_engine.commands, s2am_engine.harmonizer, s2am_engine.training.evaluation"


def main() -> int:
    """Install; 0 if the program is ready, 1 with one sentence if it is not."""
    argparse.ArgumentParser(
        prog="python3 -m installer",
        description="Installs s2am for this user, or repairs and upgrades it, and tries it on a sample picture.",
    ).parse_args()
    places = find_places(sys.platform, os.environ, Path.home())
    console = Console(sys.stdout)
    try:
        environment.check_python(sys.version_info[:2], sys.maxsize > 2**32)
        console.open_log(places.log)
        install(places, console)
    except KeyboardInterrupt:
        print("Stopped: nothing was changed; run the same command to install.", file=sys.stderr)
        return 1
    except InstallError as error:
        print(f"{error}{console.log_hint()}", file=sys.stderr)
        return 1
    except OSError as error:
        where = error.filename or places.data
        advice = "make that possible, then run the same command again"
        print(f"Cannot write to {where} ({error.strerror}): {advice}.{console.log_hint()}", file=sys.stderr)
        return 1
    return 0


def install(places: Places, console: Console) -> None:
    """Make the new environment, try it, and put it in the place of the old one.

    Raises InstallError where a step fails; the previous installation is then still in use.
    """
    build = torch_builds.choose(sys.platform, torch_builds.ask_nvidia())
    python = platform.python_version()
    console.say(f"Installing s2am in {places.data} with Python {python}; {build.reason}.")
    command = launcher.command_path(places, sys.platform)
    current = manifest.read(places.manifest)
    _remove_all_but(places.environments, current.environment if current else None, console)
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    new = environment.Environment(places.environments / name)
    try:
        with console.step("Making the environment"):
            environment.make(new, console)
        torch = environment.install_torch(new, build, console)
        with console.step("Installing s2am and the libraries that it uses"):
            environment.install_project(new, str(CHECKOUT), torch, console)
        with console.step("Checking that it starts"):
            new.run(["-c", IMPORT_ALL], console)
        with console.step("Harmonizing the sample"):
            sample = new.run(["-m", "s2am_engine.sample", str(places.sample)], console)
    except BaseException:
        _remove_all_but(places.environments, current.environment if current else None, console)
        raise
    with console.step(f"Putting the command in {places.commands}"):
        launcher.put(command, new.scripts)
        manifest.write(places.manifest, manifest.Manifest(new.folder, command, torch))
    _remove_all_but(places.environments, new.folder, console)
    console.say("", *sample.splitlines(), "", f"Ready: {command}")
    console.say(*launcher.path_advice(places.commands, sys.platform, os.environ))


def _remove_all_but(environments: Path, kept: Path | None, console: Console) -> None:
    # Windows cannot remove a program that runs: what stays behind goes at the next run.
    for folder in environments.glob("*"):
        if folder != kept:
            with console.step("Removing the unused environment"):
                shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
