# SPDX-License-Identifier: GPL-3.0-or-later
"""Install each GIMP 3 that the tests run in, in a separate folder: `python -m tests.gimp.provision` (about 10 minutes).

For each of `HOSTS`, a Debian with that GIMP, a virtual screen and a window manager is kept in the user's cache folder,
or that of the variable S2AM_GIMP. Creating it and running it need chroot and mount: root has them, and other users in a
user namespace, for which Debian and Ubuntu have the packages uidmap and mmdebstrap.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from s2am_setup.console import CommandError, Console
from tests.namespace import missing_rights, own_mounts

GIMP = ("gimp",)
# A display, a bus, a window manager and a tool that sends keys and clicks; ImageMagick takes screenshots.
DESKTOP = ("xvfb", "dbus-x11", "openbox", "xdotool", "imagemagick", "fonts-dejavu-core", "adwaita-icon-theme")
STAMP = "s2am-gimp"
HOST_ROOT = "/mnt"
"""Where the host's files are inside the Debian."""
_ANY_AGE = "Acquire::Check-Valid-Until"  # a mirror may be older than the week for which the list of “sid” is valid
ROOM = 3 * 2**30
"""Free bytes that the installation needs; 1.3 GB remain used."""


class UnavailableError(Exception):
    """GIMP 3 cannot be installed here; the message is the reason."""


@dataclass(frozen=True)
class Host:
    """A GIMP that the tests run in.

    version: of GIMP, major and minor.
    suite: the release of Debian that has it.
    """

    version: str
    suite: str

    @property
    def folder(self) -> Path:
        """The folder for the Debian with this GIMP."""
        given = os.environ.get("S2AM_GIMP")
        return (Path(given) if given else platformdirs.user_cache_path("s2am-tests")) / f"gimp{self.version}"

    @property
    def recipe(self) -> str:
        """Checksum of the inputs from which the folder is made."""
        return hashlib.sha256(repr((self.suite, GIMP, DESKTOP)).encode()).hexdigest()

    @property
    def is_current(self) -> bool:
        """True if the folder is complete and up to date."""
        stamp = self.folder / STAMP
        return stamp.is_file() and stamp.read_text(encoding="ascii") == self.recipe


HOSTS = (Host("3.0", "trixie"), Host("3.2", "sid"))


def provision(host: Host, console: Console) -> Path:
    """Return the folder of a Debian with a GIMP, after installing it if it is missing or outdated.

    Raises:
        UnavailableError: not Linux, neither root nor user namespaces, no debootstrap, no network …
    """
    if sys.platform != "linux":
        raise UnavailableError("driving a real GIMP 3 needs Linux")
    if lacks := missing_rights():
        raise UnavailableError(f"driving a real GIMP 3 needs root, or {lacks}")
    target = host.folder
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(f"{target.name}.lock")):
        if not host.is_current:
            try:
                _make(host, console)
            except (CommandError, OSError) as error:
                raise UnavailableError(f"GIMP {host.version} could not be installed in {target}: {error}") from error
    return target


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that ends with its process."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(host: Host, console: Console) -> None:
    target = host.folder
    part = target.with_name(f"{target.name}.part")
    if shutil.disk_usage(target.parent).free < ROOM:
        raise UnavailableError(f"{target.parent} has less than {ROOM / 2**30:.0f} GB free: set S2AM_GIMP elsewhere")
    console.open_log(target.with_name(f"{target.name}.log"))
    for old in (part, target):
        console.run([*own_mounts(), "rm", "-rf", str(old)])
    debian = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "TMPDIR": "/tmp"}
    make = _make_as_root if os.geteuid() == 0 else _make_in_namespace
    make(host, part, console, debian)
    console.run(inside(part, ["sh", "-c", f"gimp-console --version | grep -F ' {host.version}.'"]), debian)
    (part / STAMP).write_text(host.recipe, encoding="ascii")
    part.rename(target)


def _make_as_root(host: Host, part: Path, console: Console, debian: Mapping[str, str]) -> None:
    if not shutil.which("debootstrap"):
        if not shutil.which("apt-get"):
            raise UnavailableError("making a Debian with GIMP 3 needs debootstrap: install it")
        with console.step("Installing debootstrap"):
            console.run(["apt-get", "update"], debian)
            console.run(["apt-get", "install", "-y", "--no-install-recommends", "debootstrap"], debian)
    with console.step(f"Making a small Debian ({host.suite}) to test with (about 2 minutes)"):
        console.run([*own_mounts(), "debootstrap", "--variant=minbase", host.suite, str(part)], debian)
    with console.step(f"Installing GIMP {host.version} in it (about 2 minutes)"):
        packages = " ".join((*GIMP, *DESKTOP))
        update = f"apt-get update -o {_ANY_AGE}=false"
        install = f"{update} && apt-get install -y --no-install-recommends {packages} && apt-get clean"
        console.run(inside(part, ["sh", "-c", install]), debian)


def _make_in_namespace(host: Host, part: Path, console: Console, debian: Mapping[str, str]) -> None:
    packed = part.with_suffix(".tar")
    included = ["--variant=minbase", "--skip=output/dev", f"--include={','.join((*GIMP, *DESKTOP))}"]
    with console.step(f"Making a small Debian ({host.suite}) with GIMP {host.version} (about 3 minutes)"):
        console.run(["mmdebstrap", *included, f'--aptopt={_ANY_AGE} "false"', host.suite, str(packed)], debian)
    # mmdebstrap's own folder would belong to users whom this user's namespace does not have.
    with console.step("Unpacking it"):
        (part / "dev").mkdir(parents=True)
        console.run([*own_mounts(), "tar", "-C", str(part), "-xf", str(packed)])
        packed.unlink()


def inside(root: Path, command: list[str], share: tuple[Path, ...] = ()) -> list[str]:
    """Return the command that runs `command` in the Debian at `root`.

    The folders in `share` have the same absolute paths there, and all files of the host are in `HOST_ROOT`. All mounts
    belong to a namespace of the command and end with its last process.
    """
    script = f'root=$1; shift; mount --rbind / "$root{HOST_ROOT}"\n'
    script += 'for name in proc sys dev; do mount --rbind /$name "$root/$name"; done\n'
    script += 'while [ "$1" != -- ]; do mkdir -p "$root$1"; mount --bind "$1" "$root$1"; shift; done; shift\n'
    script += 'exec chroot "$root" "$@"'
    shared = [str(folder.resolve()) for folder in share]
    return [*own_mounts(), "sh", "-ec", script, "sh", str(root), *shared, "--", *command]


def main() -> int:
    """Install every GIMP and print the folders."""
    console = Console(sys.stdout)
    try:
        for host in HOSTS:
            print(provision(host, console))
    except UnavailableError as error:
        print(f"{error}{console.log_hint()}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
