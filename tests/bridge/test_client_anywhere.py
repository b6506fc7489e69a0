# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's modules run alone, in any Python that GIMP may have."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gimp_bridge
import s2am_common
from gimp_bridge import starter
from gimp_bridge.protocol import BridgeError
from tests.bridge.engines import HEIGHT, SERVE, WIDTH, process_of
from tests.engine.pictures import composite

PACKAGE = Path(gimp_bridge.__file__).parent
COMMON = Path(s2am_common.__file__).parent


def pythons() -> list[str]:
    """The Pythons from 3.10 on that this machine has, by one path each."""
    found: dict[str, str] = {}
    versions = sorted((Path.home() / ".pyenv" / "versions").glob("3.1?.*/bin/python"))
    for candidate in (sys.executable, *map(str, versions), *(f"python3.{minor}" for minor in range(10, 15))):
        program = shutil.which(candidate)
        if program:
            told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
            if told.startswith("Python 3."):  # and not a shim that stands for nothing
                found.setdefault(told.split(".")[1], program)
    return [found[minor] for minor in sorted(found, key=int)]


CLIENT_SCRIPT = """
import hashlib, json, sys
sys.path.insert(0, sys.argv[1])
from gimp_bridge import background, client, protocol
pixels, mask = open(sys.argv[2], "rb").read(), open(sys.argv[3], "rb").read()
width, height = int(sys.argv[4]), int(sys.argv[5])
engine = client.Engine(sys.argv[6:])
look = engine.harmonize(protocol.Harmonize(width=width, height=height, pixels=pixels, mask=mask, effect=True))
got = []
read, write = lambda top, rows: bytes(range(120)) * rows, lambda top, rows, data: got.append(data)
engine.render(client.Layer(30, 20), read, write)
known = {*sys.stdlib_module_names, "gimp_bridge", "s2am_common", "__main__", "__mp_main__"}
outside = {name.split(".")[0] for name in sys.modules} - known
told = [engine.status().process, look.matrix, hashlib.sha256(b"".join(got)).hexdigest(), sorted(outside)]
print(json.dumps(told))
"""


@pytest.mark.parametrize("python", pythons())
def test_the_client_runs_alone_in_any_python(python: str, warm_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "gimp_bridge").mkdir()
    for name in gimp_bridge.CLIENT_FILES:
        shutil.copy(PACKAGE / name, tmp_path / "gimp_bridge" / name)
    shutil.copytree(COMMON, tmp_path / "s2am_common")
    pixels, mask = composite(HEIGHT, WIDTH)
    (tmp_path / "pixels").write_bytes(pixels.tobytes())
    (tmp_path / "mask").write_bytes(mask.tobytes())
    told = []
    for each in (python, sys.executable):
        options = [tmp_path, tmp_path / "pixels", tmp_path / "mask", WIDTH, HEIGHT, *SERVE]
        command = [each, "-I", "-S", "-B", "-c", CLIENT_SCRIPT, *map(str, options)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout))
    assert told[0] == told[1]
    assert told[0][0] == process_of(warm_folder)
    assert told[0][3] == []


@pytest.mark.parametrize("name", gimp_bridge.CLIENT_FILES)
def test_the_client_is_written_for_python_3_10(name: str) -> None:
    ast.parse((PACKAGE / name).read_text(encoding="utf-8"), feature_version=(3, 10))


def test_the_launcher_says_how_to_run_the_engine(tmp_path: Path) -> None:
    (tmp_path / starter.LAUNCHER).write_text(json.dumps({"version": 1, "serve": ["/opt/s2am", "serve"]}))
    assert starter.read_launcher(tmp_path) == ["/opt/s2am", "serve"]


@pytest.mark.parametrize(
    "content", [None, b"", b"[]", b"{}", b'{"version": 2, "serve": ["x"]}', b'{"serve": 1}', b"\xff"]
)
def test_a_launcher_that_is_missing_or_damaged_is_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / starter.LAUNCHER).write_bytes(content)
    with pytest.raises(BridgeError, match=r"run the installer again \(python3 -m installer\)\.$"):
        starter.read_launcher(tmp_path)
