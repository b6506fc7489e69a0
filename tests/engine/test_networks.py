# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks: the formulas of their papers, no change before training, and gradients everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from s2am_engine.networks.attention import ReferenceAttention
from s2am_engine.networks.catalogue import NETWORKS, build_network
from s2am_engine.networks.concord import spline_basis
from s2am_engine.networks.curves import EPSILON, render_curves
from s2am_engine.networks.network import MapNetwork
from s2am_engine.networks.s2crnet import S2CRNet, crop_to_mask
from s2am_engine.networks.statistics import RegionStatistics

ALL = pytest.mark.parametrize("name", sorted(NETWORKS))


def batch(size: int = 48, count: int = 2) -> tuple[Tensor, Tensor]:
    """Random pictures, each with a disc as its mask."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    disc = ((x**2 + y**2) < 0.4).float().expand(count, 1, size, size)
    return torch.rand(count, 3, size, size, generator=generator), disc.clone()


def shaken(name: str) -> MapNetwork:
    """A network whose every weight is a little off its start, so that nothing is zero."""
    torch.manual_seed(2)
    network = build_network(name)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    return network


def test_curves_are_the_formula_of_the_paper() -> None:
    generator = torch.Generator().manual_seed(1)
    pieces = torch.rand(2, 3, 64, generator=generator, dtype=torch.float64) + 0.1
    values = torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    rendered = render_curves(pieces, values)
    for index in np.ndindex(2, 3, 4, 5):
        slopes, value = pieces[index[:2]], float(values[index])
        total = sum(min(max(value - i / 64, 0), 1 / 64) * float(slopes[i]) for i in range(64))
        assert float(rendered[index]) == pytest.approx(total * 64 / (float(slopes.sum()) + EPSILON), abs=1e-9)


@ALL
def test_the_engine_renders_what_the_network_was_trained_to_render(name: str) -> None:
    network = shaken(name).eval()
    composite, mask = batch()
    with torch.no_grad():
        parameters = network(composite, mask)
        rendered = network.render(parameters, composite)[-1][0].permute(1, 2, 0).numpy()
    mapped = network.colour_map(parameters[0])(composite[0].permute(1, 2, 0).numpy())
    assert np.abs(rendered - composite[0].permute(1, 2, 0).numpy()).max() > 1e-3
    np.testing.assert_allclose(mapped, rendered, atol=2e-5)


@ALL
def test_an_untrained_network_changes_next_to_nothing(name: str) -> None:
    torch.manual_seed(3)
    network = build_network(name).eval()
    composite, mask = batch()
    with torch.no_grad():
        result = network.render(network(composite, mask), composite)[-1]
    assert float((result - composite).abs().max()) < 0.05


@ALL
def test_gradients_reach_every_parameter(name: str) -> None:
    network = shaken(name).train()
    composite, mask = batch(64)
    stages = network.render(network(composite, mask), composite)
    torch.stack([stage.square().mean() for stage in stages]).sum().backward()
    dead = [
        label for label, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.any()
    ]
    # A bias added to every key moves all similarities alike, and softmax does not see it.
    assert [label for label in dead if label != "attention.key.bias"] == []


@ALL
@pytest.mark.parametrize("shape", [(37, 64), (96, 50), (130, 130)])
def test_any_size_goes_in(name: str, shape: tuple[int, int]) -> None:
    network = build_network(name).eval()
    mask = torch.zeros(1, 1, *shape)
    mask[..., 10:20, 10:25] = 1
    with torch.no_grad():
        assert torch.isfinite(network(torch.rand(1, 3, *shape), mask)).all()


def test_s2crnet_is_as_small_as_published() -> None:
    # 0.95 M parameters in the paper's table.
    assert sum(p.numel() for p in S2CRNet().parameters()) == pytest.approx(0.95e6, rel=0.05)


def test_a_cascade_applies_its_second_curve_to_the_first_ones_result() -> None:
    network = S2CRNet(pieces=8, stages=2)
    parameters = torch.rand(1, 48, generator=torch.Generator().manual_seed(5)) + 0.2
    composite, _ = batch(count=1)
    stages = network.render(parameters, composite)
    first, second = parameters.unflatten(1, (2, 3, 8)).unbind(dim=1)
    assert len(stages) == 2
    torch.testing.assert_close(stages[1], render_curves(second, render_curves(first, composite)))


def test_the_foreground_box_fills_the_picture() -> None:
    pictures = torch.zeros(1, 1, 20, 20)
    mask = torch.zeros(1, 1, 20, 20)
    mask[..., 5:15, 2:12] = 1
    pictures[..., 5:15, 2:12] = 0.7
    # Half a pixel at the border is sampled from outside the box.
    torch.testing.assert_close(crop_to_mask(pictures, mask)[..., 1:-1, 1:-1], torch.full((1, 1, 18, 18), 0.7))
    torch.testing.assert_close(crop_to_mask(pictures, torch.zeros_like(mask)), pictures)


def test_statistics_know_the_two_regions_apart() -> None:
    composite, mask = batch(96, 1)
    composite = torch.where(mask > 0, torch.tensor([0.8, 0.2, 0.2]).view(1, 3, 1, 1), torch.full_like(composite, 0.4))
    statistics = RegionStatistics(bins=16, joint_bins=6)
    found = statistics(composite, mask)
    assert found.shape == (1, statistics.length)
    histograms = found[0, : 2 * 5 * 16].view(2, 5, 16)
    assert histograms[0, 0].argmax() == round(0.8 * 15)
    assert histograms[1, 0].argmax() == round(0.4 * 15)
    moments = found[0, 2 * (5 * 16 + 216) :][:26].view(2, 13)
    torch.testing.assert_close(moments[:, :3], torch.tensor([[0.8, 0.2, 0.2], [0.4, 0.4, 0.4]]), atol=1e-4, rtol=0)


def test_attention_never_looks_at_the_foreground() -> None:
    torch.manual_seed(6)
    attention = ReferenceAttention(16).eval()
    features, mask = torch.randn(1, 16, 8, 8), torch.zeros(1, 1, 8, 8)
    mask[..., :4, :] = 1
    with torch.no_grad():
        before = attention(features, mask)
        features[..., :4, :] *= 5
        after = attention(features, mask)
    # The lower half asks the same questions, and the foreground's new features are no answer to them.
    torch.testing.assert_close(before[..., 4:, :], after[..., 4:, :], atol=1e-4, rtol=1e-4)


def test_the_tone_curves_control_points_add_up_everywhere() -> None:
    torch.testing.assert_close(spline_basis(65).sum(dim=0), torch.ones(65))


def test_an_unknown_network_lists_the_known_ones() -> None:
    with pytest.raises(KeyError, match="concord, s2crnet"):
        build_network("u-net")
