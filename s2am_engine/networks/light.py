# SPDX-License-Identifier: GPL-3.0-or-later
"""Light: predicts a smooth field of gains that gives a foreground the local light of its background."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2am_engine.color.srgb import LUMA, srgb_tensor_to_linear
from s2am_engine.finish.interpolation import spline_nodes
from s2am_engine.finish.shading import GAMMA, MAX_STOPS
from s2am_engine.networks.attention import region_mean
from s2am_engine.networks.grid_encoder import AttentionBlock
from s2am_engine.networks.network import PixelNetwork
from s2am_engine.networks.spec import NetworkSpec, Recipe, register

LIGHT_SIDE = 64
"""Side of the images in pixels."""

LIGHT_CELLS = 8  # per side of the grid on which gains are predicted
DARKEST_LIGHT = 1e-3  # added to luminances before their logarithm
STOPS = 4.0  # order of magnitude of the logarithms
INPUT_CHANNELS = 8
WIDTHS = 32, 48  # channels at 1/2 and 1/4 of the size


class LightNetwork(PixelNetwork):
    """Prediction of local light: convolutions, then self-attention over 8×8 cells.

    - Inputs are colors, mask, position, and the logarithmic luminance relative to the means of both regions.
    - Blocks of self-attention compare each cell with all others: the background's light with the foreground's.
    - Each cell has a gain in stops and the weight of its evidence, 0 to 1. Their product is interpolated by cubic
      B-splines, and centered on the foreground, whose mean exposure is left to the color map.

    The prediction is (B, 4, H, W): the image with the gains applied, and the gains in stops.
    """

    spline: Tensor
    places: Tensor

    def __init__(self, channels: int = 64, blocks: int = 2, dropout: float = 0.1) -> None:
        """Choose channels per cell (a multiple of 4), number of blocks of self-attention, and dropout."""
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((INPUT_CHANNELS, *WIDTHS, channels)):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(4, after), nn.GELU()]
        self.layers = nn.Sequential(*layers, *(AttentionBlock(channels) for _ in range(blocks)), nn.Dropout2d(dropout))
        self.head = nn.Conv2d(channels, 2, 1)
        nn.init.zeros_(self.head.weight)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)
        nodes, weights = spline_nodes(np.arange(LIGHT_SIDE) + 0.5, LIGHT_CELLS, LIGHT_SIDE)
        spline = (np.eye(LIGHT_CELLS)[nodes] * weights[..., None]).sum(axis=0)
        self.register_buffer("spline", torch.from_numpy(spline.astype(np.float32)), persistent=False)
        axis = torch.linspace(-1, 1, LIGHT_SIDE).expand(LIGHT_SIDE, -1)
        self.register_buffer("places", torch.stack([axis.T, axis])[None], persistent=False)

    def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
        """See `Network.forward`; images of another size than 64×64 are resized for the prediction of the gains."""
        size = composite.shape[-2:]
        if size == (LIGHT_SIDE, LIGHT_SIDE):
            gains = self.predict_gains(composite, mask)
        else:
            reduced = (F.interpolate(one, (LIGHT_SIDE, LIGHT_SIDE), mode="area") for one in (composite, mask))
            gains = F.interpolate(self.predict_gains(*reduced), size, mode="bilinear")
        return torch.cat([relight(composite, gains), gains], dim=1)

    def predict_gains(self, composite: Tensor, mask: Tensor) -> Tensor:
        """Return gains (B, 1, 64, 64) in stops.

        Args:
            composite: (B, 3, 64, 64).
            mask: (B, 1, 64, 64).
        """
        luma = torch.tensor(LUMA, device=composite.device, dtype=composite.dtype).view(1, 3, 1, 1)
        luminance = (srgb_tensor_to_linear(composite) * luma).sum(dim=1, keepdim=True)
        stops = (luminance + DARKEST_LIGHT).log2() / STOPS
        relative = [stops - region_mean(stops, region)[:, :, None, None] for region in (mask, 1 - mask)]
        places = self.places.expand(len(composite), -1, -1, -1)
        found = self.head(self.layers(torch.cat([composite - 0.5, mask, *relative, places], dim=1)))
        gain, evidence = found.split(1, dim=1)
        nodes = MAX_STOPS * torch.tanh(gain) * torch.sigmoid(evidence)
        field = self.spline @ nodes @ self.spline.T
        return (field - region_mean(field, mask)[:, :, None, None]).clamp(-MAX_STOPS, MAX_STOPS)

    def render(self, predictions: Tensor, composite: Tensor) -> list[Tensor]:
        """See `Network.render`."""
        return [predictions[:, :3]]


def relight(images: Tensor, gains: Tensor) -> Tensor:
    """Apply gains (B, 1, H, W) in stops to (B, 3, H, W), differentiably, as `Shading.apply` does."""
    factor = torch.exp2(gains / GAMMA)
    rising = (factor - 1).clamp_min(0)
    return images * factor / (1 + rising * images.clamp(0, 1) ** 3)


LIGHT_RECIPE = Recipe(
    "local_light", 1.5e-3, weight_decay=0.05, size=LIGHT_SIDE, batch=64, steps=4400, warm_up=200, light=True
)

register(
    NetworkSpec(
        "light",
        LightNetwork,
        "gives the foreground the local light of its background: a smooth field of gains (this project)",
        LIGHT_RECIPE,
        LIGHT_RECIPE,
        year=2026,
        default_weights="light",
    )
)
