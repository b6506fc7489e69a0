# SPDX-License-Identifier: GPL-3.0-or-later
"""Small networks of every kind, and input images for them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from s2am_engine.networks.attention import CBAM, ChannelGate, SqueezeExcitation
from s2am_engine.networks.network import Network
from s2am_engine.networks.registry import NETWORKS, build_network

SMALL: dict[str, Any] = {"width": 8, "levels": 4, "pieces": 8}  # used as far as a network has these options
MASK_FREE = "s2am-mask-free"
DETECTOR, SUBJECT, LIGHT = "dissonance", "subject", "light"
OURS: dict[str, dict[str, Any]] = {
    "concord": {"width": 24, "hidden": 32},
    "connoisseur": {"channels": 12, "blocks": 1, "hidden": 32},
    DETECTOR: {"channels": 24, "blocks": 1},
    SUBJECT: {"channels": 12, "width": 8},
    LIGHT: {"channels": 16, "blocks": 1},
}

ALL = pytest.mark.parametrize("name", sorted(NETWORKS))
MASKED = pytest.mark.parametrize("name", sorted(NETWORKS.keys() - {MASK_FREE, DETECTOR, SUBJECT}))
WITH_WEIGHTS = pytest.mark.parametrize("name", sorted(NETWORKS.keys() - {"reinhard"}))


def small_options(name: str) -> dict[str, Any]:
    """Return options for the smallest valid variant of a network."""
    if name in OURS:
        return OURS[name]
    known = inspect.signature(NETWORKS[name].factory).parameters
    options = {option: value for option, value in SMALL.items() if option in known}
    return options | ({"levels": 7} if name == "s2am-s2asc-six" else {})


def small_network(name: str, **options: Any) -> Network:
    """Return a small network with reproducible fresh weights."""
    torch.manual_seed(2)
    return build_network(name, **{**small_options(name), **options})


@torch.no_grad()
def perturbed_network(name: str, **options: Any) -> Network:
    """Return a small network with perturbed weights, so no output is zero and no gate closed."""
    network = small_network(name, **options)
    for label, parameter in network.named_parameters():
        parameter.add_(0.02 * torch.randn_like(parameter))
        if label.endswith("gamma"):
            parameter.fill_(0.5)
    for layer in network.modules():
        # A narrow gate has four units behind its ReLU, all of which may be inactive by chance.
        if isinstance(layer, ChannelGate | SqueezeExcitation | CBAM):
            first = layer.gate[0]
            assert isinstance(first, nn.Linear)
            first.bias.add_(1)
    return network


def pictures(height: int = 48, width: int | None = None, count: int = 2) -> tuple[Tensor, Tensor]:
    """Return random images, each with a different disc as its mask."""
    width = width or height
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    discs = [((x - 0.2 * (k % 3)) ** 2 + y**2 < 0.4).float() for k in range(count)]
    return torch.rand(count, 3, height, width, generator=generator), torch.stack(discs).unsqueeze(1)


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
