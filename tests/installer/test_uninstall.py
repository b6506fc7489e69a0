# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing and uninstalling on each platform: files in the right folders, and none afterwards."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from gimp_bridge.starter import read_launcher
from installer import __main__ as command
from installer import install
from s2am_setup import gimp_plugin
from s2am_setup.gimp_profiles import find_gimp_profiles
from s2am_setup.installation import exclusive, find_installation
from tests.installer import fakes, machines
from tests.installer.machines import Machine, contents


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    fakes.make_wheel(folder, "onnxruntime", "1.20", {})
    fakes.make_project(folder)
    return folder


@pytest.fixture(params=machines.ALL)
def machine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = machines.ALL[request.param](tmp_path)
    fakes.isolate(monkeypatch, found)
    monkeypatch.setattr(install, "IMPORT_TEST", "import s2am_engine.cli.main")
    return found


def install_all(machine: Machine, wheels: Path) -> None:
    fakes.install(machine, wheels, next(wheels.glob("s2am-*.whl")), open_with=True)


def test_uninstall_leaves_home_byte_identical(
    machine: Machine, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(machine.platform.home)
    install_all(machine, wheels)
    installed = find_installation(machine.platform, None, "s2am doctor")
    profiles = find_gimp_profiles(machine.platform)
    assert installed.manifest.profiles == [profile.folder for profile in profiles]
    for profile in profiles:
        assert read_launcher(gimp_plugin.plugin_folder(profile.folder)) == installed.serve
    assert set(installed.launchers(True)) <= set(installed.manifest.files)
    install_all(machine, wheels)  # an upgrade
    assert command.main(["uninstall", "--yes"], machine.platform) == 0
    assert contents(machine.platform.home) == before
    assert capsys.readouterr().out.rstrip().endswith("s2am is uninstalled.")


def test_uninstall_keeps_own_files_unless_purged(
    machine: Machine, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(machine.platform.home)
    install_all(machine, wheels)
    paths = find_installation(machine.platform, None, "").paths
    for file in (paths.models / "mine.json", paths.config / "editor.ini"):
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text("mine", encoding="utf-8")
    assert command.main(["uninstall", "--json"], machine.platform) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["stayed"] == sorted([str(paths.models), str(paths.config / "editor.ini")])
    assert (paths.models / "mine.json").read_text(encoding="utf-8") == "mine"
    install_all(machine, wheels)
    assert (paths.models / "mine.json").is_file()
    assert command.main(["uninstall", "--yes", "--purge"], machine.platform) == 0
    left = contents(machine.platform.home)
    # The installer did not create the folder of settings, but --purge removes it.
    assert {name: left[name] for name in before} == before
    assert not paths.models.exists()
    assert not paths.config.exists()


def test_uninstall_dry_run_removes_nothing(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = machines.linux(tmp_path)
    fakes.isolate(monkeypatch, machine)
    monkeypatch.setattr(install, "IMPORT_TEST", "import s2am_engine.cli.main")
    install_all(machine, wheels)
    before = contents(machine.platform.home)
    assert command.main(["uninstall", "--dry-run"], machine.platform) == 0
    assert contents(machine.platform.home) == before


def test_uninstall_without_installation_fails_with_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["uninstall", "--yes"], machines.machine(tmp_path, "linux").platform) == 1
    assert "The installer has installed nothing here" in capsys.readouterr().err


class TypedAnswers(io.StringIO):
    """A terminal with typed answers."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "versions"),
    [("\n\n", ["3.0", "3.2"]), ("2\n\n", ["3.2"]), ("9\nnone\ny\n", []), ("1, 2\nn\n", ["3.0", "3.2"])],
)
def test_install_asks_which_gimp(
    typed: str, versions: list[str], tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = machines.flatpak(tmp_path)
    fakes.isolate(monkeypatch, machine)
    monkeypatch.setattr(install, "IMPORT_TEST", "import s2am_engine.cli.main")
    monkeypatch.setattr("sys.stdin", TypedAnswers(typed))
    fakes.install(machine, wheels, next(wheels.glob("s2am-*.whl")), ask=True)
    known = find_installation(machine.platform, None, "").manifest
    assert [profile.name for profile in known.profiles] == versions
    assert known.offer_images == ("y" in typed)


def test_purge_works_after_a_plain_uninstall_and_removes_what_use_left(
    machine: Machine, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(machine.platform.home)
    install_all(machine, wheels)
    paths = find_installation(machine.platform, None, "").paths
    left = [paths.cache / "photos/pixels.npy", paths.state / "recovery/1/layer.npy", paths.models / "mine.json"]
    for file in left:
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text("mine", encoding="utf-8")
    capsys.readouterr()
    assert command.main(["uninstall", "--yes"], machine.platform) == 0
    said = capsys.readouterr().out
    assert not left[0].exists(), "prepared photographs go with the program"
    assert str(paths.state / "recovery") in said
    assert "--purge" in said
    assert command.main(["uninstall", "--yes"], machine.platform) == 1
    assert str(paths.state) in capsys.readouterr().err
    assert command.main(["uninstall", "--yes", "--purge"], machine.platform) == 0
    assert str(paths.state) in capsys.readouterr().out
    after = contents(machine.platform.home)
    assert {name: after[name] for name in before} == before
    assert not any("s2am" in name for name in after)


def test_uninstall_waits_for_no_running_installation(
    machine: Machine, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install_all(machine, wheels)
    paths = find_installation(machine.platform, None, "").paths
    before = contents(machine.platform.home)
    with exclusive(paths):
        assert command.main(["uninstall", "--yes"], machine.platform) == 1
    assert "Another installation is running" in capsys.readouterr().err
    assert contents(machine.platform.home) == before
