# SPDX-License-Identifier: GPL-3.0-or-later
"""Publishing: a model with its card from a run's weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from research.publish import measure, publish, read_card_texts
from s2am_common.errors import EngineError
from s2am_engine.models.model_store import find_model, load_network
from s2am_engine.networks import registry
from s2am_engine.networks.connoisseur import CONNOISSEUR_RECIPE
from s2am_engine.networks.spec import NetworkSpec
from s2am_engine.networks.tasks import TASKS, Task
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.run_folder import WEIGHTS_FILE, write_settings
from s2am_engine.training.train import card_of
from tests.engine.fake_networks import Spotter, write_fake_model
from tests.engine.networks import pictures
from tests.engine.pictures import composite
from tests.training.test_evaluation import write_pair
from tests.training.test_trainer import make_trainer

CARD_TEXTS = {"description": "tiny", "data": "three photographs", "history": "four steps", "known_failures": ["all"]}


def test_publish_writes_model_and_card(photographs: list[Photograph], tmp_path: Path, no_personal_models: Path) -> None:
    run = make_trainer("s2am-s2ad", 4, photographs, tmp_path / "run")
    best = run.fit().best
    write_settings(tmp_path / "run", {"network": "s2am-s2ad", **run.recipe.to_json()})
    (tmp_path / "facts.json").write_text(json.dumps(CARD_TEXTS))
    publish(tmp_path / "run", "mine", read_card_texts(tmp_path / "facts.json"), no_personal_models)
    model = find_model("mine")
    assert (model.card.input_size, model.card.training["steps"], model.card.data) == (32, 4, "three photographs")
    assert (model.card.network, model.card.options) == ("s2am-s2ad", {"width": 8, "levels": 4})
    assert (model.card.training["loss"], model.card.training["history"]) == ("pixel_l2", "four steps")
    published = load_network(model)
    assert model.card.parameters == sum(parameter.numel() for parameter in run.learner.model.parameters())
    for name, value in best.state_dict().items():
        torch.testing.assert_close(published.state_dict()[name].to(value), value, atol=2e-3, rtol=2e-3)
    inputs = pictures(32)
    with torch.no_grad():
        torch.testing.assert_close(published(*inputs), best(*inputs), atol=2e-3, rtol=0)


def test_card_of_uses_the_largest_scale(tmp_path: Path) -> None:
    (tmp_path / WEIGHTS_FILE).touch()
    write_settings(tmp_path, {"network": "connoisseur", **CONNOISSEUR_RECIPE.to_json()})
    assert card_of(tmp_path, "mine", CARD_TEXTS)[0].input_size == 1.5 * CONNOISSEUR_RECIPE.size
    assert card_of(tmp_path, "mine", CARD_TEXTS, input_size=96)[0].input_size == 96


def test_publish_reports_missing_weights_and_texts(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no weights yet"):
        publish(tmp_path, "mine", {}, tmp_path)
    (tmp_path / "facts.json").write_text('{"description": "only"}')
    with pytest.raises(EngineError, match=r"facts\.json does not hold"):
        read_card_texts(tmp_path / "facts.json")


def test_measure_gives_the_scores_of_a_detector(
    tmp_path: Path, no_personal_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, mask = composite()
    whole = np.ascontiguousarray(pixels[..., ::-1])  # nothing in it is blue
    for name, pasted in (("found", pixels), ("missed", whole)):
        write_pair(tmp_path, name, pasted, mask, whole)
    monkeypatch.setitem(TASKS, "spotter", Task.DETECTION)
    monkeypatch.setitem(registry.NETWORKS, "spotter", NetworkSpec("spotter", Spotter, "for tests", None, None))
    write_fake_model(no_personal_models, "mine", "spotter")
    figures = measure("mine", tmp_path)
    assert (figures["found"], figures["claimed"], figures["pictures"]) == (0.5, 0, 2)
    assert figures["iou"] == figures["iou_likeliest"] == pytest.approx(0.46, abs=0.04)
