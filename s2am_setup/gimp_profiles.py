# SPDX-License-Identifier: GPL-3.0-or-later
"""GIMP installations and their profiles (configuration folders): found and created.

Covered are distribution packages, Flatpak, Snap and AppImage on Linux, the installer and the Microsoft Store on
Windows, and bundles, Homebrew and MacPorts on macOS.
"""

from __future__ import annotations

import plistlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from s2am_common.errors import InstallError
from s2am_setup.manifest import Manifest
from s2am_setup.platform import Platform

FLATPAK_ID = "org.gimp.GIMP"

_STORE_PACKAGE = "GIMP.43237F745459"
_PROGRAM = re.compile(r"gimp(?:-console)?(?:-\d+(?:\.\d+)?)?")
GET_GIMP = "GIMP 3 is on Flathub: flatpak install flathub org.gimp.GIMP"
"""Where GIMP 3 comes from if the system's is too old."""

START_AND_QUIT = ("--no-interface", "--no-data", "--no-fonts", "--no-splash", "--quit")
"""Arguments that start a GIMP without a window and quit it, after its batch commands if there are any."""

Version = tuple[int, ...]


@dataclass(frozen=True)
class Gimp:
    """An installed GIMP.

    Attributes:
        kind: how it was installed, such as "Flatpak".
        path: its program, bundle or package.
        version: major and minor version; the minor one may be unknown.
        config: folder of its profiles.
        console: command that starts it without a window; empty if it cannot be started from outside.
    """

    kind: str
    path: Path
    version: Version
    config: Path
    console: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return name, version and kind."""
        return f"GIMP {'.'.join(map(str, self.version))} ({self.kind})"

    @property
    def is_supported(self) -> bool:
        """True for GIMP 3 and later, but not for its preview 2.99."""
        return self.version >= (3,)


@dataclass(frozen=True)
class GimpProfile:
    """A configuration folder of GIMP 3, and the installed GIMPs that use it (none if no program was found)."""

    folder: Path
    gimps: tuple[Gimp, ...] = ()

    def __str__(self) -> str:
        """Return the GIMPs and the folder."""
        readers = ", ".join(map(str, self.gimps)) or f"GIMP {self.folder.name} (program not found)"
        return f"{readers}: {self.folder}"

    @property
    def exists(self) -> bool:
        """True if GIMP has created it."""
        return self.folder.is_dir()


def find_gimp_profiles(platform: Platform, gimps: Sequence[Gimp] | None = None) -> list[GimpProfile]:
    """Return the profiles of GIMP 3: the existing ones, and those that the GIMPs found will create.

    Args:
        platform: the computer and user.
        gimps: the result of `find_gimps`, if it is known already.
    """
    supported = [gimp for gimp in (find_gimps(platform) if gimps is None else gimps) if gimp.is_supported]
    found: dict[Path, GimpProfile] = {}
    for config in dict.fromkeys([*(gimp.config for gimp in supported), *_config_folders(platform)]):
        found |= {each: GimpProfile(each) for each in _profiles(config) if _parse_version(each.name) >= (3,)}
    override = platform.environ.get("GIMP3_DIRECTORY")
    for gimp in supported:
        own = gimp.config / "{}.{}".format(*gimp.version) if len(gimp.version) > 1 else None
        if override and gimp.config == _config_folder(platform):
            own = platform.home / override  # an absolute path stays as it is
        if own:
            known = found.get(own, GimpProfile(own))
            found[own] = replace(known, gimps=(*known.gimps, gimp))
    return list(found.values())


def ensure_profile(profile: GimpProfile, platform: Platform, manifest: Manifest) -> None:
    """Create a profile that does not exist, by starting and quitting GIMP.

    GIMP takes over the settings of an older version only when it creates its profile itself. If it cannot be started
    from here and there are no older settings, an empty profile with a plug-in folder is created instead.

    Raises:
        InstallError: there are older settings, so a person must start GIMP first.
    """
    for gimp in profile.gimps:
        if gimp.console and not profile.exists:
            platform.run([*gimp.console, *START_AND_QUIT])
    if profile.exists:
        return
    if older := _profiles(profile.folder.parent):
        raise InstallError(
            f"start {profile.gimps[0]} once, which takes over the settings of {older[-1].name}, "
            "then run s2am doctor --fix"
        )
    manifest.make_folder(profile.folder / "plug-ins")


def find_gimps(platform: Platform) -> list[Gimp]:
    """Return all installed GIMPs, including unsupported versions, each once."""
    finders = {"win32": (_windows_programs, _store_apps), "darwin": (_bundles, _macports)}
    found: dict[Path, Gimp] = {}
    for finder in finders.get(platform.system, (_packages, _flatpaks, _snaps, _appimages)):
        for gimp in finder(platform):
            found.setdefault(gimp.path.resolve(), gimp)
    return list(found.values())


def _config_folder(platform: Platform) -> Path:
    """Return the folder of the profiles of a GIMP outside a sandbox."""
    if platform.system == "win32":
        return platform.folder("APPDATA", platform.home / "AppData/Roaming") / "GIMP"
    if platform.system == "darwin":
        return platform.home / "Library/Application Support/GIMP"
    return platform.folder("XDG_CONFIG_HOME", platform.home / ".config") / "GIMP"


def _config_folders(platform: Platform) -> list[Path]:
    """Return every folder that may contain profiles, whether or not a GIMP is installed now."""
    folders = [_config_folder(platform)]
    if platform.system == "linux":
        folders += [platform.home / f".var/app/{FLATPAK_ID}/config/GIMP", _snap_config(platform)]
    if platform.system == "win32":
        folders += [package / "LocalCache/Roaming/GIMP" for package in _store_packages(platform)]
    return folders


def _parse_version(text: str) -> Version:
    """Return major and minor version of the first version in a text: (3, 0) for "version 3.0.4"; () if none."""
    found = re.search(r"(\d+)\.(\d+)(?:\.\d+)?", text)
    return (int(found[1]), int(found[2])) if found else ()


def _programs(platform: Platform, folder: Path, kind: str) -> Iterator[Gimp]:
    """Yield the GIMPs in a folder; each has several programs (gimp, gimp-3, gimp-3.0, gimp-console …)."""
    programs: dict[Version, list[Path]] = {}
    for program in sorted(folder.glob("gimp*")) if folder.is_dir() else []:
        is_gimp = _PROGRAM.fullmatch(program.name)
        if is_gimp and (version := _parse_version(platform.run([str(program), "--version"]) or "")):
            programs.setdefault(version, []).append(program)
    for version, paths in programs.items():
        console = next((path for path in paths if "console" in path.name), None)
        path = next((path for path in paths if "console" not in path.name), paths[0])
        yield Gimp(kind, path, version, _config_folder(platform), (str(console),) if console else ())


def _packages(platform: Platform) -> Iterator[Gimp]:
    system = [platform.system_path(folder) for folder in ("/usr/bin", "/usr/local/bin", "/opt/gimp/bin")]
    for folder in [*system, platform.home / ".local/bin"]:
        yield from _programs(platform, folder, "package")


def _flatpaks(platform: Platform) -> Iterator[Gimp]:
    user = platform.folder("XDG_DATA_HOME", platform.home / ".local/share") / "flatpak"
    for base in (platform.system_path("/var/lib/flatpak"), user):
        path = base / "app" / FLATPAK_ID
        if path.is_dir():
            console = ("flatpak", "run", "--command=gimp-console", FLATPAK_ID)
            version = _parse_version(_field(platform.run(["flatpak", "info", FLATPAK_ID]) or "", "Version"))
            config = platform.home / f".var/app/{FLATPAK_ID}/config/GIMP"
            yield Gimp("Flatpak", path, version or _newest_profile(config) or (3,), config, console)


def _snaps(platform: Platform) -> Iterator[Gimp]:
    path = platform.system_path("/snap/gimp/current")
    try:
        description = (path / "meta/snap.yaml").read_text(encoding="utf-8")
    except OSError:
        return
    yield Gimp("Snap", path, _parse_version(_field(description, "version")) or (3,), _snap_config(platform))


def _snap_config(platform: Platform) -> Path:
    # “current” is a link to the folder of the revision, which snapd copies when it updates GIMP.
    return platform.home / "snap/gimp/current/.config/GIMP"


def _appimages(platform: Platform) -> Iterator[Gimp]:
    folders = [platform.home / name for name in ("Applications", "Apps", "bin", ".local/bin", "Downloads", "Desktop")]
    for folder in [platform.home, *folders, platform.system_path("/opt")]:
        for file in sorted(folder.glob("*.[Aa]pp[Ii]mage")) if folder.is_dir() else []:
            if file.name.lower().startswith("gimp") and (version := _parse_version(file.name)):
                yield Gimp("AppImage", file, version, _config_folder(platform))


def _windows_programs(platform: Platform) -> Iterator[Gimp]:
    local = platform.folder("LOCALAPPDATA", platform.home / "AppData/Local")
    program_files = platform.system_path("/Program Files")
    bases = [platform.folder(name, program_files) for name in ("ProgramFiles", "ProgramW6432")]
    for base in dict.fromkeys([*bases, local / "Programs"]):
        # A program with a window does not print its version there, but the console program's name contains it.
        for console in sorted(base.glob("GIMP*/bin/gimp-console-*.*.exe")):
            if version := _parse_version(console.name):
                yield Gimp("installer", console, version, _config_folder(platform), (str(console),))


def _store_packages(platform: Platform) -> list[Path]:
    local = platform.folder("LOCALAPPDATA", platform.home / "AppData/Local")
    return sorted((local / "Packages").glob(f"{_STORE_PACKAGE}_*"))


def _store_apps(platform: Platform) -> Iterator[Gimp]:
    """Yield apps of the Microsoft Store, whose private copy of %APPDATA% comes first if it exists."""
    for package in _store_packages(platform):
        own = package / "LocalCache/Roaming/GIMP"
        config = own if own.is_dir() else _config_folder(platform)
        yield Gimp("Microsoft Store", package, _newest_profile(config) or (3,), config)


def _bundles(platform: Platform) -> Iterator[Gimp]:
    casks = [platform.system_path(path) for path in ("/opt/homebrew/Caskroom/gimp", "/usr/local/Caskroom/gimp")]
    kind = "Homebrew" if any(cask.is_dir() for cask in casks) else "app"
    for folder in (platform.system_path("/Applications"), platform.home / "Applications"):
        for bundle in sorted(folder.glob("GIMP*.app")):
            try:
                info = plistlib.loads((bundle / "Contents/Info.plist").read_bytes())
            except (OSError, plistlib.InvalidFileException):
                continue
            version = _parse_version(str(info.get("CFBundleShortVersionString", "")))
            console = bundle / "Contents/MacOS/gimp-console"
            command = (str(console),) if console.exists() else ()
            yield Gimp(kind, bundle, version or (3,), _config_folder(platform), command)


def _macports(platform: Platform) -> Iterator[Gimp]:
    yield from _programs(platform, platform.system_path("/opt/local/bin"), "MacPorts")


def _field(text: str, name: str) -> str:
    """Return the value of “name: value” in a text of such lines."""
    found = re.search(rf"^\s*{name}:\s*(.*)$", text, flags=re.MULTILINE | re.IGNORECASE)
    return found[1].strip("'\" ") if found else ""


def _newest_profile(config: Path) -> Version:
    return max((_parse_version(folder.name) for folder in _profiles(config)), default=())


def _profiles(config: Path) -> list[Path]:
    return [folder for folder in sorted(config.glob("[0-9]*.[0-9]*")) if folder.is_dir()]
