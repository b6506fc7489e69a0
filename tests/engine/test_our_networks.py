# SPDX-License-Identifier: GPL-3.0-or-later
"""Connoisseur and Dissonance: ridge regression over cells, cell statistics, and predicted masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s2am_engine.networks.connoisseur import Connoisseur, apply_correction, fit_residuals, solve_positive_definite
from s2am_engine.networks.grid_encoder import cell_colors
from s2am_engine.networks.registry import build_network
from s2am_engine.training.learner import iou
from s2am_engine.training.losses import found_mask
from s2am_engine.training.pretrained import trunk_weights
from tests.engine.networks import DETECTOR, count_parameters, perturbed_network, pictures, small_network

CHANGE = torch.tensor([[1.1, 0.05, 0.0, -0.02], [0.0, 0.9, 0.1, 0.03], [-0.05, 0.0, 1.2, 0.0]])
RIDGE = torch.tensor([-2.0, -1.0, -1.0, -1.0])


def residuals_for(colors: torch.Tensor, change: torch.Tensor, log_weight: float) -> torch.Tensor:
    """Return the residuals of cells with colors (B, 3, h, w) under a 3×4 matrix, with one weight for all."""
    changed = torch.einsum("ij,bjyx->biyx", change[:, :3], colors) + change[:, 3].view(1, 3, 1, 1)
    return torch.cat([changed - colors, torch.full_like(colors[:, :1], log_weight)], dim=1)


@torch.no_grad()
def test_fit_residuals_recovers_common_correction() -> None:
    colors, mask = pictures(24)
    fitted = fit_residuals(residuals_for(colors, CHANGE, 7.0), colors, mask, RIDGE)
    torch.testing.assert_close(fitted, (CHANGE - torch.eye(3, 4)).expand(2, 3, 4), atol=0.01, rtol=0)
    weak = fit_residuals(residuals_for(colors, CHANGE, -8.0), colors, mask, RIDGE)
    assert float(weak.abs().max()) < 0.02, "low weights: the identity"


@torch.no_grad()
def test_fit_residuals_uses_weights_and_mask() -> None:
    colors, mask = pictures(24)
    residuals = residuals_for(colors, CHANGE, 2.0)
    outside = torch.where(mask > 0, residuals, torch.full_like(residuals, 3.0))
    torch.testing.assert_close(
        fit_residuals(outside, colors, mask, RIDGE), fit_residuals(residuals, colors, mask, RIDGE)
    )
    other = residuals_for(colors, torch.eye(3, 4) * 0.5, -6.0)
    mixed = torch.where(torch.arange(24) % 2 == 0, residuals_for(colors, CHANGE, 6.0), other)
    fitted = fit_residuals(mixed, colors, mask, RIDGE)
    torch.testing.assert_close(fitted, (CHANGE - torch.eye(3, 4)).expand(2, 3, 4), atol=0.02, rtol=0)


def test_connoisseur_prediction_is_corrected_by_residuals() -> None:
    network = perturbed_network("connoisseur").eval()
    assert isinstance(network, Connoisseur)
    composite, mask = pictures()
    with torch.no_grad():
        first = network.predict_stages(composite, mask).first
        correction = (CHANGE - torch.eye(3, 4)).expand(2, 3, 4)
        initial = network.render(first, composite)[0]
        both = network.render(apply_correction(first, correction), composite)[0]
    expected = torch.einsum("ij,bjyx->biyx", CHANGE[:, :3], initial) + CHANGE[:, 3].view(1, 3, 1, 1)
    torch.testing.assert_close(both, expected, atol=1e-5, rtol=0)


def test_connoisseur_trains_on_a_quarter_of_the_pixels_and_with_frozen_features() -> None:
    network = perturbed_network("connoisseur").eval()
    composite, mask = pictures(64)
    with torch.no_grad():
        whole = network.forward_training(composite, mask)
        frozen = network.encode_frozen(composite)
        assert frozen
        network.training = True  # without dropout in the layers
        places = set()
        for seed in range(8):
            torch.manual_seed(seed)
            some = network.forward_training(composite, mask, frozen)
            places.add((some.pixels[0].start, some.pixels[1].start))
            assert some.stages[-1].shape == (*composite.shape[:2], 32, 32)
            for stage, all_pixels in zip(some.stages[1:], whole.stages[1:], strict=True):
                torch.testing.assert_close(stage, some.at_pixels(all_pixels))
    assert len(places) > 1
    assert not build_network("connoisseur", frozen=3).encode_frozen(composite)


def test_solve_positive_definite() -> None:
    generator = torch.Generator().manual_seed(1)
    factor = torch.randn(5, 4, 4, generator=generator)
    normal, residuals = factor @ factor.mT + 0.1 * torch.eye(4), torch.randn(5, 4, 3, generator=generator)
    torch.testing.assert_close(
        solve_positive_definite(normal, residuals), torch.linalg.solve(normal, residuals), atol=1e-4, rtol=1e-4
    )


def test_cell_colors_separates_regions() -> None:
    composite, mask = torch.full((1, 3, 32, 32), 0.25), torch.zeros(1, 1, 32, 32)
    mask[..., :8] = 1  # half of the cells on the left
    composite[..., :8] = 0.75
    composite[..., 1:8:2] = 0.5
    (left, right) = cell_colors(composite, mask, (2, 2))[0, :, 0].T
    np.testing.assert_allclose(left[:7], [0.125] * 3 + [0.5] * 3 + [1], atol=1e-5)  # mean − ½, 4 · deviation, there
    np.testing.assert_allclose(right[:7], 0, atol=1e-6)
    for cell in (left, right):
        np.testing.assert_allclose(cell[7:14], [-0.25] * 3 + [0.004] * 3 + [1], atol=1e-5)
    np.testing.assert_allclose(left[14:], [0.5, -1, -1, 1, 1, 1])  # share, y, x, y², x², xy
    np.testing.assert_allclose(right[14:], [0, -1, 1, 1, 1, -1])


@pytest.mark.parametrize("size", [(64, 64), (97, 130)])
def test_dissonance_masks_are_in_range(size: tuple[int, int]) -> None:
    network = perturbed_network(DETECTOR).eval()
    composite, mask = pictures(*size)
    with torch.no_grad():
        answer = network(composite, mask)
        rendered = network.forward_training(composite, mask)
    assert torch.equal(answer[:, :3], composite)
    assert torch.equal(rendered.stages[-1], composite)
    fine, first = (tuple(-(-length // scale) for length in size) for scale in (4, 16))
    assert [tuple(one.shape[2:]) for one in rendered.masks] == [fine, first, (1, 1)]
    for found in (answer[:, 3:], *rendered.masks):
        assert 0 <= float(found.min()) <= float(found.max()) <= 1


@pytest.mark.parametrize("name", ["concord", "connoisseur", DETECTOR])
def test_own_networks_have_bounded_size(name: str) -> None:
    assert count_parameters(build_network(name)) <= 5e6


def test_dissonance_learns_a_pasted_square() -> None:
    network = small_network(DETECTOR, channels=48).train()
    network.load_state_dict(network.state_dict() | trunk_weights(network))
    rng = np.random.default_rng(0)
    optimizer = torch.optim.Adam((one for one in network.parameters() if one.requires_grad), 3e-3)

    def draw() -> tuple[torch.Tensor, torch.Tensor]:
        scenes = torch.rand(8, 3, 1, 1).expand(8, 3, 64, 64) * 0.6 + 0.1 * torch.rand(8, 3, 64, 64)
        mask = torch.zeros(8, 1, 64, 64)
        for one in mask[:6]:
            top, left = rng.integers(0, 32, 2)
            one[:, top : top + 32, left : left + 32] = 1
        return (scenes + 0.3 * mask).clamp(0, 1), mask

    torch.manual_seed(0)
    for _ in range(40):
        composite, mask = draw()
        loss = found_mask(network.forward_training(composite, mask), composite, mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    composite, mask = draw()
    with torch.no_grad():
        where, whether = network(composite, mask)[:, 3:].split(1, dim=1)
    assert torch.equal(whether.amin(dim=(1, 2, 3)) > 0.5, torch.arange(8) < 6)
    assert float(iou(where, mask)[:6].mean()) > 0.4, "a square in the middle would reach 0.3"
