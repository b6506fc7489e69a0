# SPDX-License-Identifier: GPL-3.0-or-later
"""Redirect the program's folders away from those of the user who runs the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2am_common.paths import user_paths


def redirect_cache(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Redirect the cache below a folder on each system, and return its path."""
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        if variable != "HOME" or not user_paths().cache.is_relative_to(folder):
            monkeypatch.setenv(variable, str(folder))
    return user_paths().cache
