# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparison: systems that can be trained and measured alike, and figures from which the page is made."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from research import ablation, comparison
from research.comparison import BUDGET, FIGURES, SYSTEMS, KeptPairs, Study, System
from research.results import make_page
from s2am_engine.color.apply import apply_color_map
from s2am_engine.networks.registry import NETWORKS, build_network
from s2am_engine.training import trainer as trainer_module
from s2am_engine.training import training_data
from s2am_engine.training.learner import gains
from s2am_engine.training.losses import LOSSES
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.recolor_settings import Recoloring
from s2am_engine.training.synthetic_pairs import FULL_EDIT, GENERAL, PairKinds, PairMaker
from s2am_engine.training.training_data import PairOptions
from tests.engine.fake_networks import KNOWN_MAP
from tests.engine.pictures import composite
from tests.training.test_evaluation import write_pair

EACH = pytest.mark.parametrize("name", SYSTEMS)
SIZE, BATCH = 32, 4


@EACH
def test_systems_can_be_built_and_trained(name: str) -> None:
    system = SYSTEMS[name]
    assert system.network in NETWORKS
    with torch.device("meta"):
        network = build_network(system.network, **system.options)
        trained = build_network(system.network, **system.recipe.options)
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    assert shapes == {key: value.shape for key, value in trained.state_dict().items()}
    assert bool(shapes) is (system.recipe.steps > 0)
    assert system.recipe.loss in LOSSES
    # Only networks that predict masks can be trained by their error.
    assert network.mask_free or system.recipe.loss not in ("attention_and_rmse", "attention_and_pixels")
    # A patch discriminator needs 24 pixels, an encoder-decoder one at its bottom.
    assert system.recipe.size >= 24
    assert system.recipe.size % 2 ** (system.options.get("levels", 4) - 1) == 0


@EACH
def test_systems_share_one_budget(name: str) -> None:
    recipe = SYSTEMS[name].recipe
    free = {"loss", "adversarial", "options"}
    for field in dataclasses.fields(recipe):
        if field.name not in free and not (name == "reinhard" and field.name == "steps"):
            assert getattr(recipe, field.name) == getattr(BUDGET, field.name), field.name
    if ", " not in name and not SYSTEMS[name].recipe.adversarial:
        assert recipe.loss == BUDGET.loss


def test_systems_differ_in_the_options_of_their_names() -> None:
    def differences(one: str, other: str) -> set[str]:
        found = {"network"} if SYSTEMS[one].network != SYSTEMS[other].network else set()
        pairs = ((getattr(SYSTEMS[name].recipe, field) for name in (one, other)) for field in FREE)
        return found | {field for field, (first, second) in zip(FREE, pairs, strict=True) if first != second}

    assert differences("s2am-mask-free", "s2am-mask-free, no GAN") == {"adversarial"}
    assert differences("s2am-mask-free", "s2am-mask-free, no attention loss") == {"loss"}
    assert differences("unet", "unet, published loss") == {"loss"}
    assert differences("s2am-s2ad", "s2am-s2asc") == {"network"}
    assert differences("pix2pix", "unet") == {"network", "adversarial"}
    assert differences("s2am-s2asc", "s2am-s2asc, four scales") == {"options"}


FREE = ("loss", "adversarial", "options")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two pairs in iHarmony4's layout."""
    folder = tmp_path / "composites"
    folder.mkdir()
    pixels, mask = composite(90, 120)
    for name, picture in (("blue", pixels), ("red", np.ascontiguousarray(pixels[..., ::-1]))):
        write_pair(folder, name, picture, mask, apply_color_map(KNOWN_MAP, picture, mask))
    return folder


