# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared libraries of a Linux system that Qt loads: which are missing, which packages have them, loading fetched ones.

Qt's own libraries come with PyQt6; those of the display server, of fonts and of OpenGL are the system's. Qt ends the
process if one is missing, so they are checked before Qt is loaded.
"""

from __future__ import annotations

import ctypes
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

FETCHED_FOLDER = "system-libraries"
"""Folder in an environment with libraries that were fetched without root, because the system lacks them."""

_GLIB = re.compile(r"lib(glib|gthread|gobject|gio|gmodule)-2\.0\.so")

_EVERY_SYSTEM = re.compile(r"(ld-linux|lib(c|m|dl|rt|pthread|resolv|util|gcc_s|stdc\+\+|python3\S*))\b[.-]")

# Debian packages that contain several libraries.
_DEBIAN_PACKAGES = {"libGLdispatch": "libglvnd0", "libbrotli": "libbrotli1"}

# Arch Linux names packages after projects, not after libraries.
_ARCH_PACKAGES = {
    "libxcb-icccm": "xcb-util-wm",
    "libxcb-render-util": "xcb-util-renderutil",
    "libxcb-util": "xcb-util",
    "libxcb-cursor": "xcb-util-cursor",
    "libxcb-image": "xcb-util-image",
    "libxcb-keysyms": "xcb-util-keysyms",
    "libxcb": "libxcb",
    "libX11": "libx11",
    "libxkbcommon-x11": "libxkbcommon-x11",
    "libxkbcommon": "libxkbcommon",
    "libGL": "libglvnd",
    "libEGL": "libglvnd",
    "libOpenGL": "libglvnd",
    "libdbus": "dbus",
    "libfontconfig": "fontconfig",
    "libfreetype": "freetype2",
    "libwayland": "wayland",
}


def find_missing(files: Iterable[Path], fetched: Path | None = None) -> list[str]:
    """Return the names (sonames) of the libraries that these libraries need and the system lacks, sorted.

    Args:
        files: shared libraries.
        fetched: folder of fetched libraries, which are not missing; see `preload`.
    """
    missing: set[str] = set()
    environ = {"LD_LIBRARY_PATH": str(fetched), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C"}
    if fetched is None:
        del environ["LD_LIBRARY_PATH"]
    for file in files:
        found = subprocess.run(["ldd", str(file)], capture_output=True, text=True, check=False, env=environ)
        missing.update(re.findall(r"^\s*(\S+) => not found", found.stdout, flags=re.MULTILINE))
    return sorted(missing)


def preload(folder: Path) -> None:
    """Load those libraries of a folder that the system lacks: its loader then finds them when Qt needs them.

    A library whose own requirements are not loaded yet is tried again after the others.
    """
    waiting = [file for file in sorted(folder.glob("*.so*")) if not is_loadable(file.name)]
    while waiting:
        failed = [file for file in waiting if not is_loadable(file)]
        if len(failed) == len(waiting):
            return
        waiting = failed


def is_loadable(file: Path | str) -> bool:
    """Load a shared library, by its path or by its name in the system; return whether that succeeded."""
    try:
        ctypes.CDLL(str(file), ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True


def find_needed(files: Iterable[Path]) -> dict[str, Path]:
    """Return the system's libraries that some files need, by name, except for those of every system (glibc, GCC)."""
    needed: dict[str, Path] = {}
    for file in files:
        found = subprocess.run(["ldd", str(file)], capture_output=True, text=True, check=False)
        for name, path in re.findall(r"^\s*(\S+) => (/\S+)", found.stdout, flags=re.MULTILINE):
            if not _EVERY_SYSTEM.match(name):
                needed[name] = Path(path)
    return needed


def fetched_libraries(environment: Path | None = None) -> Path:
    """Return the folder of the libraries that were fetched for an environment; None = that of this process."""
    return (environment or Path(sys.prefix)) / FETCHED_FOLDER


def debian_package(library: str) -> str:
    """Return the Debian package of a library, by the naming rule of Debian's policy (section 8.1)."""
    if _GLIB.match(library):
        return "libglib2.0-0"
    if package := next((package for start, package in _DEBIAN_PACKAGES.items() if library.startswith(start)), ""):
        return package
    name, _, version = library.lower().partition(".so.")
    major = version.partition(".")[0]
    return f"{name}-{major}" if name[-1:].isdigit() else f"{name}{major}"


def install_command(libraries: Sequence[str], os_release: str) -> str:
    """Return the one command that installs libraries on this system.

    Args:
        libraries: their names, such as “libxcb-cursor.so.0”.
        os_release: content of /etc/os-release.

    Returns:
        The command; "" for a system whose package manager is unknown.
    """
    words = re.findall(r"^(?:ID|ID_LIKE)=(.*)$", os_release, flags=re.MULTILINE)
    systems = set(" ".join(words).replace('"', "").split())
    if systems & {"debian", "ubuntu"}:
        return _command("apt install", map(debian_package, libraries))
    if "arch" in systems:
        return _command("pacman -S", map(_arch_package, libraries))
    # RPM packages can be named by what they provide.
    provided = [f"{library}()(64bit)" for library in libraries]
    if systems & {"fedora", "rhel"}:
        return _command("dnf install", provided)
    if systems & {"suse", "opensuse"}:
        return _command("zypper install", provided)
    return ""


def _command(program: str, packages: Iterable[str]) -> str:
    return f"sudo {program} {' '.join(map(shlex.quote, dict.fromkeys(packages)))}"


def _arch_package(library: str) -> str:
    if _GLIB.match(library):
        return "glib2"
    return next((package for start, package in _ARCH_PACKAGES.items() if library.startswith(start)), library)


def describe_missing(libraries: Sequence[str]) -> str:
    """Return advice on missing libraries, as the second half of a sentence."""
    try:
        os_release = Path("/etc/os-release").read_text(encoding="utf-8")
    except OSError:
        os_release = ""
    command = install_command(libraries, os_release)
    return command or f"install the packages of your system that contain {', '.join(libraries)}"
