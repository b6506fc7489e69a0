# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks without weights whose outputs are known."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from s2am_engine.color.map import Chain, ColorMap, Curves, Matrix
from s2am_engine.models.model_store import Card, write_card
from s2am_engine.networks.network import PixelNetwork
from s2am_engine.networks.traits import PredictedPixels

KNOWN_MAP = Chain(
    (
        Curves(np.stack([np.linspace(0, 1, 33) ** gamma for gamma in (0.9, 1.0, 1.1)])),
        Matrix(np.array([[0.9, 0.05, 0.0, 0.02], [0.03, 0.92, 0.0, 0.0], [0.0, 0.04, 0.85, 0.03]])),
    )
)


def recolored(composite: Tensor, known: ColorMap = KNOWN_MAP) -> Tensor:
    """Apply a map to (B, 3, H, W) images."""
    return torch.from_numpy(known(composite.permute(0, 2, 3, 1).numpy())).permute(0, 3, 1, 2)


class KnownColors(PixelNetwork):
    """Recolors every image by the known map."""

    def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
        return recolored(composite)


class Spotter(PixelNetwork):
    """Detects blue regions with high confidence, and recolors them by the known map."""

    mask_free = True

    def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
        red, _, blue = composite.split(1, dim=1)
        pasted = (blue > 0.6) & (blue > red + 0.1)
        return torch.cat([recolored(composite), 0.06 + 0.88 * pasted.float()], dim=1)

    @property
    def prediction_format(self) -> PredictedPixels:
        return PredictedPixels(blended=True)

    def render(self, answers: Tensor, composite: Tensor) -> list[Tensor]:
        return [torch.lerp(composite, answers[:, :3], answers[:, 3:])]


class Doubter(Spotter):
    """Detects the same regions, with a low presence of 0.3."""

    def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
        return torch.cat([super().predict(composite, mask), torch.full_like(mask, 0.3)], dim=1)


def write_fake_model(folder: Path, name: str, network: str, input_size: int = 64) -> None:
    """Write a model without weights, of a network that is registered."""
    folder.mkdir(exist_ok=True)
    content = safetensors.torch.save({})
    (folder / f"{name}.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    write_card(Card(name, network, "for tests", input_size, digest, 0, len(content), "none", "none"), folder)
