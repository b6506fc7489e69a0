# SPDX-License-Identifier: GPL-3.0-or-later
"""S2AM: the module against eq. 1 by hand, whole and without each part, its places in the UNet, and its own masks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2am_engine.networks.attention import ChannelGate
from s2am_engine.networks.encoder_decoder import ConvBlock, EncoderDecoder
from s2am_engine.networks.s2am import S2AM, MaskFreeS2AM
from tests.engine.networks import MASK_FREE, perturbed_network, pictures, small_network

# Gains of the gates of foreground, background and mix.
FOREGROUND, BACKGROUND, MIX = 0.25, 0.5, 0.75
SIZE, SEAM = 16, 8  # the mask's first eight columns are foreground
AWAY = [0, 1, 2, 3, 4, 11, 12, 13, 14, 15]  # columns that a 7×7 kernel does not bring together with the seam


class TwiceAndOneMore(nn.Module):
    """Stands for L."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x + 1


class Nothing(nn.Module):
    """Replacement for a component, with the output 0."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return torch.zeros_like(x)


def known_module(**parts: bool) -> S2AM:
    """Return a module with known gates and a known L."""
    module = S2AM(4, **parts).eval()
    for gate, opened in ((module.foreground, FOREGROUND), (module.background, BACKGROUND), (module.mix, MIX)):
        if isinstance(gate, ChannelGate):
            last = gate.gate[2]
            assert isinstance(last, nn.Linear)
            nn.init.zeros_(last.weight)
            nn.init.constant_(last.bias, math.log(opened / (1 - opened)))
    if isinstance(module.learnable, ConvBlock):
        module.add_module("learnable", TwiceAndOneMore())
    return module


def seam() -> tuple[Tensor, Tensor]:
    """Return features, and a hard mask of twice their size."""
    mask = torch.zeros(1, 1, 2 * SIZE, 2 * SIZE)
    mask[..., : 2 * SEAM] = 1
    return torch.randn(1, 4, SIZE, SIZE, generator=torch.Generator().manual_seed(0)), mask


def run(module: nn.Module, *inputs: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = module(*inputs)
    return found


def smoothed_columns() -> Tensor:
    """The mask of each column, smoothed by hand: a Gaussian of seven weights, σ = 1, with replicated borders."""
    kernel = [math.exp(-(d**2) / 2) for d in range(-3, 4)]
    columns = [
        sum(weight for d, weight in zip(range(-3, 4), kernel, strict=True) if column + d < SEAM)
        for column in range(SIZE)
    ]
    return torch.tensor(columns) / sum(kernel)


# The factors and the summand of eq. 1 for a foreground and a background pixel, by hand.
FORMULAS: dict[str, tuple[dict[str, bool], tuple[float, float], float]] = {
    # M · [2 · ¼ x + 1 + ¾ x] + M' · ½ x
    "whole": ({}, (2 * FOREGROUND + MIX, 1.0), BACKGROUND),
    # M · [2 x + 1 + x] + M' · x
    "without gates": ({"gates": False}, (3.0, 1.0), 1.0),
    # M · [2 · ¼ x + 1] + M' · ½ x
    "without mix": ({"mix": False}, (2 * FOREGROUND, 1.0), BACKGROUND),
    # M · [¼ x + ¾ x] + M' · ½ x
    "without L": ({"learnable": False}, (FOREGROUND + MIX, 0.0), BACKGROUND),
    # M · [2 · ¼ x + 1 + ¾ x] + M' · ½ x
    "without Gaussian": ({"gaussian": False}, (2 * FOREGROUND + MIX, 1.0), BACKGROUND),
    # M · [x + x] + M' · x
    "L and gates": ({"gates": False, "learnable": False}, (2.0, 0.0), 1.0),
}
EACH = pytest.mark.parametrize(("parts", "foreground", "background"), FORMULAS.values(), ids=FORMULAS)


@EACH
def test_s2am_is_equation_1_away_from_the_seam(
    parts: dict[str, bool], foreground: tuple[float, float], background: float
) -> None:
    x, mask = seam()
    found = run(known_module(**parts), x, mask)
    factor, summand = foreground
    torch.testing.assert_close(found[..., :5], factor * x[..., :5] + summand)
    torch.testing.assert_close(found[..., 11:], background * x[..., 11:])


@EACH
def test_s2am_blends_regions_by_the_gaussian(
    parts: dict[str, bool], foreground: tuple[float, float], background: float
) -> None:
    x, mask = seam()
    soft = smoothed_columns()
    assert soft[SEAM - 1] + soft[SEAM] == pytest.approx(1)
    assert float(soft[SEAM]) == pytest.approx(0.3, abs=0.01)
    m = soft if parts.get("gaussian", True) else (torch.arange(SIZE) < SEAM).float()
    factor, summand = foreground
    expected = m * (factor * x + summand) + (1 - m) * background * x
    torch.testing.assert_close(run(known_module(**parts), x, mask), expected)


def test_smooth_is_isotropic() -> None:
    module = S2AM(1, gates=False, mix=False, learnable=False)
    dot = torch.zeros(1, 1, 9, 9)
    dot[..., 4, 4] = 1
    module.add_module("background", Nothing())
    found = run(module, torch.ones(1, 1, 9, 9), dot)[0, 0].numpy()
    line = np.exp(-(np.arange(-4, 5) ** 2) / 2) * (np.abs(np.arange(-4, 5)) < 4)
    np.testing.assert_allclose(found, np.outer(line, line) / line.sum() ** 2, atol=1e-7)


def test_smooth_has_no_border_effect() -> None:
    x, mask = seam()
    for whole, expected in ((torch.ones_like(mask), 1.25 * x + 1), (torch.zeros_like(mask), 0.5 * x)):
        torch.testing.assert_close(run(known_module(), x, whole), expected)


def test_s2am_learnable_block_layers() -> None:
    torch.manual_seed(0)
    block = ConvBlock(3).eval()
    first, first_norm, _, last, last_norm, _ = block.body
    assert isinstance(first, nn.Conv2d)
    assert isinstance(last, nn.Conv2d)
    assert (first.weight.shape, last.weight.shape) == ((6, 3, 3, 3), (3, 6, 3, 3))
    x = torch.randn(2, 3, 5, 6)
    inner = F.elu(F.conv2d(x, first.weight, padding=1) / math.sqrt(1 + 1e-5))
    expected = F.elu(F.conv2d(inner, last.weight, padding=1) / math.sqrt(1 + 1e-5))
    torch.testing.assert_close(run(block, x), expected.detach())
    assert isinstance(first_norm, nn.BatchNorm2d)
    assert isinstance(last_norm, nn.BatchNorm2d)


def what_blocks_see(network: EncoderDecoder, *inputs: Tensor) -> list[Tensor]:
    """Record the features that each block receives, the outermost first."""
    seen: dict[int, Tensor] = {}
    for index, block in enumerate(network.blocks):
        block.register_forward_hook(lambda _, given, __, index=index: seen.update({index: given[0]}))
    run(network, *inputs)
    return [seen[index] for index in sorted(seen)]


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("s2am-s2asc", [8, 16, 32]),
        ("s2am-s2ad", [16, 32, 64]),
        ("s2am-mask-free", [16, 32, 64]),
        ("s2am-s2asc-six", [8, 16, 32, 64, 64, 64]),
        ("pix2pix-s2asc", [8, 16, 32]),
        ("unet-conv", [8, 16, 32]),
        ("unet-se", [8, 16, 32]),
        ("unet-cbam", [8, 16, 32]),
        ("dih-s2asc", [8, 8, 16]),
    ],
)
def test_encoder_decoder_block_positions(name: str, channels: list[int]) -> None:
    network = small_network(name).eval()
    assert isinstance(network, EncoderDecoder)
    sizes = [128 // 2 ** (scale + 1) for scale in range(len(channels))]
    expected = [(count, size, size) for count, size in zip(channels, sizes, strict=True)]
    skips: list[Tensor] = []
    for down in network.downs:
        down.register_forward_hook(lambda _, __, found: skips.append(found))
    seen = what_blocks_see(network, *pictures(128, count=1))
    assert [tuple(features.shape[1:]) for features in seen] == expected
    # After concatenation the skip comes first.
    for features, skip in zip(seen, skips, strict=False):
        assert torch.equal(features[:, : skip.shape[1]], skip)


@pytest.mark.parametrize("lacking", ["", "gates", "mix", "gaussian", "learnable"])
def test_s2am_ablations_lack_their_part(lacking: str) -> None:
    network = small_network(f"s2am-s2asc-no-{lacking}" if lacking else "s2am-s2asc")
    assert isinstance(network, EncoderDecoder)
    for block in network.blocks:
        assert isinstance(block, S2AM)
        found = {
            "gates": isinstance(block.foreground, ChannelGate) and isinstance(block.background, ChannelGate),
            "mix": block.mix is not None,
            "gaussian": block.gaussian,
            "learnable": isinstance(block.learnable, ConvBlock),
        }
        assert [part for part, there in found.items() if not there] == ([lacking] if lacking else [])


def test_s2asc_replaces_the_skip() -> None:
    network = perturbed_network("s2am-s2asc").eval()
    assert isinstance(network, EncoderDecoder)
    inputs = pictures()
    before = run(network, *inputs)
    for index in range(3):
        kept = network.blocks[index]
        network.blocks[index] = Nothing()
        assert float((run(network, *inputs) - before).abs().max()) > 1e-3
        network.blocks[index] = kept


@pytest.mark.parametrize("shape", [(64, 64), (37, 64), (130, 130)])
def test_mask_free_s2am_render_is_equation_2(shape: tuple[int, int]) -> None:
    network = perturbed_network(MASK_FREE).eval()
    composite, mask = pictures(*shape)
    with torch.no_grad():
        generated, blend = network(composite, mask).split([3, 1], dim=1)
        stages, masks, _ = network.forward_training(composite, mask)
        predicted = network.predict_pixels(composite, mask)
    assert [tuple(one.shape[2:]) for one in masks] == [
        tuple(-(-length // 2**scale) for length in shape) for scale in (1, 2, 3)
    ]
    assert all(0 <= float(one.min()) <= float(one.max()) <= 1 for one in masks)
    doubled = F.interpolate(masks[0], scale_factor=2, mode="bilinear")
    torch.testing.assert_close(blend, doubled[..., : shape[0], : shape[1]])
    assert float((generated - composite).abs().max()) > 0.01
    expected = generated * blend + composite * (1 - blend)
    torch.testing.assert_close(stages[0], expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(predicted, expected.clamp(0, 1), atol=1e-6, rtol=0)


def test_mask_free_s2am_predicts_masks_per_level() -> None:
    network = perturbed_network(MASK_FREE).eval()
    assert isinstance(network, MaskFreeS2AM)
    given: list[tuple[Tensor, Tensor]] = []
    for block in network.blocks:
        block.register_forward_hook(lambda _, inputs, __: given.append(inputs))
    composite, mask = pictures(64)
    with torch.no_grad():
        masks = network.forward_training(composite, mask).masks
    # The decoder reaches the finest scale last.
    for level, (features, found) in enumerate(reversed(given)):
        assert torch.equal(found, run(network.attention[level], features))
        assert torch.equal(found, masks[level])
