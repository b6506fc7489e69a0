# SPDX-License-Identifier: GPL-3.0-or-later
"""FMM: attention and modulation against NumPy, the published layers, and the composition of its output."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from s2am_engine.networks.fmm import FMM, CrossAttention, Modulation, SelfAttention
from tests.engine.networks import perturbed_network, pictures, small_network

Array = NDArray[np.floating[Any]]
C, H, W = 16, 3, 4
GAMMA = 0.7


def features(seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(2, C, H, W))


def hard_mask() -> Array:
    mask = np.zeros((2, 1, H, W))
    mask[0, :, :, :2] = 1
    mask[1, :, 1:] = 1
    return mask


def run(module: nn.Module, *inputs: Array) -> Array:
    with torch.no_grad():
        found: Array = module.double()(*(torch.from_numpy(one) for one in inputs)).numpy()
    return found


def project(layer: nn.Conv2d, x: Array) -> Array:
    """A 1×1 convolution as a matrix, of (B, C, h, w) maps: (B, positions, outputs)."""
    assert layer.bias is not None
    matrix, bias = layer.weight.detach().double().numpy()[..., 0, 0], layer.bias.detach().double().numpy()
    return x.reshape(*x.shape[:2], -1).transpose(0, 2, 1) @ matrix.T + bias


def attend(module: CrossAttention, asking: Array, answering: Array) -> Array:
    """Softmax attention over positions, written out."""
    query, key, value = (
        project(module.query, asking),
        project(module.key, answering),
        project(module.value, answering),
    )
    found = np.zeros_like(asking)
    for picture in range(len(asking)):
        for position in range(H * W):
            similarity = np.exp(key[picture] @ query[picture, position])
            found[picture, :, position // W, position % W] = similarity / similarity.sum() @ value[picture]
    return found


def test_self_attention_formula() -> None:
    torch.manual_seed(0)
    module, h = SelfAttention(C), features()
    assert float(module.gamma.detach()) == 0
    np.testing.assert_array_equal(run(module, h), h)
    nn.init.constant_(module.gamma, GAMMA)
    np.testing.assert_allclose(run(module, h), h + GAMMA * attend(module.attend, h, h), atol=1e-6)


def test_cross_attention_reduces_queries_and_keys() -> None:
    module = CrossAttention(64)
    assert [layer.out_channels for layer in (module.query, module.key, module.value)] == [8, 8, 64]


def test_modulation_formula() -> None:
    torch.manual_seed(0)
    module, h, mask = Modulation(C), features(), hard_mask()
    assert float(module.gamma.detach()) == 0
    np.testing.assert_array_equal(run(module, h, mask), h)
    nn.init.constant_(module.gamma, GAMMA)
    foreground, background = mask * h, (1 - mask) * h
    attended = attend(module.attend, foreground, background)
    scale = attended.std(axis=(2, 3), keepdims=True) / foreground.std(axis=(2, 3), keepdims=True)
    expected = h + GAMMA * foreground * scale
    found = run(module, h, mask)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_array_equal(found[np.broadcast_to(mask == 0, h.shape)], h[np.broadcast_to(mask == 0, h.shape)])
    # A full-size mask gives the same result as one of the features' size.
    larger = mask.repeat(8, axis=2).repeat(8, axis=3)
    np.testing.assert_allclose(run(module, h, larger), found, atol=1e-12)


def test_cross_attention_finds_similar_background() -> None:
    module = CrossAttention(8).double()
    with torch.no_grad():
        for layer, gain in ((module.query, 30.0), (module.key, 1.0), (module.value, 1.0)):
            layer.weight.zero_()
            nn.init.zeros_(layer.bias) if layer.bias is not None else None
            for channel in range(layer.out_channels):
                layer.weight[channel, channel] = gain
    rng = np.random.default_rng(1)
    # The first channel identifies an object, the second is its color.
    background = np.zeros((1, 8, 2, 2))
    background[0, 0] = [[1, 0], [0, -1]]
    background[0, 1] = rng.normal(size=(2, 2))
    foreground = np.zeros((1, 8, 2, 2))
    foreground[0, 0] = [[0.9, -0.9], [-0.9, 0.9]]
    found = run(module, foreground, background)[0, 1]
    like, unlike = background[0, 1, 0, 0], background[0, 1, 1, 1]
    np.testing.assert_allclose(found, [[like, unlike], [unlike, like]], atol=1e-8)


def test_modulation_without_background() -> None:
    torch.manual_seed(0)
    module, h = Modulation(C), features()
    nn.init.constant_(module.gamma, GAMMA)
    everywhere = np.ones((2, 1, H, W))
    np.testing.assert_allclose(run(module, h, everywhere), h, atol=0.01)
    np.testing.assert_array_equal(run(module, h, 0 * everywhere), h)


def test_fmm_layers_are_published() -> None:
    with torch.device("meta"):
        network = FMM()
    layers = [one for one in network.modules() if isinstance(one, nn.Conv2d) and one.kernel_size == (3, 3)]
    encoder = [(4, 64, 2), (64, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)]
    encoder += [(512, 512, 1)] * 3 + [(512, 256, 1)]
    decoder = [(256 + 512, 128, 1), (128 + 256, 32, 1), (32 + 128, 16, 1), (16, 3, 1)]
    assert [(one.in_channels, one.out_channels, one.stride[0]) for one in layers] == encoder + decoder


def test_fmm_backbone_equals_untrained_fmm() -> None:
    whole, inputs = perturbed_network("fmm").eval(), pictures()
    for label, parameter in whole.named_parameters():
        if label.endswith("gamma"):
            nn.init.zeros_(parameter)
    weights = whole.state_dict()
    for name in ("fmm-backbone", "fmm-no-attention", "fmm-no-modulation"):
        part = small_network(name).eval()
        part.load_state_dict({label: weights[label] for label in part.state_dict()})
        with torch.no_grad():
            assert torch.equal(part(*inputs), whole(*inputs))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("fmm", ["attention.gamma", "modulation.gamma"]),
        ("fmm-no-attention", ["modulation.gamma"]),
        ("fmm-no-modulation", ["attention.gamma"]),
        ("fmm-backbone", []),
    ],
)
def test_fmm_parts_change_the_result(name: str, parts: list[str]) -> None:
    network, inputs = perturbed_network(name).eval(), pictures()
    assert isinstance(network, FMM)
    gammas = {label: parameter for label, parameter in network.named_parameters() if label.endswith("gamma")}
    assert list(gammas) == parts
    with torch.no_grad():
        network.last.weight.mul_(100)
        before = network(*inputs)
        for gamma in gammas.values():
            gamma.zero_()
            assert float((network(*inputs) - before).abs().max()) > 1e-4
            gamma.fill_(0.5)


def test_fmm_predicts_composite_plus_tanh() -> None:
    network = small_network("fmm").eval()
    assert isinstance(network, FMM)
    composite, mask = pictures()
    assert network.last.bias is not None
    with torch.no_grad():
        network.last.bias.copy_(torch.tensor([math.atanh(0.25), -9.0, 9.0]))
        red, green, blue = network(composite, mask).unbind(dim=1)
    torch.testing.assert_close(red, (composite[:, 0] + 0.25).clamp(max=1))
    assert float(green.max()) < 1e-6
    assert float(blue.min()) > 1 - 1e-6


def test_fmm_subtracts_the_published_mean() -> None:
    network = small_network("fmm").eval()
    assert isinstance(network, FMM)
    seen: list[Tensor] = []
    network.down_half.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    composite, mask = pictures()
    with torch.no_grad():
        network(composite, mask)
    torch.testing.assert_close(seen[0], torch.cat([composite - 0.4462414, mask], dim=1))
