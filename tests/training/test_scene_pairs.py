# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of scenes that were photographed several times."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from s2am_common.errors import EngineError
from s2am_engine.training.scene_pairs import Scene, ScenePairs, load_scenes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four scenes, each in three exposures, one of them nearly white."""
    place = tmp_path_factory.mktemp("scenes")
    lines = []
    for number in range(4):
        image = np.roll(data.astronaut(), 40 * number, axis=0)[100:400, 60:360]
        for exposure, scale in enumerate((0.6, 0.8, 8.0)):
            name = f"{number}-{exposure}.png"
            Image.fromarray((image * scale).clip(0, 255).astype(np.uint8)).save(place / name)
            lines.append(("exposure" if number else "daytime", f"scene {number}", name))
    with (place / "index.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("kind", "scene", "image"), *lines])
    return place


def test_scene_pairs_combine_two_pictures(folder: Path) -> None:
    scenes = load_scenes(folder, held_out=False) + load_scenes_or_none(folder)
    assert {scene.name for scene in scenes} == {"scene 1", "scene 2", "scene 3"}  # what moves is left out
    assert all(len(scene.pictures) == 2 for scene in scenes)  # so is what is nearly white
    batch, again = (ScenePairs(48, 16, 1, scenes=scenes).make(0) for _ in range(2))
    assert torch.equal(batch.composite, again.composite)
    area = batch.mask.sum(dim=(2, 3)).clamp_min(1)
    ratio = (batch.composite * batch.mask).sum(dim=(2, 3)) / (batch.target * batch.mask).sum(dim=(2, 3)).clamp_min(1e-3)
    for one in ratio[area[:, 0] > 20].mean(dim=1):
        assert min(abs(float(one) - 0.75), abs(float(one) - 1.33)) < 0.15
    outside = torch.nn.functional.max_pool2d(batch.mask, 5, 1, 2) == 0
    assert float(((batch.composite - batch.target).abs() * outside).max()) < 0.5 / 255 + 1e-6


def load_scenes_or_none(folder: Path) -> tuple[Scene, ...]:
    """Return the held-out scenes, of which there may be none."""
    try:
        return load_scenes(folder, held_out=True)
    except EngineError:
        return ()


def test_load_scenes_refuses_other_folders(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="holds no scenes"):
        load_scenes(tmp_path, held_out=False)
    (tmp_path / "index.csv").write_text("kind,scene,image\n", encoding="utf-8")
    with pytest.raises(EngineError, match="each needs at least two"):
        load_scenes(tmp_path, held_out=False)
