# SPDX-License-Identifier: GPL-3.0-or-later
"""Which build of PyTorch this machine needs, and where to get it.

On Linux the default package index has the CUDA build under the plain name: gigabytes that are of no use without an
NVIDIA GPU. The other builds carry a local version (PEP 440), such as 2.13.0+cpu, that nothing else satisfies. So they
are asked for by their full version: first from the package sources that this machine has configured (a folder of
wheels, a mirror), then from PyTorch's own wheel index.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from s2am_setup.facts import Facts

VERSION = "2.13.0"
PYTHONS = ((3, 10), (3, 15))
"""The oldest and the newest Python that VERSION has builds for."""

_INDEX = "https://download.pytorch.org/whl/"


@dataclass(frozen=True)
class Nvidia:
    """What an NVIDIA driver says: the newest CUDA that it can run, and each GPU's compute capability."""

    cuda: tuple[int, int]
    capabilities: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class TorchBuild:
    """A build: `tag` is its local version ("cpu", "cu130", "" for the plain name), `reason` says why this one."""

    tag: str
    reason: str

    @property
    def download(self) -> int:
        """About how many bytes come over the network, with the libraries that the program uses."""
        return _size(self.tag)[0] * 1_000_000

    @property
    def room(self) -> int:
        """About how many bytes of disk installing it takes, with what is downloaded meanwhile."""
        return sum(_size(self.tag)) * 1_000_000

    @property
    def sources(self) -> list[list[str]]:
        """The arguments of `pip install` to try, in order."""
        if not self.tag:
            return [[f"torch=={VERSION}"]]
        exact = f"torch=={VERSION}+{self.tag}"
        return [[exact], [exact, "--index-url", _INDEX + self.tag]]


@dataclass(frozen=True)
class _CudaBuild:
    tag: str
    least_driver: tuple[int, int]
    capabilities: tuple[tuple[int, int], tuple[int, int]]


# PyTorch's support matrix for 2.13 (RELEASE.md in its repository). A driver of the same major CUDA version is enough
# (NVIDIA's minor version compatibility). CUDA 13.2 is experimental in 2.13 and brings no GPU that 13.0 lacks.
_CUDA_BUILDS = (
    _CudaBuild("cu130", (13, 0), ((7, 5), (12, 99))),
    _CudaBuild("cu126", (12, 0), ((5, 0), (9, 99))),
)


# Megabytes to download and to keep, by the beginning of the tag; the CPU's are measured, the others are estimates.
_SIZES = {"rocm": (5500, 17000), "cu": (3300, 7500), "cpu": (560, 1700), "": (560, 1700)}
_ROCM = "rocm7.2"


def _size(tag: str) -> tuple[int, int]:
    return next(size for start, size in _SIZES.items() if tag.startswith(start))


def wanted(facts: Facts, tag: str) -> TorchBuild:
    """Return the build that a person named ("cpu", or a tag of PyTorch's such as "cu130"), or for "auto" the best."""
    if tag == "auto":
        return choose(facts)
    if tag == "cpu":
        return cpu_build(facts.system, "PyTorch for the CPU, as asked for")
    return TorchBuild(tag, f"PyTorch for {tag}, as asked for")


def cpu_build(system: str, reason: str = "") -> TorchBuild:
    """Return the build without CUDA for a platform (`sys.platform`); only Linux has it under a name of its own."""
    return TorchBuild("cpu" if system == "linux" else "", reason)


def choose(facts: Facts) -> TorchBuild:
    """Return the build for a machine."""
    if facts.system == "darwin":
        return cpu_build(facts.system, "PyTorch with Metal")
    nvidia = ask_nvidia(facts)
    if nvidia:
        return choose_cuda(facts.system, nvidia)
    if facts.system == "linux" and has_amd(facts):
        return TorchBuild(_ROCM, f"an AMD GPU with ROCm answers, so PyTorch for ROCm ({_ROCM})")
    return cpu_build(facts.system, "no NVIDIA or AMD GPU answers, so PyTorch for the CPU")


def has_amd(facts: Facts) -> bool:
    """Whether ROCm knows a GPU that computes: Linux' driver is there, and its program names one."""
    return facts.at("/dev/kfd").exists() and bool(re.search(r"gfx[0-9a-f]{3,}", facts.answer(["rocminfo"]) or ""))


def choose_cuda(system: str, nvidia: Nvidia) -> TorchBuild:
    """Return the build for a platform (`sys.platform`) and what its NVIDIA driver says."""
    # PyTorch computes on the GPU that it likes best: the newest decides.
    best = max(nvidia.capabilities, default=(8, 0))
    driver = ".".join(map(str, nvidia.cuda))
    for build in _CUDA_BUILDS:
        if nvidia.cuda >= build.least_driver and build.capabilities[0] <= best <= build.capabilities[1]:
            return TorchBuild(build.tag, f"the NVIDIA driver has CUDA {driver}, so PyTorch for CUDA ({build.tag})")
    advice = f"no CUDA build fits this GPU with a driver for CUDA {driver} (a newer driver may help)"
    return cpu_build(system, f"{advice}, so PyTorch for the CPU")


def ask_nvidia(facts: Facts) -> Nvidia | None:
    """Return what the NVIDIA driver says, or None if there is none that works."""
    summary = facts.answer(["nvidia-smi"])
    if not summary:
        return None
    return parse_nvidia(summary, facts.answer(["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]) or "")


def parse_nvidia(summary: str, capabilities: str) -> Nvidia | None:
    """Read nvidia-smi's summary and its list of compute capabilities (drivers before 510 have no such list).

    From driver 610 on the summary says "CUDA UMD Version" for what was "CUDA Version" before.
    """
    found = re.search(r"CUDA (?:UMD )?Version\s*:\s*(\d+)\.(\d+)", summary)
    if not found:
        return None
    listed = re.findall(r"^\s*(\d+)\.(\d+)\s*$", capabilities, flags=re.MULTILINE)
    return Nvidia((int(found[1]), int(found[2])), tuple((int(major), int(minor)) for major, minor in listed))
