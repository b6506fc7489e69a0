# SPDX-License-Identifier: GPL-3.0-or-later
"""Selection of the PyTorch build."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2am_setup.platform import Platform, run_program
from s2am_setup.torch_builds import (
    TorchBuild,
    cpu_build,
    detect_torch_build,
    nvidia_build,
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


def nvidia(folder: Path, summary: str, capabilities: str) -> TorchBuild | None:
    """Return the build for what nvidia-smi prints."""
    machine = machines.machine(folder, "linux")
    machine.answers["nvidia-smi", "--query-gpu=compute_cap"] = capabilities
    machine.answers["nvidia-smi", ""] = summary
    return nvidia_build(machine.platform)


@pytest.mark.parametrize(
    ("summary", "capabilities", "tag"),
    [
        pytest.param(OLD_SUMMARY, "8.6\n", "cu126", id="driver too old for CUDA 13"),
        pytest.param(NEW_SUMMARY, "10.0\n12.0\n", "cu130", id="summary of driver 610"),
        pytest.param(OLD_SUMMARY, 'Field "compute_cap" is not a valid field to query.\n', "cu126", id="GPU unknown"),
        pytest.param(OLD_SUMMARY.replace("12.4", "13.0"), "9.0\n", "cu130", id="Hopper"),
        pytest.param(OLD_SUMMARY.replace("12.4", "13.0"), "6.1\n", "cu126", id="Pascal, which CUDA 13 dropped"),
        pytest.param(OLD_SUMMARY.replace("12.4", "13.0"), "6.1\n8.9\n", "cu130", id="the newer of two decides"),
        pytest.param(
            OLD_SUMMARY.replace("12.4", "12.8"), "12.0\n", "none", id="Blackwell with a driver too old for it"
        ),
        pytest.param(OLD_SUMMARY.replace("12.4", "11.4"), "7.5\n", "none", id="driver too old for any build"),
    ],
)
def test_nvidia_build_fits_driver_and_gpu(summary: str, capabilities: str, tag: str, tmp_path: Path) -> None:
    build = nvidia(tmp_path, summary, capabilities)
    assert build is not None
    assert build.tag == tag


@pytest.mark.parametrize("summary", [OLD_SUMMARY.replace("12.4", "N/A"), ""])
def test_nvidia_build_needs_a_driver_for_cuda(summary: str, tmp_path: Path) -> None:
    assert nvidia(tmp_path, summary, "") is None


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
        select_torch_build(Platform("linux", Path(), {}), tag).sizes for tag in ("none", "cpu", "cu130", "rocm7.2")
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] > (100e6, 400e6)


def test_cpu_build_sources_on_linux() -> None:
    exact = "torch==2.13.0+cpu"
    assert cpu_build("linux").sources == [[exact], [exact, "--index-url", "https://download.pytorch.org/whl/cpu"]]


def test_nvidia_build_sources(tmp_path: Path) -> None:
    build = nvidia(tmp_path, NEW_SUMMARY, "9.0\n")
    assert build is not None
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
def test_nvidia_build_needs_working_driver(
    script: str | None, answers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if script:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}", encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (nvidia_build(Platform("linux", tmp_path, {}, run=run_program)) is not None) == answers
