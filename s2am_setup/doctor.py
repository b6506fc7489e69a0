# SPDX-License-Identifier: GPL-3.0-or-later
"""`s2am doctor`: check each part of an installation, report faults, and repair them on request."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, TextIO

from gimp_bridge.bridge_folder import RUNNING
from gimp_bridge.client import EngineClient
from gimp_bridge.protocol import EngineStatus
from s2am_common import log, settings
from s2am_common.errors import BridgeError, S2AMError
from s2am_common.optional_parts import OPTIONAL_PARTS, TRAIN
from s2am_setup import debian, gimp_plugin, gimp_profiles, start_check, torch_builds
from s2am_setup.add_part import add_part_again
from s2am_setup.console import Console, format_bytes
from s2am_setup.desktop import DISPLAY_NAME, write_launchers
from s2am_setup.gimp_plugin import PLUGIN_NAME, plugin_folder
from s2am_setup.installation import Installation, command_path, path_advice, write_command
from s2am_setup.manifest import sha256_of
from s2am_setup.python_environment import program_path

_STARTUP_SECONDS = 90.0
_MIN_DISK = 1 << 30
_PRINT_VERSIONS = (
    "import importlib.util as u, s2am_engine.cli.main; torch = u.find_spec('torch') and __import__('torch'); "
    "print(s2am_engine.__version__, torch.__version__ if torch else '-')"
)
_PRINT_MISSING = "import importlib.util as u; print(*[name for name in {libraries} if not u.find_spec(name)])"
_PRINT_MODEL_FOLDER = (
    "import importlib.util as u; print(u.find_spec('s2am_engine.models').submodule_search_locations[0])"
)


@dataclass(frozen=True)
class DoctorCheck:
    """Result of checking one part of the installation.

    Attributes:
        name: the part.
        state: "note" is information that is no fault.
        message: the finding.
        repair: the command that repairs it; "" if there is none.
        fix: does the same; None if only a person can.
    """

    name: str
    state: Literal["ok", "note", "wrong"]
    message: str
    repair: str = ""
    fix: Callable[[], object] | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        """Return the check as one line of text."""
        line = f"{self.state:<5}  {self.name}: {self.message}"
        return f"{line}; to repair it: {self.repair}" if self.repair else line

    def to_json(self) -> dict[str, str]:
        """Return the check as JSON values."""
        return {name: value for name, value in vars(self).items() if name != "fix"}


FindInstallation = Callable[[], Installation]
CheckFunction = Callable[[Installation], Iterator[DoctorCheck]]


def run_doctor(
    find: FindInstallation, out: TextIO, notes: TextIO, *, as_json: bool = False, repair: bool = False
) -> int:
    """Check an installation and print the results.

    Args:
        find: finds the installation; called again for each check, because a repair may have moved it.
        out: where the results are printed.
        notes: where repairs are announced.
        as_json: print one JSON object instead of lines.
        repair: repair what can be repaired.

    Returns:
        The exit code: 0 if nothing is wrong any more, else 1.
    """
    repaired: list[str] = []

    def report(text: str) -> None:
        repaired.append(text)
        print(text, file=notes, flush=True)

    checks = []
    for check in run_checks(find, report=report if repair else None):
        checks.append(check)
        if not as_json:
            print(check, file=out, flush=True)
    is_ok = all(check.state != "wrong" for check in checks)
    if as_json:
        result = {"ok": is_ok, "checks": [check.to_json() for check in checks], "repaired": repaired}
        print(json.dumps(result, ensure_ascii=False), file=out)
    return 0 if is_ok else 1


def run_checks(
    find: FindInstallation,
    checks: Sequence[CheckFunction] | None = None,
    report: Callable[[str], None] | None = None,
) -> Iterator[DoctorCheck]:
    """Yield the results of checks of the present installation, one part after the other.

    Args:
        find: see `run_doctor`.
        checks: the checks; None = all.
        report: announces repairs: each part is repaired if possible, and checked again before the next one; None =
            nothing is repaired.
    """
    for check in ALL_CHECKS if checks is None else checks:
        found = list(check(find()))
        faults = [(one, one.fix) for one in found if one.fix]
        if report and faults:
            for one, fix in faults:
                report(f"repairing {one.name}: {one.message}")
                try:
                    fix()
                except (S2AMError, OSError) as error:
                    report(f"could not be repaired: {error}")
            found = list(check(find()))
        yield from found


def check_environment(installation: Installation) -> Iterator[DoctorCheck]:
    """Check that the engine's environment exists and can load the engine."""
    name = "environment"
    if installation.environment is None:
        yield DoctorCheck(name, "wrong", "s2am is not installed", installation.repair, installation.reinstall)
        return
    output = _run_python(installation, _PRINT_VERSIONS)
    if not output:
        message = f"{installation.environment} is damaged or was moved: its Python cannot load the engine"
        yield DoctorCheck(name, "wrong", message, installation.repair, installation.reinstall)
        return
    version, torch = output.split()[-2:]
    has_torch = torch != "-"
    runtime = f"with PyTorch {torch}" if has_torch else "without PyTorch, which the bundled models do not need"
    yield DoctorCheck(name, "ok", f"s2am {version} {runtime}, {installation.environment}")
    if not has_torch and torch_builds.detect_torch_build(installation.platform).tag != torch_builds.NO_TORCH:
        yield DoctorCheck("GPU", "note", "is used with PyTorch only: “s2am install train” adds it")


