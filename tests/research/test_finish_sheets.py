# SPDX-License-Identifier: GPL-3.0-or-later
"""Sheets of the finish."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from research import finish_sheets
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import save_image
from tests.engine.pictures import composite


def test_sheets_show_every_stage(tmp_path: Path) -> None:
    pixels, mask = composite(240, 320)
    for folder, image in (("images", pixels), ("masks", np.repeat(mask[..., None], 3, axis=2))):
        (tmp_path / folder).mkdir()
        save_image(tmp_path / folder / "one.png", ImageData(image))
    finish_sheets.main([str(tmp_path), str(tmp_path / "out"), "--count", "1"])
    sheets = sorted((tmp_path / "out").iterdir(), key=lambda sheet: sheet.stem)
    assert [each.stem for each in sheets] == sorted(
        stage.replace(" ", "-") for stage in (*finish_sheets.STAGES, finish_sheets.SHADOW)
    )
    assert Image.open(sheets[0]).width > 4 * finish_sheets.SIDE


def test_sheets_need_folders(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        finish_sheets.main([])
    assert "name the composites" in capsys.readouterr().err


def test_edge_detail_shows_foreground_and_background() -> None:
    mask = np.zeros((500, 700), np.uint8)
    mask[:, 400:] = 255
    assert 0.4 < (mask[finish_sheets.edge_detail(mask, 200)] > 0).mean() < 0.6
