# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole installations with the real pip, from small wheels made here: no network, no gigabytes.

Only the making of an empty environment is replaced, since its ways depend on the machine.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from installer import __main__ as command
from installer import debian, engine, environment, install
from installer.console import CommandError, Console
from installer.environment import Environment
from s2am_common.errors import InstallError
from s2am_common.locks import ProcessLock
from s2am_setup import plugins
from s2am_setup.manifest import read
from s2am_setup.paths import InstallPaths, install_paths
from tests.installer import machines, standins
from tests.installer.machines import Machine, contents


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    standins.make_torch(folder, "2.13.0", "2.13.0+cpu", "2.14.0")
    standins.make_project(folder)
    return folder


@pytest.fixture
def machine(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = machines.linux(tmp_path)
    standins.isolate(monkeypatch, found)
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setattr(install, "IMPORT_ALL", "import torch, s2am_engine.cli.main")
    monkeypatch.setattr(command, "CHECKOUT", wheels / "s2am-0.1-py3-none-any.whl")
    return found


@pytest.fixture
def paths(machine: Machine) -> InstallPaths:
    return install_paths(machine.facts)


def run(machine: Machine, *words: str) -> int:
    return command.main(["--yes", *words], machine.facts)


def what_it_says(paths: InstallPaths) -> str:
    return subprocess.run([paths.commands / "s2am"], capture_output=True, text=True, check=True).stdout.strip()


def test_fresh_machine_gets_a_command_that_works(
    machine: Machine, paths: InstallPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(machine) == 0
    said = capsys.readouterr().out
    assert what_it_says(paths) == "hello"
    assert f"Result: {paths.sample}" in said
    assert "GB to download" in said
    assert "GIMP 2.10 (package) needs GIMP 3" in said
    assert 'export PATH="' in said
    installed = read(paths.manifest)
    assert installed is not None
    # Neither the newer release nor the plain name: on Linux both would be the CUDA build.
    assert installed.torch == "2.13.0+cpu"
    assert not paths.downloads.exists()


def test_running_it_again_repairs_and_upgrades(machine: Machine, paths: InstallPaths, wheels: Path) -> None:
    assert run(machine) == 0
    (old,) = paths.environments.iterdir()
    shutil.rmtree(next(old.glob("lib/python*/site-packages/s2am_engine")))
    (paths.environments / "half-made").mkdir()
    paths.models.mkdir()
    (paths.models / "mine.json").write_text("{}", encoding="utf-8")
    standins.make_project(wheels, says="newer")
    assert run(machine) == 0
    assert what_it_says(paths) == "newer"
    (new,) = paths.environments.iterdir()
    assert new != old
    assert (paths.models / "mine.json").is_file()


def test_failure_leaves_the_previous_installation_working(
    machine: Machine, paths: InstallPaths, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(machine) == 0
    before = sorted(paths.environments.iterdir())
    profile = machine.facts.home / ".config/GIMP/3.0"
    in_gimp = contents(profile)
    standins.make_project(wheels, sample="raise OSError(28, 'No space left on device')")
    capsys.readouterr()
    assert run(machine) == 1
    error = capsys.readouterr().err
    assert error.startswith("The disk is full: free some space, then run the same command again.")
    assert error.count("\n") == 1
    assert "No space left" in paths.log.read_text(encoding="utf-8")
    assert sorted(paths.environments.iterdir()) == before
    assert what_it_says(paths) == "hello"
    assert contents(profile) == in_gimp


def test_ctrl_c_leaves_nothing_half_made(
    machine: Machine, paths: InstallPaths, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    before = contents(machine.facts.home)
    monkeypatch.setattr(engine, "install_project", interrupted)
    assert run(machine) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert list(paths.environments.iterdir()) == []
    assert not (paths.commands / "s2am").exists()
    assert command.main(["uninstall", "--yes"], machine.facts) == 0
    assert contents(machine.facts.home) == before


def test_interrupted_between_command_and_plugin_is_mended_by_the_next_run(
    machine: Machine, paths: InstallPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copyfile

    def interrupted(source: Path, target: Path, **how: bool) -> object:
        if "gimp_bridge" in Path(target).parts:
            raise KeyboardInterrupt
        return copy(source, target, **how)

    before = contents(machine.facts.home)
    with monkeypatch.context() as patched:
        patched.setattr("shutil.copyfile", interrupted)
        assert run(machine) == 1
    assert what_it_says(paths) == "hello", "the environment is in use already"
    assert run(machine) == 0
    assert (plugins.folder(machine.facts.home / ".config/GIMP/3.0") / "engine.json").is_file()
    assert command.main(["uninstall", "--yes"], machine.facts) == 0
    assert contents(machine.facts.home) == before


def test_rehearsal_names_the_steps_and_changes_nothing(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(machine.facts.home)
    assert run(machine, "--dry-run") == 0
    said = capsys.readouterr().out
    assert contents(machine.facts.home) == before
    for step in (
        "Making the environment",
        "PyTorch 2.13.0 cpu",
        "Putting the plug-in in GIMP 3.0",
        "command",
        "editor",
    ):
        assert step in said


def test_too_little_disk_is_noticed_before_anything_is_downloaded(
    machine: Machine, paths: InstallPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.facts = replace(machine.facts, free=lambda _: 10**8)
    assert run(machine) == 1
    assert "has 0.1 GB free and 2.3 GB are needed: free some space" in capsys.readouterr().err
    assert not paths.environments.exists()


def test_two_installers_do_not_work_at_once(
    machine: Machine, paths: InstallPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(machine) == 0
    other = paths.environments / "made by another installer"
    other.mkdir()
    lock = ProcessLock(paths.lock)
    assert lock.acquire()
    assert run(machine) == 1
    assert "Another installation is running" in capsys.readouterr().err
    assert other.is_dir()
    lock.release()


def test_only_the_gimps_that_were_chosen_keep_the_plugin(machine: Machine) -> None:
    home = machine.facts.home
    machines.used_profile(home / ".config/GIMP/3.2")
    before = contents(home / ".config/GIMP/3.0")
    assert run(machine) == 0
    assert all(plugins.folder(home / f".config/GIMP/{version}").is_dir() for version in ("3.0", "3.2"))
    assert run(machine, "--gimp", "3.2") == 0
    assert contents(home / ".config/GIMP/3.0") == before
    assert plugins.folder(home / ".config/GIMP/3.2").is_dir()


def test_a_gimp_that_can_not_have_it_does_not_keep_it_from_others(
    machine: Machine, paths: InstallPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    home = machine.facts.home
    machines.used_profile(home / ".config/GIMP/3.2")
    shutil.rmtree(home / ".config/GIMP/3.0/plug-ins")
    # A file where a folder must be: root, too, cannot write into it.
    (home / ".config/GIMP/3.0/plug-ins").write_text("", encoding="utf-8")
    assert run(machine) == 1
    assert f"The plug-in is not in {home}/.config/GIMP/3.0" in capsys.readouterr().out
    assert plugins.folder(home / ".config/GIMP/3.2").is_dir()
    assert what_it_says(paths) == "hello"


def test_folder_that_cannot_be_written_is_named(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    machine.facts = replace(machine.facts, environ={"XDG_DATA_HOME": str(tmp_path / "file")})
    assert run(machine) == 1
    error = capsys.readouterr().err
    assert error.startswith("Cannot write to ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("offline", [True, False])
def test_torch_that_is_nowhere_is_named(
    offline: bool, machine: Machine, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (wheels / "torch-2.13.0+cpu-py3-none-any.whl").unlink()
    assert run(machine, *(["--wheels", str(wheels)] if offline else [])) == 1
    error = capsys.readouterr().err
    assert "PyTorch 2.13.0" in error
    assert (str(wheels) in error) == offline


def test_folder_of_wheels_is_all_that_is_needed(
    machine: Machine, paths: InstallPaths, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.delenv("PIP_NO_INDEX")
    # Were it asked, this index would refuse.
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert run(machine, "--wheels", str(wheels)) == 0
    assert what_it_says(paths) == "hello"


def test_command_of_someone_else_is_noticed_before_anything_is_made(
    machine: Machine, paths: InstallPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    paths.commands.mkdir(parents=True)
    (paths.commands / "s2am").write_text("theirs", encoding="utf-8")
    assert run(machine) == 1
    assert "move it away" in capsys.readouterr().err
    assert (paths.commands / "s2am").read_text(encoding="utf-8") == "theirs"
    assert not paths.environments.exists()


@pytest.mark.parametrize("version", [(3, 9), (3, 16)])
def test_python_without_a_build_of_torch_is_refused(version: tuple[int, int]) -> None:
    with pytest.raises(InstallError, match=r"needs a 64-bit Python 3\.10 to 3\.15"):
        environment.check_python(version, True)


def test_old_python_reads_the_first_file_and_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    text = Path(environment.__file__).with_name("__init__.py").read_text(encoding="ascii")
    monkeypatch.setattr(sys, "version_info", (3, 7, 17))
    with pytest.raises(SystemExit, match=r"needs Python 3\.10 or newer and this is Python 3\.7"):
        exec(compile(text, "installer", "exec"))


def test_no_way_to_make_an_environment_says_which_package_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(debian, "pip_wheel_on_disk", lambda: None)
    with pytest.raises(InstallError, match="sudo apt install python3-venv"):
        environment.make(Environment(tmp_path / "new"), Console(io.StringIO()))


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ("OSError: [Errno 28] No space left on device", "free some space"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] ...", "ca-certificates"),
        ("Could not find a suitable TLS CA certificate bundle, invalid path: /etc/ssl/x.crt", "ca-certificates"),
        ("NameResolutionError: Temporary failure in name resolution", "network"),
        ("E: Failed to fetch  Could not connect to the host", "network"),
        ("Traceback ...\nValueError: odd\n", "ValueError: odd"),
    ],
)
def test_known_failures_come_with_advice(output: str, advice: str) -> None:
    error = CommandError(["pip"], output)
    assert advice in str(error)
    assert "\n" not in str(error)
