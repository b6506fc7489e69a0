# SPDX-License-Identifier: GPL-3.0-or-later
"""Install a real GIMP 3 for the tests, in a separate folder: `python -m tests.gimp.provision` (about 4 minutes).

A Debian 13 with GIMP, a virtual screen and a window manager is kept in the user's cache folder, or that of the variable
S2AM_GIMP. Creating it and running it need root, for debootstrap, chroot and mount.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from installer.console import CommandError, Console

SUITE = "trixie"
GIMP = ("gimp",)
# A display, a bus, a window manager and a tool that sends keys and clicks; ImageMagick takes screenshots.
DESKTOP = ("xvfb", "dbus-x11", "openbox", "xdotool", "imagemagick", "fonts-dejavu-core", "adwaita-icon-theme")
STAMP = "s2am-gimp"
ROOM = 3 * 2**30
"""Free bytes that the installation needs; 1.3 GB remain used."""


class UnavailableError(Exception):
    """GIMP 3 cannot be installed here; the message is the reason."""


def folder() -> Path:
    """Return the folder for the Debian with GIMP."""
    given = os.environ.get("S2AM_GIMP")
    return Path(given) if given else platformdirs.user_cache_path("s2am-tests") / "gimp3"


def provision(console: Console) -> Path:
    """Return the folder of a Debian with GIMP 3, after installing it if it is missing or outdated.

    Raises:
        UnavailableError: not Linux, not root, no debootstrap, no network …
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        raise UnavailableError("driving a real GIMP 3 needs Linux and root (debootstrap, chroot and mount)")
    target = folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(f"{target.name}.lock")):
        if not _is_current(target):
            try:
                _make(target, console)
            except (CommandError, OSError) as error:
                raise UnavailableError(f"GIMP 3 could not be installed in {target}: {error}") from error
    return target


def _recipe() -> str:
    return hashlib.sha256(repr((SUITE, GIMP, DESKTOP)).encode()).hexdigest()


def _is_current(target: Path) -> bool:
    stamp = target / STAMP
    return stamp.is_file() and stamp.read_text(encoding="ascii") == _recipe()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that ends with its process."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(target: Path, console: Console) -> None:
    part = target.with_name(f"{target.name}.part")
    if shutil.disk_usage(target.parent).free < ROOM:
        raise UnavailableError(f"{target.parent} has less than {ROOM / 2**30:.0f} GB free: set S2AM_GIMP elsewhere")
    console.open_log(target.with_name(f"{target.name}.log"))
    for old in (part, target):
        shutil.rmtree(old, ignore_errors=True)
    debian = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "TMPDIR": "/tmp"}
    if not shutil.which("debootstrap"):
        if not shutil.which("apt-get"):
            raise UnavailableError("making a Debian with GIMP 3 needs debootstrap: install it")
        with console.step("Installing debootstrap"):
            console.run(["apt-get", "update"], debian)
            console.run(["apt-get", "install", "-y", "--no-install-recommends", "debootstrap"], debian)
    with console.step("Making a small Debian 13 to test with (about 2 minutes)"):
        console.run(["unshare", "--mount", "debootstrap", "--variant=minbase", SUITE, str(part)], debian)
    with console.step("Installing GIMP 3 in it (about 2 minutes)"):
        packages = " ".join((*GIMP, *DESKTOP))
        install = f"apt-get update && apt-get install -y --no-install-recommends {packages} && apt-get clean"
        console.run(inside(part, ["sh", "-c", install]), debian)
    (part / STAMP).write_text(_recipe(), encoding="ascii")
    part.rename(target)


def inside(root: Path, command: list[str], share: tuple[Path, ...] = ()) -> list[str]:
    """Return the command that runs `command` in the Debian at `root`.

    The folders in `share` have the same absolute paths there. All mounts belong to a namespace of the command and end
    with its last process.
    """
    script = 'root=$1; shift; for name in proc sys dev; do mount --rbind /$name "$root/$name"; done\n'
    script += 'while [ "$1" != -- ]; do mkdir -p "$root$1"; mount --bind "$1" "$root$1"; shift; done; shift\n'
    script += 'exec chroot "$root" "$@"'
    shared = [str(folder.resolve()) for folder in share]
    return ["unshare", "--mount", "sh", "-ec", script, "sh", str(root), *shared, "--", *command]


def main() -> int:
    """Install GIMP and print the folder."""
    console = Console(sys.stdout)
    try:
        print(provision(console))
    except UnavailableError as error:
        print(f"{error}{console.log_hint()}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
