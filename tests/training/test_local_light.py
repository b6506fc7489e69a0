# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of local light: what their kinds show, and that the network learns from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor
from torch.nn.functional import max_pool2d

from s2am_engine.networks.attention import region_mean
from s2am_engine.networks.registry import RECIPES, build_network
from s2am_engine.training.batch_rng import BatchRNG
from s2am_engine.training.local_light import (
    FAINTEST_LIGHT,
    STRONGEST_LIGHT,
    LocalLightPairs,
    SceneLightPairs,
    crop_around,
    draw_light,
    spread,
)
from s2am_engine.training.pair_source import Batch, resize_square
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.scene_pairs import Scene
from s2am_engine.training.training_data import maker_of


@pytest.fixture(scope="module")
def photographs() -> list[Photograph]:
    """Three photographs with two regions each."""
    found = []
    for name in ("astronaut", "coffee", "chelsea"):
        image = resize_square(getattr(data, name)(), 160)
        left, disc = np.zeros((160, 160), bool), np.zeros((160, 160), bool)
        left[30:120, 20:80] = True
        rows, columns = np.ogrid[:160, :160]
        disc[(rows - 90) ** 2 + (columns - 90) ** 2 < 40**2] = True
        found.append(Photograph(name, image, [left, disc]))
    return found


def luminance(images: Tensor) -> Tensor:
    return (images.mean(dim=1, keepdim=True) + 0.02).log2()


def regions(count: int = 24) -> Tensor:
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    return ((rows**2 + columns**2) < 0.4).float().expand(count, 1, 64, 64)


def test_fields_are_smooth_and_leave_the_mean_of_the_foreground() -> None:
    inside = regions()
    light = draw_light(inside, BatchRNG.seeded(np.random.default_rng(0), len(inside)))
    assert float(region_mean(light, inside).abs().max()) < 1e-4
    deviations = spread(light, inside).flatten()
    assert FAINTEST_LIGHT * 0.8 < float(deviations.min()) < float(deviations.max()) < STRONGEST_LIGHT * 1.1
    steps = torch.cat([light.diff(dim=2).abs().amax(dim=(1, 2, 3)), light.diff(dim=3).abs().amax(dim=(1, 2, 3))])
    assert float(steps.max()) < 0.5  # stops from pixel to pixel
    assert len({round(float(one), 3) for one in deviations}) > 20


def pairs_of(photographs: list[Photograph], missing: float, uneven: float) -> Batch:
    return LocalLightPairs(64, 32, 3, photographs=photographs, missing=missing, uneven=uneven).make(0)


def test_kinds_of_pairs_differ_in_where_the_light_is(photographs: list[Photograph]) -> None:
    missing, uneven, none = (pairs_of(photographs, *shares) for shares in ((1, 0), (0, 1), (0, 0)))
    for batch in (missing, uneven):
        core = (batch.mask == 1).float()
        change = luminance(batch.target) - luminance(batch.composite)
        assert float(spread(change, core).mean()) > 0.06  # local …
        assert float(region_mean(change, core).abs().mean()) < 0.12  # … and not global
        outside = (max_pool2d(batch.mask, 7, stride=1, padding=3) == 0).expand_as(batch.target)  # soft edges apart
        assert float((batch.target - batch.composite)[outside].abs().max()) <= 0.5 / 255 + 1e-6
    assert float((none.target - none.composite).abs().max()) <= 0.5 / 255 + 1e-6


def test_pairs_are_reproducible_and_quantized(photographs: list[Photograph]) -> None:
    source = LocalLightPairs(64, 40, 7, photographs=photographs)
    first, again, other = source.make(2), source.make(2), source.make(3)
    for one, two in zip(first, again, strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(first.composite, other.composite)
    assert torch.equal((first.composite * 255).round() / 255, first.composite)
    assert all(bool(torch.isfinite(one).all()) for one in first)


def test_crop_shows_foreground_and_background() -> None:
    region = np.zeros((100, 200), bool)
    region[40:60, 90:110] = True
    assert crop_around(region, 1.6) == (slice(34, 66), slice(84, 116))
    for seed in range(20):
        rows, columns = crop_around(region, 1.5, np.random.default_rng(seed)) or (slice(0), slice(0))
        assert region[rows, columns].sum() == region.sum()
    assert crop_around(np.ones((20, 20), bool), 1.6) is None
    assert crop_around(np.zeros((20, 20), bool), 1.6) is None


def test_scenes_keep_only_what_a_color_map_cannot_explain(photographs: list[Photograph]) -> None:
    image = photographs[0].image
    fall = np.linspace(0.6, 1.2, 160)[None, :, None]
    pictures = [image, (image * 0.7).astype(np.uint8), (image * fall).clip(0, 255).astype(np.uint8)]
    for pair, remains in (((1, 0), False), ((0, 2), True)):
        scenes = [Scene("room", pictures, [pair], photographs[0].regions)]
        batch = SceneLightPairs(64, 16, 1, scenes=scenes).make(0)
        error = region_mean((batch.composite - batch.target) ** 2, (batch.mask == 1).float()).mean()
        assert (float(error) > 5e-4) is remains


def test_recipe_of_the_light_trains_on_these_pairs(photographs: list[Photograph]) -> None:
    recipe = RECIPES["small"]["light"]
    assert maker_of(recipe) is LocalLightPairs
    assert maker_of(RECIPES["small"]["concord"]) is not LocalLightPairs
    assert maker_of(RECIPES["small"]["dissonance"]) is not LocalLightPairs


def test_gains_are_centered_bounded_and_start_at_zero(photographs: list[Photograph]) -> None:
    torch.manual_seed(0)
    network = build_network("light").eval()
    batch = pairs_of(photographs, 1, 0)
    with torch.no_grad():
        assert not network(batch.composite, batch.mask)[:, 3].any()
        for parameter in network.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
        gains = network(batch.composite, batch.mask)[:, 3:]
    assert 0.1 < float(gains.abs().max()) <= 1.5
    assert float(region_mean(gains, batch.mask).abs().max()) < 0.1
