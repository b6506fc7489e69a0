# SPDX-License-Identifier: GPL-3.0-or-later
"""`s2am_common.paths` gives the folders of platformdirs; `s2am_common.locks` locks between processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest
from platformdirs.api import PlatformDirsABC
from platformdirs.macos import MacOS
from platformdirs.unix import Unix
from platformdirs.windows import Windows

from s2am_common.locks import ProcessLock, is_unlocked
from s2am_common.paths import APP_NAME, BRIDGE_FOLDER_VARIABLE, UserPaths, user_paths

VARIABLES = ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "HOST_XDG_DATA_HOME", "FLATPAK_ID")
HOME = Path("/home/zoë m")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder without any of the variables that move folders."""
    for variable in (*VARIABLES, BRIDGE_FOLDER_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    home = tmp_path / "zoë m"
    home.mkdir()
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(home))
    monkeypatch.setenv("LOCALAPPDATA", str(home / "AppData/Local"))
    return home


def folders(given: PlatformDirsABC) -> list[Path]:
    names = ("user_data_dir", "user_config_dir", "user_cache_dir", "user_state_dir", "user_log_dir")
    return [Path(getattr(given, name)) for name in names]


def own_folders(paths: UserPaths) -> list[Path]:
    return [paths.data, paths.config, paths.cache, paths.state, paths.logs]


@pytest.mark.parametrize(("system", "kind"), [("linux", Unix), ("darwin", MacOS), ("win32", Windows)])
def test_user_paths_equal_platformdirs(
    system: str, kind: type[PlatformDirsABC], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if system == "win32" and sys.platform != "win32":
        local = str(home / "AppData/Local")
        monkeypatch.setattr("platformdirs.windows.get_win_folder", lambda name: local)
    assert own_folders(user_paths(system)) == folders(kind(APP_NAME, appauthor=False))


def test_user_paths_of_this_system_equal_platformdirs(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES if sys.platform == "darwin" else ():
        monkeypatch.delenv(variable, raising=False)
    assert own_folders(user_paths()) == folders(platformdirs.PlatformDirs(APP_NAME, appauthor=False))


@pytest.mark.parametrize("variable", VARIABLES[:4])
@pytest.mark.parametrize("value", ["/big disk", "relative"])
def test_user_paths_follow_xdg_variables_as_platformdirs(
    variable: str, value: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert own_folders(user_paths("linux")) == folders(Unix(APP_NAME, appauthor=False))


@pytest.mark.parametrize(
    ("system", "environ", "expected"),
    [
        ("linux", {}, HOME / ".local/share/s2am/bridge"),
        ("linux", {"XDG_DATA_HOME": "/big/data"}, Path("/big/data/s2am/bridge")),
        ("linux", {"XDG_DATA_HOME": "relative"}, HOME / ".local/share/s2am/bridge"),
        # Inside a Flatpak sandbox XDG_DATA_HOME is the sandbox's own folder.
        ("linux", {"FLATPAK_ID": "org.gimp.GIMP", "XDG_DATA_HOME": "/var/app"}, HOME / ".local/share/s2am/bridge"),
        ("linux", {"FLATPAK_ID": "org.gimp.GIMP", "HOST_XDG_DATA_HOME": "/big"}, Path("/big/s2am/bridge")),
        ("darwin", {"XDG_DATA_HOME": "/of/a/shell"}, HOME / "Library/Application Support/s2am/bridge"),
        ("win32", {"LOCALAPPDATA": "/c/Local"}, Path("/c/Local/s2am/bridge")),
        ("win32", {}, HOME / "AppData/Local/s2am/bridge"),
        ("linux", {BRIDGE_FOLDER_VARIABLE: "/short"}, Path("/short")),
    ],
)
def test_bridge_folder_is_the_same_for_plugin_and_engine(system: str, environ: dict[str, str], expected: Path) -> None:
    assert user_paths(system, environ, HOME).bridge == expected


def test_process_lock_is_held_by_one_process_and_released_when_it_ends(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    code = f"""
import sys, pathlib
from s2am_common.locks import ProcessLock
lock = ProcessLock(pathlib.Path({str(file)!r}))
print(lock.acquire(), flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert not ProcessLock(file).acquire()
        assert not is_unlocked(file, timeout=0.05)
        other.kill()
        other.wait()
    assert is_unlocked(file, timeout=5)
    lock = ProcessLock(file)
    assert lock.acquire()
    lock.release()
    assert is_unlocked(file)
