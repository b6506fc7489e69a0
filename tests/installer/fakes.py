# SPDX-License-Identifier: GPL-3.0-or-later
"""Small wheels in place of gigabytes, and one that lends an installation the libraries of the test environment."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from importlib.metadata import requires, version
from pathlib import Path

import pip
import pytest

from installer import environment
from installer.console import Console
from installer.environment import Environment
from installer.install import Installer, InstallOptions
from tests.installer.machines import Machine

CHECKOUT = Path(__file__).resolve().parents[2]
SAMPLE = "import pathlib, sys\npathlib.Path(sys.argv[1]).mkdir(exist_ok=True)\nprint('Result:', sys.argv[1])\n"


def make_wheel(folder: Path, name: str, release: str, files: dict[str, str], needs: Sequence[str] = ()) -> Path:
    """A wheel of pure Python whose first file is in a package with a cli module, if it has files."""
    info = f"{name.replace('-', '_')}-{release}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {release}"]
    contents = files | {
        f"{info}/METADATA": "\n".join([*metadata, *(f"Requires-Dist: {one}" for one in needs)]) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    if f"{name}_engine/cli/main.py" in files:
        contents[f"{info}/entry_points.txt"] = f"[console_scripts]\n{name} = {name}_engine.cli.main:main\n"
    wheel = folder / f"{name.replace('-', '_')}-{release}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
    return wheel


def make_project(folder: Path, sample: str = SAMPLE, says: str = "hello") -> Path:
    """A program in place of ours that says something."""
    files = {
        "s2am_engine/__init__.py": "",
        "s2am_engine/cli/__init__.py": "",
        "s2am_engine/cli/__main__.py": "from s2am_engine.cli.main import main\nmain()\n",
        "s2am_engine/cli/main.py": f"def main():\n    print({says!r})\n",
        "s2am_engine/image/__init__.py": "",
        "s2am_engine/image/sample.py": sample,
    }
    return make_wheel(folder, "s2am", "0.1", files, ["torch>=2.4"])


def make_torch(folder: Path, *releases: str) -> None:
    """PyTorch without what makes it large."""
    for release in releases:
        make_wheel(folder, "torch", release, {"torch/__init__.py": f"__version__ = {release!r}\n"})


def make_lenders(folder: Path) -> Path:
    """Our own wheel, built now, and one in place of each library, which lends the test environment's; return ours."""
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(CHECKOUT)], capture_output=True, check=True)
    names = {re.split(r"[^\w.-]", line)[0] for line in requires("s2am") or () if "extra ==" not in line}
    for name in names - {"torch"}:
        make_wheel(folder, name, version(name), {})
    libraries = [folder for folder in sys.path if Path(folder).name in ("site-packages", "dist-packages")]
    lent = {"lender.pth": "\n".join([*libraries, ""])}
    make_wheel(folder, "torch", version("torch").partition("+")[0] + "+cpu", lent)
    return next(folder.glob("s2am-*.whl"))


def make_environment(new: Environment, console: Console) -> None:
    """An environment with the pip of the tests: how a fresh one is made depends on the machine."""
    console.run([sys.executable, "-m", "venv", "--without-pip", str(new.folder)])
    (packages,) = new.folder.glob("lib/python*/site-packages")
    (packages / "pip").symlink_to(Path(pip.__file__).parent)


def clean_environ() -> dict[str, str]:
    """The environment without what would lead pip, the engine or the installer out of a home, and without a network."""
    leads_out = ("PIP_", "UV_", "XDG_", "PYTHON", "S2AM_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(leads_out)}
    return kept | {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}


def isolate(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    """Let pip and the engine see nothing but a machine's home."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_", "XDG_", "S2AM_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(machine.platform.home))
    monkeypatch.setattr(environment, "make_environment", make_environment)


def install(machine: Machine, wheels: Path, project: Path, **wishes: object) -> str:
    """Install on a machine from a folder of wheels without a question; return what was said."""
    said = io.StringIO()
    given = InstallOptions(**{"ask": False, "wheels": wheels, **wishes})  # type: ignore[arg-type]
    code = Installer(machine.platform, given, project, Console(said)).run()
    assert code == 0, said.getvalue()
    return said.getvalue()
