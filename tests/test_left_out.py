# SPDX-License-Identifier: GPL-3.0-or-later
"""The test command names what a computer cannot test, with the command that adds it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from s2am_common import system_libraries
from tests import left_out


@pytest.fixture
def bare_computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Linux with an ordinary user and nothing but Python."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    monkeypatch.setattr(left_out, "SHARED", tmp_path / "shared")
    monkeypatch.setattr(system_libraries, "describe_missing", lambda missing: f"sudo apt install {missing[0]}")


@pytest.mark.usefixtures("bare_computer")
def test_find_left_out_on_a_bare_computer_names_everything() -> None:
    text = left_out.report(left_out.find_left_out(["libGL.so.1"]))
    for part in (
        "tests/editor/ui", "libGL.so.1", "sudo apt install libGL.so.1", "needs root", "-m tests -m gimp",
        "PSNR and IoU", "not published", "NVIDIA", "C compiler",
    ):  # fmt: skip
        assert part in text


def test_report_of_nothing_is_empty() -> None:
    assert left_out.report([]) == ""


def test_tests_in_gimp_can_be_left_out_by_their_marker() -> None:
    command = [sys.executable, "-m", "pytest", "-m", "not gimp", "--collect-only", "-q", "-p", "no:cacheprovider"]
    found = subprocess.run([*command, str(Path(__file__).parent / "gimp")], capture_output=True, text=True, check=False)
    assert found.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, found.stdout
