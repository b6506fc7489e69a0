# SPDX-License-Identifier: GPL-3.0-or-later
"""A fine-tuned model in a real GIMP: the dialog says where the background lacks its look."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from s2am_engine.models.model_files import add_model
from s2am_engine.models.model_store import find_model, load_network
from s2am_engine.networks.adjustment import Adjustment
from s2am_engine.networks.personal import SOFTNESS, Personal
from tests.gimp import pictures
from tests.gimp.harness import Gimp3
from tests.gimp.screenshots import open_dialog, settled
from tests.gimp.test_windows import PATIENCE, Remote, show_image

MODEL = "film"

# Appended to the installed dialog: writes the notes that it shows to a file.
KEEP_NOTES = """

def _keep_notes(self, notes, show=HarmonizeDialog.show_notes):
    import os
    show(self, notes)
    Path(os.environ["S2AM_TEST"], "notes.txt").write_text(self._notes.get_text(), encoding="utf-8")

HarmonizeDialog.show_notes = _keep_notes
"""


@pytest.fixture
def remote(gimp_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    """A GIMP with windows, whose user has a fine-tuned model."""
    gimp = Gimp3(gimp_root, tmp_path)
    pictures.write(gimp.folder)
    gimp.prepare()
    models = gimp.folder / "home/.local/share/s2am/models"
    monkeypatch.setattr("s2am_engine.models.model_store.personal_folder", lambda: models)
    add_fine_tuned_model(likeness=0.2)
    dialog = gimp.plugin / "harmonize_layer/gimp/dialog.py"
    dialog.write_text(dialog.read_text(encoding="utf-8") + KEEP_NOTES, encoding="utf-8")
    with gimp.desktop("remote.py") as desktop:
        yield Remote(desktop)
    gimp.end_engine()


def add_fine_tuned_model(likeness: float) -> None:
    """Add a fine-tuned model for which every background has the same likeness."""
    base = find_model("connoisseur")
    network = Personal(load_network(base), Adjustment()).eval()
    network.likeness.offset.copy_(torch.tensor([SOFTNESS * math.log(likeness / (1 - likeness))]))
    weights = safetensors.torch.save(network.state_dict())
    card = replace(
        base.card,
        name=MODEL,
        fine_tuned=True,
        adjusted=True,
        sha256=hashlib.sha256(weights).hexdigest(),
        size=len(weights),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
    )
    add_model(card, weights)


def test_dialog_says_that_the_background_lacks_the_look(remote: Remote) -> None:
    show_image(remote)
    answer = remote.ask("harmonize", model=MODEL)
    assert answer["status"] == "success", answer["message"]
    notes = remote.desktop.gimp.folder / "notes.txt"
    open_dialog(remote.desktop)  # on the harmonized layer, so with its model
    settled(remote.desktop)
    remote.desktop.gimp.wait_for(lambda: notes.exists() and "likeness" in notes.read_text(), PATIENCE, "the note")
    expected = "The background does not have the look to which “film” was fine-tuned (likeness 20%): its base model "
    assert f"{expected}counts 80%." in notes.read_text(encoding="utf-8")
