# SPDX-License-Identifier: GPL-3.0-or-later
"""Complete installations with the real pip from small fake wheels, without a network.

Only the creation of an empty environment is replaced, because it depends on the computer.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from installer import __main__ as command
from installer import environment, install
from s2am_common import system_libraries
from s2am_common.errors import InstallError
from s2am_common.locks import ProcessLock
from s2am_setup import gimp_plugin, packages, start_check
from s2am_setup.console import CommandError, Console
from s2am_setup.installation import InstallPaths, install_paths
from s2am_setup.manifest import read_manifest
from s2am_setup.python_environment import Environment
from tests.installer import fakes, machines
from tests.installer.machines import Machine, contents


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    fakes.make_torch(folder, "2.13.0", "2.13.0+cpu", "2.14.0")
    fakes.make_wheel(folder, "onnxruntime", "1.20", {})
    fakes.make_project(folder)
    return folder


@pytest.fixture
def machine(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = machines.linux(tmp_path)
    fakes.isolate(monkeypatch, found)
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setattr(install, "IMPORT_TEST", "import s2am_engine.cli.main")
    monkeypatch.setattr(install, "CHECKOUT", wheels / "s2am-0.1-py3-none-any.whl")
    return found


@pytest.fixture
def paths(machine: Machine) -> InstallPaths:
    return install_paths(machine.platform)


def run(machine: Machine, *words: str) -> int:
    return command.main(["--yes", *words], machine.platform)


def command_output(paths: InstallPaths) -> str:
    return subprocess.run([paths.commands / "s2am"], capture_output=True, text=True, check=True).stdout.strip()


def test_install_on_fresh_machine_gives_working_command(
    machine: Machine, paths: InstallPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(machine) == 0
    said = capsys.readouterr().out
    assert command_output(paths) == "hello"
    assert f"Result: {paths.sample}" in said
    assert "MB to download" in said
    assert "GIMP 2.10 (package) is too old" in said
    assert 'export PATH="' in said
    installed = read_manifest(paths.manifest)
    assert installed is not None
    assert installed.torch == ""
    assert "without PyTorch" in said
    assert not paths.downloads.exists()


def test_install_keeps_present_torch_until_another_build_is_requested(
    machine: Machine, paths: InstallPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    def torch() -> tuple[str, bool]:
        installed = read_manifest(paths.manifest)
        assert installed is not None
        assert installed.environment is not None
        [packages_folder] = installed.environment.glob("lib/python*/site-packages")
        return installed.torch, (packages_folder / "torch").is_dir()

    assert run(machine, "--torch", "cpu") == 0
    # Neither the newer release nor the plain version, which is the CUDA build on Linux.
    assert torch() == ("2.13.0+cpu", True)
    assert run(machine) == 0
    assert torch() == ("2.13.0+cpu", True)
    assert command.main(["repair"], machine.platform) == 0
    assert torch() == ("2.13.0+cpu", True)
    assert run(machine, "--torch", "none") == 0
    assert torch() == ("", False)
    machines.add_nvidia(machine)
    assert run(machine) == 0
    assert torch() == ("", False), "as before, also on a computer that has got a GPU"
    capsys.readouterr()


def test_install_without_the_editor_stays_without_it(
    machine: Machine, paths: InstallPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    install_project = packages.install_project

    def note(new: Environment, project: str, *arguments: Any) -> None:
        asked.append(project.rpartition(".whl")[2])
        install_project(new, project, *arguments)

    monkeypatch.setattr(packages, "install_project", note)
    before = contents(machine.platform.home / ".local/share")
    assert run(machine, "--no-editor") == 0
    assert run(machine) == 0
    assert asked == ["", ""], "no extra"
    launchers = set(contents(machine.platform.home / ".local/share")) - set(before)
    assert not any(name.endswith(".desktop") for name in launchers)


def test_install_selects_torch_for_gpu(machine: Machine, paths: InstallPaths, wheels: Path) -> None:
    fakes.make_torch(wheels, "2.13.0+cu126")
    machines.add_nvidia(machine)
    assert run(machine) == 0
    installed = read_manifest(paths.manifest)
    assert installed is not None
    assert installed.torch == "2.13.0+cu126"


def test_install_goes_on_without_torch_that_is_not_available(
    machine: Machine, paths: InstallPaths, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wheel in wheels.glob("torch-*.whl"):
        wheel.unlink()
    machines.add_nvidia(machine)
    assert run(machine) == 1
    assert "without PyTorch" in capsys.readouterr().out
    assert command_output(paths) == "hello"


def test_install_again_repairs_and_upgrades(
    machine: Machine, paths: InstallPaths, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(machine) == 0
    assert "\nAbout 2" in capsys.readouterr().out
    (old,) = paths.environments.iterdir()
    shutil.rmtree(next(old.glob("lib/python*/site-packages/s2am_engine")))
    (paths.environments / "half-made").mkdir()
    fetched = system_libraries.fetched_libraries(old) / "libxcb-cursor.so.0"
    fetched.parent.mkdir()
    fetched.write_bytes(b"library")
    paths.models.mkdir()
    (paths.models / "mine.json").write_text("{}", encoding="utf-8")
    fakes.make_project(wheels, output="newer")
    assert run(machine) == 0
    assert "\nAt most 2" in capsys.readouterr().out, "it downloads what is missing"
    assert command_output(paths) == "newer"
    (new,) = paths.environments.iterdir()
    assert new != old
    assert (system_libraries.fetched_libraries(new) / fetched.name).is_file(), "not to be fetched again"
    assert (paths.models / "mine.json").is_file()


def test_install_failure_keeps_previous_installation(
    machine: Machine, paths: InstallPaths, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(machine) == 0
    before = sorted(paths.environments.iterdir())
    profile = machine.platform.home / ".config/GIMP/3.0"
    in_gimp = contents(profile)
    fakes.make_project(wheels, sample="raise OSError(28, 'No space left on device')")
    capsys.readouterr()
    assert run(machine) == 1
    error = capsys.readouterr().err
    assert error.startswith("The disk is full: free some space, then run the same command again.")
    assert error.count("\n") == 1
    assert "No space left" in paths.install_log.read_text(encoding="utf-8")
    assert sorted(paths.environments.iterdir()) == before
    assert command_output(paths) == "hello"
    assert contents(profile) == in_gimp


def test_install_interrupted_leaves_no_environment(
    machine: Machine, paths: InstallPaths, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    before = contents(machine.platform.home)
    monkeypatch.setattr(packages, "install_project", interrupted)
    assert run(machine) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert list(paths.environments.iterdir()) == []
    assert not (paths.commands / "s2am").exists()
    assert command.main(["uninstall", "--yes"], machine.platform) == 0
    assert contents(machine.platform.home) == before


def test_install_interrupted_before_plugin_is_completed_by_next_run(
    machine: Machine, paths: InstallPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes

    def interrupted(file: Path, content: bytes) -> int:
        if "gimp_bridge" in file.parts:
            raise KeyboardInterrupt
        return write(file, content)

    before = contents(machine.platform.home)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", interrupted)
        assert run(machine) == 1
    assert command_output(paths) == "hello", "the environment is in use already"
    assert run(machine) == 0
    assert (gimp_plugin.plugin_folder(machine.platform.home / ".config/GIMP/3.0") / "engine.json").is_file()
    assert command.main(["uninstall", "--yes"], machine.platform) == 0
    assert contents(machine.platform.home) == before


def test_install_dry_run_lists_steps_and_changes_nothing(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(machine.platform.home)
    assert run(machine, "--dry-run") == 0
    said = capsys.readouterr().out
    assert contents(machine.platform.home) == before
    for step in (
        "Installing s2am and its libraries",
        "Installing the plug-in in GIMP 3.0",
        "command",
        "editor",
    ):
        assert step in said


def test_install_checks_disk_space_before_downloading(
    machine: Machine, paths: InstallPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.platform = replace(machine.platform, free_bytes=lambda _: 10**8)
    assert run(machine) == 1
    assert "has 100 MB free and 1.0 GB are needed: free some space" in capsys.readouterr().err
    assert not paths.environments.exists()


def test_install_refuses_while_another_one_runs(
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


def test_install_removes_plugin_from_profiles_that_are_no_longer_chosen(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = machine.platform.home
    machines.used_profile(home / ".config/GIMP/3.2")
    before = contents(home / ".config/GIMP/3.0")
    assert run(machine) == 0
    assert all(gimp_plugin.plugin_folder(home / f".config/GIMP/{version}").is_dir() for version in ("3.0", "3.2"))
    monkeypatch.setattr(install, "prompt_yes_no", lambda question, *_: "3.0" not in question)
    assert command.main([], machine.platform) == 0
    assert contents(home / ".config/GIMP/3.0") == before
    assert gimp_plugin.plugin_folder(home / ".config/GIMP/3.2").is_dir()
    assert run(machine, "--no-plugin") == 0
    assert not gimp_plugin.plugin_folder(home / ".config/GIMP/3.2").exists()


def test_install_continues_after_unwritable_profile(
    machine: Machine, paths: InstallPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    home = machine.platform.home
    machines.used_profile(home / ".config/GIMP/3.2")
    shutil.rmtree(home / ".config/GIMP/3.0/plug-ins")
    # A file where a folder must be: root, too, cannot write into it.
    (home / ".config/GIMP/3.0/plug-ins").write_text("", encoding="utf-8")
    assert run(machine) == 1
    assert f"The plug-in is not in {home}/.config/GIMP/3.0" in capsys.readouterr().out
    assert gimp_plugin.plugin_folder(home / ".config/GIMP/3.2").is_dir()
    assert command_output(paths) == "hello"


def test_install_names_unwritable_folder(machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    machine.platform = replace(machine.platform, environ={"XDG_DATA_HOME": str(tmp_path / "file")})
    assert run(machine) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"{tmp_path / 'file'} is a file, but a folder is needed")
    assert error.count("\n") == 1


@pytest.mark.parametrize("offline", [True, False])
def test_install_names_missing_torch_build(
    offline: bool, machine: Machine, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (wheels / "torch-2.13.0+cpu-py3-none-any.whl").unlink()
    assert run(machine, "--torch", "cpu", *(["--wheels", str(wheels)] if offline else [])) == 1
    error = capsys.readouterr().err
    assert "PyTorch 2.13.0" in error
    assert (str(wheels) in error) == offline


def test_install_from_wheels_needs_no_network(
    machine: Machine, paths: InstallPaths, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.delenv("PIP_NO_INDEX")
    # Any access to this index would fail.
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert run(machine, "--wheels", str(wheels)) == 0
    assert command_output(paths) == "hello"


def test_install_refuses_to_replace_command_of_other_program(
    machine: Machine, paths: InstallPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    paths.commands.mkdir(parents=True)
    (paths.commands / "s2am").write_text("theirs", encoding="utf-8")
    assert run(machine) == 1
    assert "move it away" in capsys.readouterr().err
    assert (paths.commands / "s2am").read_text(encoding="utf-8") == "theirs"
    assert not paths.environments.exists()


@pytest.mark.parametrize("version", [(3, 9), (3, 16)])
def test_check_python_refuses_version_without_wheels(version: tuple[int, int]) -> None:
    with pytest.raises(InstallError, match=r"need a 64-bit Python 3\.10 to 3\.14"):
        environment.check_python(version, True)


def test_installer_package_refuses_old_python_with_message(monkeypatch: pytest.MonkeyPatch) -> None:
    text = Path(environment.__file__).with_name("__init__.py").read_text(encoding="ascii")
    monkeypatch.setattr(sys, "version_info", (3, 7, 17))
    with pytest.raises(SystemExit, match=r"needs Python 3\.10 or newer and this is Python 3\.7"):
        exec(compile(text, "installer", "exec"))


def test_make_environment_without_ensurepip_takes_pip_from_the_folder_of_wheels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = tmp_path / "wheels"
    bundled = environment.bundled_pip()
    assert bundled, "this Python has ensurepip"
    monkeypatch.setattr(environment, "bundled_pip", lambda: None)
    wheels.mkdir()
    new, console = Environment(tmp_path / "new"), Console(io.StringIO())
    with pytest.raises(InstallError, match="has no wheel of pip"):
        environment.make_environment(new, console, wheels)
    shutil.copy(bundled, wheels)
    environment.make_environment(new, console, wheels)
    assert new.version("pip")


def test_make_environment_without_any_way_names_debian_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(environment, "bundled_pip", lambda: None)
    with pytest.raises(InstallError, match="sudo apt install python3-venv"):
        environment.make_environment(Environment(tmp_path / "new"), Console(io.StringIO()))


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ("OSError: [Errno 28] No space left on device", "free some space"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] ...", "ca-certificates"),
        ("Could not find a suitable TLS CA certificate bundle, invalid path: /etc/ssl/x.crt", "ca-certificates"),
        ("ProxyError('Unable to connect to proxy', OSError('Tunnel connection failed: 407 Proxy Auth", "https_proxy"),
        ("  407  Proxy Authentication Required [IP: 127.0.0.1 3128]\nE: Some index files failed", "https_proxy"),
        ("error: incomplete-download\n\n× Download failed after 11 attempts", "interrupted several times"),
        ("Traceback …\nOSError: broken\nnote: This error originates from a subprocess.", "OSError: broken"),
        ("NameResolutionError: Temporary failure in name resolution", "network"),
        ("E: Failed to fetch  Could not connect to the host", "network"),
        ("Traceback ...\nValueError: odd\n", "ValueError: odd"),
    ],
)
def test_command_error_has_advice_for_known_failures(output: str, advice: str) -> None:
    error = CommandError(["pip"], output)
    assert advice in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("words", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--wheels", "nowhere"], "There is no folder"),
        (["--wheels", "."], "has no wheel of ONNX Runtime"),
        (["--torch", "cu999"], "has no build “cu999”: give one of auto, none, cpu"),
    ],
)
def test_install_checks_options_before_anything_else(
    words: list[str],
    options: list[str],
    sentence: str,
    machine: Machine,
    paths: InstallPaths,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(machine, *options, *words) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not paths.data.exists()


def test_install_keeps_temporary_files_out_of_a_small_temporary_folder(
    machine: Machine, paths: InstallPaths, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All programs that the installer runs, pip included, put their files into the data folder."""
    monkeypatch.setenv("TMPDIR", "/dev/shm")
    fakes.make_project(wheels, sample="import tempfile\nprint('Temporary folder:', tempfile.gettempdir())\n")
    said = fakes.install(machine, wheels, wheels / "s2am-0.1-py3-none-any.whl")
    assert f"Temporary folder: {paths.downloads / 'temporary'}\n" in said
    assert not paths.downloads.exists()
    assert os.environ["TMPDIR"] == "/dev/shm"


