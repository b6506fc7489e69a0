# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluation of data sets of any size: every picture is measured, a sheet shows no more than fit on one."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2am_engine.training import evaluation
from tests.engine.pictures import composite


def test_a_large_data_set_is_measured_whole_and_shown_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, mask = composite()
    for folder in ("composite_images", "masks", "real_images"):
        (tmp_path / folder).mkdir()
    for index in range(7):
        Image.fromarray(pixels).save(tmp_path / "composite_images" / f"p{index}_1_1.png")
        Image.fromarray(mask).save(tmp_path / "masks" / f"p{index}_1.png")
        Image.fromarray(np.roll(pixels, 1, axis=2)).save(tmp_path / "real_images" / f"p{index}.png")
    monkeypatch.setattr(evaluation, "MOST_SHOWN", 3)
    sheet = io.BytesIO()
    found = evaluation.evaluate(tmp_path, ["concord"], device="cpu", sheet=sheet)
    assert len(found.names) == len(found.models[0].images) == 7
    everything = io.BytesIO()
    monkeypatch.setattr(evaluation, "MOST_SHOWN", 120)
    evaluation.evaluate(tmp_path, ["concord"], device="cpu", sheet=everything)
    # Three pictures stand beside each other: one line instead of three.
    assert Image.open(sheet).height < 0.5 * Image.open(everything).height
