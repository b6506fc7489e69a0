# SPDX-License-Identifier: GPL-3.0-or-later
"""Real engine processes, each in its own bridge folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import s2am_engine
from gimp_bridge import server, starter
from gimp_bridge.client import EngineClient
from s2am_common.paths import BRIDGE_FOLDER_VARIABLE
from tests.bridge.engines import SERVE


@pytest.fixture(scope="session", autouse=True)
def checkout_engine(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Check that engine processes import this checkout's engine: they do not inherit PYTHONPATH."""
    command = [SERVE[0], "-B", "-c", "import s2am_engine; print(s2am_engine.__file__)"]
    folder = tmp_path_factory.mktemp("elsewhere")
    environ = starter.engine_environ(os.environ)
    found = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=True).stdout
    assert Path(found.strip()) == Path(s2am_engine.__file__), "the tests would run another engine than the checkout's"


@contextmanager
def bridge_folder() -> Iterator[Path]:
    """Provide a folder with a short path, as sockets need; its engine is stopped at the end."""
    folder = Path(tempfile.mkdtemp(prefix="s2am-bridge-"))
    before = os.environ.get(BRIDGE_FOLDER_VARIABLE)
    os.environ[BRIDGE_FOLDER_VARIABLE] = str(folder)
    try:
        yield folder
        server.stop_engine()
    finally:
        if before is None:
            del os.environ[BRIDGE_FOLDER_VARIABLE]
        else:
            os.environ[BRIDGE_FOLDER_VARIABLE] = before
        shutil.rmtree(folder)


@pytest.fixture
def folder() -> Iterator[Path]:
    """The bridge folder of one test; no engine is running yet."""
    with bridge_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def shared_folder() -> Iterator[Path]:
    """The bridge folder of the engine for all tests that do not disturb it."""
    with bridge_folder() as folder:
        yield folder


@pytest.fixture
def engine(shared_folder: Path) -> Iterator[EngineClient]:
    """A client of the shared engine."""
    engine = EngineClient(SERVE, shared_folder)
    yield engine
    engine.close()
