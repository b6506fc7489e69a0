# SPDX-License-Identifier: GPL-3.0-or-later
"""Deleted models: restoring them, with their contact sheet, and for how long."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from s2am_common.errors import ModelError
from s2am_engine.models.deleted_models import DELETED_FOLDER, KEPT_DAYS, delete_restorably, drop_expired, restore_model
from s2am_engine.models.model_files import add_model, rename_model
from s2am_engine.models.model_store import Model, find_model, read_weights


@pytest.fixture
def mine(no_personal_models: Path) -> Model:
    """A personal model, a copy of the smallest one, with a contact sheet."""
    found = find_model("s2crnet")
    card = type(found.card)(**vars(found.card) | {"name": "mine"})
    return add_model(card, read_weights(found), style_sheet=b"a contact sheet")


def test_restore_model_undoes_a_deletion(mine: Model) -> None:
    weights = read_weights(mine)
    assert delete_restorably("mine")
    with pytest.raises(ModelError, match="no model “mine”"):
        find_model("mine")
    assert not mine.style_sheet.exists()
    restored = restore_model("mine")
    assert restored == mine
    assert read_weights(restored) == weights
    assert restored.style_sheet.read_bytes() == b"a contact sheet"
    with pytest.raises(ModelError, match="no deleted model “mine”"):
        restore_model("mine")


def test_restore_model_replaces_no_newer_model(mine: Model) -> None:
    delete_restorably("mine")
    add_model(mine.card, b"newer")
    with pytest.raises(ModelError, match="already a model “mine”"):
        restore_model("mine")
    assert find_model("mine").weights.read_bytes() == b"newer"


def test_delete_restorably_deletes_damaged_models_for_good(mine: Model) -> None:
    mine.weights.write_bytes(b"damaged")
    assert not delete_restorably("mine")
    assert not mine.weights.exists()


def test_deleted_models_expire(mine: Model, no_personal_models: Path) -> None:
    delete_restorably("mine")
    for days, left in ((KEPT_DAYS - 1, 2), (KEPT_DAYS + 1, 0)):
        for path in (no_personal_models / DELETED_FOLDER).iterdir():
            os.utime(path, (time.time() - days * 86400,) * 2)
        drop_expired()
        assert len(list((no_personal_models / DELETED_FOLDER).iterdir())) == left


def test_rename_model_keeps_the_contact_sheet(mine: Model) -> None:
    assert rename_model("mine", "yours").style_sheet.read_bytes() == b"a contact sheet"
    assert not mine.style_sheet.exists()
