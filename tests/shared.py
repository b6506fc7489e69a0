# SPDX-License-Identifier: GPL-3.0-or-later
"""The team's pictures beside the checkout; tests that need them are left out, and say so, where they are not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"

if os.environ.get("CI") and not SHARED.is_dir():
    raise RuntimeError(f"{SHARED} must be there in CI")

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the pictures of ../shared are not on this machine")
