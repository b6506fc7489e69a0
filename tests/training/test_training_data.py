# SPDX-License-Identifier: GPL-3.0-or-later
"""Training data: reading of ready pairs, and strict separation of held-out ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from s2am_common.errors import EngineError
from s2am_engine.networks.registry import RECIPES
from s2am_engine.training import training_data
from s2am_engine.training.distributed import ProcessGroup
from s2am_engine.training.pair_source import PIECE, Batch, MixedPairs, PairSource
from s2am_engine.training.synthetic_pairs import PairMaker
from s2am_engine.training.training_data import PairReader, open_data
from tests.folders import redirect_cache

RECIPE = dataclasses.replace(RECIPES["small"]["concord"], size=32, batch=4)
ALONE = ProcessGroup(torch.device("cpu"))


@pytest.fixture
def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight pairs whose composites are the target with a red square; the photographs “0” and “1” are held out."""
    monkeypatch.setattr(training_data, "VALIDATION_BATCHES", 2)
    monkeypatch.setattr(training_data, "is_held_out", lambda pair: pair.target.stem in "01")
    for index in range(8):
        target = np.roll(data.coffee()[:300:3, :300:3], 7 * index, axis=1)
        mask = np.zeros(target.shape[:2], np.uint8)
        mask[20:60, 10:40] = 255
        pasted = np.where(mask[..., None] > 0, np.array([200, 0, 0], np.uint8), target)
        for name, picture in (("composite_images/{}_1_1", pasted), ("masks/{}_1", mask), ("real_images/{}", target)):
            path = tmp_path / f"{name.format(index)}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(picture).save(path)
    return tmp_path


def test_pair_reader_reads_rgb(ready: Path) -> None:
    found = open_data(ready, RECIPE, 0, ALONE)
    assert found.description.startswith("8 pairs of")
    batch = found.pairs.make(0)
    assert batch.composite.shape == (4, 3, 32, 32)
    inside, outside = batch.mask == 1, (batch.mask == 0).expand_as(batch.target)
    red = batch.composite[inside.expand_as(batch.composite)].view(-1)
    assert set(red.unique().mul(255).round().tolist()) == {0.0, 200.0}
    red_channel = batch.composite[:, 0][inside[:, 0]]
    assert torch.allclose(red_channel, torch.full_like(red_channel, 200 / 255))
    assert torch.equal(batch.composite[outside], batch.target[outside])
    # Mirrored or not: the square is left or right of the middle.
    sides = {bool(mask[0, :, :16].sum() > mask[0, :, 16:].sum()) for mask in found.pairs.make(1).mask}
    assert sides == {True, False}


def test_open_data_separates_held_out_pairs(ready: Path) -> None:
    found = open_data(ready, RECIPE, 0, ALONE)
    assert isinstance(found.pairs, PairReader)
    assert {pair.target.stem for pair in found.pairs.pairs} == set("234567")
    assert len(found.held_out) == 2


def test_read_pair_reports_unreadable_images(ready: Path) -> None:
    for path in (ready / "real_images").iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(EngineError, match=r"real_images/.\.png can't be read"):
        open_data(ready, RECIPE, 0, ALONE)


def test_open_data_needs_several_photographs(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_data, "is_held_out", lambda pair: True)
    with pytest.raises(EngineError, match="pairs of too few photographs"):
        open_data(ready, RECIPE, 0, ALONE)


@dataclasses.dataclass
class Constant(PairSource):
    """Pairs of one value."""

    value: float = 0.0

    def piece(self, index: int, count: int) -> Batch:
        pictures = torch.full((count, 3, 2, 2), self.value)
        return Batch(pictures, pictures[:, :1], pictures)


@pytest.mark.parametrize("share", [0.0, 0.25, 2 / 3, 1.0])
def test_mixed_pairs_share(share: float) -> None:
    pairs = MixedPairs(2, 3 * PIECE, sources=(Constant(2, PIECE), Constant(2, PIECE, value=1.0)), share=share)
    found = float(torch.cat([pairs.make(step).target.mean(dim=(1, 2, 3)) for step in range(40)]).mean())
    assert found == pytest.approx(share, abs=0.02)


def test_open_data_makes_pairs_of_photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    redirect_cache(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr(
        "s2am_engine.training.dataset_readers.split_of", lambda name: "val" if name[0] == "0" else "train"
    )
    monkeypatch.setattr(training_data, "VALIDATION_BATCHES", 1)
    (tmp_path / "photos").mkdir()
    for index in range(3):
        Image.fromarray(data.coffee()).save(tmp_path / "photos" / f"{index}.jpg")
    found = open_data(tmp_path / "photos", dataclasses.replace(RECIPE, size=256), 0, ALONE)
    assert isinstance(found.pairs, PairMaker)
    assert [photograph.name for photograph in found.pairs.photographs] == ["1", "2"]
    # 1.5 times the network's input size.
    assert {max(photograph.image.shape) for photograph in found.pairs.photographs} == {384}
