# SPDX-License-Identifier: GPL-3.0-or-later
"""Saving a color map as a .cube file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gimp_bridge.client import EngineClient
from gimp_bridge.color_messages import ExportCube
from gimp_bridge.request_channel import ProgressCallback
from s2am_common.atomic import atomic_write


def write_cube(engine: EngineClient, color_map: dict[str, Any], file: Path, progress: ProgressCallback) -> None:
    """Write a color map to a .cube file, whose title is the name of the file. Raises S2AMError."""
    content = engine.request(ExportCube(color_map=color_map, title=file.stem), progress).content
    with atomic_write(file) as output:
        output.write(content)
