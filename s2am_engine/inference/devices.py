# SPDX-License-Identifier: GPL-3.0-or-later
"""Where networks run."""

from __future__ import annotations

import torch

from s2am_engine.errors import EngineError


def choose_device(name: str) -> torch.device:
    """Turn `auto` or a PyTorch device name into a device.

    Raises:
        EngineError: this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise EngineError(f"There is no device “{name}” on this machine: use “auto” or “cpu”.") from error
    return device
