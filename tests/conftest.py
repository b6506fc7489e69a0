# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test starts from."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def no_personal_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the models of the person who runs the tests out of them: an empty folder instead."""
    folder = tmp_path / "personal models"
    monkeypatch.setattr("s2am_engine.models.model_store.personal_folder", lambda: folder)
    return folder
