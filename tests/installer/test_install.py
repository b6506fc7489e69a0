# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole installations with the real pip, from small wheels made here: no network, no gigabytes.

Only the making of an empty environment is replaced, since its ways depend on the machine.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pip
import pytest

from installer import __main__ as command
from installer import debian, environment, manifest
from installer.console import CommandError, Console, InstallError
from installer.environment import Environment
from installer.places import Places, find_places

SAMPLE = "import pathlib, sys\npathlib.Path(sys.argv[1]).mkdir(exist_ok=True)\nprint('Result:', sys.argv[1])\n"


def make_wheel(folder: Path, name: str, version: str, files: dict[str, str], requires: Sequence[str] = ()) -> Path:
    info = f"{name}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    contents = files | {
        f"{info}/METADATA": "\n".join([*metadata, *(f"Requires-Dist: {one}" for one in requires)]) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {next(iter(files)).split('/')[0]}.cli:main\n",
        f"{info}/RECORD": "",
    }
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
    return wheel


def make_project(folder: Path, sample: str = SAMPLE, says: str = "hello") -> None:
    files = {
        "s2am_engine/__init__.py": "",
        "s2am_engine/cli.py": f"def main():\n    print({says!r})\n",
        "s2am_engine/sample.py": sample,
    }
    make_wheel(folder, "s2am", "0.1", files, ["torch>=2.4"])


def make_environment(new: Environment, console: Console) -> None:
    console.run([sys.executable, "-m", "venv", "--without-pip", str(new.folder)])
    (packages,) = new.folder.glob("lib/python*/site-packages")
    shutil.copytree(Path(pip.__file__).parent, packages / "pip")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A fresh home, whose package sources are a folder with two builds of torch."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for version in ("2.13.0", "2.13.0+cpu", "2.14.0"):
        make_wheel(wheels, "torch", version, {"torch/__init__.py": f"__version__ = {version!r}\n"})
    make_project(wheels)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path / "zoë m"))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(sys, "argv", ["installer"])
    monkeypatch.setattr(command, "CHECKOUT", wheels / "s2am-0.1-py3-none-any.whl")
    monkeypatch.setattr(command, "IMPORT_ALL", "import torch, s2am_engine.cli")
    monkeypatch.setattr(environment, "make", make_environment)
    return find_places("linux", {}, tmp_path / "zoë m")


def what_it_says(places: Places) -> str:
    return subprocess.run([places.commands / "s2am"], capture_output=True, text=True, check=True).stdout.strip()


def test_fresh_machine_gets_a_command_that_works(machine: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main() == 0
    said = capsys.readouterr().out
    assert what_it_says(machine) == "hello"
    assert f"Result: {machine.sample}" in said
    assert 'export PATH="' in said
    installed = manifest.read(machine.manifest)
    assert installed is not None
    # Neither the newer release nor the plain name: on Linux both would be the CUDA build.
    assert installed.torch == "2.13.0+cpu"


def test_running_it_again_repairs_and_upgrades(machine: Places) -> None:
    assert command.main() == 0
    (old,) = machine.environments.iterdir()
    shutil.rmtree(next(old.glob("lib/python*/site-packages/s2am_engine")))
    (machine.environments / "half-made").mkdir()
    make_project(Path(os.environ["PIP_FIND_LINKS"]), says="newer")
    assert command.main() == 0
    assert what_it_says(machine) == "newer"
    (new,) = machine.environments.iterdir()
    assert new != old


def test_failure_leaves_the_previous_installation_working(machine: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main() == 0
    before = sorted(machine.environments.iterdir())
    make_project(Path(os.environ["PIP_FIND_LINKS"]), sample="raise OSError(28, 'No space left on device')")
    capsys.readouterr()
    assert command.main() == 1
    error = capsys.readouterr().err
    assert error.startswith("The disk is full: free some space, then run the same command again.")
    assert error.count("\n") == 1
    assert "No space left" in machine.log.read_text(encoding="utf-8")
    assert sorted(machine.environments.iterdir()) == before
    assert what_it_says(machine) == "hello"


def test_ctrl_c_leaves_nothing_half_made(
    machine: Places, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(environment, "install_project", interrupted)
    assert command.main() == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert list(machine.environments.iterdir()) == []
    assert not (machine.commands / "s2am").exists()


def test_folder_that_cannot_be_written_is_named(
    machine: Places, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file where a folder must be: root, too, cannot write into it.
    (machine.data.parents[3] / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_DATA_HOME", str(machine.data.parents[3] / "file"))
    assert command.main() == 1
    error = capsys.readouterr().err
    assert error.startswith("Cannot write to ")
    assert error.count("\n") == 1


def test_torch_that_is_nowhere_is_named(machine: Places, capsys: pytest.CaptureFixture[str]) -> None:
    (Path(os.environ["PIP_FIND_LINKS"]) / "torch-2.13.0+cpu-py3-none-any.whl").unlink()
    assert command.main() == 1
    error = capsys.readouterr().err
    assert "PyTorch 2.13.0" in error
    assert "neither in this machine's own package sources" in error


def test_command_of_someone_else_is_noticed_before_anything_is_made(
    machine: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.commands.mkdir(parents=True)
    (machine.commands / "s2am").write_text("theirs", encoding="utf-8")
    assert command.main() == 1
    assert "move it away" in capsys.readouterr().err
    assert (machine.commands / "s2am").read_text(encoding="utf-8") == "theirs"
    assert not machine.environments.exists()


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
