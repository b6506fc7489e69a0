# SPDX-License-Identifier: GPL-3.0-or-later
"""Choice of the device of a network. PyTorch, which loads slowly, is imported only where it may have a GPU."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

from s2am_common.errors import DeviceError
from s2am_common.settings import load_settings
from s2am_engine.pytorch import has_torch

CPU = "cpu"
_GPU_NODES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # of the drivers of NVIDIA, Windows' Linux and AMD
_BACKEND = re.compile(r"^(?:cuda|hip)\b[^=\n]*= *['\"]", re.MULTILINE)


def choose_device(name: str | None = None) -> str:
    """Return PyTorch's name of a device.

    Args:
        name: `auto` (a CUDA GPU if there is one, else the CPU), `cpu`, `cuda`, `cuda:1` …; None = as in the settings.

    Raises:
        DeviceError: this machine has no such device.
    """
    name = name or load_settings().device
    if name == CPU:
        return CPU
    if name == "auto":
        return "cuda" if _has_gpu() else CPU
    if not has_torch():
        raise DeviceError(
            f"Computing on “{name}” needs PyTorch, which is not installed.", code="device.torch", device=name
        )
    try:
        import torch

        device = torch.device(name)
        torch.empty(0, device=device)
    except (ImportError, RuntimeError, AssertionError) as error:
        raise DeviceError(f"There is no device “{name}” on this machine: use “auto” or “cpu”.", device=name) from error
    return str(device)


def _has_gpu() -> bool:
    if not has_torch() or ("torch" not in sys.modules and not _may_have_gpu()):
        return False
    import torch

    return torch.cuda.is_available()


def _may_have_gpu() -> bool:
    """Return whether PyTorch is installed with support of GPUs and, on Linux, a driver is loaded."""
    spec = importlib.util.find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    if sys.platform == "linux" and not any(Path(node).exists() for node in _GPU_NODES):
        return False
    try:  # a generated file of assignments, such as `cuda: Optional[str] = '13.0'`
        return bool(_BACKEND.search(Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")))
    except OSError:
        return True
