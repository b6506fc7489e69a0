# SPDX-License-Identifier: GPL-3.0-or-later
"""Deleted personal models, kept for some days as exported models, so that a deletion can be undone."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from s2am_common.atomic import ensure_folder
from s2am_common.errors import ModelError
from s2am_common.path_checks import is_regular_file
from s2am_engine.models import model_store
from s2am_engine.models.model_files import (
    SUFFIX,
    check_free,
    check_name,
    delete_model,
    export_model,
    find_personal_card,
    import_model,
)
from s2am_engine.models.model_store import Model

KEPT_DAYS = 30
DELETED_FOLDER = "deleted"  # below the folder of the personal models


def delete_restorably(name: str) -> bool:
    """Delete a personal model, but keep a copy for `KEPT_DAYS`.

    Returns:
        Whether it can be restored; a damaged model can't.

    Raises:
        ModelError: no such model, or a bundled one.
        FileError: the copy cannot be written, or the model not be removed; then it stays.
    """
    drop_expired()
    find_personal_card(name)
    kept = keep_copy(name)
    delete_model(name)
    return kept


def keep_copy(name: str) -> bool:
    """Copy a model to the deleted ones; return False if it is damaged."""
    file = deleted_file(name)
    try:
        model = model_store.find_model(name)
        model_store.read_weights(model)
    except ModelError:
        return False
    ensure_folder(file.parent)
    export_model(name, file)
    with contextlib.suppress(OSError):  # not every model has a contact sheet
        file.with_suffix(model.style_sheet.suffix).write_bytes(model.style_sheet.read_bytes())
    return True


def restore_model(name: str) -> Model:
    """Restore a deleted model.

    Raises:
        ModelError: none of this name was deleted in the last days, or the name is taken again.
        FileError: it cannot be read or written.
    """
    file = deleted_file(check_name(name))
    if not is_regular_file(file):
        names = ", ".join(f"“{path.stem}”" for path in sorted(file.parent.glob(f"*{SUFFIX}")))
        known = f"choose one of {names}" if names else f"deleted models are kept for {KEPT_DAYS} days"
        raise ModelError(f"There is no deleted model “{name}”: {known}.", code="model.not-deleted", model=name)
    check_free(file.stem)
    model = import_model(file, file.stem)
    with contextlib.suppress(OSError):
        sheet = file.with_suffix(model.style_sheet.suffix)
        model.style_sheet.write_bytes(sheet.read_bytes())
        sheet.unlink()
    file.unlink(missing_ok=True)
    return model


def drop_expired() -> None:
    """Remove copies that are older than `KEPT_DAYS`."""
    for path in (model_store.personal_folder() / DELETED_FOLDER).glob("*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > KEPT_DAYS * 86400:
                path.unlink()


def deleted_file(name: str) -> Path:
    """Return the path of a deleted model's copy."""
    return model_store.personal_folder() / DELETED_FOLDER / f"{model_store.composed(name)}{SUFFIX}"
