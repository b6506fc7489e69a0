# SPDX-License-Identifier: GPL-3.0-or-later
"""Selection of the PyTorch build."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2am_setup.platform import Platform, run_program
from s2am_setup.torch_builds import (
    NvidiaDriver,
    cpu_build,
    cuda_build,
    detect_torch_build,
    parse_nvidia_smi,
    query_nvidia,
    select_torch_build,
    training_build,
)
from tests.installer import machines

OLD_SUMMARY = """\
Tue Mar  4 10:11:12 2025
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 550.144.03             Driver Version: 550.144.03     CUDA Version: 12.4     |
|-----------------------------------------+------------------------+----------------------+
"""
NEW_SUMMARY = """\
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 610.43.02              KMD Version: 610.43.02     CUDA UMD Version: 13.3     |
+-----------------------------------------+------------------------+----------------------+
"""


@pytest.mark.parametrize(
    ("summary", "capabilities", "expected"),
    [
        (OLD_SUMMARY, "8.6\n", NvidiaDriver((12, 4), ((8, 6),))),
        (NEW_SUMMARY, "10.0\n12.0\n", NvidiaDriver((13, 3), ((10, 0), (12, 0)))),
        (OLD_SUMMARY, 'Field "compute_cap" is not a valid field to query.\n', NvidiaDriver((12, 4), ())),
        (OLD_SUMMARY.replace("12.4", "N/A"), "", None),
        ("", "", None),
    ],
)
def test_parse_nvidia_smi(summary: str, capabilities: str, expected: NvidiaDriver | None) -> None:
    assert parse_nvidia_smi(summary, capabilities) == expected


@pytest.mark.parametrize(
    ("nvidia", "tag"),
    [
        pytest.param(NvidiaDriver((13, 0), ((9, 0),)), "cu130", id="Hopper"),
        pytest.param(NvidiaDriver((12, 4), ((8, 6),)), "cu126", id="driver too old for CUDA 13"),
        pytest.param(NvidiaDriver((13, 0), ((6, 1),)), "cu126", id="Pascal, which CUDA 13 dropped"),
        pytest.param(NvidiaDriver((13, 0), ((6, 1), (8, 9))), "cu130", id="the newer of two decides"),
        pytest.param(NvidiaDriver((12, 8), ((12, 0),)), "none", id="Blackwell with a driver too old for its build"),
        pytest.param(NvidiaDriver((11, 4), ((7, 5),)), "none", id="driver too old for any build"),
        pytest.param(NvidiaDriver((12, 2), ()), "cu126", id="GPU unknown"),
    ],
)
def test_cuda_build_fits_driver_and_gpu(nvidia: NvidiaDriver, tag: str) -> None:
    assert cuda_build(nvidia).tag == tag


def test_detect_torch_build_by_gpu(tmp_path: Path) -> None:
    machine = machines.machine(tmp_path, "linux")
    assert detect_torch_build(machine.platform).tag == "none"
    assert training_build(machine.platform).tag == "cpu"
    machine.answers["rocminfo", ""] = "  Name:                    gfx1100\n"
    assert detect_torch_build(machine.platform).tag == "none", "the program without the driver"
    machine.platform.system_path("/dev").mkdir()
    machine.platform.system_path("/dev/kfd").touch()
    assert detect_torch_build(machine.platform).tag.startswith("rocm")
    machines.add_nvidia(machine)
    assert detect_torch_build(machine.platform).tag == "cu126"


def test_select_torch_build_by_name(tmp_path: Path) -> None:
    platform = machines.machine(tmp_path, "linux").platform
    assert [select_torch_build(platform, tag).tag for tag in ("auto", "none", "cpu")] == ["none", "none", "cpu"]
    assert select_torch_build(platform, "cu130").sources[-1][-1].endswith("/cu130")


def test_torch_build_download_sizes() -> None:
    sizes = [
        select_torch_build(Platform("linux", Path(), {}), tag).download for tag in ("none", "cpu", "cu130", "rocm7.2")
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] > 100e6


def test_cpu_build_sources_on_linux() -> None:
    exact = "torch==2.13.0+cpu"
    assert cpu_build("linux").sources == [[exact], [exact, "--index-url", "https://download.pytorch.org/whl/cpu"]]


def test_cuda_build_sources() -> None:
    build = cuda_build(NvidiaDriver((13, 3), ((9, 0),)))
    assert build.sources[-1] == ["torch==2.13.0+cu130", "--index-url", "https://download.pytorch.org/whl/cu130"]
    assert "13.3" in build.reason


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_cpu_build_is_plain_version_on_other_systems(system: str) -> None:
    assert cpu_build(system).sources == [["torch==2.13.0"]]
    assert training_build(Platform(system, Path(), {}, run=lambda _: None)).sources == [["torch==2.13.0"]]


@pytest.mark.parametrize(
    ("script", "answers"),
    [
        (f"cat <<'END'\n{OLD_SUMMARY}END\n", True),
        ("echo 'CUDA Version: 12.4'; echo could not talk to the driver >&2; exit 9", False),
        (None, False),
    ],
)
def test_query_nvidia_needs_working_driver(
    script: str | None, answers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if script:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}", encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (query_nvidia(Platform("linux", tmp_path, {}, run=run_program)) is not None) == answers
