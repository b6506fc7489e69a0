# SPDX-License-Identifier: GPL-3.0-or-later
"""The encoder-decoders: the published layers, skips, dropout, DIH's bottleneck, and initial color flow."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2am_engine.networks.dih import FullyConnected
from s2am_engine.networks.encoder_decoder import (
    EncoderDecoder,
    find_convolution,
    init_color_channels,
    init_identity_channels,
    init_normal,
)
from s2am_engine.networks.registry import build_network
from s2am_engine.networks.unet import PatchDiscriminator
from tests.engine.networks import count_parameters, perturbed_network, pictures, small_network

CARRIED = 6  # of the eight channels of a small network's first layer


def small_painter(name: str) -> EncoderDecoder:
    network = small_network(name).eval()
    assert isinstance(network, EncoderDecoder)
    return network


def values_after(network: EncoderDecoder, layer: nn.Module, composite: Tensor, mask: Tensor) -> Tensor:
    """Return the output of a layer for an image."""
    seen: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _, __, found: seen.append(found))
    with torch.no_grad():
        network(composite, mask)
    handle.remove()
    return seen[0]


def layer_sizes(steps: nn.ModuleList) -> list[tuple[int, int]]:
    return [(layer.in_channels, layer.out_channels) for layer in map(find_convolution, steps)]


@pytest.mark.parametrize("name", ["unet", "pix2pix"])
def test_unet_layers_are_pix2pixs(name: str) -> None:
    with torch.device("meta"):
        network = build_network(name)
    assert isinstance(network, EncoderDecoder)
    widths = [64, 128, 256, 512, 512, 512, 512, 512]
    assert layer_sizes(network.downs) == list(zip([4, *widths], widths, strict=False))
    joined = [2 * width for width in widths[:-1]] + [512]
    assert layer_sizes(network.ups) == list(zip(joined, [3, *widths], strict=False))
    for layer in map(find_convolution, [*network.downs, *network.ups]):
        assert (layer.kernel_size, layer.stride) == ((4, 4), (2, 2))
    normalized = [any(isinstance(part, nn.BatchNorm2d) for part in step.modules()) for step in network.downs]
    assert normalized == [False, *[True] * 6, False]
    normalized = [any(isinstance(part, nn.BatchNorm2d) for part in step.modules()) for step in network.ups]
    assert normalized == [False, *[True] * 7]
    slopes = [part.negative_slope for part in network.downs.modules() if isinstance(part, nn.LeakyReLU)]
    assert slopes == [0.2] * 7


def test_pix2pix_dropout_positions() -> None:
    def dropped(name: str) -> dict[int, float]:
        with torch.device("meta"):
            network = build_network(name)
        assert isinstance(network, EncoderDecoder)
        return {
            level: layer.p
            for level, step in enumerate(network.ups)
            for layer in step.modules()
            if isinstance(layer, nn.Dropout)
        }

    assert dropped("pix2pix") == dropped("pix2pix-s2asc") == {4: 0.5, 5: 0.5, 6: 0.5}
    assert dropped("unet") == dropped("s2am-s2asc") == {}


@pytest.mark.parametrize(("name", "noisy"), [("pix2pix", True), ("pix2pix-s2asc", True), ("unet", False)])
def test_dropout_only_in_training(name: str, noisy: bool) -> None:
    network, inputs = perturbed_network(name, levels=6), pictures(64)
    with torch.no_grad():
        one, other = (network.train()(*inputs) for _ in range(2))
        assert torch.equal(one, other) is not noisy
        assert torch.equal(network.eval()(*inputs), network(*inputs))


@pytest.mark.parametrize("name", ["unet", "s2am-s2asc", "s2am-s2ad", "dih", "dih-s2asc"])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_encoder_decoder_skips_carry_detail(name: str, level: int) -> None:
    network = perturbed_network(name).eval()
    assert isinstance(network, EncoderDecoder)
    composite, mask = pictures()
    below = values_after(network, network.ups[level + 1], composite, mask)
    network.ups[level + 1].register_forward_hook(lambda *_: torch.zeros_like(below))
    with torch.no_grad():
        one, other = network(composite, mask), network(composite.flip(3), mask)
    assert float(((one - composite) - (other - composite.flip(3))).abs().max()) > 1e-4


def test_dih_bottleneck_connects_all_positions() -> None:
    torch.manual_seed(0)
    bottleneck = FullyConnected(3, 20)
    for shape in ((4, 4), (7, 5), (16, 16), (1, 2)):
        x = torch.randn(1, 3, *shape, requires_grad=True)
        found = bottleneck(x)
        assert found.shape == x.shape
        found[0, 0, -1, -1].backward()
        assert x.grad is not None
        assert bool((x.grad != 0).all())
    # At its own grid size it consists of the two layers only.
    x = torch.randn(2, 3, 4, 4)
    hidden = F.elu(F.linear(x.flatten(1), bottleneck.inwards.weight, bottleneck.inwards.bias))
    expected = F.elu(F.linear(hidden, bottleneck.outwards.weight, bottleneck.outwards.bias))
    torch.testing.assert_close(bottleneck(x).flatten(1), expected)


def test_dih_adds_skips() -> None:
    with torch.device("meta"):
        network = build_network("dih")
    assert isinstance(network, EncoderDecoder)
    assert not network.concatenate
    assert layer_sizes(network.downs) == [(4, 64), (64, 64), (64, 128), (128, 256), (256, 512), (512, 512)]
    assert layer_sizes(network.ups) == [(64, 3), (64, 64), (128, 64), (256, 128), (512, 256), (512, 512)]
    assert count_parameters(network.bottleneck) == 2 * (512 * 16) * 1024 + 1024 + 512 * 16
    assert sum(isinstance(layer, nn.ELU) for layer in network.modules()) == 6 + 5


def test_patch_discriminator_receptive_field() -> None:
    torch.manual_seed(0)
    judge = PatchDiscriminator(4, width=4).eval()
    condition, picture = torch.rand(1, 4, 128, 128), torch.rand(1, 3, 128, 128, requires_grad=True)
    found = judge(condition, picture)
    assert found.shape == (1, 1, 14, 14)
    found[0, 0, 7, 7].backward()
    assert picture.grad is not None
    seen = picture.grad.abs().sum(dim=1)[0].nonzero()
    assert (seen.amax(dim=0) - seen.amin(dim=0) + 1).tolist() == [70, 70]
    assert not torch.allclose(judge(1 - condition, picture), found)
    with torch.device("meta"):  # as pix2pix's authors' code prints it (2.769 M), plus the mask's channel
        assert count_parameters(PatchDiscriminator(4)) / 1e6 == pytest.approx(2.770, abs=0.001)
    assert judge(condition[..., :24, :24], picture[..., :24, :24]).shape == (1, 1, 1, 1)


@pytest.mark.parametrize("name", ["unet", "s2am-s2asc", "s2am-s2ad", "s2am-mask-free", "dih"])
def test_init_from_colors_encoder(name: str) -> None:
    network = small_painter(name)
    colors, everywhere = torch.rand(6, 3, 1, 1).expand(6, 3, 64, 64), torch.ones(6, 1, 64, 64)
    first = values_after(network, network.downs[0], colors, everywhere)[:, :CARRIED, :1, :1]
    last = values_after(network, network.downs[-1], colors, everywhere)[:, :CARRIED]
    inside = first[:, ::2]  # the other half of the channels responds outside the mask
    assert float(inside.std(dim=0).mean()) > 0.05
    seen = first > 0
    assert float(seen.float().mean()) > 0.3
    torch.testing.assert_close(
        last[seen.expand_as(last)], first.expand_as(last)[seen.expand_as(last)], rtol=1e-4, atol=0
    )


@pytest.mark.parametrize("name", ["unet", "s2am-s2asc"])
def test_init_from_colors_separates_regions(name: str) -> None:
    network = small_painter(name)
    composite, mask = pictures(64)
    inside, outside = (torch.where(region > 0, 0.5 * composite, composite) for region in (mask, 1 - mask))
    before, foreground, background = (
        values_after(network, network.downs[-1], one, mask)[:, :CARRIED] for one in (composite, inside, outside)
    )
    change = (foreground - before).abs().amax(dim=(0, 2, 3))
    other_change = (background - before).abs().amax(dim=(0, 2, 3))
    assert float(change[::2].min()) > 0.03
    assert float(other_change[1::2].min()) > 0.03
    assert float(change[::2].mean()) > 3 * float(change[1::2].mean())
    assert float(other_change[1::2].mean()) > 3 * float(other_change[::2].mean())


@pytest.mark.parametrize("name", ["unet", "s2am-s2asc"])
def test_init_from_colors_decoder(name: str) -> None:
    network = small_painter(name)
    composite, mask = pictures(64)
    bottom = values_after(network, network.downs[-1], composite, mask)[:, :CARRIED]
    top = values_after(network, network.ups[1], composite, mask)[:, :CARRIED]
    expected = F.relu(bottom).repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    assert float(expected.max()) > 0.1
    torch.testing.assert_close(top, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kernel", [3, 4])
def test_init_identity_channels_downsampling(kernel: int) -> None:
    layer = nn.Conv2d(5, 6, kernel, stride=2, padding=1, bias=False)
    init_identity_channels(layer, 3, first=1)
    x = torch.rand(2, 5, 8, 10)
    expected = F.avg_pool2d(x, 2) if kernel == 4 else x[..., ::2, ::2]
    torch.testing.assert_close(layer(x)[:, :3], expected[:, 1:4])


def test_init_identity_channels_same_size() -> None:
    layer = nn.Conv2d(5, 6, 3, padding=1, bias=False)
    others = layer.weight[4:].clone()
    init_identity_channels(layer, 4)
    x = torch.rand(2, 5, 7, 9)
    torch.testing.assert_close(layer(x)[:, :4], x[:, :4])
    assert torch.equal(layer.weight[4:], others)


def test_init_identity_channels_upsampling() -> None:
    layer = nn.ConvTranspose2d(5, 4, 4, stride=2, padding=1, bias=False)
    init_identity_channels(layer, 3, first=2)
    x = torch.rand(2, 5, 6, 7)
    torch.testing.assert_close(layer(x)[:, :3], x[:, 2:].repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))


def test_init_color_channels_by_region() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 64, 4, stride=2, padding=1)
    init_color_channels(layer, 64)
    composite = 2 * torch.rand(1, 3, 32, 32) - 1
    with torch.no_grad():
        outside, inside = (
            (layer(torch.cat([composite, torch.full((1, 1, 32, 32), m)], dim=1)) > 0).float().mean(dim=(0, 2, 3))
            for m in (0.0, 1.0)
        )
    assert float(inside[::2].mean()) > 0.9
    assert float(outside[1::2].mean()) > 0.9
    assert float(inside[1::2].mean()) < 0.1
    assert float(outside[::2].mean()) < 0.1


def test_init_normal() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(64, 64, 4)
    init_normal(layer)
    assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.02)
    assert layer.bias is not None
    assert not layer.bias.any()
