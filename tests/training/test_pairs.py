# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs that are what they claim, from regions that somebody might have pasted, from any folder of photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from torch.nn import functional as F

from s2am_engine.errors import EngineError
from s2am_engine.training import datasets
from s2am_engine.training.datasets import Photograph
from s2am_engine.training.pairs import PairMaker
from s2am_engine.training.regions import grabcut_region, is_plausible, label_regions


def test_pairs_differ_in_the_foreground_alone(photographs: list[Photograph]) -> None:
    batch = PairMaker(photographs, size=48, batch=16, seed=3).make(0)
    change = (batch.composite - batch.truth).abs()
    outside = F.max_pool2d(batch.mask, 5, 1, 2) == 0
    assert float((change * outside).max()) <= 0.5 / 255 + 1e-6
    assert float((change * batch.mask).amax(dim=(1, 2, 3)).median()) > 0.1
    for tensor in (batch.composite, batch.truth, batch.mask):
        assert float(tensor.min()) >= 0
        assert float(tensor.max()) <= 1 + 1e-6


def test_the_same_seed_and_step_give_the_same_pairs(photographs: list[Photograph]) -> None:
    first, again = (PairMaker(photographs, 32, 4, seed=5).make(7) for _ in range(2))
    other = PairMaker(photographs, 32, 4, seed=5).make(8)
    assert torch.equal(first.composite, again.composite)
    assert not torch.equal(first.composite, other.composite)


def test_recolourings_are_of_many_kinds(photographs: list[Photograph]) -> None:
    batch = PairMaker(photographs, 32, 64, seed=1).make(0)
    area = batch.mask.sum(dim=(2, 3)).clamp_min(1)
    shift = ((batch.composite - batch.truth) * batch.mask).sum(dim=(2, 3)) / area
    brighter, warmer = shift.mean(dim=1), shift[:, 0] - shift[:, 2]
    for kind in (brighter, warmer):
        assert float((kind > 0.02).float().mean()) > 0.1
        assert float((kind < -0.02).float().mean()) > 0.1


def test_label_maps_become_regions_of_plausible_size() -> None:
    labels = np.zeros((60, 80), np.uint8)
    labels[5:25, 5:25], labels[35:55, 40:70], labels[0, 79] = 1, 1, 2
    areas = [int(mask.sum()) for mask in label_regions(labels)]
    assert areas == [1000, 600, 400]


def test_grabcut_finds_an_object() -> None:
    image = np.full((80, 100, 3), (40, 120, 50), np.uint8)
    image[20:60, 30:70] = (200, 60, 40)
    image += np.random.default_rng(0).integers(0, 9, image.shape, np.uint8)
    found = [grabcut_region(image, np.random.default_rng(seed)) for seed in range(8)]
    masks = [mask for mask in found if mask is not None]
    assert masks
    assert all(is_plausible(mask) for mask in masks)
    square = np.zeros((80, 100), np.bool_)
    square[20:60, 30:70] = True
    overlap = [(mask & square).sum() / (mask | square).sum() for mask in masks]
    assert max(overlap) > 0.9


def test_any_folder_of_photographs_is_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    (tmp_path / "photos").mkdir()
    for index in range(6):
        Image.fromarray(data.coffee()[index * 10 :: 3, ::3]).save(tmp_path / "photos" / f"holiday {index}.jpg")
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no picture either")
    monkeypatch.setattr(datasets, "VALIDATION_SHARE", 0.0)
    loaded = datasets.load_photographs(tmp_path / "photos", "train", long_side=96)
    cached = datasets.load_photographs(tmp_path / "photos", "train", long_side=96)
    assert 1 <= len(loaded) <= 6
    assert [p.name for p in cached] == [p.name for p in loaded]
    for first, second in zip(loaded, cached, strict=True):
        assert max(first.image.shape) == 96
        np.testing.assert_array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.regions, second.regions)


def test_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="holds no photographs"):
        datasets.find_photographs(tmp_path, "train")