def check_parts(installation: Installation) -> Iterator[DoctorCheck]:
    """Check that the optional parts that were added are there; uv and pipx drop them when they reinstall."""
    parts = [OPTIONAL_PARTS[name] for name in installation.manifest.parts if name in OPTIONAL_PARTS]
    parts += [TRAIN] if installation.manifest.torch else []
    if not parts or installation.environment is None:
        return
    libraries = [library for part in parts for library in part.libraries]
    output = _run_python(installation, _PRINT_MISSING.format(libraries=libraries))
    if output is None:
        return  # reported by check_environment
    missing = output.split()
    for part in parts:
        lost = [name for library, name in part.libraries.items() if library in missing]
        if lost:
            message = f"{', '.join(lost)} for {part.purpose}: added earlier and missing now"
            fix = partial(add_part_again, part, installation)
            yield DoctorCheck("parts", "wrong", message, _fix_command(installation), fix)
    if not missing:
        yield DoctorCheck("parts", "ok", ", ".join(part.purpose for part in parts))


def check_command(installation: Installation) -> Iterator[DoctorCheck]:
    """Check that the command starts this environment and is on the PATH."""
    if not installation.is_by_installer or installation.environment is None:
        return
    system, environment = installation.platform.system, installation.environment
    command = installation.manifest.command or command_path(installation.paths, system)
    target = program_path(environment, "s2am", system)
    if not (command.exists() and (command.suffix == ".cmd" or command.resolve() == target.resolve())):
        message = f"{command} is missing or starts another program"
        fix = partial(write_command, command, environment, installation.manifest)
        yield DoctorCheck("command", "wrong", message, _fix_command(installation), fix)
    elif advice := path_advice(command.parent, installation.platform):
        message = f"{command} works with its full path. {advice[0]} {advice[1].strip()}"
        yield DoctorCheck("command", "note", message)
    else:
        yield DoctorCheck("command", "ok", str(command))


def check_launchers(installation: Installation) -> Iterator[DoctorCheck]:
    """Check that the editor's launchers are as they were installed; uv and pipx install none."""
    files = installation.launchers
    fix = partial(write_launchers, installation.platform, files, installation.manifest)
    if not installation.is_in_menus:
        if _lacks_launchers(installation):
            yield DoctorCheck("editor", "note", "not in the menus", _fix_command(installation), fix)
        return
    changed = [file for file, (content, _) in files.items() if not file.is_file() or file.read_bytes() != content]
    if changed:
        message = f"{changed[0]} is missing or not as it was installed"
        yield DoctorCheck("editor", "wrong", message, _fix_command(installation), fix)
    else:
        yield DoctorCheck("editor", "ok", f"in the menus as “{DISPLAY_NAME}”")


