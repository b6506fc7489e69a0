# SPDX-License-Identifier: GPL-3.0-or-later
"""What people get who do not clone: `python -m installer.release FOLDER` makes and checks wheel, sdist and zip.

The zip holds the plug-in's folder, to be copied into GIMP's by hand; it finds the engine by the command `s2am`.
Needs hatchling beside it (the test environment has it).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from s2am_common.errors import InstallError
from s2am_setup import plugin_folder

CHECKOUT = Path(__file__).resolve().parent.parent
NAMES = {"s2am_common", "s2am_engine", "gimp_bridge", "s2am_setup", "s2am_editor"}
"""The only import names that the wheel may claim."""

_HOW = """\
Copy the folder harmonize-layer into the folder plug-ins of GIMP's own folder
(GIMP: Edit > Preferences > Folders > Plug-ins shows it), as a whole:

  Linux    ~/.config/GIMP/3.0/plug-ins/harmonize-layer/harmonize-layer.py
  Flatpak  ~/.var/app/org.gimp.GIMP/config/GIMP/3.0/plug-ins/harmonize-layer/harmonize-layer.py
  Windows  %APPDATA%\\GIMP\\3.0\\plug-ins\\harmonize-layer\\harmonize-layer.py
  macOS    ~/Library/Application Support/GIMP/3.0/plug-ins/harmonize-layer/harmonize-layer.py

Install the engine (pipx install s2am-*.whl), then let it check all that and mend what is missing:

  s2am doctor --fix
"""


def build(folder: Path) -> list[Path]:
    """Make all files of a release in a folder, and check them.

    Returns:
        The wheel, the sdist, the zip, and a file with their SHA-256.

    Raises:
        InstallError: one can't be made, or holds what it should not, or lacks what it should hold.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--target", "sdist"]
    done = subprocess.run(
        [*command, "--directory", str(folder.resolve())], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise InstallError(f"hatchling failed ({''.join(last)}): mend that, then run the same command again.")
    wheel, sdist = max(folder.glob("s2am-*.whl"), key=_age), max(folder.glob("s2am-*.tar.gz"), key=_age)
    check_wheel(wheel)
    check_sdist(sdist)
    plugin = folder / f"s2am-gimp-plug-in-{wheel.name.split('-')[1]}.zip"
    write_plugin_zip(plugin)
    files = [wheel, sdist, plugin]
    sums = folder / "SHA256SUMS"
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    sums.write_text("".join(lines), encoding="utf-8")
    return [*files, sums]


def _age(file: Path) -> float:
    return file.stat().st_mtime


def write_plugin_zip(file: Path) -> None:
    """Write the plug-in's folder and how to install it by hand; the same bytes each time."""
    with tempfile.TemporaryDirectory() as temporary, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        target = Path(temporary) / plugin_folder.NAME
        _add(archive, "INSTALL.txt", _HOW.encode(), 0o644)
        for path in plugin_folder.assemble(target, ["s2am", "serve"]):
            name = f"{plugin_folder.NAME}/{path.relative_to(target).as_posix()}"
            _add(archive, name, path.read_bytes(), 0o755 if path.name == f"{plugin_folder.NAME}.py" else 0o644)


def _add(archive: zipfile.ZipFile, name: str, content: bytes, mode: int) -> None:
    entry = zipfile.ZipInfo(name)  # of 1980: no clock gets in
    entry.create_system = 3  # Unix: only then does unzip restore the executable bit
    entry.external_attr = (0o100000 | mode) << 16
    archive.writestr(entry, content, zipfile.ZIP_DEFLATED)


def check_wheel(wheel: Path) -> None:
    """Look into a wheel. Raises InstallError if it claims other names, or lacks weights or the plug-in."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        stray = {name.split("/")[0] for name in names if ".dist-info/" not in name} - NAMES
        if stray:
            raise InstallError(f"{wheel.name} claims the names {', '.join(sorted(stray))}: leave them out.")
        _demand(names, [f"s2am_setup/{plugin_folder.NAME}/{plugin_folder.NAME}.py"], wheel)
        for name in names:
            if name.startswith("s2am_engine/models/weights/") and name.endswith(".json"):
                weights = f"{name.removesuffix('.json')}.safetensors"
                _demand(names, [weights], wheel)
                if hashlib.sha256(archive.read(weights)).hexdigest() != json.loads(archive.read(name))["sha256"]:
                    raise InstallError(f"{weights} in {wheel.name} is not what its card says: restore it.")


def check_sdist(sdist: Path) -> None:
    """Look into an sdist. Raises InstallError if it lacks what a build, the installer or the tests need."""
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    wanted = ["pyproject.toml", "README.md", "LICENSE", "installer/__main__.py", "tests/__main__.py"]
    _demand(names, [*wanted, f"plugin/{plugin_folder.NAME}/{plugin_folder.NAME}.py"], sdist)


def _demand(names: Iterable[str], wanted: Iterable[str], file: Path) -> None:
    lacking = sorted(set(wanted) - set(names))
    if lacking:
        raise InstallError(f"{file.name} lacks {', '.join(lacking)}.")


def main() -> int:
    """Make a release in the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m installer.release", description="Makes and checks a release.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("dist"), help="default: %(default)s")
    try:
        for file in build(parser.parse_args().folder):
            print(f"{file}  {file.stat().st_size / 1e6:.2f} MB")
    except InstallError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
