# SPDX-License-Identifier: GPL-3.0-or-later
"""What the wheel holds, since that is what an installation consists of."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The files of a wheel that is built now, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, str(CHECKOUT)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = folder.glob("s2am-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_claims_only_our_own_names(names: set[str]) -> None:
    roots = {name.split("/")[0] for name in names}
    metadata = {root for root in roots if root.endswith(".dist-info")}
    assert len(metadata) == 1
    assert roots - metadata == {"s2am_engine", "gimp_bridge", "s2am_editor"}


def test_wheel_holds_every_source_weight_and_card(names: set[str]) -> None:
    wanted = {
        file.relative_to(CHECKOUT / parent).as_posix()
        for parent, room in (("", "s2am_engine"), ("", "gimp_bridge"), ("plugin", "s2am_editor"))
        for file in (CHECKOUT / parent / room).rglob("*")
        if file.suffix in {".py", ".safetensors", ".json"} or file.name == "py.typed"
    }
    assert "s2am_engine/py.typed" in wanted
    assert wanted <= names


def test_wheel_brings_the_command_and_the_licence(names: set[str]) -> None:
    assert any(name.endswith(".dist-info/entry_points.txt") for name in names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
