# SPDX-License-Identifier: GPL-3.0-or-later
"""The program `s2am`, also in a damaged environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.installer import fakes

MAIN = "import sys; from s2am_setup.entry import main; sys.exit(main())"


def s2am(folder: Path, *arguments: str, damage: str = "") -> subprocess.CompletedProcess[str]:
    """Run `s2am` for a user with an empty home; `damage` is a library that cannot be imported."""
    code = f"import sys; sys.modules[{damage!r}] = None; {MAIN}" if damage else MAIN
    environ = fakes.clean_environ() | {"HOME": str(folder)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def test_python_runs_the_python_that_can_import_the_api(tmp_path: Path) -> None:
    done = s2am(tmp_path, "python", "-c", "import s2am_engine, sys; print(s2am_engine.__version__, sys.argv[1:])", "-x")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("['-x']\n")


@pytest.mark.parametrize("damage", ["numpy", "tqdm"])
def test_doctor_runs_in_a_damaged_environment(damage: str, tmp_path: Path) -> None:
    done = s2am(tmp_path, "doctor", "--json", damage=damage)
    assert '"checks"' in done.stdout, done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_while_libraries_are_loaded_prints_one_line(tmp_path: Path) -> None:
    code = f"""
import sys
class Interrupted:
    def find_spec(self, name, *_):
        if name == "numpy":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
{MAIN}"""
    environ = fakes.clean_environ() | {"HOME": str(tmp_path)}
    command = [sys.executable, "-c", code, "models"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: Stopped.\n")


def test_other_commands_in_a_damaged_environment_name_the_repair(tmp_path: Path) -> None:
    done = s2am(tmp_path, "models", damage="numpy")
    assert done.returncode == 1
    assert done.stderr.startswith("error: The program's environment is damaged")
    assert "s2am doctor --fix" in done.stderr
