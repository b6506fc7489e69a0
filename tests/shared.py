# SPDX-License-Identifier: GPL-3.0-or-later
"""The image collections next to the checkout (`../shared`), which tests marked `shared` need."""

from __future__ import annotations

import os

import pytest

from tests.left_out import SHARED as SHARED

if os.environ.get("CI") and not SHARED.is_dir():
    raise RuntimeError(f"{SHARED} must be there in CI")

needs_shared = pytest.mark.shared
