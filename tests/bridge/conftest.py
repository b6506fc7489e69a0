# SPDX-License-Identifier: GPL-3.0-or-later
"""Real engine processes, each in a folder of its own so that it is neither the person's nor another test's."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gimp_bridge import server
from gimp_bridge.client import Engine
from s2am_common.paths import BRIDGE_FOLDER_VARIABLE
from tests.bridge.engines import SERVE


@contextmanager
def bridge_folder() -> Iterator[Path]:
    """A folder with a short name, as a socket needs; the engine that runs in it is ended."""
    folder = Path(tempfile.mkdtemp(prefix="s2am-bridge-"))
    before = os.environ.get(BRIDGE_FOLDER_VARIABLE)
    os.environ[BRIDGE_FOLDER_VARIABLE] = str(folder)
    try:
        yield folder
        server.stop()
    finally:
        if before is None:
            del os.environ[BRIDGE_FOLDER_VARIABLE]
        else:
            os.environ[BRIDGE_FOLDER_VARIABLE] = before
        shutil.rmtree(folder)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a test's engine is reached; none runs yet."""
    with bridge_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def warm_folder() -> Iterator[Path]:
    """Where an engine runs that all tests share which do it no harm."""
    with bridge_folder() as folder:
        yield folder


@pytest.fixture
def engine(warm_folder: Path) -> Iterator[Engine]:
    """A plug-in's connection to the shared engine."""
    engine = Engine(SERVE, warm_folder)
    yield engine
    engine.close()
