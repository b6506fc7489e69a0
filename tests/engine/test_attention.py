# SPDX-License-Identifier: GPL-3.0-or-later
"""Gates on channels and positions against their formulas in numpy, and the positions that attention uses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from s2am_engine.networks.attention import (
    CBAM,
    ChannelGate,
    ReferenceAttention,
    SpatialAttention,
    SqueezeExcitation,
    gate_layers,
    resize_mask,
)

Array = NDArray[np.floating[Any]]
C, H, W = 6, 5, 7


def features(count: int = 2) -> Array:
    return np.random.default_rng(4).normal(size=(count, C, H, W))


def run(block: nn.Module, *inputs: Array) -> Array:
    """Return a block's output in double precision."""
    with torch.no_grad():
        answer: Array = block.double()(*(torch.from_numpy(one) for one in inputs)).numpy()
    return answer


def weights(layers: nn.Module) -> list[Array]:
    """Return all parameters of a block in order."""
    return [parameter.detach().double().numpy() for parameter in layers.parameters()]


def perceptron(layers: nn.Module, x: Array) -> Array:
    """Linear(ReLU(Linear(x)))."""
    first, first_bias, last, last_bias = weights(layers)
    return np.maximum(x @ first.T + first_bias, 0) @ last.T + last_bias


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def test_channel_gate_formula() -> None:
    torch.manual_seed(0)
    gate, x = ChannelGate(C), features()
    pooled = np.concatenate([x.mean(axis=(2, 3)), x.max(axis=(2, 3))], axis=1)
    expected = sigmoid(perceptron(gate.gate, pooled))[..., None, None] * x
    np.testing.assert_allclose(run(gate, x), expected, atol=1e-12)


@pytest.mark.parametrize(("channels", "hidden"), [(8, 4), (64, 4), (128, 8), (256, 16)])
def test_gate_layers_bottleneck(channels: int, hidden: int) -> None:
    shapes = [parameter.shape for parameter in gate_layers(2 * channels, channels).parameters()]
    assert shapes == [(hidden, 2 * channels), (hidden,), (channels, hidden), (channels,)]


def test_squeeze_excitation_formula() -> None:
    torch.manual_seed(0)
    block, x = SqueezeExcitation(C), features()
    expected = sigmoid(perceptron(block.gate, x.mean(axis=(2, 3))))[..., None, None] * x
    for mask in (np.zeros((2, 1, H, W)), np.ones((2, 1, 2 * H, 2 * W))):
        np.testing.assert_allclose(run(block, x, mask), expected, atol=1e-12)


def test_cbam_formula() -> None:
    torch.manual_seed(0)
    block, x = CBAM(C), features()
    gate = sigmoid(perceptron(block.gate, x.mean(axis=(2, 3))) + perceptron(block.gate, x.max(axis=(2, 3))))
    gated = gate[..., None, None] * x
    # A 7×7 convolution by hand, zeros beyond the border.
    pooled = np.pad(np.stack([gated.mean(axis=1), gated.max(axis=1)], axis=1), ((0, 0), (0, 0), (3, 3), (3, 3)))
    kernel = block.spatial.weight.detach().double().numpy()[0]
    place = np.array(
        [[[(p[:, i : i + 7, j : j + 7] * kernel).sum() for j in range(W)] for i in range(H)] for p in pooled]
    )
    expected = gated * sigmoid(place)[:, None]
    for mask in (np.zeros((2, 1, H, W)), np.ones((2, 1, 2 * H, 2 * W))):
        np.testing.assert_allclose(run(block, x, mask), expected, atol=1e-12)


def test_spatial_attention_pools_channels() -> None:
    torch.manual_seed(0)
    block, x = SpatialAttention().eval(), features()
    found = run(block, x)
    assert found.shape == (2, 1, H, W)
    assert found.min() > 0
    assert found.max() < 1
    assert np.ptp(found) > 0.01
    np.testing.assert_allclose(run(block, x[:, ::-1].copy()), found, atol=1e-12)
    # Two channels with the same average and maximum give the same result as six.
    mean, peak = x.mean(axis=1), x.max(axis=1)
    np.testing.assert_allclose(run(block, np.stack([peak, 2 * mean - peak], axis=1)), found, atol=1e-12)


def test_spatial_attention_receptive_field() -> None:
    torch.manual_seed(0)
    block = SpatialAttention().eval()
    x = torch.randn(1, 3, 31, 31, requires_grad=True)
    block(x)[0, 0, 15, 15].backward()
    assert x.grad is not None
    seen = x.grad.abs().sum(dim=1)[0].nonzero()
    assert seen.amin(dim=0).tolist() == [9, 9]
    assert seen.amax(dim=0).tolist() == [21, 21]


def test_resize_mask_averages() -> None:
    mask = torch.zeros(1, 1, 4, 8)
    mask[..., :3] = 1
    small = resize_mask(mask, torch.empty(1, 5, 2, 4, dtype=torch.bfloat16))
    assert small.dtype == torch.bfloat16
    assert small[0, 0].tolist() == [[1, 0.5, 0, 0]] * 2


def test_reference_attention_ignores_the_foreground() -> None:
    torch.manual_seed(6)
    attention = ReferenceAttention(16).eval()
    x, mask = torch.randn(1, 16, 8, 8), torch.zeros(1, 1, 8, 8)
    mask[..., :4, :] = 1
    with torch.no_grad():
        before = attention(x, mask)
        x[..., :4, :] *= 5
        after = attention(x, mask)
    # The queries of the lower half are unchanged, and the new features of the foreground are not among the values.
    torch.testing.assert_close(before[..., 4:, :], after[..., 4:, :], atol=1e-4, rtol=1e-4)
