# SPDX-License-Identifier: GPL-3.0-or-later
"""What import-linter cannot say: some rooms import the standard library alone, whatever else exists.

They run where nothing is installed: the installer on a fresh machine, the bridge's client and the plug-in inside
GIMP's own Python. (The contracts of import-linter are in pyproject.toml.)
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from gimp_bridge import CLIENT_FILES

CHECKOUT = Path(__file__).resolve().parent.parent
CLIENT = [f"gimp_bridge.{Path(name).stem}" for name in CLIENT_FILES if name != "__init__.py"]
"""The modules of gimp_bridge that run without the engine's environment."""


def imports_of(file: Path) -> set[str]:
    """The dotted names that a file imports, wherever in it, with the names imported from a module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def strangers(file: Path, *friends: str) -> set[str]:
    """What a file imports from outside the standard library and the named packages or modules."""
    return {
        name
        for name in imports_of(file)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not any(name == friend or name.startswith(f"{friend}.") for friend in friends)
    }


def sources(room: str) -> list[Path]:
    return sorted((CHECKOUT / room).rglob("*.py"))


def rootless(file: Path) -> str:
    return str(file.relative_to(CHECKOUT))


@pytest.mark.parametrize("file", sources("s2am_common"), ids=rootless)
def test_common_package_imports_the_standard_library_alone(file: Path) -> None:
    assert strangers(file, "s2am_common") == set()
    ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 10))


@pytest.mark.parametrize("file", sources("installer"), ids=rootless)
def test_installer_needs_nothing_installed(file: Path) -> None:
    assert strangers(file, "installer", "s2am_setup", "s2am_common", *CLIENT) == set()


@pytest.mark.parametrize("file", [file for file in sources("s2am_setup") if file.name != "command.py"], ids=rootless)
def test_doctor_and_uninstaller_need_nothing_installed(file: Path) -> None:
    assert strangers(file, "s2am_setup", "s2am_common", *CLIENT) == set()


@pytest.mark.parametrize("name", CLIENT_FILES)
def test_bridge_client_runs_in_gimps_own_python(name: str) -> None:
    assert strangers(CHECKOUT / "gimp_bridge" / name, "s2am_common", *CLIENT) == set()


@pytest.mark.parametrize("file", [*sources("plugin/harmonize-layer"), CHECKOUT / "tests/__main__.py"], ids=str)
def test_plugin_and_test_command_need_nothing_installed(file: Path) -> None:
    assert strangers(file, "gi", "harmonize_layer", *CLIENT, "installer", "s2am_setup", "s2am_common") == set()


@pytest.mark.parametrize("file", sources("plugin/harmonize-layer/harmonize_layer/core"), ids=rootless)
def test_plugin_core_imports_no_gimp(file: Path) -> None:
    assert strangers(file, "harmonize_layer.core", *CLIENT, "s2am_common") == set()


def test_a_forbidden_import_is_found_wherever_it_hides(tmp_path: Path) -> None:
    file = tmp_path / "client.py"
    file.write_text(
        "import json, gimp_bridge.protocol\n"
        "from gimp_bridge import server\n"
        "from . import launch\n"
        "def late():\n    import numpy as np\n    from s2am_engine.inference.harmonizer import Harmonizer\n",
        encoding="utf-8",
    )
    found = strangers(file, *CLIENT)
    assert found == {"gimp_bridge.server", "..launch", "numpy", "s2am_engine.inference.harmonizer.Harmonizer"}
