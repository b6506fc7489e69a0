# SPDX-License-Identifier: GPL-3.0-or-later
"""Selection of the PyTorch build for a computer, and its sources.

The bundled models run without PyTorch: by default it is installed for GPUs only, and added for training. On Linux the
plain version on the default package index is the CUDA build: gigabytes that are useless without an NVIDIA GPU. The
other builds have a local version (PEP 440), such as 2.13.0+cpu, and are requested by it: first from the configured
package sources (a folder of wheels, a mirror), then from PyTorch's own index.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from s2am_common.errors import InstallError
from s2am_setup.platform import Platform

TORCH_VERSION = "2.13.0"
AUTO_BUILD, CPU_ONLY, NO_TORCH = "auto", "cpu", "none"
"""Choices besides a tag of PyTorch: that for this computer's GPU, if any; without a GPU; no PyTorch."""

KNOWN_TAGS = (CPU_ONLY, "cu126", "cu130", "cu132", "rocm7.2", "xpu")
"""The builds of TORCH_VERSION."""

TORCH_PACKAGES = re.compile(r"torch|triton|pytorch-triton.*|nvidia-.+|cuda-.+")
"""Names of the packages that are there for PyTorch alone."""

_INDEX = "https://download.pytorch.org/whl/"


@dataclass(frozen=True)
class TorchBuild:
    """A build of PyTorch.

    Attributes:
        tag: its local version, such as "cpu" or "cu130"; "" = the plain version, `NO_TORCH` = no PyTorch.
        reason: why it was selected.
    """

    tag: str
    reason: str

    @property
    def name(self) -> str:
        """Version and build, for people."""
        return f"{TORCH_VERSION} {self.tag}".rstrip()

    @property
    def sizes(self) -> tuple[int, int]:
        """Approximate bytes of an installation with it: downloaded, and on the disk."""
        download, disk = next(size for start, size in _SIZES.items() if self.tag.startswith(start))
        return download * 1_000_000, disk * 1_000_000

    @property
    def sources(self) -> list[list[str]]:
        """Arguments of `pip install` to try, in this order."""
        if not self.tag:
            return [[f"torch=={TORCH_VERSION}"]]
        exact = f"torch=={TORCH_VERSION}+{self.tag}"
        return [[exact], [exact, "--index-url", _INDEX + self.tag]]


# The tag, the lowest CUDA version of a driver, and the lowest and highest compute capability of a GPU, from PyTorch's
# release compatibility matrix for 2.13. A driver of the same major CUDA version suffices (NVIDIA's minor version
# compatibility). CUDA 13.2 is experimental in 2.13 and supports no additional GPU.
_CUDA_BUILDS = (
    ("cu130", (13, 0), (7, 5), (12, 99)),
    ("cu126", (12, 0), (5, 0), (9, 99)),
)

# Megabytes downloaded and installed, by the beginning of the tag; measured for the CPU, estimated for the others.
_SIZES = {NO_TORCH: (250, 780), "rocm": (5500, 17000), "cu": (3300, 7500), "cpu": (520, 1700), "": (520, 1700)}
_ROCM = "rocm7.2"


def select_torch_build(platform: Platform, tag: str) -> TorchBuild:
    """Return a build by name.

    Args:
        platform: the computer.
        tag: "none", "cpu", a PyTorch tag such as "cu130", or "auto" for the one for this computer's GPU, if any.

    Raises:
        InstallError: there is no such build.
    """
    if tag == AUTO_BUILD:
        return detect_torch_build(platform)
    if tag == NO_TORCH:
        return without_torch()
    if tag not in KNOWN_TAGS:
        known = ", ".join((AUTO_BUILD, NO_TORCH, *KNOWN_TAGS))
        raise InstallError(f"PyTorch {TORCH_VERSION} has no build “{tag}”: give one of {known}.")
    if tag == CPU_ONLY:
        return cpu_build(platform.system, "PyTorch for the CPU")
    return TorchBuild(tag, f"PyTorch for {tag}")


def without_torch(reason: str = "without PyTorch") -> TorchBuild:
    """Return the choice of no PyTorch."""
    return TorchBuild(NO_TORCH, f"{reason}: the bundled models do not need it, “s2am install train” adds it")


def cpu_build(system: str, reason: str = "") -> TorchBuild:
    """Return the build without CUDA for a system (a value of `sys.platform`); only on Linux does it have a tag."""
    return TorchBuild("cpu" if system == "linux" else "", reason)


def detect_torch_build(platform: Platform) -> TorchBuild:
    """Return the build for a computer's GPU; without a GPU that PyTorch can use, none."""
    if build := nvidia_build(platform):
        return build
    if platform.system == "linux" and has_amd_gpu(platform):
        return TorchBuild(_ROCM, f"an AMD GPU with ROCm was found, so PyTorch for ROCm ({_ROCM})")
    return without_torch("no NVIDIA or AMD GPU was found, so without PyTorch")


def training_build(platform: Platform, tag: str = AUTO_BUILD) -> TorchBuild:
    """Return a build that trains, see `select_torch_build`; "auto" is that for the CPU if there is no GPU."""
    build = select_torch_build(platform, tag)
    return cpu_build(platform.system, "PyTorch for the CPU") if build.tag == NO_TORCH else build


def has_amd_gpu(platform: Platform) -> bool:
    """Return whether there is a GPU for ROCm: the Linux driver is loaded, and rocminfo lists a GPU."""
    if not platform.system_path("/dev/kfd").exists():
        return False
    return bool(re.search(r"gfx[0-9a-f]{3,}", platform.run(["rocminfo"]) or ""))


def nvidia_build(platform: Platform) -> TorchBuild | None:
    """Return the build for the computer's NVIDIA driver and GPU; None if there is no driver that works."""
    # From driver 610 on, the summary has "CUDA UMD Version"; before 510 there is no list of compute capabilities.
    found = re.search(r"CUDA (?:UMD )?Version\s*:\s*(\d+)\.(\d+)", platform.run(["nvidia-smi"]) or "")
    if not found:
        return None
    driver = (int(found[1]), int(found[2]))
    listed = platform.run(["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]) or ""
    capabilities = re.findall(r"^\s*(\d+)\.(\d+)\s*$", listed, flags=re.MULTILINE)
    # PyTorch uses the fastest GPU by default, which is usually the newest.
    newest = max(((int(major), int(minor)) for major, minor in capabilities), default=(8, 0))
    version = f"{found[1]}.{found[2]}"
    for tag, oldest_driver, lowest, highest in _CUDA_BUILDS:
        if driver >= oldest_driver and lowest <= newest <= highest:
            return TorchBuild(tag, f"the NVIDIA driver has CUDA {version}, so PyTorch for CUDA ({tag})")
    advice = f"no CUDA build supports this GPU with a driver for CUDA {version} (a newer driver may help)"
    return without_torch(f"{advice}, so without PyTorch")
