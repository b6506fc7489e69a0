# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties that all registered networks share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from s2am_engine.networks.encoder_decoder import EncoderDecoder
from s2am_engine.networks.mask_network import MaskNetwork
from s2am_engine.networks.network import MapNetwork, Network
from s2am_engine.networks.registry import build_network
from s2am_engine.networks.s2crnet import LABELS, S2CRNet
from s2am_engine.training.run_folder import half_precision
from tests.engine.networks import (
    ALL,
    DETECTOR,
    LIGHT,
    MASK_FREE,
    MASKED,
    SUBJECT,
    WITH_WEIGHTS,
    count_parameters,
    perturbed_network,
    pictures,
    small_network,
    small_options,
)

# Softmax is invariant to a bias of all keys, and the deviation to one of all values.
UNSEEN = ("key.bias", "modulation.attend.value.bias")


@torch.no_grad()
def perturbed_after_training(name: str) -> Network:
    """Return a perturbed network with batch-norm statistics of images."""
    network = perturbed_network(name).train()
    for scale in (1.0, 0.3, 0.6):
        composite, mask = pictures(64, count=4)
        network(scale * composite, mask)
    return network.eval()


def look(network: Network, composite: Tensor, mask: Tensor) -> list[Tensor]:
    """Return all outputs of a network that losses use."""
    with torch.no_grad():
        rendered = network.forward_training(composite, mask)
    return rendered.stages + rendered.masks


@ALL
def test_untrained_networks_change_almost_nothing(name: str) -> None:
    composite, mask = pictures()
    after = look(small_network(name).eval(), composite, mask)[0]
    if name == "reinhard":  # it has no parameters
        assert float((after - composite).abs().max()) > 0.05
    else:
        torch.testing.assert_close(after, composite, atol=0.02, rtol=0)


@pytest.mark.parametrize(
    "name", ["concord", "connoisseur", "s2crnet", "s2crnet-cascaded", "s2crnet-semantic", "s2crnet-v"]
)
def test_color_map_equals_render(name: str) -> None:
    network = perturbed_network(name).eval()
    assert isinstance(network, MapNetwork)
    composite, mask = pictures()
    with torch.no_grad():
        parameters = network(composite, mask)
        rendered = network.render(parameters, composite)[-1].permute(0, 2, 3, 1).numpy()
    before, prediction_format = composite.permute(0, 2, 3, 1).numpy(), network.prediction_format
    assert np.abs(rendered - before).max() > 1e-3
    for index in range(2):
        mapped = prediction_format.to_color_map(parameters[index].numpy())(before[index])
        np.testing.assert_allclose(mapped, rendered[index], atol=2e-5)
    # The predictions for four views are averaged to one map.
    views = (value.numpy() for value in (parameters, composite, mask))
    agreed = prediction_format.color_map(*views)(before[0])
    mean = parameters.mean(dim=0).numpy()
    np.testing.assert_allclose(agreed, prediction_format.to_color_map(mean)(before[0]), atol=1e-7)


@MASKED
def test_predicted_pixels_change_only_the_foreground(name: str) -> None:
    network = perturbed_network(name).eval()
    composite, mask = pictures()
    with torch.no_grad():
        predicted, nothing = (
            network.predict_pixels(composite, mask),
            network.predict_pixels(composite, torch.zeros_like(mask)),
        )
        half = network.predict_pixels(composite, 0.5 * mask)
        own, own_half = (network.forward_training(composite, one).stages[-1].clamp(0, 1) for one in (mask, 0.5 * mask))
    inside = mask.expand_as(composite) == 1
    assert torch.equal(nothing, composite)
    assert torch.equal(predicted[~inside], composite[~inside])
    assert torch.equal(predicted[inside], own[inside])
    assert float((predicted - composite)[inside].abs().max()) > 1e-3
    torch.testing.assert_close(half[inside], (0.5 * own_half + 0.5 * composite)[inside])


@MASKED
def test_predicted_pixels_depend_on_the_mask(name: str) -> None:
    network = perturbed_network(name).eval()
    composite, mask = pictures()
    here, there = (look(network, composite, one)[0] for one in (mask, mask.roll(9, dims=3)))
    assert float((here - there).abs().max()) > 1e-4


@pytest.mark.parametrize("name", [MASK_FREE, DETECTOR, SUBJECT])
def test_mask_free_networks_ignore_the_mask(name: str) -> None:
    network = perturbed_network(name).eval()
    composite, mask = pictures()
    for one, other in zip(look(network, composite, mask), look(network, composite, 1 - mask), strict=True):
        assert torch.equal(one, other)
    with torch.no_grad():
        assert torch.equal(network(composite, mask), network(composite, torch.zeros_like(mask)))
        assert torch.equal(
            network.predict_pixels(composite, mask), network.predict_pixels(composite, torch.zeros_like(mask))
        )


