# SPDX-License-Identifier: GPL-3.0-or-later
"""Getting pip on a Debian or Ubuntu that has python3 without it, as a plain user.

The package python3-pip-whl holds pip as a wheel. apt-get downloads packages for anyone and checks their signatures;
only installing them needs root, and unpacking into a folder of our own does not.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path

from installer.console import CommandError, Console

_SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def pip_wheel_on_disk() -> Path | None:
    """Return the wheel that the package python3-pip-whl put on this machine, if any."""
    return next(Path("/usr/share/python-wheels").glob("pip-*.whl"), None)


def fetch_pip_wheel(folder: Path, console: Console) -> Path | None:
    """Download pip's wheel, and what it may need to run, into `folder`; None if this is no Debian.

    Raises CommandError where apt-get cannot.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    # The pip of Ubuntu 22.04 still imports distutils, of which its python3 holds but a part.
    old = ["python3-distutils"] if sys.version_info < (3, 11) else []
    _download(["python3-pip-whl", "ca-certificates", *old], folder, console)
    for package in folder.glob("*.deb"):
        console.run(["dpkg-deb", "-x", str(package), str(folder / "root")])
    return next((folder / "root/usr/share/python-wheels").glob("pip-*.whl"), None)


def certificates(folder: Path) -> dict[str, str]:
    """Return the variable that gives pip the downloaded certificates, if the machine has none of its own."""
    authorities = sorted((folder / "root/usr/share/ca-certificates/mozilla").glob("*.crt"))
    if not authorities or _SYSTEM_CERTIFICATES.exists():
        return {}
    bundle = folder / "certificates.pem"
    bundle.write_bytes(b"\n".join(path.read_bytes() for path in authorities))
    return {"PIP_CERT": str(bundle)}


def distutils(folder: Path) -> dict[str, str]:
    """Return the variable that puts a whole distutils before Python's own part of it, if one was downloaded."""
    for rest in (folder / "root/usr/lib").glob("python3*/distutils"):
        for part in (Path(sysconfig.get_path("stdlib"), "distutils"), rest):
            shutil.copytree(part, folder / "lib" / "distutils", dirs_exist_ok=True)
        return {"PYTHONPATH": str(folder / "lib")}
    return {}


def _download(packages: list[str], folder: Path, console: Console) -> None:
    # Machines from images often have no package lists, or old ones: then private lists are fetched.
    try:
        console.run(["apt-get", "download", *packages], cwd=folder)
    except CommandError:
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        private = ["-o", f"Dir::State::Lists={folder / 'lists'}", "-o", f"Dir::Cache={folder / 'cache'}"]
        console.run(["apt-get", *private, "-o", "APT::Update::Error-Mode=any", "update"], cwd=folder)
        console.run(["apt-get", *private, "download", *packages], cwd=folder)
