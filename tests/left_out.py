# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests that this computer cannot run, listed before they begin: each with its reason and the command that adds it.

Needs only Python's standard library, like `python3 -m tests`, and is used again for the summary of pytest.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from s2am_common import system_libraries
from tests.namespace import missing_rights

SHARED = Path(__file__).parents[2] / "shared"

MISSING_LIBRARIES = "S2AM_MISSING_LIBRARIES"
"""Environment variable with the system's libraries that Qt lacks, separated by spaces."""


@dataclass(frozen=True)
class LeftOut:
    """Tests that cannot run here.

    what: the tests, and the claim that stays unchecked.
    reason: what is missing.
    command: how it is added; "" if it cannot be.
    """

    what: str
    reason: str
    command: str = ""

    def __str__(self) -> str:
        """Return the entry on one or two lines."""
        line = f"{self.what}: {self.reason}"
        return f"{line}\n      to add them: {self.command}" if self.command else line


def find_left_out(missing_libraries: Sequence[str] = ()) -> list[LeftOut]:
    """Return the tests that cannot run here.

    Args:
        missing_libraries: libraries of the system that Qt lacks.
    """
    checks = (_windows_of_the_editor(missing_libraries), _real_gimp(), _image_collections(), _gpu(), _compiler())
    return [found for found in checks if found]


def report(left_out: Sequence[LeftOut]) -> str:
    """Return the list as text; "" if nothing is left out."""
    if not left_out:
        return ""
    return "\n".join(["Left out on this computer:", *(f"  - {each}" for each in left_out)])


def _windows_of_the_editor(missing: Sequence[str]) -> LeftOut | None:
    if not missing:
        return None
    reason = f"Qt needs {', '.join(missing)}"
    return LeftOut("The windows of the editor (tests/editor/ui)", reason, system_libraries.describe_missing(missing))


def _real_gimp() -> LeftOut | None:
    what = "The plug-in in a real GIMP 3 (marker gimp; tests/plugin runs its logic without one)"
    if sys.platform != "linux":
        return LeftOut(what, "needs Linux")
    if lacks := missing_rights():
        command = "sudo apt install mmdebstrap uidmap (Debian, Ubuntu), or sudo python3 -m tests -m gimp"
        return LeftOut(what, f"needs root, or {lacks}", command)
    if os.geteuid() == 0 and not (shutil.which("debootstrap") or shutil.which("apt-get")):
        return LeftOut(what, "needs debootstrap", "install the package debootstrap of your system")
    return None


def _image_collections() -> LeftOut | None:
    if SHARED.is_dir():
        return None
    what = "The quality of the models (marker shared): README's PSNR and IoU, and the limits of harmed images"
    return LeftOut(what, f"the image collections in {SHARED} are not published")


def _gpu() -> LeftOut | None:
    if shutil.which("nvidia-smi"):
        return None
    return LeftOut("Computing on a GPU (marker gpu)", "needs an NVIDIA GPU with its driver")


def _compiler() -> LeftOut | None:
    if sys.platform != "linux" or shutil.which("cc"):
        return None
    command = "sudo apt install gcc (or your system's package of it)"
    return LeftOut("Loading of fetched libraries (one test)", "needs a C compiler", command)
