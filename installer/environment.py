# SPDX-License-Identifier: GPL-3.0-or-later
"""Creating a Python environment without root, also where Python comes without pip (Debian, Ubuntu)."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path
from platform import machine, python_version

from s2am_common.errors import InstallError
from s2am_setup import debian
from s2am_setup.console import CommandError, Console
from s2am_setup.python_environment import Environment, clean_environ

PYTHON_VERSIONS = ((3, 10), (3, 14))
"""The oldest and the newest Python that all libraries have wheels for."""

_SYSTEM_WHEELS = Path("/usr/share/python-wheels")
_SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def check_python(version: tuple[int, int], is_64_bit: bool) -> None:
    """Check that the libraries have builds for this Python.

    Raises:
        InstallError: they have none.
    """
    oldest, newest = (".".join(map(str, bound)) for bound in PYTHON_VERSIONS)
    if not (PYTHON_VERSIONS[0] <= version <= PYTHON_VERSIONS[1] and is_64_bit):
        raise InstallError(
            f"The libraries of s2am need a 64-bit Python {oldest} to {newest}, and this is {python_version()}, "
            f"{machine()}: run the same command with such a Python."
        )


def make_environment(environment: Environment, console: Console, wheels: Path | None = None) -> None:
    """Create an empty environment with a recent pip.

    A Python without pip suffices: pip runs from its wheel, which most Pythons contain, and installs itself.

    Args:
        environment: the environment.
        console: runs the commands.
        wheels: folder of wheels that is the only source; None = the network may be used.

    Raises:
        InstallError: there is no pip for this Python.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wheel = _find_pip(folder, console, wheels)
        shutil.rmtree(environment.folder, ignore_errors=True)
        make_empty_environment(environment, console)
        environ = clean_environ() | _debian_distutils(folder)
        pip = [str(environment.python), f"{wheel}/pip"]
        if "cert=" not in console.run([*pip, "config", "list"], environ):
            environ |= _debian_certificates(folder)
        install = [*pip, "install", "--no-compile", "--no-cache-dir"]
        console.run([*install, "--no-index", str(wheel)], environ)
        # A recent pip reports its progress and includes its own certificates. Without a network, the old one must do.
        source = ["--no-index", "--find-links", str(wheels)] if wheels else []
        with contextlib.suppress(CommandError):
            console.run([*install, *source, "--upgrade", "pip"], environ)


def make_empty_environment(environment: Environment, console: Console) -> None:
    """Create an environment without pip, for which any Python suffices."""
    console.run([sys.executable, "-I", "-m", "venv", "--without-pip", str(environment.folder)], clean_environ())


def _find_pip(folder: Path, console: Console, wheels: Path | None) -> Path:
    """Return a wheel of pip; without one on this computer, download it to a folder.

    Raises:
        InstallError: there is none.
    """
    wheel = (max(wheels.glob("pip-*.whl"), default=None) if wheels else None) or bundled_pip()
    if not (wheel or wheels):
        wheel = _download_pip(folder, console) or _fetch_debian_pip(folder, console)
    if wheel:
        return wheel
    if wheels:
        raise InstallError(
            f"{wheels} has no wheel of pip, which this Python lacks: make the folder again with “python3 -m installer "
            "download”, then run the same command again."
        )
    raise InstallError(
        "This Python cannot create environments: install the package python3-venv (sudo apt install python3-venv), "
        "then run the same command again."
    )


def bundled_pip() -> Path | None:
    """Return the wheel of pip that comes with this Python, or in a package of Debian or Fedora, if any."""
    ensurepip = importlib.util.find_spec("ensurepip")
    own = [Path(ensurepip.origin).parent / "_bundled"] if ensurepip and ensurepip.origin else []
    wheels = (wheel for folder in (*own, _SYSTEM_WHEELS) for wheel in folder.glob("pip-*.whl"))
    return next(wheels, None)


def _download_pip(folder: Path, console: Console) -> Path | None:
    if not importlib.util.find_spec("pip"):
        return None
    try:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), "pip"]
        console.run(command, clean_environ())
    except CommandError:
        return None
    return next(folder.glob("pip-*.whl"), None)


def _fetch_debian_pip(folder: Path, console: Console) -> Path | None:
    """Download the wheel of pip and its requirements into a folder; return None if this is not Debian.

    Debian and Ubuntu remove ensurepip from their Python. Their package python3-pip-whl contains pip as a wheel.
    """
    if not debian.has_packages():
        return None
    # The pip of Ubuntu 22.04 imports distutils, of which its python3 contains only a part.
    old = ["python3-distutils"] if sys.version_info < (3, 11) else []
    root = debian.unpack_packages(["python3-pip-whl", "ca-certificates", *old], folder, console)
    return next((root / "usr/share/python-wheels").glob("pip-*.whl"), None)


def _debian_certificates(folder: Path) -> dict[str, str]:
    """Return the variable with downloaded certificates for pip, if the computer has no certificates."""
    authorities = sorted((folder / "root/usr/share/ca-certificates/mozilla").glob("*.crt"))
    if not authorities or _SYSTEM_CERTIFICATES.exists():
        return {}
    bundle = folder / "certificates.pem"
    bundle.write_bytes(b"\n".join(path.read_bytes() for path in authorities))
    return {"PIP_CERT": str(bundle)}


def _debian_distutils(folder: Path) -> dict[str, str]:
    """Return the variable with a complete distutils, if one was downloaded."""
    for rest in (folder / "root/usr/lib").glob("python3*/distutils"):
        for part in (Path(sysconfig.get_path("stdlib"), "distutils"), rest):
            shutil.copytree(part, folder / "lib" / "distutils", dirs_exist_ok=True)
        return {"PYTHONPATH": str(folder / "lib")}
    return {}