@WITH_WEIGHTS
def test_networks_gradients_reach_every_parameter(name: str) -> None:
    # In double precision, because rounding errors are not gradients.
    network = perturbed_network(name).double().train()
    composite, mask = (one.double() for one in pictures(64, count=len(LABELS)))
    if isinstance(network, S2CRNet) and network.label_branch is not None:
        answers = network(composite, mask, torch.arange(len(LABELS)))
    else:
        answers = network(composite, mask)
    seen = network.render(answers, composite)
    if isinstance(network, MaskNetwork):  # which is trained by its masks
        seen = network.forward_training(composite, mask).masks
    torch.stack([one.square().mean() for one in seen]).sum().backward()
    gradients = {
        label: 0.0 if parameter.grad is None else float(parameter.grad.abs().max())
        for label, parameter in network.named_parameters()
        if parameter.requires_grad
    }
    dead = {label for label, gradient in gradients.items() if gradient < 1e-10}
    assert {label for label in dead if not label.endswith(UNSEEN)} == set()


@ALL
@pytest.mark.parametrize("shape", [(37, 64), (96, 50), (130, 130), (256, 256)])
def test_networks_accept_any_size(name: str, shape: tuple[int, int]) -> None:
    network = small_network(name).eval()
    composite, mask = pictures(*shape, count=1)
    with torch.no_grad():
        answers, predicted = network(composite, mask), network.predict_pixels(composite, mask)
    if isinstance(network, MapNetwork):
        assert answers.shape == (1, small_network(name).eval()(*pictures(48, count=1)).shape[1])
    else:
        # besides colors: a mask and a presence; or gains
        channels = 2 if isinstance(network, MaskNetwork) else int(network.mask_free or name == LIGHT)
        assert answers.shape == (1, 3 + channels, *shape)
    assert predicted.shape == composite.shape
    assert torch.isfinite(answers).all()
    assert float(predicted.min()) >= 0
    assert float(predicted.max()) <= 1


@ALL
def test_networks_treat_batch_elements_independently(name: str) -> None:
    network = perturbed_after_training(name)
    composite, mask = pictures(count=3)
    together = look(network, composite, mask)
    alone = [look(network, composite[k : k + 1], mask[k : k + 1]) for k in range(3)]
    for output, outputs in zip(together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(output, torch.cat(outputs), atol=2e-6, rtol=0)


@ALL
def test_forward_training_under_autocast_keeps_colors(name: str) -> None:
    network = perturbed_after_training(name)
    composite, mask = pictures()
    exact = look(network, composite, mask)
    with torch.autocast("cpu", torch.bfloat16):
        rough = look(network, composite, mask)
    for one, other in zip(exact, rough, strict=True):
        assert other.dtype == torch.float32
        torch.testing.assert_close(other, one, atol=0.02, rtol=0)


@WITH_WEIGHTS
def test_networks_saved_weights_round_trip(name: str, tmp_path: Path) -> None:
    network = perturbed_after_training(name)
    inputs = pictures()
    stored = {label: value.contiguous() for label, value in network.state_dict().items()}
    save_file(stored, tmp_path / "whole.safetensors")
    save_file(half_precision(network.to(memory_format=torch.channels_last)), tmp_path / "half.safetensors")  # type: ignore[call-overload]
    halves = load_file(tmp_path / "half.safetensors")
    assert {value.dtype for value in halves.values()} == {torch.float16}
    expected = look(network, *inputs)
    again = build_network(name, **small_options(name)).eval()
    again.load_state_dict(load_file(tmp_path / "whole.safetensors"))
    for one, other in zip(expected, look(again, *inputs), strict=True):
        torch.testing.assert_close(other, one, atol=1e-6, rtol=0)
    again = build_network(name, **small_options(name)).eval()
    again.load_state_dict({label: value.float() for label, value in halves.items()})
    for one, other in zip(expected, look(again, *inputs), strict=True):
        torch.testing.assert_close(other, one, atol=2e-3, rtol=0)


ENCODER_DECODERS = [name for name in ALL.args[1] if isinstance(small_network(name), EncoderDecoder)]


@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_encoder_decoder_padding_is_outside_the_mask(name: str) -> None:
    network = perturbed_after_training(name)
    composite, mask = pictures(128, count=1)
    for whole in (composite, mask):  # padded already
        whole[..., 119:, :], whole[..., 121:] = whole[..., 119:120, :], whole[..., 121:122]
    with torch.no_grad():
        corner = network(composite[..., :120, :122], mask[..., :120, :122])[:, :3]
        expected = network(composite, mask)[:, :3, :120, :122]
    torch.testing.assert_close(corner, expected, atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        # pix2pix's generator as its authors' code prints it (54.414 M), plus the mask's channel
        ("unet", 54.415),
        ("pix2pix", 54.415),
        # as counted in papers that compare with S2AM
        ("s2am-s2ad", 67.0),
        # three blocks of 3 × 3 convolutions, 2 · 9 · 2 C² each for C = 64, 128, 256
        ("unet-conv", 54.415 + 36 * (64**2 + 128**2 + 256**2) / 1e6),
        ("fmm", 11.6),
        ("s2crnet", 0.95),
        # VGG16's convolutions and 2 · (512 + 1) · 192 linear weights
        ("s2crnet-v", 14.912),
    ],
)
def test_networks_have_the_published_size(name: str, millions: float) -> None:
    with torch.device("meta"):
        network = build_network(name)
    assert count_parameters(network) / 1e6 == pytest.approx(millions, rel=0.05 if name == "s2crnet" else 0.002)
