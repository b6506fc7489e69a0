# SPDX-License-Identifier: GPL-3.0-or-later
"""Components of Concord and S2CRNet: curves, statistics, and the crop to the foreground."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s2am_engine.networks.curves import _EPSILON, interpolate_curves, render_curves
from s2am_engine.networks.s2crnet import S2CRNet, crop_to_mask
from s2am_engine.networks.statistics import RegionStatistics, dilate
from s2am_engine.networks.traits import spline_basis
from tests.engine.networks import pictures


def test_render_curves_formula() -> None:
    generator = torch.Generator().manual_seed(1)
    pieces = torch.rand(2, 3, 64, generator=generator, dtype=torch.float64) + 0.1
    values = torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    rendered = render_curves(pieces, values)
    for index in np.ndindex(2, 3, 4, 5):
        slopes, value = pieces[index[:2]], float(values[index])
        total = sum(min(max(value - i / 64, 0), 1 / 64) * float(slopes[i]) for i in range(64))
        assert float(rendered[index]) == pytest.approx(total * 64 / (float(slopes.sum()) + _EPSILON), abs=1e-9)


def test_interpolate_curves_between_knots_and_at_the_ends() -> None:
    values = torch.rand(2, 3, 5, generator=torch.Generator().manual_seed(2))
    colors = torch.tensor([-0.5, 0, 0.1, 0.25, 0.6, 1, 1.5]).expand(2, 3, -1).contiguous().requires_grad_()
    result = interpolate_curves(values, colors)
    for index in np.ndindex(2, 3):
        expected = np.interp(colors[index].detach(), np.linspace(0, 1, 5), values[index])
        np.testing.assert_allclose(result[index].detach(), expected, atol=1e-6)
    (slopes,) = torch.autograd.grad(result.sum(), colors)
    pieces = 4 * values.diff(dim=2)
    expected_slopes = torch.stack([pieces[..., 0], pieces[..., 0], pieces[..., 1], pieces[..., 2], pieces[..., 3]], 2)
    torch.testing.assert_close(slopes[..., 1:6], expected_slopes)
    assert not slopes[..., [0, 6]].any()


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_dilate_is_the_maximum_of_a_square(radius: int) -> None:
    masks = torch.rand(2, 1, 9, 12, generator=torch.Generator().manual_seed(3)) - 0.5
    expected = torch.nn.functional.max_pool2d(masks, 2 * radius + 1, stride=1, padding=radius)
    assert torch.equal(dilate(masks, radius), expected)


def test_s2crnet_cascade_chains_curves() -> None:
    network = S2CRNet(pieces=8, stages=2)
    parameters = torch.rand(1, 48, generator=torch.Generator().manual_seed(5)) + 0.2
    composite, _ = pictures(count=1)
    stages = network.render(parameters, composite)
    first, second = parameters.unflatten(1, (2, 3, 8)).unbind(dim=1)
    assert len(stages) == 2
    torch.testing.assert_close(stages[1], render_curves(second, render_curves(first, composite)))


def test_crop_to_mask_fills_the_image() -> None:
    picture = torch.zeros(1, 1, 20, 20)
    mask = torch.zeros(1, 1, 20, 20)
    mask[..., 5:15, 2:12] = 1
    picture[..., 5:15, 2:12] = 0.7
    # Half a pixel at the border is sampled from outside the box.
    torch.testing.assert_close(crop_to_mask(picture, mask)[..., 1:-1, 1:-1], torch.full((1, 1, 18, 18), 0.7))
    torch.testing.assert_close(crop_to_mask(picture, torch.zeros_like(mask)), picture)


def test_region_statistics_separate_regions() -> None:
    composite, mask = pictures(96, count=1)
    composite = torch.where(mask > 0, torch.tensor([0.8, 0.2, 0.2]).view(1, 3, 1, 1), torch.full_like(composite, 0.4))
    statistics = RegionStatistics(bins=16, joint_bins=6)
    found = statistics(composite, mask)
    assert found.shape == (1, statistics.length)
    histograms = found[0, : 2 * 5 * 16].view(2, 5, 16)
    assert histograms[0, 0].argmax() == round(0.8 * 15)
    assert histograms[1, 0].argmax() == round(0.4 * 15)
    moments = found[0, 2 * (5 * 16 + 216) :][:26].view(2, 13)
    torch.testing.assert_close(moments[:, :3], torch.tensor([[0.8, 0.2, 0.2], [0.4, 0.4, 0.4]]), atol=1e-4, rtol=0)


def test_spline_basis_is_a_partition_of_unity() -> None:
    np.testing.assert_allclose(spline_basis(65).sum(axis=0), 1, rtol=1e-6)