def _lacks_launchers(installation: Installation) -> bool:
    """Return whether the editor was installed without launchers, and not by the installer, which offers them."""
    is_appimage = "APPIMAGE" in installation.platform.environ
    if installation.environment is None or installation.is_by_installer or is_appimage:
        return False
    return _run_python(installation, _PRINT_MISSING.format(libraries=["PyQt6"])) == "\n"


def check_editor(installation: Installation) -> Iterator[DoctorCheck]:
    """Open the editor's window unseen, and check that the desktop can show it."""
    name, environment = "editor's window", installation.environment
    if environment is None:
        return
    start = start_check.start_editor([installation.program("python")], installation.platform.run)
    if not start.fault:
        yield DoctorCheck(name, "ok", "opens")
        return
    state: Literal["note", "wrong"] = "wrong" if installation.is_in_menus else "note"
    if not start.missing:
        yield DoctorCheck(name, state, start.fault, installation.repair, installation.reinstall)
    elif debian.has_packages():
        repair = f"{_fix_command(installation)} (fetches them without root), or {start.advice}"
        fetch = partial(debian.fetch_libraries, start.files, environment, Console(sys.stderr))
        yield DoctorCheck(name, state, start.fault, repair, fetch)
    else:
        yield DoctorCheck(name, state, start.fault, start.advice)


def check_models(installation: Installation) -> Iterator[DoctorCheck]:
    """Check that the weights of all models have the checksums of their model cards."""
    output = _run_python(installation, _PRINT_MODEL_FOLDER) if installation.environment else None
    bundled = Path(output.strip().splitlines()[-1]) / "weights" if output else None
    if bundled:
        damaged = find_damaged_models(bundled)
        if damaged:
            message = f"the weights of {', '.join(damaged)} are damaged"
            yield DoctorCheck("models", "wrong", message, installation.repair, installation.reinstall)
        else:
            count = len(list(bundled.glob("*.json")))
            yield DoctorCheck("models", "ok", f"{count} bundled, all undamaged")
    for model in find_damaged_models(installation.paths.models):
        message = f"your model “{model}” is damaged: import it again if you have exported it, or delete it"
        yield DoctorCheck("models", "wrong", message, f'"{installation.starter[0]}" models delete "{model}"')


def find_damaged_models(folder: Path) -> list[str]:
    """Return the names of the models in a folder whose weights do not have the checksum of their model card."""
    damaged = []
    for card in sorted(folder.glob("*.json")):
        try:
            digest = json.loads(card.read_bytes())["sha256"]
        except (OSError, ValueError, LookupError, TypeError):
            digest = None
        if sha256_of(card.with_suffix(".safetensors")) != digest:
            damaged.append(card.stem)
    return damaged


def check_gimps(installation: Installation) -> Iterator[DoctorCheck]:
    """Check that there is a GIMP 3."""
    gimps = gimp_profiles.find_gimps(installation.platform)
    advice = "" if any(gimp.is_supported for gimp in gimps) else f"; {gimp_profiles.GET_GIMP}"
    for gimp in gimps:
        if not gimp.is_supported:
            message = f"{gimp} at {gimp.path} is too old for the plug-in, which needs GIMP 3{advice}"
            yield DoctorCheck("GIMP", "note", message)
            continue
        yield DoctorCheck("GIMP", "ok", f"{gimp}, {gimp.path}")
        if start_check.offers_effects(gimp, installation.platform) is False:
            message = f"{gimp} does not offer layer effects to the plug-in: its other results work"
            yield DoctorCheck("layer effects", "note", message)
    if not gimps:
        message = f"no GIMP was found; the editor and the command work without it{advice}"
        yield DoctorCheck("GIMP", "note", message)