@pytest.fixture
def tiny_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten training to three steps and a small validation; the encoder-decoders get an eighth of their width."""
    monkeypatch.setattr(comparison, "BUDGET", dataclasses.replace(BUDGET, steps=3, batch=BATCH, size=SIZE, warm_up=1))
    monkeypatch.setattr(comparison, "HELD_OUT", 2)
    monkeypatch.setattr(training_data, "VALIDATION_BATCHES", 1)
    monkeypatch.setattr(trainer_module, "CALIBRATION_BATCHES", 1)
    for name in ("unet", "s2am-mask-free"):
        monkeypatch.setitem(SYSTEMS, name, System(name, {"width": 8, "levels": 4}, SYSTEMS[name].changes))


def measure(name: str, photographs: list[Photograph], dataset: Path, runs: Path) -> dict[str, Any]:
    pairs = KeptPairs(SIZE, BATCH, 1, photographs=photographs)
    return Study(photographs, photographs, dataset, runs, pairs).train_and_measure(name, SYSTEMS[name])


@pytest.mark.slow
def test_train_and_measure_gives_the_pages_figures(
    photographs: list[Photograph], dataset: Path, tmp_path: Path, tiny_budget: None
) -> None:
    runs = tmp_path / "runs"
    found = {name: measure(name, photographs, dataset, runs) for name in ("reinhard", "unet", "s2am-mask-free")}
    assert json.loads(json.dumps(found)) == found
    for name, figures in found.items():
        assert figures["network"] == name
        for kind in ("map", "native"):
            row = figures[kind]
            assert len(row["gains"]) == 2
            assert np.mean(row["gains"]) == pytest.approx(row["psnr"] - row["untouched"]["psnr"], abs=1e-3)
            assert row["worse_by_1db"] == sum(gain < -1 for gain in row["gains"])
            assert set(FIGURES) <= row.keys()
            assert ("iou" in row) is (name == "s2am-mask-free")
        assert len(figures["held_out"]) == 2 * BATCH
        assert figures["map"]["untouched"] == found["reinhard"]["map"]["untouched"]
    assert [figures["parameters"] == 0 for figures in found.values()] == [True, False, False]
    assert [figures["loss"] for figures in found.values()] == [None, "foreground_rmse", "attention_and_rmse"]
    assert [figures["adversarial"] for figures in found.values()] == [0, 0, 0.01]
    assert found["unet"]["recipe"]["photographs"] == len(photographs)
    assert found["unet"]["recipe"]["steps"] == 3
    assert found["reinhard"]["map"]["gains"] != found["reinhard"]["native"]["gains"]
    every = {name: found.get(name, found["unet"]) for name in SYSTEMS}
    assert "# Results" in make_page(every, dict.fromkeys(ablation.KINDS, found["unet"]))
    # A trained system is not trained again, and gives the same figures.
    log = (runs / "unet" / "log.csv").read_text()
    again = measure("unet", photographs, dataset, runs)
    assert (runs / "unet" / "log.csv").read_text() == log
    assert {**again, "minutes": 0} == {**found["unet"], "minutes": 0}


@pytest.mark.slow
def test_ablate_leaves_out_a_group_in_training(
    photographs: list[Photograph], dataset: Path, tmp_path: Path, tiny_budget: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ablation, "load_photographs", lambda _folder, _split: photographs)
    seen: dict[str, tuple[PairKinds, Recoloring]] = {}

    measure_once = Study.measure_once

    def note(study: Any, name: str, system: System) -> None:
        seen[name] = study.pairs.kinds, study.pairs.recoloring
        measure_once(study, name, system)

    monkeypatch.setattr(Study, "measure_once", note)
    monkeypatch.setattr(ablation, "BUDGET", comparison.BUDGET)
    monkeypatch.setattr(ablation, "SYSTEM", System("concord", {"width": 24, "hidden": 32}))
    ablation.ablate(tmp_path, dataset, tmp_path / "runs", [ablation.EVERYTHING, "tones", "edits"], PairOptions())
    assert seen == {
        ablation.EVERYTHING: (GENERAL, FULL_EDIT),
        "tones": (GENERAL, FULL_EDIT.without("gamma", "contrast", "tone-curve", "fade")),
        "edits": (GENERAL.without("edits"), FULL_EDIT),
    }
    assert not (tmp_path / "ablation.json").exists()
    ablation.publish(tmp_path / "runs", tmp_path)
    assert not (tmp_path / "ablation.json").exists()  # until all are there
    tones = json.loads((tmp_path / "runs/tones.json").read_text())
    for name in ablation.KINDS.keys() - seen.keys():
        (tmp_path / "runs" / f"{name}.json").write_text(json.dumps(tones))
    ablation.publish(tmp_path / "runs", tmp_path)
    kept = json.loads((tmp_path / "ablation.json").read_text())
    assert list(kept) == list(ablation.KINDS)
    assert kept["tones"] == tones != kept[ablation.EVERYTHING]


def test_train_and_measure_uses_held_out_pairs(
    photographs: list[Photograph], dataset: Path, tmp_path: Path, tiny_budget: None
) -> None:
    pairs = KeptPairs(SIZE, BATCH, 1, photographs=photographs[:2])
    study = Study(photographs[:2], photographs[2:], dataset, tmp_path, pairs)
    measured = study.train_and_measure("unet", SYSTEMS["unet"])
    network = build_network("unet", **SYSTEMS["unet"].options).eval()
    weights = load_file(tmp_path / "unet" / "weights.safetensors")
    network.load_state_dict({key: value.float() for key, value in weights.items()})
    held_out = PairMaker(SIZE, BATCH, 30_000, photographs=photographs[2:], crop=False)
    expected = gains(network, [held_out.make(index) for index in range(2)]).tolist()
    assert measured["held_out"] == pytest.approx(expected, abs=0.006)
    assert max(map(abs, expected)) > 0.05


def test_kept_pairs_equal_pair_maker(photographs: list[Photograph]) -> None:
    kept, fresh = (kind(32, 4, 1, photographs=photographs) for kind in (KeptPairs, PairMaker))
    for step in (3, 0, 3):
        for found, expected in zip(kept.make(step), fresh.make(step), strict=True):
            assert torch.equal(found, expected)
    assert kept.make(3) is kept.make(3)


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["comparison", *arguments])
    return comparison.main()


def test_comparison_command_measures_missing_systems(
    photographs: list[Photograph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []

    def pretend(_study: Study, name: str, _system: System) -> dict[str, Any]:
        measured.append(name)
        if name == "unet-se":
            raise KeyboardInterrupt
        return {"map": {"psnr": 30.0}}

    monkeypatch.setattr(comparison, "load_photographs", lambda folder, split: photographs)
    monkeypatch.setattr(Study, "train_and_measure", pretend)
    arguments = ("photos", "dataset", "--runs", str(tmp_path / "runs"))
    assert run_main(monkeypatch, *arguments, "--only", "reinhard", "unet") == 0
    assert measured == ["reinhard", "unet"]
    assert json.loads((tmp_path / "runs" / "unet.json").read_text()) == {"map": {"psnr": 30.0}}
    assert run_main(monkeypatch, *arguments) == 1
    # All the others in their order, up to the interruption.
    assert measured == ["reinhard", "unet", "unet-conv", "unet-se"]
    assert not (tmp_path / "runs" / "unet-se.json").exists()


def test_comparison_command_reports_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, str(tmp_path), str(tmp_path), "--runs", str(tmp_path)) == 1
    assert "holds no photographs" in capsys.readouterr().err
