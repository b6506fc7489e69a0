# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of what the installer wrote: which environment is in use now, what to remove one day."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Manifest:
    """What an installation consists of; `torch` is the version installed, with its build ("2.13.0+cpu")."""

    environment: Path
    command: Path
    torch: str


def read(path: Path) -> Manifest | None:
    """Return the manifest at `path`, or None if there is none that can be understood."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return Manifest(Path(fields["environment"]), Path(fields["command"]), str(fields["torch"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(path: Path, manifest: Manifest) -> None:
    """Write `manifest` to `path`, whole or not at all."""
    fields = {
        "environment": str(manifest.environment),
        "command": str(manifest.command),
        "torch": manifest.torch,
    }
    part = path.with_suffix(".part")
    part.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
    part.replace(path)