def check_plugins(installation: Installation) -> Iterator[DoctorCheck]:
    """Check that each GIMP has the complete plug-in of this version and has loaded it."""
    for profile in gimp_profiles.find_gimp_profiles(installation.platform):
        yield _check_plugin(installation, profile)


def _check_plugin(installation: Installation, profile: gimp_profiles.GimpProfile) -> DoctorCheck:
    name = f"plug-in for {profile}"
    if profile.folder not in installation.manifest.profiles and not os.path.lexists(plugin_folder(profile.folder)):
        if installation.manifest.profiles:
            return DoctorCheck(name, "note", f"not selected during installation; {installation.repair} asks again")
        if not profile.exists:
            message = f"start this GIMP once, which creates its profile, then run {_fix_command(installation)}"
            return DoctorCheck(name, "note", message)
    try:
        fault = _plugin_fault(installation, profile)
    except OSError as error:
        message = f"{error.filename}, of which it is made, cannot be read"
        return DoctorCheck(name, "wrong", message, installation.repair, installation.reinstall)
    if fault:

        def fix() -> None:
            gimp_profiles.ensure_profile(profile, installation.platform, installation.manifest)
            gimp_plugin.install_plugin(profile.folder, installation.plugin_files, installation.manifest)

        return DoctorCheck(name, "wrong", fault, _fix_command(installation), fix)
    if gimp_plugin.plugin_state(profile) == "loaded":
        return DoctorCheck(name, "ok", "installed and loaded by GIMP: Filters > Harmonize Layer")
    loads = [start_check.loads_plugin(gimp, installation.plugin_files, installation.platform) for gimp in profile.gimps]
    if False in loads:
        message = "a trial start of this GIMP does not load it: start GIMP from a terminal to see why"
        return DoctorCheck(name, "wrong", message)
    tried = "a trial start of GIMP loads it" if True in loads else "GIMP has not been started since"
    return DoctorCheck(name, "ok", f"installed; {tried}")


def _plugin_fault(installation: Installation, profile: gimp_profiles.GimpProfile) -> str:
    """Return the fault of the plug-in in a profile; "" if there is none."""
    folder = plugin_folder(profile.folder)
    file = folder / f"{PLUGIN_NAME}.py"
    if others := gimp_plugin.find_other_versions(profile.folder):
        return f"an older version is in the way ({', '.join(entry.name for entry in others)})"
    if not folder.is_dir():
        return "it is missing"
    for name, content in installation.plugin_files.items():
        if not (folder / name).is_file() or (folder / name).read_bytes() != content:
            return f"{name} is missing or not as this installation needs it"
    if installation.platform.system != "win32" and not os.access(file, os.X_OK):
        return f"{file.name} has lost its executable bit, without which GIMP skips it"
    reason = gimp_plugin.last_logged_error(profile.folder) or "start GIMP from a terminal to see why"
    return {
        "skipped": "GIMP has been started since it was installed, and skipped it",
        "failed": f"GIMP could not load it: {reason}",
    }.get(gimp_plugin.plugin_state(profile), "")


def check_engine(installation: Installation) -> Iterator[DoctorCheck]:
    """Check that the engine starts as GIMP starts it, and report its device."""
    if installation.environment is None:
        return
    running = (installation.paths.bridge / RUNNING).exists()
    engine = EngineClient(installation.serve, installation.paths.bridge)
    started = time.monotonic()
    try:
        status = _wait_until_ready(engine, started + _STARTUP_SECONDS)
        if not running:
            engine.shutdown()
    except BridgeError as error:
        yield DoctorCheck("engine", "wrong", str(error).rstrip("."), installation.repair, installation.reinstall)
        return
    finally:
        engine.close()
    seconds = time.monotonic() - started
    if status.state == "ready":
        how = "answers" if running else f"starts and answers in {seconds:.0f} s"
        yield DoctorCheck("engine", "ok", f"{how}: {status.text}")
    else:
        message = status.text.rstrip(".") if status.state == "broken" else f"not ready after {seconds:.0f} s"
        yield DoctorCheck("engine", "wrong", message, installation.repair, installation.reinstall)


