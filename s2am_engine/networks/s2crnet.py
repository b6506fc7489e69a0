# SPDX-License-Identifier: GPL-3.0-or-later
"""S2CRNet (Liang, Cun, Pun & Wang, ECCV 2022, arXiv 2109.05750): curves predicted from two region embeddings."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2am_engine.colour_map import Chain, ColourMap, Curves
from s2am_engine.networks.curves import render_curves
from s2am_engine.networks.network import MapNetwork

CARRIED = 16  # channels, as many as the narrowest layer has


class Fire(nn.Module):
    """SqueezeNet's fire module (Iandola et al., 2016): squeeze to few channels, expand by 1×1 and 3×3."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        """Give 2 · `expanded` channels."""
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, 2 · expanded, h, w)."""
        squeezed = F.relu(self.squeeze(x))
        return F.relu(torch.cat([self.expand1(squeezed), self.expand3(squeezed)], dim=1))


def squeezenet_encoder() -> nn.Sequential:
    """SqueezeNet 1.1 up to its 12th layer: (B, 3, H, W) to (B, 512, about H/16, about W/16)."""
    encoder = nn.Sequential(
        nn.Conv2d(3, 64, 3, stride=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Fire(64, 16, 64),
        Fire(128, 16, 64),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Fire(128, 32, 128),
        Fire(256, 32, 128),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Fire(256, 48, 192),
        Fire(384, 48, 192),
        Fire(384, 64, 256),
        Fire(512, 64, 256),
    )
    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d):
            start(layer)
    return encoder


def start(layer: nn.Conv2d) -> None:
    """Initialise a layer so that the signal survives ten of them without batch normalisation.

    He's scale throughout, but 16 channels are handed on as they are by every 1×1 layer (the idea of DiracNets,
    Zagoruyko & Komodakis, 2017), and the first layer fills them with thresholded mixes of the pixel's own colour.
    Training from scratch then starts from an embedding that knows the colours.
    """
    nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    with torch.no_grad():
        if layer.kernel_size == (1, 1):
            layer.weight[:CARRIED] = torch.eye(CARRIED, layer.in_channels)[..., None, None]
        elif layer.in_channels == 3:
            layer.weight[:CARRIED] = 0
            layer.weight[:CARRIED, :, 1, 1] = torch.randn(CARRIED, 3)
            layer.bias[:CARRIED] = torch.empty(CARRIED).uniform_(-0.5, 0.5)


class CurveRenderingModule(nn.Module):
    """CRM: both embeddings to the L slopes of one curve a channel, `param = Linear_f(f_f) + Linear_b(f_b)`."""

    def __init__(self, features: int, pieces: int) -> None:
        """Start as the identity: all slopes near 1."""
        super().__init__()
        self.pieces = pieces
        self.foreground = nn.Linear(features, 3 * pieces)
        self.background = nn.Linear(features, 3 * pieces)
        for linear in (self.foreground, self.background):
            nn.init.normal_(linear.weight, std=1e-3)
            nn.init.constant_(linear.bias, 0.5)

    def forward(self, foreground: Tensor, background: Tensor) -> Tensor:
        """Two (B, features) embeddings to (B, 3, L) slopes."""
        slopes: Tensor = self.foreground(foreground) + self.background(background)
        return slopes.view(-1, 3, self.pieces)


class S2CRNet(MapNetwork):
    """One shared encoder sees the masked foreground and the masked background; CRMs turn both into curves."""

    def __init__(self, pieces: int = 64, stages: int = 1) -> None:
        """Choose the curves.

        Args:
            pieces: L, the pieces of each curve.
            stages: 1, or 2 for Cascaded-CRM: a second CRM with its own layers works on the first one's output.
        """
        super().__init__()
        self.pieces = pieces
        self.encoder = squeezenet_encoder()
        self.stages = nn.ModuleList([CurveRenderingModule(512, pieces) for _ in range(stages)])

    def forward(self, composite: Tensor, mask: Tensor) -> Tensor:
        """See `MapNetwork.forward`; P = stages · 3 · L slopes."""
        regions = torch.cat([crop_to_mask(composite * mask, mask), composite * (1 - mask)])
        foreground, background = self.encoder(regions).mean(dim=(2, 3)).chunk(2)
        return torch.cat([stage(foreground, background).flatten(1) for stage in self.stages], dim=1)

    def render(self, parameters: Tensor, composite: Tensor) -> list[Tensor]:
        """See `MapNetwork.render`; each stage of a cascade is supervised."""
        rendered = [composite]
        for pieces in self.split(parameters):
            rendered.append(render_curves(pieces, rendered[-1]))
        return rendered[1:]

    def colour_map(self, parameters: Tensor) -> ColourMap:
        """See `MapNetwork.colour_map`."""
        stages = [pieces[0].double().cpu().numpy() for pieces in self.split(parameters.unsqueeze(0))]
        curves = [Curves.from_pieces(pieces.astype(np.float64)) for pieces in stages]
        return curves[0] if len(curves) == 1 else Chain(tuple(curves))

    def split(self, parameters: Tensor) -> list[Tensor]:
        """(B, stages · 3 · L) to one (B, 3, L) a stage."""
        return [stage.unflatten(1, (3, self.pieces)) for stage in parameters.chunk(len(self.stages), dim=1)]


def crop_to_mask(pictures: Tensor, mask: Tensor) -> Tensor:
    """Enlarge the box around each mask to the whole picture, as the authors' data code does for the foreground.

    Args:
        pictures: (B, C, H, W).
        mask: (B, 1, H, W); the box holds all values above 0.5 (all of the picture, if there are none).

    Returns:
        (B, C, H, W), sampled bilinearly.
    """
    inside = mask[:, 0] > 0.5
    axes = [box_of(inside.any(dim=dim)) for dim in (1, 2)]  # along x, along y
    centres = torch.stack([(low + high) - 1 for low, high in axes], dim=1)
    scales = torch.stack([high - low for low, high in axes], dim=1)
    theta = torch.cat([torch.diag_embed(scales), centres.unsqueeze(2)], dim=2).to(pictures.dtype)
    grid = F.affine_grid(theta, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, align_corners=False, padding_mode="border")


def box_of(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """First and last occupied position of (B, N) flags, as shares of N; (0, 1) where there is none."""
    count = occupied.shape[1]
    flags = occupied | ~occupied.any(dim=1, keepdim=True)
    first = flags.float().argmax(dim=1)
    last = count - flags.flip(1).float().argmax(dim=1)
    return first / count, last / count
