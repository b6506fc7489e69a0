# SPDX-License-Identifier: GPL-3.0-or-later
"""The real GIMPs of these tests, each installed once and started once for most of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from s2am_setup.console import Console
from tests.gimp import pictures
from tests.gimp.answers import Cases
from tests.gimp.harness import Gimp3
from tests.gimp.provision import HOSTS, Host, UnavailableError, provision


@pytest.fixture(scope="session", params=HOSTS, ids=lambda host: f"gimp{host.version}")
def gimp_host(request: pytest.FixtureRequest) -> Host:
    """The GIMP that a test runs in: every test runs once in each."""
    host: Host = request.param
    return host


@pytest.fixture(scope="session")
def gimp_root(gimp_host: Host, pytestconfig: pytest.Config) -> Path:
    """The folder of the Debian with that GIMP."""
    return provisioned(gimp_host, pytestconfig)


def provisioned(host: Host, pytestconfig: pytest.Config) -> Path:
    """Return the folder of the Debian with a GIMP. If it cannot be installed, tests fail in CI, else are skipped."""
    manager = pytestconfig.pluginmanager.getplugin("capturemanager")
    with manager.global_and_fixture_disabled():  # the first time takes minutes: show the progress
        try:
            return provision(host, Console(sys.stdout))
        except UnavailableError as error:
            if os.environ.get("CI") or os.environ.get("GITHUB_ACTIONS"):
                raise
            reason = str(error)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def cases(gimp_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cases]:
    """The results of all cases in `inside/cases.py`."""
    gimp = Gimp3(gimp_root, tmp_path_factory.mktemp("cases"))
    pictures.write(gimp.folder)
    gimp.prepare()
    try:
        yield Cases(gimp.folder, gimp.run("cases.py", 1200), gimp)
    finally:
        gimp.end_engine()


@pytest.fixture
def gimp(gimp_root: Path, tmp_path: Path) -> Iterator[Gimp3]:
    """A GIMP with its own engine, for one test."""
    made = Gimp3(gimp_root, tmp_path)
    pictures.write(made.folder)
    made.prepare()
    try:
        yield made
    finally:
        made.end_engine()
