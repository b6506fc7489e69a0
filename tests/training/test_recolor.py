# SPDX-License-Identifier: GPL-3.0-or-later
"""Recoloring: the effect of every kind, its switch, and its physical model."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor

from s2am_common.errors import EngineError
from s2am_engine.color.srgb import srgb_tensor_to_linear
from s2am_engine.training.batch_rng import BatchRNG
from s2am_engine.training.color_styles import ColorStyles
from s2am_engine.training.recolor import recolor, restrain
from s2am_engine.training.recolor_settings import KINDS, Recoloring
from s2am_engine.training.relight import (
    COOLEST,
    MID_GRAY,
    WARMEST,
    Camera,
    apply_matrices,
    draw_camera,
    locus,
    relighting,
)

STRENGTH = ("weakest", "strongest")
NOTHING = Recoloring().without(*KINDS)
A_LEVEL = 1 / 255
NODES = torch.stack(torch.meshgrid(*[torch.linspace(0, 255, 17)] * 3, indexing="ij"))
STYLES = ColorStyles(
    films=(255 - NODES).byte()[None],  # negative
    presets=(NODES * 0.5).byte()[None],  # half as bright
    light=torch.stack([torch.linspace(0, 1, 257) ** power for power in (1.5, 3.0)]),
    shown=torch.stack([torch.linspace(0, 1, 257) ** (2 / power) for power in (1.5, 3.0)]),
)


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    """Parts of three photographs and a ramp with black and white: (8, 3, 40, 40)."""
    found = []
    for name in ("astronaut", "chelsea", "coffee"):
        image = torch.from_numpy(getattr(data, name)()).permute(2, 0, 1) / 255
        found += [image[:, :240:6, :240:6], image[:, 60:300:6, 120:360:6]]
    ramp = torch.linspace(0, 1, 40).expand(3, 40, 40)
    return torch.stack([*found, ramp, ramp.flip(2) * torch.tensor([1.0, 0.6, 0.3]).view(3, 1, 1)])


def recolored(pictures: Tensor, recoloring: Recoloring, seed: int = 0) -> Tensor:
    rng = BatchRNG.seeded(np.random.default_rng(seed), len(pictures))
    return recolor(pictures, torch.ones_like(pictures[:, :1]), rng, recoloring, STYLES)


def only(kind: str) -> Recoloring:
    """One kind of change, for every picture."""
    alone = Recoloring().without(*(other for other in KINDS if other != kind))
    return replace(alone, **{name: 1.0 for name in KINDS[kind] if name.endswith("_share")})


def grays(*levels: float) -> Tensor:
    return torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 3, 24, 24)


def test_kinds_cover_every_field_once() -> None:
    named = [name for names in KINDS.values() for name in names]
    assert sorted([*named, *STRENGTH]) == sorted(field.name for field in fields(Recoloring))


def test_recolor_switched_off_changes_nothing(pictures: Tensor) -> None:
    assert float((recolored(pictures, NOTHING) - pictures).abs().max()) < 0.1 * A_LEVEL


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind, names in KINDS.items() for field in names])
def test_recolor_kinds_can_be_switched_off(pictures: Tensor, kind: str, field: str) -> None:
    change = (recolored(pictures, only(kind)) - pictures).abs().amax(dim=(1, 2, 3))
    assert float(change.quantile(0.75)) > 2 * A_LEVEL  # two of the pictures are gray
    without = recolored(pictures, replace(only(kind), **{field: 0.0}))
    assert float((without - pictures).abs().max()) < 0.1 * A_LEVEL


def test_recoloring_without_refuses_unknown_kinds() -> None:
    with pytest.raises(EngineError, match="no recoloring “glitter”: choose among exposure, white-balance"):
        Recoloring().without("hue", "glitter")


def test_recolor_is_deterministic(pictures: Tensor) -> None:
    first, again, other = (recolored(pictures, Recoloring(), seed) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert float((first - other).abs().mean()) > A_LEVEL


@pytest.mark.parametrize("seed", range(5))
def test_recolor_stays_in_range(pictures: Tensor, seed: int) -> None:
    extremes = torch.cat([pictures, grays(0, 1)[..., :1, :1].expand(-1, -1, 40, 40)])
    out = recolored(extremes, Recoloring(), seed)
    assert bool(torch.isfinite(out).all())
    assert float(out.min()) >= 0
    assert float(out.max()) <= 1


def test_apply_to_share_leaves_other_images(pictures: Tensor) -> None:
    many = pictures.repeat(8, 1, 1, 1)
    out = many.clone()
    BatchRNG.seeded(np.random.default_rng(0), len(many)).apply_to_share(out, 0.25, lambda some, *_: 1 - some)
    changed = (out != many).flatten(1).any(dim=1)
    assert 0.1 < float(changed.float().mean()) < 0.4
    assert torch.equal(out[changed], 1 - many[changed])


def test_batch_rng_split_covers_the_batch_once() -> None:
    counts = []
    for seed in range(200):
        parts = BatchRNG.seeded(np.random.default_rng(seed), 10).split(0.25, 0.5)
        assert sorted(torch.cat(parts).tolist()) == list(range(10))
        counts.append([len(part) for part in parts])
    assert {first for first, *_ in counts} == {2, 3}
    assert np.mean(counts, axis=0) == pytest.approx([2.5, 5, 2.5], abs=0.2)


def test_recolor_without_styles_leaves_them_out(pictures: Tensor) -> None:
    rng = BatchRNG.seeded(np.random.default_rng(0), len(pictures))
    everywhere = torch.ones_like(pictures[:, :1])
    for kind in ("film", "preset", "camera-response"):
        assert float((recolor(pictures, everywhere, rng, only(kind)) - pictures).abs().max()) < 0.1 * A_LEVEL


def test_locus_contains_standard_illuminants() -> None:
    tungsten, daylight = locus(torch.tensor([2856.0, 6504.0]))
    torch.testing.assert_close(tungsten, torch.tensor([0.4476, 0.4075]), atol=1e-3, rtol=0)
    torch.testing.assert_close(daylight, torch.tensor([0.3127, 0.3290]), atol=5e-4, rtol=0)


def test_relighting_gray_gets_warmer_at_lower_temperatures() -> None:
    after = torch.linspace(WARMEST, COOLEST, 60)
    matrices = relighting(torch.full_like(after, 6500.0), after, torch.full_like(after, 0.4))
    red, _, blue = (matrices @ torch.full((3, 1), MID_GRAY)).squeeze(2).unbind(dim=1)
    warmth = (red / blue).log()
    assert bool((warmth.diff() < 0).all())
    assert float(warmth[0]) > 0.5
    assert float(warmth[-1]) < -0.1


def test_relighting_dims_and_is_invertible() -> None:
    noon, ends, kept = torch.full((2,), 5500.0), torch.tensor([WARMEST, COOLEST]), torch.full((2,), 0.4)
    there = relighting(noon, ends, kept)
    green = (there @ torch.full((3, 1), MID_GRAY))[:, 1, 0]
    assert bool((green < 0.7 * MID_GRAY).all())
    torch.testing.assert_close(relighting(ends, noon, kept) @ there, torch.eye(3).expand(2, 3, 3), atol=1e-4, rtol=0)


def test_color_mixing_keeps_grays(pictures: Tensor) -> None:
    out = recolored(grays(0.2, 0.5, 0.8), only("color-mixing"))
    assert float((out.amax(dim=1) - out.amin(dim=1)).max()) < 0.1 * A_LEVEL
    assert float((recolored(pictures, only("color-mixing")) - pictures).abs().max()) > 4 * A_LEVEL


def test_exposure_and_patches_multiply_light() -> None:
    cards = grays(0.3, 0.4, 0.3, 0.4)
    gains = {
        kind: srgb_tensor_to_linear(recolored(cards, only(kind))) / srgb_tensor_to_linear(cards)
        for kind in ("exposure", "patches")
    }
    spread = {kind: gain.flatten(1).std(dim=1) for kind, gain in gains.items()}
    assert float(spread["exposure"].max()) < 1e-3
    assert float(spread["patches"].median()) > 0.01


def test_camera_decode_inverts_encode(pictures: Tensor) -> None:
    rng = BatchRNG.seeded(np.random.default_rng(1), len(pictures))
    camera = draw_camera(rng, torch.full((len(pictures), 1, 1, 1), 0.7))
    torch.testing.assert_close(camera.encode(camera.decode(pictures)), pictures, atol=1e-4, rtol=0)
    light = torch.linspace(0, 1, 50).view(1, 1, 1, 50)
    assert bool((camera.encode(light).diff(dim=3) > 0).all())


def test_camera_knee_sets_contrast() -> None:
    light = torch.tensor([0.5, 1.0, 2.0]) * MID_GRAY
    hard, soft = (Camera(torch.tensor(knee), torch.tensor(1.0)).encode(light) for knee in (0.2, 2.0))
    assert float(hard[0] / hard[2]) > float(soft[0] / soft[2])


def test_restrain_reduces_clipping(pictures: Tensor) -> None:
    everywhere = torch.ones_like(pictures[:, :1])
    mild, blown = pictures * 0.9 + 0.05, torch.ones_like(pictures)
    assert torch.equal(restrain(pictures, mild, everywhere), mild)
    toned = restrain(pictures, blown, everywhere)
    assert float((toned < 254.5 / 255).float().mean()) > 0.9
    assert bool((toned >= pictures).all())


def test_apply_matrices_per_image() -> None:
    swap = torch.tensor([[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], torch.eye(3).tolist()])
    pictures = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    mixed = apply_matrices(pictures, swap)
    torch.testing.assert_close(mixed[0], pictures[0, [1, 0, 2]])
    torch.testing.assert_close(mixed[1], pictures[1])
