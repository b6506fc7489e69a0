# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor on a real installation with the real engine: one fault at a time is reported and repaired."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from installer import __main__ as installer
from installer.install import Installer, InstallOptions
from s2am_common import log
from s2am_engine.models.model_store import list_models
from s2am_setup import doctor, gimp_plugin, start_check
from s2am_setup.console import Console
from s2am_setup.doctor import (
    CheckFunction,
    DoctorCheck,
    check_command,
    check_engine,
    check_environment,
    check_gimps,
    check_launchers,
    check_models,
    check_plugins,
    check_sandboxes,
)
from s2am_setup.gimp_plugin import PLUGIN_NAME
from s2am_setup.installation import Installation, find_installation
from s2am_setup.uninstall import uninstall
from tests.installer import fakes, machines
from tests.installer.machines import Machine, contents

QUICK = (check_command, check_launchers, check_gimps, check_plugins)


class Home:
    """A home folder with a complete installation, and the doctor for it."""

    def __init__(self, folder: Path) -> None:
        self.machine = machines.linux(folder)
        self.before = contents(self.machine.platform.home)
        self.wheels = folder / "wheels"
        self.wheels.mkdir()
        self.wheel = fakes.make_libraries(self.wheels)

    def install(self) -> str:
        return fakes.install(self.machine, self.wheels, self.wheel)

    def reinstall(self) -> None:
        Installer(
            self.machine.platform,
            InstallOptions(ask=False, keep_choices=True, wheels=self.wheels),
            self.wheel,
            self.silent,
        ).run()

    @property
    def silent(self) -> Console:
        return Console(io.StringIO())

    def find(self) -> Installation:
        return find_installation(self.machine.platform, None, "s2am doctor", self.reinstall)

    def doctor(self, *checks: CheckFunction, repair: bool = False) -> dict[str, DoctorCheck]:
        """Return the results of checks by name; by default of the quick ones."""
        chosen = checks or QUICK
        report = (lambda _: None) if repair else None
        return {check.name: check for check in doctor.run_checks(self.find, chosen, report)}

    @property
    def profile(self) -> Path:
        return self.machine.platform.home / ".config/GIMP/3.0"

    @property
    def plugin(self) -> Path:
        return gimp_plugin.plugin_folder(self.profile) / f"{PLUGIN_NAME}.py"

    @property
    def environment(self) -> Path:
        found = self.find().environment
        assert found is not None
        return found


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    # The folders of pytest can be too long for the path of the engine's socket.
    with tempfile.TemporaryDirectory(prefix="s2am-") as folder, pytest.MonkeyPatch.context() as monkeypatch:
        found = Home(Path(folder).resolve())
        fakes.isolate(monkeypatch, found.machine)
        found.install()
        yield found
        found.find().stop_engine()


def wrong(checks: dict[str, DoctorCheck]) -> dict[str, DoctorCheck]:
    return {name: check for name, check in checks.items() if check.state == "wrong"}


def test_run_checks_finds_no_fault_after_installation(home: Home) -> None:
    bundled = sum(model.bundled for model in list_models())
    checks = home.doctor(*doctor.ALL_CHECKS)
    assert wrong(checks) == {}
    assert "ready on the CPU" in checks["engine"].message
    assert checks["models"].message.startswith(f"{bundled} bundled")
    assert checks["GIMP"].message.startswith("GIMP 2.10 (package)")
    assert any(name.startswith("plug-in for GIMP 3.0 (package)") for name in checks)


def test_check_environment_reports_pytorch_that_is_missing(home: Home) -> None:
    found = home.doctor(check_environment)
    assert "without PyTorch, which the bundled models do not need" in found["environment"].message
    assert "GPU" not in found
    answers, home.machine.answers = home.machine.answers, dict(home.machine.answers)
    machines.add_nvidia(home.machine)
    assert "“s2am install train” adds it" in home.doctor(check_environment)["GPU"].message
    home.machine.answers = answers
    manifest = home.find().manifest
    manifest.torch = "2.13.0+cpu"
    manifest.save()
    message = home.doctor(doctor.check_parts)["parts"].message
    assert message.startswith("PyTorch, ")
    assert message.endswith(" for training, GPUs, and models without a graph: added earlier and missing now")
    manifest.torch = ""
    manifest.save()


def lose_executable_bit(home: Home) -> None:
    home.plugin.chmod(0o644)


