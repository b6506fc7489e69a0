# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m installer.appimage WHEEL`: the program as one file for Linux, with Python and the libraries of Qt inside.

The AppDir is a relocatable Python with the program's packages, which run the bundled models on ONNX Runtime; PyTorch is
left out. The system's libraries that Qt needs are copied too, and loaded only where the system lacks them.
`mksquashfs` packs the folder, and the runtime of AppImages (`--runtime`), which mounts it, comes before it in the file.
Without a runtime the AppDir remains, whose AppRun is the same program.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from platform import machine

from s2am_common import system_libraries
from s2am_common.errors import InstallError, S2AMError
from s2am_common.translation import CATALOGS
from s2am_setup.console import Console
from s2am_setup.desktop import desktop_entry, start_and_report
from s2am_setup.gimp_plugin import delete
from s2am_setup.packages import PackageSources, install_project, install_sample_photographs
from s2am_setup.python_environment import Environment, clean_environ
from s2am_setup.start_check import start_editor

PYTHON = "3.12"
"""The Python inside."""

_UNUSED = (
    *("*/tests", "*/*/tests", "*/*/*/tests", "pip", "pip-*", "setuptools*", "pkg_resources", "cv2/data", "cv2/utils"),
    *("numpy/distutils", "numpy/f2py", "skimage/[!_d]*", "skimage/_[!_]*", "skimage/draw"),
    *("skimage/data/[!ar]*", "skimage/data/retina.jpg"),
    *(f"onnxruntime/{name}" for name in ("tools", "transformers", "quantization", "capi/libonnxruntime.so*")),
    *(f"PyQt6/{name}" for name in ("bindings", "uic", "lupdate", "Qt6/qml", "Qt6/qsci")),
)
"""Parts of the packages that the program does not load."""

_QT_MODULES = ("QtCore", "QtGui", "QtWidgets", "QtSvg", "QtDBus")
"""The modules of PyQt6 that the editor imports, and the one behind the desktop's own dialogs."""

_QT_PLUGINS = (
    *(
        "iconengines/*",
        "imageformats/libq[!pmtw]*",
        "platforminputcontexts/*",
        "platformthemes/*",
        "wayland*/*",
        "xcb*/*",
    ),
    *(f"platforms/libq{name}*" for name in ("xcb", "wayland", "offscreen")),
)
"""Its plug-ins, by folder and file: no images that the program decodes itself, no platforms without a desktop."""

_ICONS = Path(__file__).resolve().parent.parent / "s2am_setup/icons"
_RUN = """\
#!/bin/sh
# Without arguments, opens the editor; else it is the command s2am.
here=$(dirname "$(readlink -f "$0")")
# Without FUSE all starts share one unpacked folder, which each removes at its end: each runs in hard links of its own.
case $here in */appimage_extracted_*)
    own=$(mktemp -d "${{here%/*}}/s2am-XXXXXX") && cp -al "$here/." "$own" || exit 1
    trap : HUP INT TERM  # for the program, whose end is awaited
    "$own/AppRun" "$@"
    code=$?
    rm -rf "$own"
    exit $code ;;
esac
export LD_LIBRARY_PATH="$here/usr/lib${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"
export APPIMAGE="${{APPIMAGE:-$here/AppRun}}"
# Starts from inside need not remove the shared folder.
export NO_CLEANUP=1
if [ $# -gt 0 ] && [ ! -f "$1" ]; then exec "$here/usr/bin/python3" -I -m s2am_setup.entry "$@"; fi
{editor}"""


def build_appdir(folder: Path, wheel: Path, prefix: Path, sources: PackageSources, console: Console) -> None:
    """Write an AppDir, replacing a previous one.

    Args:
        folder: the AppDir.
        wheel: the program's wheel.
        prefix: folder of a relocatable Python, which is copied.
        sources: sources of the packages.
        console: runs the commands.

    Raises:
        InstallError: something cannot be installed, or the editor does not start from the AppDir.
    """
    shutil.rmtree(folder, ignore_errors=True)
    unneeded = shutil.ignore_patterns(
        *("__pycache__", "site-packages", "test", "idlelib", "lib2to3", "tkinter", "turtledemo", "config-3*"),
        *("*.a", "include", "share", "pkgconfig"),
    )
    with console.step("Copying Python"):
        shutil.copytree(prefix, folder / "usr", symlinks=True, ignore=unneeded)
    # A shared libpython is found by the path of the Python that was copied, unless this names its folder.
    os.environ["LD_LIBRARY_PATH"] = str(folder / "usr/lib")
    new = Environment(folder / "usr")
    console.run([str(new.python), "-I", "-m", "ensurepip"], clean_environ())
    with console.step("Installing s2am and its libraries"):
        install_project(new, f"{wheel}[editor]", "", sources, console)
        install_sample_photographs(new, sources, console)
    with console.step("Leaving out what is not needed"):
        leave_out_unused(new)
    with console.step("Copying the system's libraries that Qt needs"):
        copy_system_libraries(new)
    write_start_files(folder)
    with console.step("Testing that it starts"):
        test_appdir(folder, console)


