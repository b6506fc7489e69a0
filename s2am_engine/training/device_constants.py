# SPDX-License-Identifier: GPL-3.0-or-later
"""Constants of formulas on the device that computes."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor


@cache
def device_constant(constant: Tensor, device: torch.device) -> Tensor:
    """Return a constant of a module on a device, copied there once: for each copy the host would wait for a GPU."""
    return constant.to(device)