def test_install_dry_run_checks_disk_space(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.platform = replace(machine.platform, free_bytes=lambda _: 10**8)
    assert run(machine, "--dry-run") == 1
    assert "free some space" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be told from its user")
def test_install_refuses_sudo(machine: Machine, paths: InstallPaths, capsys: pytest.CaptureFixture[str]) -> None:
    machine.platform = replace(machine.platform, environ={"SUDO_USER": "zoe"})
    assert run(machine) == 1
    assert "run the same command without sudo" in capsys.readouterr().err
    assert not paths.data.exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to be another user for once")
def test_check_writable_names_the_command_for_a_folder_of_root(tmp_path: Path) -> None:
    locked = tmp_path / "share"
    locked.mkdir(mode=0o755)
    for folder in [tmp_path, *tmp_path.parents][:-2]:
        folder.chmod(0o755)
    code = (
        "import os, sys; from pathlib import Path; from installer import access; os.setuid(12345);"
        "access.check_writable([Path(sys.argv[1]) / 'applications/s2am.desktop'])"
    )
    command = [sys.executable, "-c", code, str(locked)]
    done = subprocess.run(command, cwd=fakes.CHECKOUT, capture_output=True, text=True, check=False)
    assert f'sudo chown -R "$(id -un)" "{locked}"' in done.stderr


def test_install_interrupted_after_the_switch_says_so(
    machine: Machine, paths: InstallPaths, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(install.Installer, "_clean", interrupted)
    assert run(machine) == 1
    assert "The new version is in use already" in capsys.readouterr().err
    assert command_output(paths) == "hello"
    assert len(list(paths.environments.iterdir())) == 1


def test_install_names_libraries_that_the_editor_lacks(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = start_check.EditorStart(("libxcb-cursor.so.0",), (Path("libqxcb.so"),))
    monkeypatch.setattr(start_check, "start_editor", lambda *_: lacking)
    monkeypatch.setattr("s2am_setup.debian.has_packages", lambda: False)
    assert run(machine) == 0, "the rest works"
    said = capsys.readouterr().out
    assert "Everything but the editor works; the editor needs libraries" in said
    assert "libxcb-cursor" in said
    assert "“s2am edit”" not in said


def test_output_that_nobody_reads_does_not_stop_the_installer() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    console = Console(Closed())
    with console.step("Working"):
        console.say("still working")
