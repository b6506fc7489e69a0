# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a release: the wheel, the sdist, and the zip with the plug-in."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gimp_bridge import CLIENT_FILES
from installer import release
from installer.install import IMPORT_TEST
from s2am_common.errors import InstallError
from tests.installer import fakes

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGES = {name: name for name in ("s2am_common", "s2am_engine", "gimp_bridge", "s2am_setup")}
PACKAGES["s2am_editor"] = "plugin/s2am_editor"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Build a release without a network."""
    return release.build_release(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def names(files: list[Path]) -> set[str]:
    """Return the names of the files in the wheel."""
    with zipfile.ZipFile(files[0]) as archive:
        return set(archive.namelist())


def test_wheel_has_only_our_import_names(names: set[str]) -> None:
    roots = {name.split("/")[0] for name in names}
    metadata = {root for root in roots if root.endswith(".dist-info")}
    assert len(metadata) == 1
    assert roots - metadata == set(PACKAGES)


def test_wheel_has_every_source_weight_card_and_icon(names: set[str]) -> None:
    kinds = {".py", ".safetensors", ".json", ".svg", ".png", ".ico", ".icns"}
    wanted = {
        f"{name}/{file.relative_to(CHECKOUT / package).as_posix()}"
        for name, package in PACKAGES.items()
        for file in (CHECKOUT / package).rglob("*")
        if file.suffix in kinds or file.name == "py.typed"
    }
    plugin = CHECKOUT / "plugin/harmonize-layer"
    wanted |= {f"s2am_setup/harmonize-layer/{file.relative_to(plugin).as_posix()}" for file in plugin.rglob("*.py")}
    assert "s2am_engine/py.typed" in wanted
    assert "s2am_setup/icons/s2am.svg" in wanted
    assert wanted <= names


def test_wheel_has_command_and_license(names: set[str]) -> None:
    assert any(name.endswith(".dist-info/entry_points.txt") for name in names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_wheel_from_sdist_has_same_files(files: list[Path], names: set[str], tmp_path: Path) -> None:
    with tarfile.open(files[1]) as archive:
        if hasattr(tarfile, "data_filter"):  # not yet in Debian 12's Python 3.11.2
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(tmp_path)
    (source,) = tmp_path.iterdir()
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "built")]
    subprocess.run(command, cwd=source, capture_output=True, check=True)
    (wheel,) = (tmp_path / "built").glob("*.whl")
    with zipfile.ZipFile(wheel) as again:
        assert set(again.namelist()) == names


def test_plugin_zip_is_folder_that_gimp_loads(files: list[Path]) -> None:
    with zipfile.ZipFile(files[2]) as archive:
        entry = archive.getinfo("harmonize-layer/harmonize-layer.py")
        assert entry.external_attr >> 16 & 0o111, "the executable bit"
        assert archive.read(entry).startswith(b"#!/usr/bin/env python3\n")
        inside = set(archive.namelist())
        assert {f"harmonize-layer/gimp_bridge/{name}" for name in CLIENT_FILES} <= inside
        assert "harmonize-layer/locale/de/LC_MESSAGES/harmonize-layer.mo" in inside
        assert json.loads(archive.read("harmonize-layer/engine.json"))["serve"] == ["s2am", "serve"]
        assert b"s2am doctor --fix" in archive.read("INSTALL.txt")


def test_release_checksums_match_files(files: list[Path]) -> None:
    lines = files[3].read_text(encoding="utf-8").splitlines()
    assert lines == [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}" for file in files[:3]]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"installer/__init__.py": b""}, "contains the import names installer"),
        ({"s2am_engine/models/weights/new.json": b"{}"}, "lacks s2am_engine/models/weights/new.safetensors"),
        (
            {
                "s2am_engine/models/weights/new.json": b'{"sha256": "0"}',
                "s2am_engine/models/weights/new.safetensors": b"torn",
            },
            "does not have the checksum of its model card",
        ),
    ],
)
def test_check_wheel_rejects_faulty_wheel(more: dict[str, bytes], says: str, files: list[Path], tmp_path: Path) -> None:
    wheel = tmp_path / files[0].name
    wheel.write_bytes(files[0].read_bytes())
    with zipfile.ZipFile(wheel, "a") as archive:
        for name, content in more.items():
            archive.writestr(name, content)
    with pytest.raises(InstallError, match=says):
        release.check_wheel(wheel)


def test_wheel_in_an_empty_environment_harmonizes_the_sample(tmp_path: Path) -> None:
    """Only the wheel of the program is installed; the libraries are those of the test environment without PyTorch."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = fakes.make_libraries(wheels)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "empty"], check=True)
    python = tmp_path / "empty/bin/python"
    install = ["--python", str(python), "install", "--find-links", str(wheels), str(wheel)]
    environ = fakes.clean_environ()
    subprocess.run([sys.executable, "-m", "pip", *install], env=environ, capture_output=True, check=True, cwd=tmp_path)
    code = "import s2am_engine, s2am_setup, gimp_bridge; print(s2am_engine.__file__)"
    where = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert where.startswith(str(tmp_path / "empty"))
    subprocess.run([python, "-c", IMPORT_TEST], check=True, cwd=tmp_path)
    subprocess.run([python, "-m", "s2am_engine.image.sample", tmp_path / "sample"], check=True, cwd=tmp_path)
    result = tmp_path / "result.png"
    words = ["harmonize", "layer.png", "--background", "background.png", "-o", str(result)]
    subprocess.run([tmp_path / "empty/bin/s2am", *words], check=True, cwd=tmp_path / "sample")
    alpha = np.asarray(Image.open(tmp_path / "sample/layer.png").convert("RGBA"))[..., 3]
    before = np.asarray(Image.open(tmp_path / "sample/background.png").convert("RGB"))
    after = np.asarray(Image.open(result).convert("RGB"))
    changed = np.any(before != after, axis=-1)
    assert 0 < changed.sum() <= (alpha > 0).sum()
    words = ["finetune", str(tmp_path / "sample"), "--name", "mine"]
    done = subprocess.run([tmp_path / "empty/bin/s2am", *words], capture_output=True, text=True, check=False)
    assert done.stderr == "error: This needs PyTorch, which is not installed: run “s2am install train”.\n"