def _wait_until_ready(engine: EngineClient, end: float) -> EngineStatus:
    while True:
        status = engine.status()
        if status.state != "starting" or time.monotonic() > end:
            return status
        time.sleep(0.1)


def check_sandboxes(installation: Installation) -> Iterator[DoctorCheck]:
    """Check that a GIMP in a sandbox can reach the engine."""
    for gimp in gimp_profiles.find_gimps(installation.platform):
        if gimp.is_supported and gimp.kind == "Flatpak":
            yield _check_flatpak(installation, gimp)
        elif gimp.is_supported and gimp.kind == "Snap":
            message = "Snap hides the engine's folder from GIMP: use GIMP from Flatpak or from your distribution"
            yield DoctorCheck(f"{gimp} and the engine", "wrong", message)


def _check_flatpak(installation: Installation, gimp: gimp_profiles.Gimp) -> DoctorCheck:
    name, bridge = f"{gimp} and the engine", installation.paths.bridge
    permissions = installation.platform.run(["flatpak", "info", "--show-permissions", gimp_profiles.FLATPAK_ID]) or ""
    if not _can_write(permissions, bridge, installation.platform.home):
        override = ["flatpak", "override", "--user", f"--filesystem={bridge}", gimp_profiles.FLATPAK_ID]
        allow = partial(installation.platform.run, override)
        return DoctorCheck(name, "wrong", f"its sandbox hides {bridge}, where they meet", " ".join(override), allow)
    if (bridge / RUNNING).exists():
        return DoctorCheck(name, "ok", "its sandbox can reach the running engine")
    # A program inside the sandbox cannot start one outside.
    message = "its sandbox can reach the engine but not start it: run s2am serve in a terminal before using the plug-in"
    return DoctorCheck(name, "note", message)


def _can_write(permissions: str, folder: Path, home: Path) -> bool:
    """Return whether a sandbox may write to a folder, from the output of `flatpak info --show-permissions`."""
    found = re.search(r"^filesystems=(.*)$", permissions, flags=re.MULTILINE)
    granted = [word for word in (found[1] if found else "").split(";") if word and not word.endswith(":ro")]
    shared = {"host": Path("/"), "home": home, "~": home, "xdg-data": home / ".local/share"}
    folders = [shared.get(word, Path(word.replace("~", str(home), 1))) for word in granted if not word.startswith("!")]
    return any(each == folder or each in folder.parents for each in folders)


def check_disk(installation: Installation) -> Iterator[DoctorCheck]:
    """Check that there is enough disk space."""
    disk = installation.platform.free_bytes(installation.paths.data)
    low = ": free some space" if disk < _MIN_DISK else ""
    yield DoctorCheck("disk", "note" if low else "ok", f"{format_bytes(disk)} free at {installation.paths.data}{low}")


def check_user_files(_installation: Installation) -> Iterator[DoctorCheck]:
    """Report the paths of the log and of the settings file."""
    for name, path in (("log", log.log_path()), ("settings", settings.settings_path())):
        yield DoctorCheck(name, "ok", str(path) if path.exists() else f"{path} (does not exist yet)")


def _fix_command(installation: Installation) -> str:
    return f"{installation.doctor} --fix"


def _run_python(installation: Installation, code: str) -> str | None:
    """Return the output of the environment's Python, isolated from packages outside the environment."""
    return installation.platform.run([str(installation.program("python")), "-I", "-c", code])


ALL_CHECKS: tuple[CheckFunction, ...] = (
    check_environment,
    check_parts,
    check_command,
    check_launchers,
    check_editor,
    check_models,
    check_gimps,
    check_plugins,
    check_engine,
    check_sandboxes,
    check_disk,
    check_user_files,
)
