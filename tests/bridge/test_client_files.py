# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's modules run in any Python that GIMP may have, without the engine's environment."""

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
from s2am_common.errors import BridgeError
from tests.bridge.engines import HEIGHT, SERVE, WIDTH, process_of, rgba_of
from tests.engine.pictures import composite

PACKAGE = Path(gimp_bridge.__file__).parent
COMMON = Path(s2am_common.__file__).parent
FILES = [*(PACKAGE / name for name in gimp_bridge.CLIENT_FILES), *sorted(COMMON.glob("*.py"))]


def pythons() -> list[str]:
    """Return the Python interpreters from 3.10 on of this machine, one of each version."""
    found: dict[str, str] = {}
    versions = sorted((Path.home() / ".pyenv" / "versions").glob("3.1?.*/bin/python"))
    for candidate in (sys.executable, *map(str, versions), *(f"python3.{minor}" for minor in range(10, 15))):
        program = shutil.which(candidate)
        if program:
            answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
            if answer.startswith("Python 3."):  # not a shim of a version that is not installed
                found.setdefault(answer.split(".")[1], program)
    return [found[minor] for minor in sorted(found, key=int)]


CLIENT_SCRIPT = """
import hashlib, json, sys
sys.path.insert(0, sys.argv[1])
from gimp_bridge import client, color_messages, layer_pixels
pixels, mask = open(sys.argv[2], "rb").read(), open(sys.argv[3], "rb").read()
width, height = int(sys.argv[4]), int(sys.argv[5])
engine = client.EngineClient(sys.argv[6:])
found = engine.request(color_messages.Harmonize(width=width, height=height, pixels=pixels, layer_alpha=mask))
adjusted = engine.request(color_messages.Adjust(color_map=found.color_map, samples=found.samples))
written = []
source = layer_pixels.PixelSource(lambda top, rows: bytes(range(120)) * rows)
write = lambda top, rows, data: written.append(data)
engine.render(adjusted.color_map, layer_pixels.PixelLayout(30, 20), source, write)
known = {*sys.stdlib_module_names, "gimp_bridge", "s2am_common", "__main__", "__mp_main__"}
outside = {name.split(".")[0] for name in sys.modules} - known
digest = hashlib.sha256(b"".join(written)).hexdigest()
print(json.dumps([engine.status().process, adjusted.matrix, digest, sorted(outside)]))
"""


@pytest.mark.parametrize("python", pythons())
def test_client_files_run_in_any_python(python: str, shared_folder: Path, tmp_path: Path) -> None:
    for file in FILES:
        copy = tmp_path / file.parent.name / file.name
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(file, copy)
    pixels, mask = composite(HEIGHT, WIDTH)
    (tmp_path / "pixels").write_bytes(rgba_of(pixels))
    (tmp_path / "mask").write_bytes(mask.tobytes())
    results = []
    for each in (python, sys.executable):
        options = [tmp_path, tmp_path / "pixels", tmp_path / "mask", WIDTH, HEIGHT, *SERVE]
        command = [each, "-I", "-S", "-B", "-c", CLIENT_SCRIPT, *map(str, options)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        results.append(json.loads(done.stdout))
    assert results[0] == results[1]
    assert results[0][0] == process_of(shared_folder)
    assert results[0][3] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_client_files_are_valid_in_python_3_10(file: Path) -> None:
    ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 10))


def test_read_launcher_returns_the_command(tmp_path: Path) -> None:
    (tmp_path / starter.LAUNCHER).write_text(json.dumps({"version": 1, "serve": ["/opt/s2am", "serve"]}))
    assert starter.read_launcher(tmp_path) == ["/opt/s2am", "serve"]


@pytest.mark.parametrize(
    "content", [None, b"", b"[]", b"{}", b'{"version": 2, "serve": ["x"]}', b'{"serve": 1}', b"\xff"]
)
def test_read_launcher_refuses_missing_and_damaged_files(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / starter.LAUNCHER).write_bytes(content)
    with pytest.raises(BridgeError, match="does not name the engine's command") as caught:
        starter.read_launcher(tmp_path)
    assert caught.value.code == "bridge.installation"