def damage_plugin(home: Home) -> None:
    (home.plugin.parent / "gimp_bridge/client.py").write_text("oops", encoding="utf-8")


def remove_plugin(home: Home) -> None:
    shutil.rmtree(home.plugin.parent)


def put_older_version_beside(home: Home) -> None:
    old = home.profile / "plug-ins/harmonize-layer-old/harmonize-layer-old.py"
    old.parent.mkdir()
    old.write_text('"""Filters > Harmonize Layer"""', encoding="utf-8")


def let_gimp_pass_over(home: Home) -> None:
    os.utime(home.profile / "pluginrc", (2e9, 2e9))


def let_plugin_look_elsewhere(home: Home) -> None:
    (home.plugin.parent / "engine.json").write_text(
        '{"version": 1, "serve": ["/gone/s2am", "serve"]}', encoding="utf-8"
    )


def lose_engine_note(home: Home) -> None:
    (home.plugin.parent / "engine.json").unlink()


def remove_command(home: Home) -> None:
    command = home.find().manifest.command
    assert command is not None
    command.unlink()


def remove_launcher(home: Home) -> None:
    (home.machine.platform.home / ".local/share/applications/s2am-editor.desktop").unlink()


def damage_weights(home: Home) -> None:
    (weights,) = home.environment.glob("lib/python*/site-packages/s2am_engine/models/weights/concord.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")


def move_engine(home: Home) -> None:
    home.environment.rename(home.environment.with_name("moved"))


@pytest.mark.parametrize(
    ("damage", "name", "message"),
    [
        (lose_executable_bit, "plug-in", "has lost its executable bit"),
        (damage_plugin, "plug-in", "gimp_bridge/client.py is missing or not as this installation needs it"),
        (remove_plugin, "plug-in", "it is missing"),
        (put_older_version_beside, "plug-in", "an older version is in the way (harmonize-layer-old)"),
        (let_gimp_pass_over, "plug-in", "skipped it"),
        (let_plugin_look_elsewhere, "plug-in", "engine.json is missing or not as this installation needs it"),
        (lose_engine_note, "plug-in", "engine.json is missing"),
        (remove_command, "command", "is missing or starts another program"),
        (remove_launcher, "editor", "s2am-editor.desktop is missing"),
    ],
)
def test_run_checks_reports_and_repairs_fault(
    damage: Callable[[Home], None], name: str, message: str, home: Home
) -> None:
    damage(home)
    found = wrong(home.doctor())
    (check,) = [one for one in found.values() if one.name.startswith(name)]
    assert message in check.message
    assert check.repair
    os.utime(home.profile / "pluginrc", (0, 0))  # GIMP has not been started since
    assert wrong(home.doctor(repair=True)) == {}
    assert wrong(home.doctor()) == {}


@pytest.mark.parametrize(
    ("damage", "check_function", "message"),
    [
        (damage_weights, check_models, "the weights of concord are damaged"),
        (move_engine, check_environment, "is damaged or was moved"),
    ],
)
def test_run_checks_reinstalls_broken_environment(
    damage: Callable[[Home], None], check_function: CheckFunction, message: str, home: Home
) -> None:
    damage(home)
    (check,) = wrong(home.doctor(check_function)).values()
    assert message in check.message
    assert check.repair == f'python3 "{home.find().paths.repair}"'
    assert wrong(home.doctor(check_function, repair=True)) == {}
    assert wrong(home.doctor()) == {}, "command, launcher and plug-in lead to the new one"


def test_check_plugins_reports_environment_that_lacks_its_files(home: Home) -> None:
    (client,) = home.environment.glob("lib/python*/site-packages/gimp_bridge/client.py")
    moved = client.rename(client.with_suffix(".moved"))
    (check,) = wrong(home.doctor(check_plugins)).values()
    assert check.message == f"{client}, of which it is made, cannot be read"
    assert check.repair == f'python3 "{home.find().paths.repair}"'
    moved.rename(client)


def test_check_engine_reports_engine_that_cannot_start(home: Home) -> None:
    (engine,) = home.environment.glob("lib/python*/site-packages/gimp_bridge/server.py")
    kept = engine.read_bytes()
    engine.write_text("raise RuntimeError('broken')\n", encoding="utf-8")
    (check,) = wrong(home.doctor(check_engine)).values()
    assert check.repair == f'python3 "{home.find().paths.repair}"'
    engine.write_bytes(kept)


