# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m installer.release FOLDER`: build and check the wheel, the sdist and the zip of a release.

The zip contains the plug-in's folder for copying it into GIMP's by hand; it finds the engine by the command `s2am`.
Needs hatchling, which the test environment has.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from s2am_common.errors import InstallError
from s2am_setup.console import Console
from s2am_setup.gimp_plugin import PLUGIN_NAME, plugin_files

_CHECKOUT = Path(__file__).resolve().parent.parent
IMPORT_NAMES = {"s2am_common", "s2am_engine", "gimp_bridge", "s2am_setup", "s2am_editor"}
"""The only import names that the wheel may contain."""

_INSTRUCTIONS = """\
Copy the whole folder harmonize-layer into GIMP's folder of plug-ins
(in GIMP: Edit > Preferences > Folders > Plug-ins):

  Linux    ~/.config/GIMP/3.0/plug-ins/harmonize-layer/harmonize-layer.py
  Flatpak  ~/.var/app/org.gimp.GIMP/config/GIMP/3.0/plug-ins/harmonize-layer/harmonize-layer.py
  Windows  %APPDATA%\\GIMP\\3.0\\plug-ins\\harmonize-layer\\harmonize-layer.py
  macOS    ~/Library/Application Support/GIMP/3.0/plug-ins/harmonize-layer/harmonize-layer.py

Install the engine (pipx install s2am-*.whl), then check and repair the installation:

  s2am doctor --fix
"""


def build_release(folder: Path) -> list[Path]:
    """Build all files of a release in a folder, and check them.

    Returns:
        The wheel, the sdist, the zip, and a file with their SHA-256 checksums.

    Raises:
        InstallError: a file cannot be built, contains something unexpected or lacks something.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--target", "sdist"]
    Console(sys.stdout).run([*command, "--directory", str(folder.resolve())], cwd=_CHECKOUT)
    wheel, sdist = (max(folder.glob(f"s2am-*.{kind}"), key=os.path.getmtime) for kind in ("whl", "tar.gz"))
    check_wheel(wheel)
    check_sdist(sdist)
    plugin = folder / f"s2am-gimp-plug-in-{wheel.name.split('-')[1]}.zip"
    write_plugin_zip(plugin)
    files = [wheel, sdist, plugin]
    sums = folder / "SHA256SUMS"
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    sums.write_text("".join(lines), encoding="utf-8")
    return [*files, sums]


def write_plugin_zip(file: Path) -> None:
    """Write the plug-in's folder and instructions for installing it by hand; the result is reproducible."""
    with zipfile.ZipFile(file, "w") as archive:
        _add(archive, "INSTALL.txt", _INSTRUCTIONS.encode(), 0o644)
        for path, content in sorted(plugin_files(["s2am", "serve"]).items()):
            mode = 0o755 if path.name == f"{PLUGIN_NAME}.py" else 0o644
            _add(archive, f"{PLUGIN_NAME}/{path.as_posix()}", content, mode)


def _add(archive: zipfile.ZipFile, name: str, content: bytes, mode: int) -> None:
    entry = zipfile.ZipInfo(name)  # dated 1980, so that equal contents give equal bytes
    entry.create_system = 3  # Unix, which makes unzip restore the executable bit
    entry.external_attr = (0o100000 | mode) << 16
    archive.writestr(entry, content, zipfile.ZIP_DEFLATED)


def check_wheel(wheel: Path) -> None:
    """Check the contents of a wheel.

    Raises:
        InstallError: it contains other import names, or lacks weights, types or the plug-in.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        stray = {name.split("/")[0] for name in names if ".dist-info/" not in name} - IMPORT_NAMES
        if stray:
            raise InstallError(f"{wheel.name} contains the import names {', '.join(sorted(stray))}: exclude them.")
        _require(names, [f"s2am_setup/{PLUGIN_NAME}/{PLUGIN_NAME}.py"], wheel)
        _require(names, [f"{package}/py.typed" for package in ("s2am_common", "s2am_engine", "s2am_editor")], wheel)
        for name in names:
            if name.startswith("s2am_engine/models/weights/") and name.endswith(".json"):
                weights = f"{name.removesuffix('.json')}.safetensors"
                _require(names, [weights], wheel)
                if hashlib.sha256(archive.read(weights)).hexdigest() != json.loads(archive.read(name))["sha256"]:
                    raise InstallError(
                        f"{weights} in {wheel.name} does not have the checksum of its model card: restore it."
                    )


def check_sdist(sdist: Path) -> None:
    """Check the contents of an sdist.

    Raises:
        InstallError: it lacks a file that the build, the installer or the tests need.
    """
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    required = ["pyproject.toml", "README.md", "LICENSE", "installer/__main__.py", "tests/__main__.py"]
    _require(names, [*required, f"plugin/{PLUGIN_NAME}/{PLUGIN_NAME}.py"], sdist)


def _require(names: Iterable[str], required: Iterable[str], file: Path) -> None:
    missing = sorted(set(required) - set(names))
    if missing:
        raise InstallError(f"{file.name} lacks {', '.join(missing)}.")


def main() -> int:
    """Build a release in the folder given on the command line."""
    parser = argparse.ArgumentParser(prog="python -m installer.release", description="Build and check a release.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("dist"), help="default: %(default)s")
    try:
        for file in build_release(parser.parse_args().folder):
            print(f"{file}  {file.stat().st_size / 1e6:.2f} MB")
    except InstallError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
