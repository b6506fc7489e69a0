# SPDX-License-Identifier: GPL-3.0-or-later
"""Which build of PyTorch a machine gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.torch_builds import Nvidia, ask_nvidia, choose, choose_cuda, cpu_build, parse_nvidia, wanted
from s2am_setup.facts import Facts, ask
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
        (OLD_SUMMARY, "8.6\n", Nvidia((12, 4), ((8, 6),))),
        (NEW_SUMMARY, "10.0\n12.0\n", Nvidia((13, 3), ((10, 0), (12, 0)))),
        (OLD_SUMMARY, 'Field "compute_cap" is not a valid field to query.\n', Nvidia((12, 4), ())),
        (OLD_SUMMARY.replace("12.4", "N/A"), "", None),
        ("", "", None),
    ],
)
def test_nvidia_smi_is_understood(summary: str, capabilities: str, expected: Nvidia | None) -> None:
    assert parse_nvidia(summary, capabilities) == expected


@pytest.mark.parametrize(
    ("nvidia", "tag"),
    [
        pytest.param(Nvidia((13, 0), ((9, 0),)), "cu130", id="Hopper"),
        pytest.param(Nvidia((12, 4), ((8, 6),)), "cu126", id="driver too old for CUDA 13"),
        pytest.param(Nvidia((13, 0), ((6, 1),)), "cu126", id="Pascal, which CUDA 13 dropped"),
        pytest.param(Nvidia((13, 0), ((6, 1), (8, 9))), "cu130", id="the newer of two decides"),
        pytest.param(Nvidia((12, 8), ((12, 0),)), "cpu", id="Blackwell with a driver too old for its build"),
        pytest.param(Nvidia((11, 4), ((7, 5),)), "cpu", id="driver too old for any build"),
        pytest.param(Nvidia((12, 2), ()), "cu126", id="GPU unknown"),
    ],
)
def test_build_fits_driver_and_gpu(nvidia: Nvidia, tag: str) -> None:
    assert choose_cuda("linux", nvidia).tag == tag


def test_machine_gets_the_build_of_its_gpu(tmp_path: Path) -> None:
    machine = machines.machine(tmp_path, "linux")
    assert choose(machine.facts).tag == "cpu"
    machine.answers["rocminfo", ""] = "  Name:                    gfx1100\n"
    assert choose(machine.facts).tag == "cpu", "the program without the driver"
    machine.facts.at("/dev").mkdir()
    machine.facts.at("/dev/kfd").touch()
    assert choose(machine.facts).tag.startswith("rocm")
    machine.answers["nvidia-smi", "--query-gpu=compute_cap"] = "8.6\n"
    machine.answers["nvidia-smi", ""] = OLD_SUMMARY
    assert choose(machine.facts).tag == "cu126"


def test_person_may_name_the_build(tmp_path: Path) -> None:
    facts = machines.machine(tmp_path, "linux").facts
    assert wanted(facts, "auto").tag == wanted(facts, "cpu").tag == "cpu"
    assert wanted(facts, "cu130").sources[-1][-1].endswith("/cu130")


def test_size_grows_with_the_gpu() -> None:
    sizes = [wanted(Facts("linux", Path(), {}), tag).download for tag in ("cpu", "cu130", "rocm7.2")]
    assert sizes == sorted(sizes)
    assert sizes[0] > 100e6


def test_without_a_gpu_nothing_but_the_cpu_build_can_come() -> None:
    exact = "torch==2.13.0+cpu"
    assert cpu_build("linux").sources == [[exact], [exact, "--index-url", "https://download.pytorch.org/whl/cpu"]]


def test_cuda_comes_from_the_index_of_its_version() -> None:
    build = choose_cuda("linux", Nvidia((13, 3), ((9, 0),)))
    assert build.sources[-1] == ["torch==2.13.0+cu130", "--index-url", "https://download.pytorch.org/whl/cu130"]
    assert "13.3" in build.reason


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_elsewhere_the_plain_build_has_no_cuda(system: str) -> None:
    assert cpu_build(system).sources == [["torch==2.13.0"]]
    assert choose(Facts(system, Path(), {}, answer=lambda _: None)).sources == [["torch==2.13.0"]]


@pytest.mark.parametrize(
    ("script", "answers"),
    [
        (f"cat <<'END'\n{OLD_SUMMARY}END\n", True),
        ("echo 'CUDA Version: 12.4'; echo could not talk to the driver >&2; exit 9", False),
        (None, False),
    ],
)
def test_only_a_driver_that_answers_counts(
    script: str | None, answers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if script:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}", encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (ask_nvidia(Facts("linux", tmp_path, {}, answer=ask)) is not None) == answers
