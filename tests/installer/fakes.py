# SPDX-License-Identifier: GPL-3.0-or-later
"""Fake packages: small wheels instead of gigabytes, and one that adds the test environment to the import path."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pip
import pytest

from installer import environment
from installer.install import Installer, InstallOptions
from s2am_setup import start_check
from s2am_setup.console import Console
from s2am_setup.python_environment import Environment
from tests.installer.machines import Machine

CHECKOUT = Path(__file__).resolve().parents[2]
SAMPLE = "import pathlib, sys\npathlib.Path(sys.argv[1]).mkdir(exist_ok=True)\nprint('Result:', sys.argv[1])\n"
HIDDEN = "import sys; sys.modules.update(dict.fromkeys(('torch', 'matplotlib', 'lazy_loader', 'scipy')))"
"""Hides the libraries of training, and those of scikit-image, of which only the photographs are installed."""
EDITOR = """print('{"missing": [], "files": [], "error": ""}')"""


def make_wheel(folder: Path, name: str, release: str, files: dict[str, str], needs: Sequence[str] = ()) -> Path:
    """Write a wheel of pure Python; with a command line if it has a module `NAME_engine/cli/main.py`."""
    info = f"{name.replace('-', '_')}-{release}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {release}"]
    contents = files | {
        f"{info}/METADATA": "\n".join([*metadata, *(f"Requires-Dist: {one}" for one in needs)]) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if f"{name}_engine/cli/main.py" in files:
        contents[f"{info}/entry_points.txt"] = f"[console_scripts]\n{name} = {name}_engine.cli.main:main\n"
    contents[f"{info}/RECORD"] = "".join(f"{path},{_digest(text)},{len(text)}\n" for path, text in contents.items())
    wheel = folder / f"{name.replace('-', '_')}-{release}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
    return wheel


def _digest(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return f"sha256={digest.decode().rstrip('=')}"


def make_project(folder: Path, sample: str = SAMPLE, output: str = "hello", editor: str = EDITOR) -> Path:
    """Write a wheel of a fake program that prints something."""
    files = {
        "s2am_engine/__init__.py": "",
        "s2am_engine/cli/__init__.py": "",
        "s2am_engine/cli/__main__.py": "from s2am_engine.cli.main import main\nmain()\n",
        "s2am_engine/cli/main.py": f"def main():\n    print({output!r})\n",
        "s2am_engine/image/__init__.py": "",
        "s2am_engine/image/sample.py": sample,
        "s2am_editor/__init__.py": "",
        "s2am_editor/start.py": editor,
    }
    make_wheel(folder, "scikit-image", "0.23", {"skimage/__init__.py": ""})  # the photographs of the sample
    return make_wheel(folder, "s2am", "0.1", files, ["onnxruntime>=1.20", "torch>=2.4; extra == 'train'"])


def make_torch(folder: Path, *releases: str) -> None:
    """Write wheels of an empty PyTorch."""
    for release in releases:
        make_wheel(folder, "torch", release, {"torch/__init__.py": f"__version__ = {release!r}\n"})


def make_libraries(folder: Path) -> Path:
    """Build the program's own wheel, and an empty one for each library of an installation without PyTorch.

    That of ONNX Runtime adds the test environment to the import path, and hides the libraries of training in it.

    Returns:
        The program's wheel.
    """
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(CHECKOUT)], capture_output=True, check=True)
    wheel = next(folder.glob("s2am-*.whl"))
    needed = [line for line in _requirements(wheel) if "extra ==" not in line or "extra == 'editor'" in line]
    for name in {re.split(r"[^\w.-]", line)[0] for line in needed}:
        libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        lent = {"libraries.pth": "\n".join([*libraries, HIDDEN, ""])}
        make_wheel(folder, name, version(name), lent if name == "onnxruntime" else {})
    return wheel


def _requirements(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(metadata).decode().splitlines()
    return [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")]


def make_environment(new: Environment, console: Console, wheels: Path | None = None) -> None:
    """Create an environment with the pip of the tests, because the real ways depend on the computer."""
    console.run([sys.executable, "-m", "venv", "--without-pip", str(new.folder)])
    (packages,) = new.folder.glob("lib/python*/site-packages")
    installed = Path(pip.__file__).parent
    for each in (installed, *installed.parent.glob("pip-*.dist-info")):
        (packages / each.name).symlink_to(each)


def clean_environ() -> dict[str, str]:
    """Return environment variables without those that redirect pip, engine or installer, and without a network."""
    redirecting = ("PIP_", "UV_", "XDG_", "PYTHON", "S2AM_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(redirecting)}
    return kept | {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}


def isolate(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    """Restrict pip and the engine to the home folder of a simulated computer."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_", "XDG_", "S2AM_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(machine.platform.home))
    monkeypatch.setattr(environment, "make_environment", make_environment)
    # Whether this computer can show windows makes no difference to the tests of installing.
    monkeypatch.setattr(start_check, "start_editor", lambda *_: start_check.EditorStart())


def install(machine: Machine, wheels: Path, project: Path, **options: object) -> str:
    """Install from a folder of wheels without questions; return the output."""
    said = io.StringIO()
    given = InstallOptions(**{"ask": False, "wheels": wheels, **options})  # type: ignore[arg-type]
    code = Installer(machine.platform, given, project, Console(said)).run()
    assert code == 0, said.getvalue()
    return said.getvalue()
