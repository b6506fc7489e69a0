# SPDX-License-Identifier: GPL-3.0-or-later
"""The image collections next to the checkout (`../shared`), which tests marked `shared` need."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"

if os.environ.get("CI") and not SHARED.is_dir():
    raise RuntimeError(f"{SHARED} must be there in CI")

needs_shared = pytest.mark.shared