def leave_out_unused(environment: Environment) -> None:
    """Remove the parts of an environment's packages that the program does not load."""
    packages = environment.packages
    for path in [path for pattern in _UNUSED for path in packages.glob(pattern)]:
        delete(path)
    qt = packages / "PyQt6"
    for module in qt.glob("Qt*.abi3.so"):
        if module.name.partition(".")[0] not in _QT_MODULES:
            module.unlink()
    for plugin in (qt / "Qt6/plugins").glob("*/*"):
        if not any(plugin.match(pattern) for pattern in _QT_PLUGINS):
            delete(plugin)
    languages = {f"qtbase_{catalog.stem}.qm" for catalog in CATALOGS.glob("*.po")}
    for text in (qt / "Qt6/translations").iterdir():
        if text.name not in languages:
            text.unlink()
    needed = set(system_libraries.find_needed([*qt.glob("*.so"), *(qt / "Qt6/plugins").rglob("*.so")]).values())
    for library in (qt / "Qt6/lib").iterdir():
        if library not in {path.resolve() for path in needed}:
            library.unlink()


def copy_system_libraries(environment: Environment) -> None:
    """Copy the system's libraries that Qt needs into an environment.

    Raises:
        InstallError: this system lacks one itself.
    """
    pyqt = environment.packages / "PyQt6"
    qt = [pyqt / f"{name}.abi3.so" for name in ("QtCore", "QtGui", "QtWidgets")]
    qt += [pyqt / f"Qt6/plugins/platforms/libq{name}.so" for name in ("xcb", "wayland")]
    if missing := system_libraries.find_missing(qt):
        raise InstallError(
            f"This system lacks {', '.join(missing)}: {system_libraries.describe_missing(missing)}, then try again."
        )
    target = system_libraries.fetched_libraries(environment.folder)
    target.mkdir()
    for name, path in system_libraries.find_needed(qt).items():
        if environment.folder not in path.parents:
            shutil.copy(path, target / name)


def write_start_files(folder: Path) -> None:
    """Write AppRun, the desktop entry and the icon of an AppDir."""
    run = folder / "AppRun"
    editor = start_and_report('"$here/usr/bin/python3" -I -m s2am_setup.entry edit')
    run.write_text(_RUN.format(editor=editor), encoding="utf-8")
    run.chmod(0o755)
    (folder / "s2am.desktop").write_bytes(desktop_entry("AppRun"))
    shutil.copy(_ICONS / "s2am.svg", folder / "s2am.svg")
    (folder / ".DirIcon").symlink_to("s2am.svg")  # for file managers


def test_appdir(folder: Path, console: Console) -> None:
    """Start the command, the engine with the sample, and the editor's window from an AppDir.

    Raises:
        InstallError: one does not start.
    """
    run = str(folder / "AppRun")
    environ = clean_environ()
    console.run([run, "--version"], environ)
    with tempfile.TemporaryDirectory() as temporary:
        console.run([run, "python", "-m", "s2am_engine.image.sample", temporary], environ)
    if fault := start_editor([run, "python"], partial(console.run, environ=environ)).fault:
        raise InstallError(f"From {folder}, {fault}.")


def pack(folder: Path, runtime: Path, target: Path, console: Console) -> None:
    """Pack an AppDir into an AppImage: the runtime, followed by a SquashFS image, which it finds by its own size.

    Raises:
        InstallError: mksquashfs is not installed, or failed.
    """
    tool = shutil.which("mksquashfs")
    if not tool:
        raise InstallError("AppImages are packed with mksquashfs: install the package squashfs-tools, then try again.")
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        image, new = Path(temporary) / "image", Path(temporary) / target.name
        # The runtime reads zlib and zstd. Large blocks compress better, and start no slower here.
        compression = ["-comp", "zstd", "-Xcompression-level", "19", "-b", "1M"]
        console.run([tool, str(folder), str(image), "-root-owned", "-noappend", "-no-progress", *compression])
        with new.open("wb") as file:
            for part in (runtime, image):
                with part.open("rb") as source:
                    shutil.copyfileobj(source, file)
        new.chmod(0o755)
        new.replace(target)


def relocatable_python(folder: Path, console: Console) -> Path:
    """Download a relocatable Python with uv, and return its folder.

    Raises:
        InstallError: uv is not installed, or the download failed.
    """
    uv = shutil.which("uv")
    if not uv:
        raise InstallError("A relocatable Python is downloaded with uv: install it (pip install uv), or give --python.")
    console.run([uv, "python", "install", "--install-dir", str(folder), PYTHON], clean_environ())
    return next(folder.glob(f"cpython-{PYTHON}*"))


def main() -> int:
    """Build the AppImage of a wheel."""
    parser = argparse.ArgumentParser(prog="python -m installer.appimage", description="Build an AppImage for Linux.")
    parser.add_argument("wheel", type=Path, metavar="WHEEL")
    parser.add_argument("-o", "--output", type=Path, default=Path("dist"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--python", type=Path, metavar="PREFIX", help="relocatable Python (default: downloaded by uv)")
    about = "the runtime of AppImages for this processor, from github.com/AppImage/type2-runtime"
    parser.add_argument("--runtime", type=Path, metavar="FILE", help=about)
    options = parser.parse_args()
    console = Console(sys.stdout)
    folder = options.output.resolve()
    try:
        console.open_log(folder / "appimage.log")
        prefix = options.python or relocatable_python(folder / "python", console)
        build_appdir(folder / "s2am.AppDir", options.wheel.resolve(), prefix.resolve(), PackageSources(), console)
        version = options.wheel.name.split("-")[1]
        target = folder / f"s2am-{version}-{machine()}.AppImage"
        if options.runtime:
            with console.step(f"Packing {target.name}"):
                pack(folder / "s2am.AppDir", options.runtime, target, console)
        else:
            console.say(f"{folder / 's2am.AppDir'} is not packed without --runtime.")
    except (S2AMError, OSError) as error:
        print(f"{error}{console.log_hint()}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
