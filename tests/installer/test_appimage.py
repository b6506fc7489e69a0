# SPDX-License-Identifier: GPL-3.0-or-later
"""The AppDir's start files; building it needs a relocatable Python and is done by the release workflow."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from installer import appimage
from s2am_common.errors import InstallError
from s2am_setup.console import Console
from s2am_setup.installation import find_installation
from s2am_setup.python_environment import Environment
from tests.installer import machines

pytestmark = pytest.mark.skipif(os.name != "posix", reason="AppImages are for Linux")


@pytest.fixture
def appdir(tmp_path: Path) -> Path:
    """An AppDir whose Python prints its arguments."""
    folder = tmp_path / "s2am äöü.AppDir"
    python = folder / "usr/bin/python3"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@"\necho "$APPIMAGE" >> "$HOME/appimage"\n', encoding="utf-8")
    python.chmod(0o755)
    appimage.write_start_files(folder)
    return folder


def run(appdir: Path, *words: str, **environ: str) -> str:
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(appdir.parent)} | environ
    return subprocess.run([appdir / "AppRun", *words], env=variables, capture_output=True, text=True, check=True).stdout


def test_apprun_with_arguments_is_the_command(appdir: Path) -> None:
    assert run(appdir, "models", "--json") == "-I -m s2am_setup.entry models --json\n"
    assert (appdir.parent / "appimage").read_text(encoding="utf-8") == f"{appdir}/AppRun\n"


def test_apprun_without_arguments_or_with_a_file_opens_the_editor(appdir: Path) -> None:
    (appdir / "usr/bin/python3").write_text('#!/bin/sh\necho "$@" > "$HOME/started"\n', encoding="utf-8")
    image = appdir.parent / "a b.png"
    image.touch()
    for words in ([], [str(image)]):
        run(appdir, *words)
        started = (appdir.parent / "started").read_text(encoding="utf-8")
        assert started.split(" edit")[0] == "-I -m s2am_setup.entry"
        assert started.strip().endswith(" ".join(["edit", *words]))


def test_apprun_prints_why_the_editor_does_not_open_if_no_dialog_does(appdir: Path) -> None:
    script = "#!/bin/sh\necho 'error: There is no display.' >&2\nexit 3\n"
    (appdir / "usr/bin/python3").write_text(script, encoding="utf-8")
    done = subprocess.run([appdir / "AppRun"], env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (3, b"There is no display.\n")


def test_apprun_without_fuse_survives_the_end_of_another_start(appdir: Path) -> None:
    """All starts unpack to the same folder, and the runtime of the one that ends first removes it."""
    shared = appdir.rename(appdir.with_name("appimage_extracted_0f"))
    script = '#!/bin/sh\nrm -r "$HOME/appimage_extracted_0f"\ncat "$(dirname "$0")/../../s2am.desktop"\nexit 3\n'
    (shared / "usr/bin/python3").write_text(script, encoding="utf-8")
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(shared.parent)}
    done = subprocess.run([shared / "AppRun", "models"], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.startswith("[Desktop Entry]")
    assert list(shared.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("inside", "serve"),
    [
        ("/tmp/.mount_s2am.AbCdEf", ["/home/me/s2am.AppImage", "serve"]),
        ("/tmp/appimage_extracted_0f", ["/home/me/s2am.AppImage", "--appimage-extract-and-run", "serve"]),
    ],
)
def test_gimp_starts_the_appimage_as_it_was_started(inside: str, serve: list[str], tmp_path: Path) -> None:
    """Without FUSE it cannot be mounted from GIMP, either."""
    platform = machines.linux(tmp_path).platform
    environ = {"APPIMAGE": "/home/me/s2am.AppImage", "APPDIR": inside}
    assert find_installation(replace(platform, environ=environ), tmp_path, "").serve == serve


def test_pack_puts_the_image_behind_the_runtime(appdir: Path, tmp_path: Path) -> None:
    if not shutil.which("mksquashfs"):
        pytest.skip("packing needs mksquashfs, of the package squashfs-tools")
    runtime, target = tmp_path / "runtime", tmp_path / "s2am.AppImage"
    runtime.write_bytes(b"the runtime")
    appimage.pack(appdir, runtime, target, Console(io.StringIO()))
    content = target.read_bytes()
    assert content.startswith(b"the runtimehsqs"), "the magic number of SquashFS"
    assert os.access(target, os.X_OK)
    assert {path.name for path in tmp_path.iterdir()} == {appdir.name, "runtime", "s2am.AppImage"}


def test_pack_without_mksquashfs_names_its_package(
    appdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InstallError, match="install the package squashfs-tools"):
        appimage.pack(appdir, tmp_path / "runtime", tmp_path / "s2am.AppImage", Console(io.StringIO()))


def test_leave_out_unused_keeps_qt_modules_of_the_editor(tmp_path: Path) -> None:
    packages = tmp_path / "lib/python3.12/site-packages"
    kept = ["PyQt6/QtWidgets.abi3.so", "PyQt6/Qt6/plugins/platforms/libqxcb.so", "PyQt6/Qt6/translations/qtbase_de.qm"]
    kept += [
        "numpy/core.py",
        "onnxruntime/capi/onnxruntime_pybind11_state.so",
        "PyQt6/Qt6/plugins/iconengines/libqsvg.so",
    ]
    kept += ["skimage/__init__.py", "skimage/data/astronaut.png", "skimage/data/rocket.jpg"]  # the sample
    gone = [
        "PyQt6/QtSql.abi3.so",
        "PyQt6/Qt6/plugins/sqldrivers/libqsqlite.so",
        "PyQt6/Qt6/plugins/platforms/libqvnc.so",
    ]
    gone += ["PyQt6/Qt6/translations/qtbase_fr.qm", "PyQt6/Qt6/plugins/imageformats/libqpdf.so", "setuptools/glob.py"]
    gone += ["skimage/draw/draw.py", "skimage/_shared/utils.py", "skimage/data/brick.png", "skimage/data/retina.jpg"]
    gone += ["PyQt6/Qt6/lib/libQt6Sql.so.6", "numpy/_core/tests/test_array.py", "onnxruntime/tools/check.py"]
    for name in [*kept, *gone]:
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).touch()
    appimage.leave_out_unused(Environment(tmp_path))
    left = {path.relative_to(packages).as_posix() for path in packages.rglob("*") if path.is_file()}
    assert left == set(kept)


def test_appdir_has_desktop_entry_and_icon(appdir: Path) -> None:
    entry = (appdir / "s2am.desktop").read_text(encoding="utf-8")
    assert "Exec=AppRun %F" in entry
    assert (appdir / "s2am.svg").is_file()
