# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes: every network has one, small and published settings are pinned, JSON and the learning rate."""

from __future__ import annotations

import dataclasses
import json

import pytest

from s2am_common.errors import EngineError
from s2am_engine.networks.registry import NETWORKS, RECIPES, build_network
from s2am_engine.networks.spec import Recipe
from s2am_engine.training.learning_rate import learning_rate
from s2am_engine.training.losses import LOSSES, find_loss

UNETS = (
    *("unet", "unet-conv", "unet-se", "unet-cbam", "s2am-s2asc", "s2am-s2asc-six", "s2am-s2asc-no-gates"),
    *("s2am-s2asc-no-mix", "s2am-s2asc-no-gaussian", "s2am-s2asc-no-learnable", "s2am-s2ad"),
)
GANS = ("pix2pix", "pix2pix-s2asc")
PLAIN = ("dih", "dih-s2asc", "fmm", "fmm-no-attention", "fmm-no-modulation", "fmm-backbone")
CURVES = ("s2crnet", "s2crnet-cascaded", "s2crnet-semantic", "s2crnet-v")
NARROW, SHALLOW = {"width": 16}, {"width": 16, "levels": 7}

# Loss, learning rate, pixels, batch, adversarial weight, mixed precision, options.
SMALL = {
    **dict.fromkeys(UNETS, ("pixel_l2", 1e-3, 128, 16, 0.0, True, SHALLOW)),
    "s2am-mask-free": ("attention_and_pixels", 1e-3, 128, 16, 1.0, True, SHALLOW),
    **dict.fromkeys(GANS, ("pixel_l1", 1e-3, 128, 16, 1.0, True, SHALLOW)),
    **dict.fromkeys(PLAIN, ("pixel_l2", 1e-3, 128, 16, 0.0, True, NARROW)),
    **dict.fromkeys(CURVES, ("relative_l1", 1.2e-3, 96, 32, 0.0, True, {})),
    "concord": ("foreground_rmse", 1.5e-3, 96, 32, 0.0, False, {}),
    "connoisseur": ("foreground_rmse", 1e-3, 128, 32, 0.0, False, {}),
    "dissonance": ("found_mask", 6e-4, 128, 32, 0.0, False, {}),
}

# Loss, learning rate, betas, adversarial weight; all else is common.
PUBLISHED = {
    **dict.fromkeys((*UNETS, *PLAIN), ("pixel_l2", 1e-3, (0.9, 0.999), 0.0)),
    "s2am-mask-free": ("attention_and_pixels", 1e-3, (0.9, 0.999), 1.0),
    **dict.fromkeys(GANS, ("pixel_l1", 2e-4, (0.5, 0.999), 1.0)),
    **dict.fromkeys(CURVES, ("relative_l1", 2e-4, (0.9, 0.999), 0.01)),
}


@pytest.mark.parametrize("kind", RECIPES)
def test_recipes_exist_for_all_trainable_networks(kind: str) -> None:
    assert set(RECIPES[kind]) == set(NETWORKS) - {"reinhard"}
    for recipe in RECIPES[kind].values():
        assert recipe.schedule in ("cosine", "constant")
        assert recipe.loss in LOSSES
        assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


@pytest.mark.parametrize("name", SMALL)
def test_small_recipe_is_pinned(name: str) -> None:
    recipe = RECIPES["small"][name]
    loss, rate, size, batch, adversarial, mixed, options = SMALL[name]
    assert (recipe.loss, recipe.learning_rate, recipe.size, recipe.batch) == (loss, rate, size, batch)
    assert (recipe.adversarial, recipe.mixed_precision, recipe.options) == (adversarial, mixed, options)
    ours = name in ("concord", "connoisseur", "dissonance")
    assert (recipe.weight_decay, recipe.clip, recipe.average) == (0.02 if ours else 0.0, 1.0, 0.998)
    assert recipe.steps == {"connoisseur": 4000, "dissonance": 3000}.get(name, 12_000)
    assert recipe.warm_up == (100 if name in ("connoisseur", "dissonance") else 300)
    assert (recipe.schedule, recipe.detection) == ("cosine", name == "dissonance")


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_recipe_is_the_papers(name: str) -> None:
    recipe = RECIPES["published"][name]
    assert (recipe.loss, recipe.learning_rate, recipe.betas, recipe.adversarial) == PUBLISHED[name]
    assert (recipe.schedule, recipe.steps, recipe.batch, recipe.size) == ("constant", 322_500, 8, 256)
    assert (recipe.clip, recipe.average, recipe.weight_decay, recipe.options) == (None, 0.0, 0.0, {})


def test_published_s2ad_has_its_full_width() -> None:
    network = build_network("s2am-s2ad", **RECIPES["published"]["s2am-s2ad"].options)
    assert sum(parameter.numel() for parameter in network.parameters()) > 60e6


def test_recipe_from_json_refuses_settings_of_another_version() -> None:
    settings = RECIPES["small"]["concord"].to_json()
    with pytest.raises(EngineError, match="made by another version"):
        Recipe.from_json({key: settings[key] for key in settings if key != "loss"})
    with pytest.raises(EngineError, match="made by another version"):
        find_loss("unheard_of")


def test_learning_rate_warms_up_and_decays() -> None:
    recipe = dataclasses.replace(RECIPES["small"]["unet"], learning_rate=1.0, warm_up=5)
    factors = [learning_rate(recipe, step, 100) for step in (0, 1, 4, 50, 99)]
    assert factors == pytest.approx([0.2, 0.4, 1, 0.5, 0], abs=0.005)
    constant = dataclasses.replace(recipe, schedule="constant")
    assert [learning_rate(constant, step, 100) for step in (0, 4, 50, 99)] == pytest.approx([0.2, 1, 1, 1])


def test_learning_rate_shortens_the_warm_up_of_short_runs() -> None:
    recipe = dataclasses.replace(RECIPES["small"]["unet"], learning_rate=1.0, warm_up=300)
    assert learning_rate(recipe, 9, 100) == pytest.approx(0.98, abs=0.01)
    assert learning_rate(recipe, 2, None) == pytest.approx(0.01)
