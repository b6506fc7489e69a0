# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks before the editor starts, because Qt ends the process with a text of its own if a library or display lacks.

`python -m s2am_editor.start` is the check of the installer and of the doctor: it opens the editor's window where nobody
sees it, and prints what is missing.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from s2am_common import system_libraries
from s2am_common.errors import EngineError

_PLATFORM = "QT_QPA_PLATFORM"
_PLUGINS = "Qt6/plugins/platforms"
_MODULES = ("QtCore", "QtGui", "QtWidgets")
_ADVICE = "run “s2am doctor --fix”, which fetches them without administrator rights where possible, or"


def qt_folder() -> Path:
    """Return the folder of PyQt6.

    Raises:
        EngineError: it is not installed.
    """
    found = importlib.util.find_spec("PyQt6")
    if found is None or not found.submodule_search_locations:
        raise EngineError(
            "The editor's library PyQt6 is not installed: run “s2am install editor”.",
            code="editor.qt",
        )
    return Path(found.submodule_search_locations[0])


def qt_files(platforms: tuple[str, ...] = ("xcb",)) -> list[Path]:
    """Return the libraries of Qt that the editor loads, with the plug-ins of some platforms (“xcb”, “wayland”)."""
    folder = qt_folder()
    plugins = [file for name in platforms for file in sorted((folder / _PLUGINS).glob(f"libq{name}*.so"))]
    modules = [file for name in _MODULES for file in folder.glob(f"{name}.*so")]
    return [*modules, *plugins]


def check_start(environ: Mapping[str, str] | None = None) -> None:
    """Check that the editor's window can be shown here; load the libraries that were fetched for it.

    Args:
        environ: environment variables; None = `os.environ`.

    Raises:
        EngineError: a library is missing (all are named, with the command that installs them), or there is no display.
    """
    environ = os.environ if environ is None else environ
    folder = qt_folder()
    if sys.platform != "linux":
        return
    fetched = system_libraries.fetched_libraries()
    system_libraries.preload(fetched)
    try:
        import PyQt6.QtWidgets  # noqa: F401
    except ImportError as error:
        _refuse_missing(("xcb",))
        raise EngineError(f"The editor cannot start ({error}): run “s2am doctor --fix”.", code="editor.qt") from error
    chosen = _chosen_platforms(environ, folder)
    reachable = tuple(name for name in chosen if name not in _CONNECT or _CONNECT[name](environ))
    if not reachable:
        raise EngineError(_no_display(environ), code="editor.display")
    plugins = [folder / _PLUGINS / f"libq{name}.so" for name in reachable]
    if not any(system_libraries.is_loadable(plugin) for plugin in plugins):
        _refuse_missing(reachable)


def _refuse_missing(platforms: tuple[str, ...]) -> None:
    missing = system_libraries.find_missing(qt_files(platforms), system_libraries.fetched_libraries())
    if missing:
        raise EngineError(
            f"The editor needs libraries that this system lacks ({', '.join(missing)}): {_ADVICE} "
            f"{system_libraries.describe_missing(missing)}.",
            code="editor.libraries",
        )


def _chosen_platforms(environ: Mapping[str, str], folder: Path) -> list[str]:
    """Return the names of the platform plug-ins that Qt tries.

    Raises:
        EngineError: QT_QPA_PLATFORM names only unknown ones.
    """
    given = environ.get(_PLATFORM, "")
    if not given:
        return ["wayland", "xcb"]
    present = {file.stem.removeprefix("libq") for file in (folder / "Qt6/plugins/platforms").glob("libq*.so")}
    names = [name.partition(":")[0] for name in given.split(";")]
    known = [name for name in names if name in present]
    if not known:
        raise EngineError(
            f"QT_QPA_PLATFORM is set to “{given}”, which Qt does not have here: unset it, or set it to one of "
            f"{', '.join(sorted(present))}.",
            code="editor.display",
        )
    return known


def _no_display(environ: Mapping[str, str]) -> str:
    named = [f"{name}={environ[name]}" for name in ("WAYLAND_DISPLAY", "DISPLAY") if environ.get(name)]
    if named:
        return f"The editor cannot reach the display ({', '.join(named)}): start it in your own desktop session."
    return "The editor needs a graphical desktop, and there is no display here: start it in a desktop session."


def _x11_answers(environ: Mapping[str, str]) -> bool:
    """Return whether the X server of DISPLAY accepts this user."""
    if not environ.get("DISPLAY"):
        return False
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return True  # reported as a missing library
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(environ["DISPLAY"].encode(), None))
    failed = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    return not failed


def _wayland_answers(environ: Mapping[str, str]) -> bool:
    """Return whether the Wayland compositor of WAYLAND_DISPLAY accepts connections."""
    name = environ.get("WAYLAND_DISPLAY")
    if not name:
        return False
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(Path(environ.get("XDG_RUNTIME_DIR", "/")) / name))
    except OSError:
        return False
    return True


_CONNECT = {"xcb": _x11_answers, "wayland": _wayland_answers}


def open_unseen_window() -> None:
    """Open the editor's main window on Qt's platform “offscreen”, with settings and caches of its own.

    Raises:
        EngineError: a library is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        own = dict.fromkeys(("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), folder)
        os.environ.update({_PLATFORM: "offscreen"} | own)
        check_start()
        from s2am_editor.app import make_application
        from s2am_editor.window.editor_settings import EditorSettings
        from s2am_editor.window.main_window import MainWindow

        application = make_application()
        window = MainWindow(EditorSettings(Path(folder) / "editor.ini"))
        window.show()
        application.processEvents()
        window.close()


def main(platform: str = "xcb") -> int:
    """Print a JSON object: the missing libraries, and the error that prevents the window from opening ("" = none).

    Args:
        platform: Qt's platform plug-in whose libraries are checked.
    """
    system_libraries.preload(system_libraries.fetched_libraries())
    missing: list[str] = []
    error = ""
    try:
        if sys.platform == "linux":
            missing = system_libraries.find_missing(qt_files((platform,)), system_libraries.fetched_libraries())
        if not missing:
            open_unseen_window()
    except (EngineError, ImportError) as problem:
        error = str(problem)
    print(
        json.dumps(
            {"missing": missing, "files": list(map(str, qt_files((platform,)))) if missing else [], "error": error}
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
