# SPDX-License-Identifier: GPL-3.0-or-later
"""Libraries of the system that Qt needs: found missing, named as packages, loaded from a folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from s2am_common import system_libraries

XFCE_LACKS = ["libxcb-cursor.so.0", "libxcb-icccm.so.4", "libxcb-keysyms.so.1"]


@pytest.mark.parametrize(
    ("os_release", "command"),
    [
        ("ID=debian\n", "sudo apt install libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', "sudo apt install libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1"),
        ("ID=manjaro\nID_LIKE=arch\n", "sudo pacman -S xcb-util-cursor xcb-util-wm xcb-util-keysyms"),
        ("ID=fedora\n", "sudo dnf install 'libxcb-cursor.so.0()(64bit)' 'libxcb-icccm.so.4()(64bit)'"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "sudo zypper install 'libxcb-cursor.so.0()(64bit)'"),
        ("ID=other\n", ""),
    ],
)
def test_install_command_names_all_packages_of_the_system(os_release: str, command: str) -> None:
    found = system_libraries.install_command(XFCE_LACKS, os_release)
    assert found.startswith(command)
    assert bool(found) == bool(command)


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("libglib-2.0.so.0", "libglib2.0-0"),
        ("libgthread-2.0.so.0", "libglib2.0-0"),
        ("libGL.so.1", "libgl1"),
        ("libGLdispatch.so.0", "libglvnd0"),
        ("libX11-xcb.so.1", "libx11-xcb1"),
        ("libdbus-1.so.3", "libdbus-1-3"),
        ("libpng16.so.16", "libpng16-16"),
        ("libxkbcommon-x11.so.0", "libxkbcommon-x11-0"),
        ("libpcre2-8.so.0", "libpcre2-8-0"),
    ],
)
def test_debian_package_of_a_library(library: str, package: str) -> None:
    assert system_libraries.debian_package(library) == package


@pytest.fixture
def libraries(tmp_path: Path) -> Path:
    """A folder with liba.so.1, which needs libb.so.1."""
    if sys.platform != "linux" or not shutil.which("cc"):
        pytest.skip("a C compiler is needed to make libraries: sudo apt install gcc")
    (tmp_path / "b.c").write_text("int b(void) { return 42; }\n", encoding="ascii")
    (tmp_path / "a.c").write_text("int b(void);\nint a(void) { return b(); }\n", encoding="ascii")
    shared = ["cc", "-shared", "-fPIC"]
    for arguments in (
        ["-Wl,-soname,libb-s2am.so.1", "-o", "libb-s2am.so.1", "b.c"],
        ["-Wl,-soname,liba-s2am.so.1", "-o", "liba-s2am.so.1", "a.c", "-L.", "-l:libb-s2am.so.1"],
    ):
        subprocess.run([*shared, *arguments], cwd=tmp_path, check=True)
    return tmp_path


def test_find_missing_and_preload_of_a_fetched_library(libraries: Path) -> None:
    fetched = libraries / "fetched"
    fetched.mkdir()
    needing = libraries / "liba-s2am.so.1"
    (libraries / "libb-s2am.so.1").rename(fetched / "libb-s2am.so.1")
    assert system_libraries.find_missing([needing]) == ["libb-s2am.so.1"]
    assert system_libraries.find_missing([needing], fetched) == []
    code = (
        "import ctypes, sys; from pathlib import Path; from s2am_common import system_libraries as s;"
        "s.preload(Path(sys.argv[1])); print(ctypes.CDLL(sys.argv[2]).a())"
    )
    done = subprocess.run([sys.executable, "-c", code, fetched, needing], capture_output=True, text=True, check=False)
    assert done.stdout == "42\n", done.stderr
