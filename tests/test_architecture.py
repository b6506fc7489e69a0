# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that import only the standard library, which import-linter cannot check.

They run where nothing is installed: the installer on a new computer, the bridge's client and the plug-in in GIMP's
Python. The contracts of import-linter are in pyproject.toml.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from gimp_bridge import CLIENT_FILES
from s2am_common.optional_parts import OPTIONAL_PARTS

CHECKOUT = Path(__file__).resolve().parent.parent
CLIENT = [f"gimp_bridge.{Path(name).stem}" for name in CLIENT_FILES if name != "__init__.py"]
"""The modules of gimp_bridge that run without the engine's environment."""


def imports_of(file: Path) -> set[str]:
    """Return the dotted names that a file imports anywhere, including names imported from modules."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def foreign_imports(file: Path, *allowed: str) -> set[str]:
    """Return the imports of a file from outside the standard library and the given packages or modules."""
    return {
        name
        for name in imports_of(file)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not any(name == prefix or name.startswith(f"{prefix}.") for prefix in allowed)
    }


def sources(package: str) -> list[Path]:
    return sorted((CHECKOUT / package).rglob("*.py"))


def relative_name(file: Path) -> str:
    return str(file.relative_to(CHECKOUT))


@pytest.mark.parametrize("file", sources("s2am_common"), ids=relative_name)
def test_common_imports_only_standard_library(file: Path) -> None:
    assert foreign_imports(file, "s2am_common") == set()
    ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 10))


@pytest.mark.parametrize("file", sources("installer"), ids=relative_name)
def test_installer_imports_only_standard_library(file: Path) -> None:
    assert foreign_imports(file, "installer", "s2am_setup", "s2am_common", *CLIENT) == set()


@pytest.mark.parametrize("file", [file for file in sources("s2am_setup") if file.name != "entry.py"], ids=relative_name)
def test_setup_imports_only_standard_library(file: Path) -> None:
    assert foreign_imports(file, "s2am_setup", "s2am_common", *CLIENT) == set()


@pytest.mark.parametrize("name", CLIENT_FILES)
def test_bridge_client_imports_only_standard_library(name: str) -> None:
    assert foreign_imports(CHECKOUT / "gimp_bridge" / name, "s2am_common", *CLIENT) == set()


@pytest.mark.parametrize("file", [*sources("plugin/harmonize-layer"), CHECKOUT / "tests/__main__.py"], ids=str)
def test_plugin_and_test_command_import_only_standard_library(file: Path) -> None:
    allowed = ("gi", "harmonize_layer", *CLIENT, "installer", "s2am_setup", "s2am_common", "tests.left_out")
    assert foreign_imports(file, *allowed) == set()


@pytest.mark.parametrize("file", sources("plugin/harmonize-layer/harmonize_layer/core"), ids=relative_name)
def test_plugin_core_imports_no_gimp(file: Path) -> None:
    assert foreign_imports(file, "harmonize_layer.core", *CLIENT, "s2am_common") == set()


def test_foreign_imports_finds_imports_in_functions(tmp_path: Path) -> None:
    file = tmp_path / "client.py"
    file.write_text(
        "import json, gimp_bridge.protocol\n"
        "from gimp_bridge import server\n"
        "from . import launch\n"
        "def late():\n    import numpy as np\n    from s2am_engine.inference.harmonizer import Harmonizer\n",
        encoding="utf-8",
    )
    found = foreign_imports(file, *CLIENT)
    assert found == {"gimp_bridge.server", "..launch", "numpy", "s2am_engine.inference.harmonizer.Harmonizer"}


def test_engine_and_commands_start_without_any_optional_part() -> None:
    libraries = sorted({library for part in OPTIONAL_PARTS.values() for library in part.libraries})
    hide = f"import sys; sys.modules.update(dict.fromkeys({libraries}))"  # importing one of them fails
    commands = "from s2am_engine.cli.main import build_parser; build_parser()"
    code = f"{hide}; import s2am_engine, gimp_bridge.engine_session, gimp_bridge.serve_command; {commands}"
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
