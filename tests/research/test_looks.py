# SPDX-License-Identifier: GPL-3.0-or-later
"""Measuring looks: the test composites, and a table without training."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from research import looks
from s2am_engine.training.color_styles import PRESETS, RESPONSES, TABLES
from s2am_engine.training.photo_cache import Photograph

AXIS = np.linspace(0, 255, 17)


@pytest.fixture
def styles(tmp_path: Path) -> Path:
    """Three film looks: all swap red and blue."""
    folder = tmp_path / "styles"
    folder.mkdir()
    swapped = np.stack(np.meshgrid(AXIS, AXIS, AXIS, indexing="ij"), axis=-1)[..., ::-1]
    np.savez(folder / TABLES, luts=np.stack([swapped] * 3).round().astype(np.uint8))
    (folder / PRESETS).write_text("path,Saturation\na.xmp,-10\n", encoding="utf-8")
    light = np.linspace(0, 1, 64, dtype=np.float32)
    np.savez(folder / RESPONSES, irradiance=light[None], brightness=light[None] ** 0.5)
    return folder


@pytest.fixture
def photos(tmp_path: Path, photographs: list[Photograph]) -> Path:
    """A folder of labeled photographs in the test split."""
    folder = tmp_path / "photos"
    folder.mkdir()
    with (folder / "index.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "image", "regions", "source", "split"])
        for one in photographs:
            Image.fromarray(one.image).save(folder / f"{one.name}.png")
            Image.fromarray(one.regions[0].astype(np.uint8)).save(folder / f"{one.name}-regions.png")
            rows.writerow([one.name, f"{one.name}.png", f"{one.name}-regions.png", "skimage", "test"])
    return folder


def test_compose_pastes_one_version_on_another(photographs: list[Photograph]) -> None:
    photograph = photographs[0]
    other = 255 - photograph.image
    made = looks.compose(photograph.image, other, photograph)
    inside = photograph.regions[0]
    assert (made.pixels[inside] == photograph.image[inside]).all()
    assert (made.pixels[~inside] == other[~inside]).all()
    assert (made.target == other).all()


def test_main_measures_references_of_a_look(
    styles: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = "--looks 1 --photographs 3 --tested 2 --minutes 0 --references 1 --base concord --out"
    monkeypatch.setattr(
        sys, "argv", ["looks", str(photos), str(styles), str(photos), *options.split(), str(tmp_path / "out")]
    )
    assert looks.main() == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split()[0] == "look"
    assert row.split()[0] == "1"
    (found,) = json.loads((tmp_path / "out" / "looks.json").read_text(encoding="utf-8"))
    assert (found["fine_tuned"], found["references"]["pairs"]) == (None, 6)
