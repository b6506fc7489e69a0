# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor asks about the engine: its environment, its command, its models, whether it answers, and on what."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from gimp_bridge.bridge_folder import RUNNING
from gimp_bridge.client import EngineClient
from gimp_bridge.protocol import EngineStatus
from s2am_common.errors import BridgeError
from s2am_setup import desktop, launcher
from s2am_setup.check import Check
from s2am_setup.installation import Installation
from s2am_setup.manifest import digest

_SECONDS_TO_BE_READY = 90.0
_LEAST_MEMORY = 2 << 30
_LEAST_DISK = 1 << 30
_VERSIONS = "import s2am_engine.cli.main, torch; print(s2am_engine.__version__, torch.__version__)"
_WHERE = "import importlib.util as u; print(u.find_spec('s2am_engine').submodule_search_locations[0])"


def check_environment(installation: Installation) -> Iterator[Check]:
    """Is the engine's environment there, and can it load the engine?"""
    name = "environment"
    if installation.environment is None:
        yield Check(name, "wrong", "s2am is not installed", installation.repair, installation.reinstall)
        return
    answer = _ask(installation, _VERSIONS)
    if not answer:
        says = f"{installation.environment} is damaged or was moved: its Python can't load the engine"
        yield Check(name, "wrong", says, installation.repair, installation.reinstall)
        return
    version, torch = answer.split()[-2:]
    yield Check(name, "ok", f"s2am {version} with PyTorch {torch}, {installation.environment}")


def check_command(installation: Installation) -> Iterator[Check]:
    """Does the command start this environment, and is it on the PATH?"""
    if not installation.is_by_installer or installation.environment is None:
        return
    command = installation.manifest.command or launcher.command_path(installation.paths, installation.facts.system)
    environment = installation.environment
    target = launcher.program(environment, "s2am", installation.facts.system)
    leads_there = command.exists() and (command.suffix == ".cmd" or command.resolve() == target.resolve())
    if not leads_there:
        says = f"{command} is missing or starts something else"
        fix = f"{installation.doctor} --fix"
        yield Check("command", "wrong", says, fix, lambda: launcher.put(command, environment, installation.manifest))
    elif advice := launcher.path_advice(command.parent, installation.facts):
        yield Check("command", "note", f"{command} works by its whole path. {advice[0]} {advice[1].strip()}")
    else:
        yield Check("command", "ok", str(command))


def check_launchers(installation: Installation) -> Iterator[Check]:
    """Is the editor in the desktop's menus, as it was installed?"""
    manifest = installation.manifest
    wanted = installation.launchers(manifest.offer_pictures)
    if not any(file in manifest.files for file in wanted):
        return
    wrong = [file for file, (content, _) in wanted.items() if not file.is_file() or file.read_bytes() != content]
    if wrong:
        fix = f"{installation.doctor} --fix"
        says = f"{wrong[0]} is missing or not as it was installed"
        yield Check("editor", "wrong", says, fix, lambda: desktop.put(installation.facts, wanted, manifest))
    else:
        yield Check("editor", "ok", f"in the menus as “{desktop.NAME}”")


def check_models(installation: Installation) -> Iterator[Check]:
    """Are the models' weights the very ones that their cards name?"""
    said = _ask(installation, _WHERE) if installation.environment else None
    bundled = Path(said.strip().splitlines()[-1]) / "weights" if said else None
    if bundled:
        damaged = damaged_models(bundled)
        if damaged:
            says = f"the weights of {', '.join(damaged)} are damaged"
            yield Check("models", "wrong", says, installation.repair, installation.reinstall)
        else:
            count = len(list(bundled.glob("*.json")))
            yield Check("models", "ok", f"{count} bundled, each as its card says")
    for model in damaged_models(installation.paths.models):
        says = f"your model “{model}” is damaged: import it again if you have exported it, else delete it"
        yield Check("models", "wrong", says, f'"{installation.starter[0]}" models delete "{model}"')


def damaged_models(folder: Path) -> list[str]:
    """Return the names of the models in a folder whose weights aren't those of their cards."""
    damaged = []
    for card in sorted(folder.glob("*.json")):
        try:
            wanted = json.loads(card.read_bytes())["sha256"]
        except (OSError, ValueError, LookupError, TypeError):
            wanted = None
        if digest(card.with_suffix(".safetensors")) != wanted:
            damaged.append(card.stem)
    return damaged


def check_engine(installation: Installation) -> Iterator[Check]:
    """Does the engine start as GIMP starts it, and does it answer? On which device?"""
    if installation.environment is None:
        return
    running = (installation.paths.bridge / RUNNING).exists()
    engine = EngineClient(installation.serve, installation.paths.bridge)
    started = time.monotonic()
    try:
        status = _wait_until_ready(engine, started + _SECONDS_TO_BE_READY)
        if not running:
            engine.shutdown()
    except BridgeError as error:
        yield Check("engine", "wrong", str(error).rstrip("."), installation.repair, installation.reinstall)
        return
    finally:
        engine.close()
    seconds = time.monotonic() - started
    if status.state == "ready":
        how = "answers" if running else f"starts and answers in {seconds:.0f} s"
        yield Check("engine", "ok", f"{how}: {status.text}")
    else:
        says = status.text.rstrip(".") if status.state == "broken" else f"not ready after {seconds:.0f} s"
        yield Check("engine", "wrong", says, installation.repair, installation.reinstall)


def _wait_until_ready(engine: EngineClient, end: float) -> EngineStatus:
    while True:
        status = engine.status()
        if status.state != "starting" or time.monotonic() > end:
            return status
        time.sleep(0.1)


def check_machine(installation: Installation) -> Iterator[Check]:
    """Is there memory and room enough to work?"""
    memory, disk = installation.facts.memory(), installation.facts.free(installation.paths.data)
    if memory:
        little = memory < _LEAST_MEMORY
        says = f"{memory / 2**30:.1f} GB{', which is little: large pictures may not fit' if little else ''}"
        yield Check("memory", "note" if little else "ok", says)
    little = disk < _LEAST_DISK
    says = f"{disk / 1e9:.1f} GB free at {installation.paths.data}"
    yield Check("disk", "note" if little else "ok", f"{says}: free some space" if little else says)


def _ask(installation: Installation, code: str) -> str | None:
    """What the environment's Python prints; its own packages are all that it sees."""
    return installation.facts.answer([str(installation.program("python")), "-I", "-c", code])
