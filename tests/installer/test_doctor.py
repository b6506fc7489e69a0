# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor on a real installation with the real engine: one thing is broken at a time, named, and mended."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from installer import __main__ as installer
from installer.console import Console
from installer.install import Install, Wishes
from s2am_engine.models.model_store import list_models
from s2am_setup import doctor, plugins
from s2am_setup.check import Check
from s2am_setup.engine_checks import check_command, check_engine, check_environment, check_launchers, check_models
from s2am_setup.gimp_checks import check_gimps, check_plugins, check_sandboxes
from s2am_setup.installation import Installation, find
from s2am_setup.plugin_folder import NAME
from tests.installer import machines, standins
from tests.installer.machines import Machine, contents

QUICK = (check_command, check_launchers, check_gimps, check_plugins)


class Home:
    """A home with everything installed, and the doctor for it."""

    def __init__(self, folder: Path) -> None:
        self.machine = machines.linux(folder)
        self.before = contents(self.machine.facts.home)
        self.wheels = folder / "wheels"
        self.wheels.mkdir()
        self.wheel = standins.make_lenders(self.wheels)

    def install(self) -> str:
        return standins.install(self.machine, self.wheels, self.wheel)

    def reinstall(self) -> None:
        Install(self.machine.facts, Wishes(ask=False, again=True, wheels=self.wheels), self.wheel, self.silent).run()

    @property
    def silent(self) -> Console:
        return Console(io.StringIO())

    def find(self) -> Installation:
        return find(self.machine.facts, None, "s2am doctor", self.reinstall)

    def doctor(self, *looks: doctor.Look, mend: bool = False) -> dict[str, Check]:
        """What the doctor finds, by name; with no look given, all that takes no time."""
        chosen = looks or QUICK
        if mend:
            return {check.name: check for check in doctor.examine_and_mend(self.find, lambda _: None, chosen)}
        return {check.name: check for check in doctor.examine(self.find, chosen)}

    @property
    def profile(self) -> Path:
        return self.machine.facts.home / ".config/GIMP/3.0"

    @property
    def plugin(self) -> Path:
        return plugins.folder(self.profile) / f"{NAME}.py"

    @property
    def environment(self) -> Path:
        found = self.find().environment
        assert found is not None
        return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        found = Home(tmp_path_factory.mktemp("machine"))
        standins.isolate(monkeypatch, found.machine)
        found.install()
        yield found
        found.find().stop_engine()


def wrong(checks: dict[str, Check]) -> dict[str, Check]:
    return {name: check for name, check in checks.items() if check.state == "wrong"}


def test_all_is_well_after_installing(home: Home) -> None:
    bundled = sum(model.bundled for model in list_models())
    checks = home.doctor(*doctor.ALL)
    assert wrong(checks) == {}
    assert "ready on the CPU" in checks["engine"].says
    assert checks["models"].says.startswith(f"{bundled} bundled")
    assert checks["GIMP"].says.startswith("GIMP 2.10 (package)")
    assert any(name.startswith("plug-in for GIMP 3.0 (package)") for name in checks)


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
    (home.machine.facts.home / ".local/share/applications/s2am-editor.desktop").unlink()


def damage_weights(home: Home) -> None:
    (weights,) = home.environment.glob("lib/python*/site-packages/s2am_engine/models/weights/concord.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")


def move_engine(home: Home) -> None:
    home.environment.rename(home.environment.with_name("moved"))


@pytest.mark.parametrize(
    ("damage", "name", "says"),
    [
        (lose_executable_bit, "plug-in", "has lost its executable bit"),
        (damage_plugin, "plug-in", "gimp_bridge/client.py is missing or not as it was installed"),
        (remove_plugin, "plug-in", "it is missing"),
        (put_older_version_beside, "plug-in", "an older version is in the way (harmonize-layer-old)"),
        (let_gimp_pass_over, "plug-in", "passed over it"),
        (let_plugin_look_elsewhere, "plug-in", "it looks for the engine at /gone/s2am"),
        (lose_engine_note, "plug-in", "its engine.json is missing"),
        (remove_command, "command", "is missing or starts something else"),
        (remove_launcher, "editor", "s2am-editor.desktop is missing"),
    ],
)
def test_doctor_names_what_is_wrong_and_mends_it(
    damage: Callable[[Home], None], name: str, says: str, home: Home
) -> None:
    damage(home)
    found = wrong(home.doctor())
    (check,) = [one for one in found.values() if one.name.startswith(name)]
    assert says in check.says
    assert check.mend
    os.utime(home.profile / "pluginrc", (0, 0))  # GIMP has not been started since
    assert wrong(home.doctor(mend=True)) == {}
    assert wrong(home.doctor()) == {}


@pytest.mark.parametrize(
    ("damage", "look", "says"),
    [
        (damage_weights, check_models, "the weights of concord are damaged"),
        (move_engine, check_environment, "is damaged or was moved"),
    ],
)
def test_broken_environment_is_made_anew(
    damage: Callable[[Home], None], look: doctor.Look, says: str, home: Home
) -> None:
    damage(home)
    (check,) = wrong(home.doctor(look)).values()
    assert says in check.says
    assert "python3 -m installer" in check.mend
    assert wrong(home.doctor(look, mend=True)) == {}
    assert wrong(home.doctor()) == {}, "command, launcher and plug-in lead to the new one"


