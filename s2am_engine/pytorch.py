# SPDX-License-Identifier: GPL-3.0-or-later
"""Presence of PyTorch, which training, GPUs and some models need; nothing here imports it."""

from __future__ import annotations

import importlib.util


def has_torch() -> bool:
    """Return whether PyTorch is installed."""
    return importlib.util.find_spec("torch") is not None
