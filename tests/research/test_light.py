# SPDX-License-Identifier: GPL-3.0-or-later
"""Measuring the light of the finish on pairs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from research import light
from s2am_engine.finish.shading import NOTABLE
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import save_image
from tests.engine.pictures import composite


def test_composites_are_measured_before_and_after(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, mask = composite(120, 160)
    for folder, name, image in (
        ("composite_images", "one_1_1.png", pixels),
        ("masks", "one_1.png", np.repeat(mask[..., None], 3, axis=2)),
        ("real_images", "one.png", pixels // 2),
    ):
        (tmp_path / folder).mkdir()
        save_image(tmp_path / folder / name, ImageData(image))
    monkeypatch.setattr(sys, "argv", ["light", "--composites", str(tmp_path)])
    assert light.main() == 0
    found = json.loads(capsys.readouterr().out)[tmp_path.name]
    assert (found["images"], list(found["changes"])) == (1, ["one_1_1"])
    assert found["light auto"] == (found["light 1"] if found["rms, stops"] > NOTABLE else found["before"])


def test_foreground_psnr_counts_the_foreground_alone() -> None:
    target, mask = np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.float32)
    mask[0], result = 1, np.ones((4, 4, 3), np.float32)
    result[0] = 0.1
    assert light.foreground_psnr(result, target, mask) == pytest.approx(20)
    assert light.foreground_psnr(target, target, mask) == pytest.approx(60, abs=1)


def test_picture_of_the_documentation_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["light", "--docs", str(tmp_path / "light.png")])
    assert light.main() == 0
    assert Image.open(tmp_path / "light.png").width > 4 * 300
