# SPDX-License-Identifier: GPL-3.0-or-later
"""Training: pairs that are what they claim, a loop that learns, resumes and leaves usable weights."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from s2am_engine.errors import EngineError
from s2am_engine.model_store import find_model, load_network
from s2am_engine.training import datasets, losses, recipes
from s2am_engine.training.datasets import Photograph
from s2am_engine.training.loop import Progress, Trainer
from s2am_engine.training.pairs import PairMaker
from s2am_engine.training.publish import publish, read_facts
from s2am_engine.training.regions import grabcut_region, is_plausible, label_regions


@pytest.fixture
def photographs() -> list[Photograph]:
    """Three free photographs, each with a made-up region."""
    found = []
    for name in ("astronaut", "chelsea", "coffee"):
        image = np.ascontiguousarray(getattr(data, name)()[::4, ::4])
        region = np.zeros(image.shape[:2], np.bool_)
        region[20:60, 30:80] = True
        found.append(Photograph(name, image, [region]))
    return found


def test_pairs_differ_in_the_foreground_alone(photographs: list[Photograph]) -> None:
    batch = PairMaker(photographs, size=48, batch=16, seed=3).make(0)
    change = (batch.composite - batch.truth).abs()
    outside = torch.nn.functional.max_pool2d(batch.mask, 5, 1, 2) == 0
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


def test_the_papers_loss_is_relative_to_the_foregrounds_area() -> None:
    truth = torch.zeros(1, 3, 20, 20)
    mask = torch.zeros(1, 1, 20, 20)
    mask[..., :10, :] = 1  # 200 pixels, more than A_min
    stage = torch.full_like(truth, 0.1)
    assert float(losses.relative_l1([stage], truth, mask)) == pytest.approx(0.3)
    assert float(losses.relative_l1([stage, stage], truth, mask)) == pytest.approx(0.6)
    mask[..., 1:, :] = 0  # 20 pixels: A_min = 100 counts instead
    assert float(losses.relative_l1([stage], truth, mask)) == pytest.approx(0.3 * 20 / 100)


def trainer(name: str, steps: int, photographs: list[Photograph], folder: Path, rate: float = 1e-3) -> Trainer:
    """A run small enough for a test."""
    recipe = dataclasses.replace(recipes.RECIPES[name], steps=steps, batch=8, size=32, warm_up=5, learning_rate=rate)
    return Trainer(name, recipe, photographs, photographs, folder)


@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_a_network_overfits_one_batch(name: str, photographs: list[Photograph], tmp_path: Path) -> None:
    run = trainer(name, 1000, photographs, tmp_path, rate=2e-3)
    batch = run.pairs.make(0)
    first = run.train_step(batch)
    for _ in range(60):
        run.step += 1
        last = run.train_step(batch)
    with torch.no_grad():
        rendered = run.model.eval().render(run.model(batch.composite, batch.mask), batch.composite)[-1]
    error = ((rendered - batch.truth) ** 2 * batch.mask).sum()
    assert last < first
    assert float(error) < 0.5 * float((((batch.composite - batch.truth) ** 2) * batch.mask).sum())


def test_a_run_that_was_interrupted_ends_with_the_same_weights(photographs: list[Photograph], tmp_path: Path) -> None:
    reports: list[Progress] = []
    whole = trainer("concord", 8, photographs, tmp_path / "whole")
    whole.run(reports.append, validate_every=4)
    assert [report.step for report in reports] == [4, 8]

    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    first = trainer("concord", 8, photographs, tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        first.run(interrupt, validate_every=4)
    second = trainer("concord", 8, photographs, tmp_path / "parts")
    assert second.step == 4
    second.run(reports.append, validate_every=4)
    for one, other in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert (tmp_path / "parts" / "weights.safetensors").is_file()
    assert len((tmp_path / "parts" / "log.csv").read_text().splitlines()) == 3


def test_a_finished_run_becomes_a_model_with_its_card(
    photographs: list[Photograph], tmp_path: Path, no_personal_models: Path
) -> None:
    run = trainer("s2crnet", 4, photographs, tmp_path / "run")
    run.run(lambda progress: None, validate_every=2)
    facts = {"description": "tiny", "data": "three photographs", "history": "four steps", "known_failures": ["all"]}
    (tmp_path / "facts.json").write_text(json.dumps(facts))
    publish(tmp_path / "run", "mine", read_facts(tmp_path / "facts.json"), no_personal_models, None)
    model = find_model("mine")
    assert (model.card.thumbnail, model.card.training["steps"], model.card.data) == (32, 4, "three photographs")
    published = load_network(model).state_dict()
    for name, value in run.average.state_dict().items():
        torch.testing.assert_close(published[name], value, atol=2e-3, rtol=2e-3)


def test_publishing_too_early_or_without_facts_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no weights yet"):
        publish(tmp_path, "mine", {}, tmp_path, None)
    (tmp_path / "facts.json").write_text('{"description": "only"}')
    with pytest.raises(EngineError, match=r"facts\.json does not hold"):
        read_facts(tmp_path / "facts.json")
