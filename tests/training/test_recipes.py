# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipes: one for each network, the published ones as their papers say, and all of them can be kept in a file."""

from __future__ import annotations

import dataclasses
import json

import pytest

from s2am_engine.errors import EngineError
from s2am_engine.networks.registry import NETWORKS, build_network
from s2am_engine.training.losses import find_loss
from s2am_engine.training.recipes import RECIPES, Recipe, learning_rate


@pytest.mark.parametrize("kind", RECIPES)
def test_every_network_but_the_formula_has_a_recipe(kind: str) -> None:
    assert set(RECIPES[kind]) == set(NETWORKS) - {"reinhard"}
    for recipe in RECIPES[kind].values():
        assert recipe.schedule in ("cosine", "constant")
        assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_published_recipes_are_those_of_the_papers() -> None:
    s2ad = RECIPES["published"]["s2am-s2ad"]
    assert (s2ad.loss, s2ad.learning_rate, s2ad.schedule) == ("pixel_l2", 1e-3, "constant")
    assert (s2ad.batch, s2ad.size, s2ad.clip, s2ad.average, s2ad.weight_decay) == (8, 256, None, 0.0, 0.0)
    assert sum(p.numel() for p in build_network("s2am-s2ad", **s2ad.options).parameters()) > 60e6
    free = RECIPES["published"]["s2am-mask-free"]
    assert (free.loss, free.adversarial) == ("attention_and_pixels", 1.0)
    assert (RECIPES["published"]["pix2pix"].loss, RECIPES["published"]["pix2pix"].betas) == ("pixel_l1", (0.5, 0.999))
    curves = RECIPES["published"]["s2crnet"]
    assert (curves.loss, curves.adversarial) == ("relative_l1", 0.01)


def test_settings_of_another_version_are_refused() -> None:
    settings = RECIPES["small"]["concord"].to_json()
    with pytest.raises(EngineError, match="made by another version"):
        Recipe.from_json({key: settings[key] for key in settings if key != "loss"})
    with pytest.raises(EngineError, match="made by another version"):
        find_loss("unheard_of")


def test_the_learning_rate_warms_up_and_falls_to_nothing() -> None:
    recipe = dataclasses.replace(RECIPES["small"]["unet"], learning_rate=1.0, warm_up=5)
    factors = [learning_rate(recipe, step, 100) for step in (0, 1, 4, 50, 99)]
    assert factors == pytest.approx([0.2, 0.4, 1, 0.5, 0], abs=0.005)
    constant = dataclasses.replace(recipe, schedule="constant")
    assert [learning_rate(constant, step, 100) for step in (0, 4, 50, 99)] == pytest.approx([0.2, 1, 1, 1])


def test_a_short_run_warms_up_shortly_and_one_of_unknown_length_begins_gently() -> None:
    recipe = dataclasses.replace(RECIPES["small"]["unet"], learning_rate=1.0, warm_up=300)
    assert learning_rate(recipe, 9, 100) == pytest.approx(0.98, abs=0.01)
    assert learning_rate(recipe, 2, None) == pytest.approx(0.01)