def test_engine_that_can_not_start_is_named(home: Home) -> None:
    (engine,) = home.environment.glob("lib/python*/site-packages/gimp_bridge/server.py")
    kept = engine.read_bytes()
    engine.write_text("raise RuntimeError('broken')\n", encoding="utf-8")
    (check,) = wrong(home.doctor(check_engine)).values()
    assert "python3 -m installer" in check.mend
    engine.write_bytes(kept)


def test_command_prints_the_same_for_people_and_programs(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.plugin.chmod(0o644)
    assert installer.main(["doctor", "--json"], home.machine.facts) == 1
    told = json.loads(capsys.readouterr().out)
    (check,) = [one for one in told["checks"] if one["state"] == "wrong"]
    assert check["mend"] == "python3 -m installer doctor --fix"
    assert not told["ok"]
    assert installer.main(["doctor", "--fix"], home.machine.facts) == 0
    out, err = capsys.readouterr()
    assert "mending plug-in" in err
    assert [line.split()[0] for line in out.splitlines()].count("wrong") == 0


def test_damaged_personal_model_is_named_with_the_command_that_deletes_it(home: Home) -> None:
    models = home.find().paths.models
    models.mkdir()
    (models / "wedding.json").write_text('{"sha256": "0"}', encoding="utf-8")
    (models / "wedding.safetensors").write_bytes(b"torn")
    (check,) = wrong(home.doctor(check_models)).values()
    assert "“wedding” is damaged" in check.says
    assert 'models delete "wedding"' in check.mend
    shutil.rmtree(models)


def test_gimp_that_could_not_load_the_plugin_is_named_with_its_error(home: Home) -> None:
    cache = home.profile / "pluginrc"
    known = '(plug-in-def "${gimp_dir}/plug-ins/harmonize-layer/harmonize-layer.py" 1789831040)\n'
    cache.write_text(machines.PLUGINRC + known, encoding="utf-8")
    log = home.plugin.with_suffix(".log")
    log.write_text("2026\nTraceback\nImportError: no Gegl\n", encoding="utf-8")
    (check,) = wrong(home.doctor()).values()
    assert check.says == "GIMP could not load it: ImportError: no Gegl"
    assert wrong(home.doctor(mend=True)) == {}
    assert cache.read_text(encoding="utf-8") == machines.PLUGINRC


def test_nothing_installed_says_what_to_run(tmp_path: Path) -> None:
    facts = machines.machine(tmp_path, "linux").facts
    checks = list(doctor.examine(lambda: find(facts, None, "python3 -m installer doctor")))
    (check,) = [one for one in checks if one.state == "wrong"]
    assert check.says == "s2am is not installed"
    assert check.mend == "python3 -m installer"


def test_gimp_2_alone_is_answered_with_needs_gimp_3(tmp_path: Path) -> None:
    machine = machines.machine(tmp_path, "linux")
    machine.program("/usr/bin/gimp", "GNU Image Manipulation Program version 2.10.36\n")
    (check,) = check_gimps(find(machine.facts, None, ""))
    assert check.state == "wrong"
    assert "needs GIMP 3" in check.says


def sandbox(machine: Machine) -> Check:
    (check,) = check_sandboxes(find(machine.facts, None, "s2am doctor"))
    return check


def test_flatpak_that_hides_the_engine_is_named_and_opened(tmp_path: Path) -> None:
    machine = machines.flatpak(tmp_path)
    assert sandbox(machine).state == "note"
    machine.answers["flatpak", "--show-permissions"] = "[Context]\nfilesystems=xdg-pictures;host:ro;\n"
    check = sandbox(machine)
    assert check.state == "wrong"
    assert check.mend.startswith("flatpak override --user --filesystem=")
    assert check.fix is not None
    check.fix()
    assert machine.asked[-1][:2] == ["flatpak", "override"]
    bridge = find(machine.facts, None, "").paths.bridge
    machine.answers["flatpak", "--show-permissions"] = f"[Context]\nfilesystems={bridge};\n"
    assert sandbox(machine).state == "note"


def test_snap_is_told_to_be_of_no_use(tmp_path: Path) -> None:
    machine = machines.machine(tmp_path, "linux")
    snap = machine.facts.at("/snap/gimp/current/meta/snap.yaml")
    snap.parent.mkdir(parents=True)
    snap.write_text("version: 3.0.2\n", encoding="utf-8")
    assert "Snap hides the engine's folder" in sandbox(machine).says


def test_little_memory_and_disk_are_worth_a_note(tmp_path: Path) -> None:
    facts = replace(machines.machine(tmp_path, "linux").facts, memory=lambda: 10**9, free=lambda _: 10**8)
    checks = {check.name: check for check in doctor.examine(lambda: find(facts, None, ""))}
    assert checks["memory"].state == checks["disk"].state == "note"


def test_uninstalling_leaves_the_home_as_it_was(home: Home) -> None:
    """The last of this file: after all that was broken and mended, nothing is left over."""
    from s2am_setup.uninstall import uninstall

    (home.profile / "pluginrc").write_text(machines.PLUGINRC, encoding="utf-8")
    assert uninstall(home.find(), lambda _: None) == []
    assert contents(home.machine.facts.home) == home.before
