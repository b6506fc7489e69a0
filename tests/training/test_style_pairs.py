# SPDX-License-Identifier: GPL-3.0-or-later
"""The style of photographs as an affine map, and pairs whose foregrounds lack it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from s2am_engine.training import style_pairs
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.style_pairs import (
    IN_STYLE,
    StylePairs,
    apply_affine,
    apply_gains,
    estimate_style,
    remove_style,
    without_style,
)
from s2am_engine.training.synthetic_pairs import PairMaker

WARM = np.array([[0.8, 0.1, 0.0, 0.1], [0.0, 0.7, 0.0, 0.1], [0.0, 0.1, 0.5, 0.05]])


def photographs(style: bool) -> list[Photograph]:
    """Photographs of average colors, or the same ones in a warm, flat style."""
    rng = np.random.default_rng(0)
    root = np.linalg.cholesky(np.array(style_pairs.AVERAGE_COVARIANCE))
    found = []
    for number in range(24):
        colors = np.array(style_pairs.AVERAGE_MEAN) + 0.6 * rng.standard_normal((64, 64, 3)) @ root.T
        if style:
            colors = colors @ WARM[:, :3].T + WARM[:, 3]
        region = np.zeros((64, 64), np.bool_)
        region[16:48, 16:48] = True
        image = (255 * colors).round().clip(0, 255).astype(np.uint8)
        found.append(Photograph(f"{number}", image, [region]))
    return found


def mean_color(photographs: list[Photograph]) -> np.ndarray:
    return np.mean([one.image.mean(axis=(0, 1)) for one in photographs], axis=0)


def test_estimate_style_finds_the_change_of_color() -> None:
    """The estimated map moves average photographs to the style, and its inverse moves the style back."""
    plain, styled = photographs(style=False), photographs(style=True)
    style = estimate_style(styled)
    average = 255 * np.array(style_pairs.AVERAGE_MEAN)
    assert abs(mean_color(styled) - average).max() > 20
    affine, gains = (without_style(styled, style)[first::2] for first in (0, 1))
    assert abs(mean_color(affine) - average).max() < 8
    assert abs(mean_color(gains) - average).max() < abs(mean_color(styled) - average).max() - 5
    unit = torch.from_numpy(plain[0].image).permute(2, 0, 1)[None] / 255
    shown = 255 * apply_affine(unit, style.apply, torch.ones(1, 1, 1, 1)).mean(dim=(0, 2, 3)).numpy()
    assert abs(shown - styled[0].image.mean(axis=(0, 1))).max() < 12
    there_and_back = torch.cat([style.apply, torch.eye(4)[3:]]) @ torch.cat([style.remove, torch.eye(4)[3:]])
    torch.testing.assert_close(there_and_back, torch.eye(4), atol=0.02, rtol=0)


def test_estimate_style_finds_gains_of_light_that_keep_black() -> None:
    """The gains of darkened photographs remove the darkening, and leave black as it is."""
    plain = photographs(style=False)
    gains = torch.tensor([0.5, 0.4, 0.3])
    whole = torch.ones(1, 1, 1, 1)
    dark = []
    for one in plain:
        unit = torch.from_numpy(one.image).permute(2, 0, 1)[None] / 255
        shown = apply_gains(unit, gains, whole)[0].permute(1, 2, 0)
        dark.append(replace(one, image=(255 * shown).round().byte().numpy()))
    found = estimate_style(dark).gains / estimate_style(plain).gains
    torch.testing.assert_close(found, gains, atol=0.02, rtol=0)
    black = remove_style(torch.zeros(1, 3, 2, 2), estimate_style(dark), whole, by_gains=whole)
    assert float(black.abs().max()) == 0


@pytest.mark.parametrize("style", [True, False], ids=["style", "none"])
def test_style_pairs_have_foregrounds_without_the_style(style: bool) -> None:
    """Ground truths stay; some foregrounds are unchanged, others are on average bluer, as without the warm style."""
    styled = photographs(style=True)
    kinds = IN_STYLE.without("transfers")
    found = estimate_style(styled) if style else None
    batch = StylePairs(32, 64, 5, photographs=styled, kinds=kinds, style=found).make(0)
    if not style:
        same = PairMaker(32, 64, 5, photographs=styled, kinds=kinds).make(0)
        assert torch.equal(batch.composite, same.composite)
        return
    inside = batch.mask > 0.99
    blueness = [
        (((one[2] - one[0]) * where[0]).sum() / where.sum()).item()
        for one, where in zip(batch.composite - batch.target, inside, strict=True)
    ]
    changes = (batch.composite - batch.target).abs().amax(dim=(1, 2, 3))
    assert 0.08 < float((changes < 2 / 255).float().mean()) < 0.4
    assert np.mean(np.array(blueness) > 0.03) > 0.3
