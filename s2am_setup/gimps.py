# SPDX-License-Identifier: GPL-3.0-or-later
"""Every GIMP of this person: packages, Flatpak, Snap, AppImage; Windows' installer and store; macOS's bundles."""

from __future__ import annotations

import plistlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from s2am_setup.facts import Facts

FLATPAK = "org.gimp.GIMP"
_STORE = "GIMP.43237F745459"
_PROGRAM = re.compile(r"gimp(?:-console)?(?:-(\d+)(?:\.(\d+))?)?(?:\.exe)?")

Version = tuple[int, ...]


@dataclass(frozen=True)
class Gimp:
    """One GIMP: how it came here ("Flatpak"), where it is, and in which folder it keeps its profiles.

    `console` starts it without a window; empty where that can't be done from outside.
    """

    kind: str
    where: Path
    version: Version
    config: Path
    console: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Name it for people."""
        return f"GIMP {'.'.join(map(str, self.version))} ({self.kind})"

    @property
    def is_usable(self) -> bool:
        """Whether it is a GIMP 3; 2.99, its preview, is not."""
        return self.version >= (3,)

    @property
    def profile(self) -> Path | None:
        """The folder of its profile, which it may yet have to make; None where its minor version isn't known."""
        return self.config / "{}.{}".format(*self.version) if len(self.version) > 1 else None


def find_gimps(facts: Facts) -> list[Gimp]:
    """Return every GIMP, each once, GIMP 2 too."""
    finders = {"win32": (_installed_on_windows, _from_store), "darwin": (_bundles, _ports)}
    found: dict[Path, Gimp] = {}
    for finder in finders.get(facts.system, (_packages, _flatpaks, _snaps, _appimages)):
        for gimp in finder(facts):
            found.setdefault(gimp.where.resolve(), gimp)
    return list(found.values())


def config_folder(facts: Facts) -> Path:
    """Return where a GIMP that isn't in a sandbox keeps its profiles."""
    if facts.system == "win32":
        return facts.folder("APPDATA", facts.home / "AppData/Roaming") / "GIMP"
    if facts.system == "darwin":
        return facts.home / "Library/Application Support/GIMP"
    return facts.folder("XDG_CONFIG_HOME", facts.home / ".config") / "GIMP"


def config_folders(facts: Facts) -> list[Path]:
    """Return every folder in which a GIMP may have left profiles, whether or not one is found now."""
    folders = [config_folder(facts)]
    if facts.system == "linux":
        folders += [facts.home / f".var/app/{FLATPAK}/config/GIMP", _snap_config(facts)]
    if facts.system == "win32":
        folders += [package / "LocalCache/Roaming/GIMP" for package in _store_packages(facts)]
    return folders


def parse_version(text: str) -> Version:
    """Return the first version in a text, without its third number: "version 3.0.4" is (3, 0)."""
    found = re.search(r"(\d+)\.(\d+)(?:\.\d+)?", text)
    return (int(found[1]), int(found[2])) if found else ()


def _said_version(facts: Facts, program: Path) -> Version:
    return parse_version(facts.answer([str(program), "--version"]) or "")


def _programs(facts: Facts, folder: Path, kind: str, named: Callable[[Path], Version]) -> Iterator[Gimp]:
    """The GIMPs whose programs lie in a folder; one has several (gimp, gimp-3, gimp-3.0, gimp-console …)."""
    programs: dict[Version, list[Path]] = {}
    for program in sorted(folder.glob("gimp*")) if folder.is_dir() else []:
        if _PROGRAM.fullmatch(program.name) and (version := named(program)):
            programs.setdefault(version, []).append(program)
    for version, paths in programs.items():
        console = next((path for path in paths if "console" in path.name), None)
        where = next((path for path in paths if "console" not in path.name), paths[0])
        yield Gimp(kind, where, version, config_folder(facts), (str(console),) if console else ())


def _packages(facts: Facts) -> Iterator[Gimp]:
    system = [facts.at(folder) for folder in ("/usr/bin", "/usr/local/bin", "/opt/gimp/bin")]
    for folder in [*system, facts.home / ".local/bin"]:
        yield from _programs(facts, folder, "package", partial(_said_version, facts))


def _flatpaks(facts: Facts) -> Iterator[Gimp]:
    user = facts.folder("XDG_DATA_HOME", facts.home / ".local/share") / "flatpak"
    for base in (facts.at("/var/lib/flatpak"), user):
        where = base / "app" / FLATPAK
        if where.is_dir():
            console = ("flatpak", "run", "--command=gimp-console", FLATPAK)
            version = parse_version(_line(facts.answer(["flatpak", "info", FLATPAK]) or "", "Version"))
            config = facts.home / f".var/app/{FLATPAK}/config/GIMP"
            yield Gimp("Flatpak", where, version or _newest_profile(config) or (3,), config, console)


