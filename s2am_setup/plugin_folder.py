# SPDX-License-Identifier: GPL-3.0-or-later
"""The GIMP plug-in's folder: its own files, the bridge's client, and a note of how to start the engine."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

NAME = "harmonize-layer"
"""GIMP loads a plug-in from a folder that is named as its file."""

_HERE = Path(__file__).resolve().parent
_BRIDGE = _HERE.parent / "gimp_bridge"
_COMMON = _HERE.parent / "s2am_common"
_NOTE_VERSION = 1


def assemble(target: Path, serve: Sequence[str]) -> list[Path]:
    """Write the plug-in's folder anew, so that GIMP sees it whole or not at all.

    Args:
        target: `<GIMP profile>/plug-ins/harmonize-layer`; what is there is replaced.
        serve: the command that runs the engine's server.

    Returns:
        All files written, in `target`.

    Raises:
        OSError: it can't be written; an older one is then still there.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # A folder beginning with a dot and without a file of its name: GIMP passes over it.
    part, old = (target.with_name(f".{target.name}.{state}") for state in ("new", "old"))
    for leftover in (part, old):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        for source, name in _sources():
            copy = part / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
        note = {"version": _NOTE_VERSION, "serve": list(serve)}
        (part / "engine.json").write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
        (part / f"{NAME}.py").chmod(0o755)  # without this bit GIMP passes over it without a word
        if target.exists():
            target.rename(old)
        part.rename(target)
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        for leftover in (part, old):
            shutil.rmtree(leftover, ignore_errors=True)
    return sorted(path for path in target.rglob("*") if path.is_file())


def _sources() -> list[tuple[Path, Path]]:
    """Each file to copy, and its name in the folder."""
    plugin = _plugin()
    own = [(path, path.relative_to(plugin)) for path in sorted(plugin.rglob("*")) if path.suffix in (".py", ".svg")]
    client = [(_BRIDGE / name, Path("gimp_bridge") / name) for name in _client_files(_BRIDGE / "__init__.py")]
    common = [(path, Path("s2am_common") / path.relative_to(_COMMON)) for path in sorted(_COMMON.rglob("*.py"))]
    return [*own, *client, *common]


def _plugin() -> Path:
    """Where the plug-in's own files are: in a clone, or in the wheel beside this file."""
    packed = _HERE / NAME
    return packed if packed.is_dir() else _HERE.parent / "plugin" / NAME


def _client_files(package: Path) -> list[str]:
    """The value of CLIENT_FILES, read without importing the package: the installer has the standard library alone."""
    for node in ast.parse(package.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            names = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(name, ast.Name) and name.id == "CLIENT_FILES" for name in names):
                return list(ast.literal_eval(node.value))
    raise ValueError(f"{package} names no CLIENT_FILES")
