# SPDX-License-Identifier: GPL-3.0-or-later
"""Contact sheets and the sample composite."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2am_common.errors import EngineError, with_advice
from s2am_engine.cli.advice import ADVICE
from s2am_engine.image import sample
from s2am_engine.image.contact_sheet import CAPTION_HEIGHT, SHEET_GAP, write_contact_sheet
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import load_image
from s2am_engine.image.paste import place_layer


def test_write_contact_sheet_places_images_and_captions(tmp_path: Path) -> None:
    red = np.full((30, 60, 3), (200, 0, 0), np.uint8)
    mask = np.full((30, 60), 65535, np.uint16)
    blue = np.full((30, 60, 3), (0, 0, 1), np.float32)
    write_contact_sheet(
        tmp_path / "sheet.png", [[red, mask], [blue, mask]], ["one", "two"], ["left", "right"], side=120
    )
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    top, row = CAPTION_HEIGHT + SHEET_GAP, 60 + CAPTION_HEIGHT + SHEET_GAP
    assert tuple(sheet[top + 30, SHEET_GAP + 60]) == (200, 0, 0)
    assert tuple(sheet[top + 30, 2 * SHEET_GAP + 180]) == (255, 255, 255)
    assert tuple(sheet[top + row + 30, SHEET_GAP + 60]) == (0, 0, 255)
    caption = sheet[top + 60 : top + 60 + CAPTION_HEIGHT]
    assert caption.max() > 150  # there is text


def test_write_contact_sheet_places_rows_beside_each_other(tmp_path: Path) -> None:
    rows = [[np.full((10, 10, 3), 50 * index, np.uint8)] for index in range(1, 4)]
    write_contact_sheet(tmp_path / "sheet.png", rows, ["", "", ""], side=100, across=2)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    column, line = 2 * SHEET_GAP + 100, 100 + CAPTION_HEIGHT + SHEET_GAP
    places = ((SHEET_GAP + 50, 50), (SHEET_GAP + 50, column + 50), (SHEET_GAP + line + 50, 50))
    assert [int(sheet[y, x, 0]) for y, x in places] == [50, 100, 150]


def test_make_sample_writes_harmonized_composite_and_sheet(tmp_path: Path) -> None:
    result, sheet = sample.make_sample(tmp_path / "sample")
    names = {"layer.png", "background.png", "composite.png", "harmonized.png", "before-after.png"}
    assert {path.name for path in (tmp_path / "sample").iterdir()} == names
    background, before, after = (
        load_image(tmp_path / "sample" / name).pixels for name in ("background.png", "composite.png", "harmonized.png")
    )
    layer = load_image(tmp_path / "sample" / "layer.png").alpha
    assert layer is not None
    assert 0.25 < (layer > 127).mean() < 0.7
    astronaut = (
        place_layer(sample.sample_layer(), ImageData(background), sample.SAMPLE_POSITION).mask(*background.shape[:2])
        > 0
    )
    np.testing.assert_array_equal(after[~astronaut], background[~astronaut])
    # Studio light on the suit, dusk around it: the result is bluer.
    shift = (after.astype(int) - before)[astronaut].mean(axis=0)
    assert shift[2] > shift[0]
    assert Image.open(sheet).width > 2 * 640
    assert result.name == "harmonized.png"


def test_sample_needs_none_of_the_libraries_of_scikit_image() -> None:
    """They are not installed with it: 38 MB to download."""
    code = "import sys; sys.modules['scipy'] = sys.modules['networkx'] = sys.modules['imageio'] = None; "
    code += "from s2am_engine.image import sample; print(sample.sample_background().pixels.shape)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(520, 960, 3)\n"


def test_sample_without_scikit_image_names_the_part_that_adds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "find_spec", lambda _: None)
    with pytest.raises(EngineError) as caught:
        sample.sample_layer()
    assert with_advice(caught.value, ADVICE).endswith("is not installed: run “s2am install sample”.")
