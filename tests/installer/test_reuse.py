# SPDX-License-Identifier: GPL-3.0-or-later
"""Repair and upgrade reuse what is undamaged: they download only what is missing."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from installer import repair_copy
from installer.reuse import reuse_packages
from s2am_setup.console import Console
from s2am_setup.python_environment import Environment
from tests.installer import fakes, machines


@pytest.fixture
def console() -> Console:
    return Console(io.StringIO())


@pytest.fixture
def environments(tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch) -> tuple[Environment, Environment]:
    """An environment with the packages good, bad (damaged) and a program, and an empty one."""
    fakes.isolate(monkeypatch, machines.machine(tmp_path, "linux"))
    old, new = Environment(tmp_path / "öld"), Environment(tmp_path / "new")
    for each in (old, new):
        fakes.make_environment(each, console)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    fakes.make_wheel(wheels, "good", "1.0", {"good.py": "VALUE = 1\n", "good_data/a.txt": "text"})
    fakes.make_wheel(wheels, "bad", "1.0", {"bad.py": "VALUE = 1\n"})
    files = {"tool_engine/cli/main.py": "def main():\n    print('tool works')\n"}
    fakes.make_wheel(wheels, "tool", "1.0", files)
    old.pip(["install", "--no-index", *map(str, wheels.iterdir())], console)
    (old.packages / "bad.py").write_text("VALUE = 2\n", encoding="ascii")
    return old, new


def test_reuse_packages_takes_over_undamaged_ones(
    environments: tuple[Environment, Environment], console: Console
) -> None:
    old, new = environments
    steps: list[tuple[int, int]] = []
    assert reuse_packages(old, new, lambda done, total: steps.append((done, total))) == ["good", "tool"]
    assert steps[-1][0] == steps[-1][1] > 0
    shutil.rmtree(old.folder)
    assert new.run(["-c", "import good; print(good.VALUE)"], console) == "1\n"
    assert subprocess.run([new.program("tool")], capture_output=True, check=True).stdout == b"tool works\n"
    listed = new.pip(["list", "--format", "freeze"], console)
    assert "good==1.0" in listed
    assert "bad" not in listed


def test_reinstalling_a_reused_package_does_not_change_the_old_environment(
    environments: tuple[Environment, Environment], console: Console, tmp_path: Path
) -> None:
    old, new = environments
    reuse_packages(old, new, lambda *_: None)
    wheel = fakes.make_wheel(tmp_path, "good", "2.0", {"good.py": "VALUE = 3\n"})
    new.pip(["install", "--no-index", str(wheel)], console)
    assert old.run(["-c", "import good; print(good.VALUE)"], console) == "1\n"
    assert new.run(["-c", "import good; print(good.VALUE)"], console) == "3\n"


def test_reuse_packages_ignores_an_environment_of_another_python(
    environments: tuple[Environment, Environment],
) -> None:
    old, new = environments
    (old.folder / "lib").rename(old.folder / "old-lib")
    (old.folder / "lib/python3.9/site-packages").mkdir(parents=True)
    assert reuse_packages(old, new, lambda *_: None) == []


def test_repair_copy_is_the_installer_without_a_clone(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = fakes.make_libraries(wheels)
    folder = tmp_path / "daten/repair"
    repair_copy.write_repair_copy(folder, wheel, fakes.CHECKOUT / "installer", fakes.CHECKOUT)
    assert repair_copy.unchanged_wheel(folder, fakes.CHECKOUT) == folder / wheel.name
    environ = fakes.clean_environ() | {"HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(folder), "--dry-run", "--torch", "none", "--wheels", str(wheels), "--no-plugin"]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Nothing was changed" in done.stdout
    # Written again from its own wheel, as a repair does.
    repair_copy.write_repair_copy(folder, folder / wheel.name, folder / "installer", None)
    assert repair_copy.stored_wheel(folder) == folder / wheel.name
    assert repair_copy.unchanged_wheel(folder, fakes.CHECKOUT) == folder / wheel.name
