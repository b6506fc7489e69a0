# SPDX-License-Identifier: GPL-3.0-or-later
"""Color transfer: each method gives a region the statistics that it promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor

from s2am_engine.color.srgb import LUMA
from s2am_engine.training import color_transfer
from s2am_engine.training.batch_rng import BatchRNG


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    """Parts of two photographs: (4, 3, 64, 64)."""
    images = [torch.from_numpy(getattr(data, name)()).permute(2, 0, 1) / 255 for name in ("astronaut", "chelsea")]
    return torch.stack([image[:, top : top + 128 : 2, 90:218:2] for image in images for top in (20, 100)])


@pytest.fixture(scope="module")
def weights() -> Tensor:
    """A rectangle as region of each picture."""
    mask = torch.zeros(4, 1, 64, 64)
    mask[:, :, 10:50, 8:40] = 1
    return mask


def references_of(pictures: Tensor) -> Tensor:
    """Return the pictures mirrored, in another tint and contrast."""
    tint = torch.tensor([0.9, 0.7, 0.5]).view(1, 3, 1, 1)
    return 0.08 + tint * pictures.flip(3)


def test_match_rgb_moments_gives_mean_and_deviation(pictures: Tensor, weights: Tensor) -> None:
    references, everywhere = references_of(pictures), torch.ones_like(weights)
    found = color_transfer.match_rgb_moments(pictures, weights, references, everywhere)
    for one, other in zip(
        color_transfer.weighted_moments(found, weights),
        color_transfer.weighted_moments(references, everywhere),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=0.02, rtol=0)


def test_match_covariance_gives_mean_and_covariance(pictures: Tensor, weights: Tensor) -> None:
    references, everywhere = references_of(pictures), torch.ones_like(weights)
    found = color_transfer.match_covariance(pictures, weights, references, everywhere)
    mean, covariance = color_transfer.weighted_covariance(found, weights)
    wanted_mean, wanted = color_transfer.weighted_covariance(references, everywhere)
    torch.testing.assert_close(mean, wanted_mean, atol=1e-3, rtol=0)
    torch.testing.assert_close(covariance, wanted, atol=3e-3, rtol=0)


def test_match_distributions_gives_quantiles(pictures: Tensor, weights: Tensor) -> None:
    references, everywhere = references_of(pictures), torch.ones_like(weights)
    steps = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9])
    wanted = color_transfer.region_quantiles(references, everywhere, steps)
    before, after = (
        (color_transfer.region_quantiles(image, weights, steps) - wanted).abs().mean()
        for image in (
            pictures,
            color_transfer.match_distributions(pictures, weights, references, everywhere).clamp(0, 1),
        )
    )
    assert float(after) < 0.4 * float(before)


def test_match_moments_of_the_same_region_changes_nothing(pictures: Tensor, weights: Tensor) -> None:
    for method in color_transfer.METHODS:
        found = method(pictures, weights, pictures, weights)
        torch.testing.assert_close(found, pictures, atol=1e-3, rtol=0)


def test_square_roots_of_ill_conditioned_matrices() -> None:
    turn = torch.linalg.qr(torch.randn(50, 3, 3, generator=torch.Generator().manual_seed(0)))[0]
    values = torch.tensor([1.0, 1e-2, 2e-4]).expand(50, 3)
    matrices = turn @ torch.diag_embed(values) @ turn.transpose(1, 2)
    root, inverse = color_transfer.square_roots(matrices)
    torch.testing.assert_close(root @ root, matrices, atol=1e-4, rtol=0)
    torch.testing.assert_close(root @ inverse, torch.eye(3).expand(50, 3, 3), atol=2e-2, rtol=0)


def test_region_quantiles_agree_with_numpy(pictures: Tensor, weights: Tensor) -> None:
    found = color_transfer.region_quantiles(pictures, weights, torch.tensor([0.0, 0.25, 0.5, 1.0]))
    inside = pictures[2, 1][weights[2, 0] > 0].numpy()
    np.testing.assert_allclose(found[2, 1].numpy(), np.quantile(inside, [0, 0.25, 0.5, 1]), atol=1e-5)


def test_opponent_is_invertible(pictures: Tensor) -> None:
    torch.testing.assert_close(color_transfer.from_opponent(color_transfer.opponent(pictures)), pictures)


def test_transfer_colors_is_deterministic_and_in_range(pictures: Tensor, weights: Tensor) -> None:
    many, masks = pictures.repeat(4, 1, 1, 1), weights.repeat(4, 1, 1, 1)
    first, again, other = (
        color_transfer.transfer_colors(
            many, masks, many.roll(1, dims=0), masks, BatchRNG.seeded(np.random.default_rng(seed), len(many))
        )
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert 0 <= float(first.min()) <= float(first.max()) <= 1


def test_keep_lightness_takes_back_at_least_half_of_the_change_of_most_regions(
    pictures: Tensor, weights: Tensor
) -> None:
    many, masks = pictures.repeat(64, 1, 1, 1), weights.repeat(64, 1, 1, 1)
    changed = 0.25 + 0.5 * many + torch.tensor([0.1, 0.0, -0.1]).view(1, 3, 1, 1)
    rng = BatchRNG.seeded(np.random.default_rng(0), len(many))
    found = color_transfer.keep_lightness(many, changed, masks, rng)
    luma = torch.tensor(LUMA).view(1, 3, 1, 1)
    before, after = (
        color_transfer.weighted_moments(((image - many) * luma).sum(dim=1, keepdim=True), masks)[0].flatten()
        for image in (changed, found)
    )
    ratio = after / before
    assert 0.8 < float((ratio <= 0.5).float().mean()) < 0.9
    assert float(ratio.min()) > -1e-3
    shift = found - changed
    torch.testing.assert_close(shift, shift[:, :1].expand_as(shift), atol=1e-6, rtol=0)


def test_an_empty_region_gives_finite_colors(pictures: Tensor, weights: Tensor) -> None:
    for method in color_transfer.METHODS:
        found = method(pictures, torch.zeros_like(weights), pictures, torch.zeros_like(weights))
        assert bool(torch.isfinite(found).all())