def test_doctor_command_prints_same_checks_as_text_and_json(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.plugin.chmod(0o644)
    assert installer.main(["doctor", "--json"], home.machine.platform) == 1
    report = json.loads(capsys.readouterr().out)
    (check,) = [one for one in report["checks"] if one["state"] == "wrong"]
    assert check["repair"] == "python3 -m installer doctor --fix"
    assert not report["ok"]
    assert installer.main(["doctor", "--fix"], home.machine.platform) == 0
    out, err = capsys.readouterr()
    assert "repairing plug-in" in err
    assert [line.split()[0] for line in out.splitlines()].count("wrong") == 0


def test_check_models_reports_damaged_personal_model(home: Home) -> None:
    models = home.find().paths.models
    models.mkdir()
    (models / "wedding.json").write_text('{"sha256": "0"}', encoding="utf-8")
    (models / "wedding.safetensors").write_bytes(b"torn")
    (check,) = wrong(home.doctor(check_models)).values()
    assert "“wedding” is damaged" in check.message
    assert 'models delete "wedding"' in check.repair
    shutil.rmtree(models)


def test_check_plugins_reports_error_of_plugin_that_failed_to_load(home: Home) -> None:
    cache = home.profile / "pluginrc"
    known = '(plug-in-def "${gimp_dir}/plug-ins/harmonize-layer/harmonize-layer.py" 1789831040)\n'
    cache.write_text(machines.PLUGINRC + known, encoding="utf-8")
    path = log.log_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["2026-11-27 10:00:00,000 plug-in[12] ERROR name: failed", "Traceback …", "ImportError: no Gegl", ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    (check,) = wrong(home.doctor()).values()
    assert check.message == "GIMP could not load it: ImportError: no Gegl"
    assert wrong(home.doctor(repair=True)) == {}
    assert cache.read_text(encoding="utf-8") == machines.PLUGINRC


def test_run_checks_without_installation_names_install_command(tmp_path: Path) -> None:
    platform = machines.machine(tmp_path, "linux").platform
    checks = list(doctor.run_checks(lambda: find_installation(platform, None, "python3 -m installer doctor")))
    (check,) = [one for one in checks if one.state == "wrong"]
    assert check.message == "s2am is not installed"
    assert check.repair == "python3 -m installer"


def test_check_gimps_reports_gimp_2_as_too_old(tmp_path: Path) -> None:
    machine = machines.machine(tmp_path, "linux")
    machine.program("/usr/bin/gimp", "GNU Image Manipulation Program version 2.10.36\n")
    (check,) = check_gimps(find_installation(machine.platform, None, ""))
    assert check.state == "note", "the editor and the command work without GIMP"
    assert "needs GIMP 3" in check.message
    assert "flatpak install flathub org.gimp.GIMP" in check.message


def test_check_editor_names_and_fetches_missing_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = start_check.EditorStart(("libxcb-cursor.so.0",), (Path("libqxcb.so"),))
    fetched: list[Path] = []
    monkeypatch.setattr(start_check, "start_editor", lambda *_: start_check.EditorStart() if fetched else lacking)
    monkeypatch.setattr("s2am_setup.debian.fetch_libraries", lambda files, environment, _: fetched.append(environment))
    monkeypatch.setattr("s2am_setup.debian.has_packages", lambda: True)
    platform = machines.machine(tmp_path, "linux").platform

    def find() -> Installation:
        return find_installation(platform, tmp_path / "environment", "s2am doctor")

    (check,) = doctor.check_editor(find())
    assert "libxcb-cursor.so.0" in check.message
    assert check.repair.startswith("s2am doctor --fix")
    repaired = doctor.run_checks(find, [doctor.check_editor], lambda _: None)
    assert [one.state for one in repaired] == ["ok"], "also without launchers, as with uv and pipx, where it is a note"
    assert fetched == [tmp_path / "environment"]


class Tool:
    """A program that uv installed: its environment is a folder of uv, and its Python answers as told."""

    def __init__(self, folder: Path) -> None:
        self.machine = machines.linux(folder)
        self.environment = folder / "tools/s2am"
        self.environment.mkdir(parents=True)
        (self.environment / "uv-receipt.toml").touch()
        self.missing = ""
        self.machine.answers["python", "-I"] = lambda: f"{self.missing}\n"

    def find(self) -> Installation:
        return find_installation(self.machine.platform, self.environment, "s2am doctor")

    def check(self, function: CheckFunction, repair: bool = False) -> list[DoctorCheck]:
        return list(doctor.run_checks(self.find, [function], (lambda _: None) if repair else None))


def test_check_parts_repairs_what_a_tool_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool, ran = Tool(tmp_path), list[list[str]]()

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        tool.missing = ""
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("s2am_setup.installation.subprocess.run", run)
    assert tool.check(doctor.check_parts) == [], "nothing was added"
    manifest = tool.find().manifest
    manifest.parts = ["raw", "jxl"]
    manifest.save()
    tool.missing = "rawpy"
    (check,) = tool.check(doctor.check_parts)
    assert (check.state, check.repair) == ("wrong", "s2am doctor --fix")
    assert check.message == "rawpy for camera raw files: added earlier and missing now"
    (check,) = tool.check(doctor.check_parts, repair=True)
    assert (check.state, check.message) == ("ok", "camera raw files, JPEG XL files")
    assert ran == [[str(tool.environment / "bin/s2am"), "install", "raw", "--yes"]]


def test_check_parts_repairs_pytorch_that_a_tool_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool, ran = Tool(tmp_path), list[list[str]]()

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr("s2am_setup.installation.subprocess.run", run)
    manifest = tool.find().manifest
    manifest.torch = "2.13.0+cu130"
    manifest.save()
    tool.missing = "torch"
    (check,) = tool.check(doctor.check_parts, repair=True)
    assert check.message == "PyTorch for training, GPUs, and models without a graph: added earlier and missing now"
    assert ran == [[str(tool.environment / "bin/s2am"), "install", "train", "--yes", "--torch", "cu130"]]


def test_check_launchers_offers_and_adds_them_where_a_tool_installed_the_editor(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    before = contents(tool.machine.platform.home)
    tool.missing = "PyQt6"
    assert tool.check(check_launchers) == [], "without the editor"
    tool.missing = ""
    (check,) = tool.check(check_launchers)
    assert (check.state, check.message, check.repair) == ("note", "not in the menus", "s2am doctor --fix")
    (check,) = tool.check(check_launchers, repair=True)
    assert (check.state, check.message) == ("ok", "in the menus as “s2am editor”")
    script = (tool.find().paths.data / "start-editor").read_text(encoding="utf-8")
    assert "uv tool upgrade --reinstall s2am" in script, "the advice where the program is gone"
    assert uninstall(tool.find(), lambda _: None) == []
    assert contents(tool.machine.platform.home) == before


def sandbox(machine: Machine) -> DoctorCheck:
    (check,) = check_sandboxes(find_installation(machine.platform, None, "s2am doctor"))
    return check


def test_check_sandboxes_grants_flatpak_access_to_engine(tmp_path: Path) -> None:
    machine = machines.flatpak(tmp_path)
    assert sandbox(machine).state == "note"
    machine.answers["flatpak", "--show-permissions"] = "[Context]\nfilesystems=xdg-pictures;host:ro;\n"
    check = sandbox(machine)
    assert check.state == "wrong"
    assert check.repair.startswith("flatpak override --user --filesystem=")
    assert check.fix is not None
    check.fix()
    assert machine.asked[-1][:2] == ["flatpak", "override"]
    bridge = find_installation(machine.platform, None, "").paths.bridge
    machine.answers["flatpak", "--show-permissions"] = f"[Context]\nfilesystems={bridge};\n"
    assert sandbox(machine).state == "note"


def test_check_sandboxes_reports_snap(tmp_path: Path) -> None:
    machine = machines.machine(tmp_path, "linux")
    snap = machine.platform.system_path("/snap/gimp/current/meta/snap.yaml")
    snap.parent.mkdir(parents=True)
    snap.write_text("version: 3.0.2\n", encoding="utf-8")
    assert "Snap hides the engine's folder" in sandbox(machine).message


def test_check_disk_notes_low_disk_space(tmp_path: Path) -> None:
    platform = replace(machines.machine(tmp_path, "linux").platform, free_bytes=lambda _: 10**8)
    checks = {check.name: check for check in doctor.run_checks(lambda: find_installation(platform, None, ""))}
    assert checks["disk"].state == "note"


def test_uninstall_after_repairs_leaves_home_unchanged(home: Home) -> None:
    """Runs last in this file, after everything was damaged and repaired."""
    (home.profile / "pluginrc").write_text(machines.PLUGINRC, encoding="utf-8")
    assert uninstall(home.find(), lambda _: None) == []
    assert contents(home.machine.platform.home) == home.before