def _snaps(facts: Facts) -> Iterator[Gimp]:
    where = facts.at("/snap/gimp/current")
    try:
        told = (where / "meta/snap.yaml").read_text(encoding="utf-8")
    except OSError:
        return
    yield Gimp("Snap", where, parse_version(_line(told, "version")) or (3,), _snap_config(facts))


def _snap_config(facts: Facts) -> Path:
    # “current” leads to the folder of the revision, which snapd copies when it updates GIMP.
    return facts.home / "snap/gimp/current/.config/GIMP"


def _appimages(facts: Facts) -> Iterator[Gimp]:
    folders = [facts.home / name for name in ("Applications", "Apps", "bin", ".local/bin", "Downloads", "Desktop")]
    for folder in [facts.home, *folders, facts.at("/opt")]:
        for file in sorted(folder.glob("*.[Aa]pp[Ii]mage")) if folder.is_dir() else []:
            if file.name.lower().startswith("gimp") and (version := parse_version(file.name)):
                yield Gimp("AppImage", file, version, config_folder(facts))


def _installed_on_windows(facts: Facts) -> Iterator[Gimp]:
    local = facts.folder("LOCALAPPDATA", facts.home / "AppData/Local")
    bases = [facts.folder(name, facts.at("/Program Files")) for name in ("ProgramFiles", "ProgramW6432")]
    for base in dict.fromkeys([*bases, local / "Programs"]):
        for folder in sorted(base.glob("GIMP*/bin")):
            yield from _programs(facts, folder, "installer", partial(_named_version, facts))


def _named_version(facts: Facts, program: Path) -> Version:
    """The version in a program's name; a window's program on Windows would not answer, its console does."""
    found = _PROGRAM.fullmatch(program.name)
    if found and found[2]:
        return (int(found[1]), int(found[2]))
    consoles = sorted(program.parent.glob("gimp-console*.exe"))
    named = [match for each in consoles if (match := _PROGRAM.fullmatch(each.name)) and match[2]]
    if named:
        return (int(named[0][1]), int(named[0][2]))
    said = [version for each in consoles if (version := _said_version(facts, each))]
    return said[0] if said else (int(found[1]),) if found and found[1] else ()


def _store_packages(facts: Facts) -> list[Path]:
    local = facts.folder("LOCALAPPDATA", facts.home / "AppData/Local")
    return sorted((local / "Packages").glob(f"{_STORE}_*"))


def _from_store(facts: Facts) -> Iterator[Gimp]:
    """What comes from the store sees %APPDATA% and, in front of it, a folder of its own where that has been made."""
    for package in _store_packages(facts):
        own = package / "LocalCache/Roaming/GIMP"
        config = own if own.is_dir() else config_folder(facts)
        yield Gimp("Microsoft Store", package, _newest_profile(config) or (3,), config)


def _bundles(facts: Facts) -> Iterator[Gimp]:
    casks = [facts.at(place) for place in ("/opt/homebrew/Caskroom/gimp", "/usr/local/Caskroom/gimp")]
    kind = "Homebrew" if any(cask.is_dir() for cask in casks) else "app"
    for folder in (facts.at("/Applications"), facts.home / "Applications"):
        for bundle in sorted(folder.glob("GIMP*.app")):
            try:
                info = plistlib.loads((bundle / "Contents/Info.plist").read_bytes())
            except (OSError, plistlib.InvalidFileException):
                continue
            console = bundle / "Contents/MacOS/gimp-console"
            yield Gimp(
                kind,
                bundle,
                parse_version(str(info.get("CFBundleShortVersionString", ""))) or (3,),
                config_folder(facts),
                (str(console),) if console.exists() else (),
            )


def _ports(facts: Facts) -> Iterator[Gimp]:
    yield from _programs(facts, facts.at("/opt/local/bin"), "MacPorts", partial(_said_version, facts))


def _line(text: str, name: str) -> str:
    """What stands behind “name:” in a text of such lines."""
    found = re.search(rf"^\s*{name}:\s*(.*)$", text, flags=re.MULTILINE | re.IGNORECASE)
    return found[1].strip("'\" ") if found else ""


def _newest_profile(config: Path) -> Version:
    versions = [parse_version(folder.name) for folder in config.glob("[0-9]*.[0-9]*") if folder.is_dir()]
    return max(versions, default=())
