# SPDX-License-Identifier: GPL-3.0-or-later
"""Adjustment of a frozen network's color maps to the style of a set of photographs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2am_engine.color.srgb import linear_tensor_to_srgb, srgb_tensor_to_linear
from s2am_engine.networks.background import BACKGROUND_FEATURES, describe_background
from s2am_engine.networks.traits import CONTROLS, CURVE_CONSTANTS

CURVE_PARAMETERS, MATRIX_PARAMETERS = 3 * CONTROLS, 12
STYLE_MAPS = 2
PARAMETERS = CURVE_PARAMETERS + MATRIX_PARAMETERS
FEATURES = PARAMETERS + 2 * BACKGROUND_FEATURES
HIDDEN_UNITS = 48
DROPOUT = 0.2
MOST_DEVIATIONS = 4.0  # to which standardized features are limited: unusual images are not extrapolated
FEATURE_FLOOR = 1e-3


class Adjustment(nn.Module):
    """Small perceptron that adjusts curves and a matrix to a style.

    From the base network's parameters and the colors of foreground and background it predicts how much of the base
    network's map is applied, and how much of two maps of the style, which are the same for every image: an affine map,
    and a gain of linear light per channel as curves. At first it changes nothing.

    So few outputs are enough: with a change of each coefficient besides, the error in the style was as low, and that in
    other styles higher.
    """

    style_maps: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        """Create an adjustment without a style."""
        super().__init__()
        self.register_buffer("style_maps", torch.zeros(STYLE_MAPS, PARAMETERS))  # differences from the identity
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("deviation", torch.ones(FEATURES))
        last = nn.Linear(HIDDEN_UNITS, 1 + STYLE_MAPS)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.perceptron = nn.Sequential(nn.Linear(FEATURES, HIDDEN_UNITS), nn.GELU(), nn.Dropout(DROPOUT), last)

    @torch.no_grad()
    def fit(self, affine: Tensor, gains: Tensor, features: Tensor) -> None:
        """Set what is not trained.

        Args:
            affine: (3, 4), from average photographs to those of the style, sRGB in [0, 1].
            gains: (3,) of linear light, likewise.
            features: (N, FEATURES) of composites, as `describe` gives them.
        """
        matrix = F.pad((affine - torch.eye(3, 4)).flatten(), (CURVE_PARAMETERS, 0))
        curves = F.pad(curves_of_gains(gains).flatten(), (0, MATRIX_PARAMETERS))
        self.style_maps.copy_(torch.stack([matrix, curves]))
        self.mean.copy_(features.mean(dim=0))
        self.deviation.copy_(features.std(dim=0) + FEATURE_FLOOR)

    @torch.no_grad()
    def scale(self, strength: float) -> None:
        """Scale all that it changes."""
        last = self.perceptron[-1]
        for one in last.parameters():
            one.mul_(strength)

    def forward(self, parameters: Tensor, composite: Tensor, mask: Tensor) -> Tensor:
        """Return adjusted parameters.

        Args:
            parameters: (B, PARAMETERS) of the base network, see `CurvesAndMatrix`.
            composite: (B, 3, H, W) sRGB values in [0, 1].
            mask: (B, 1, H, W) in [0, 1].

        Returns:
            (B, PARAMETERS).
        """
        return self.adjust(parameters, describe(parameters, composite, mask))

    def adjust(self, parameters: Tensor, features: Tensor) -> Tensor:
        """Return adjusted parameters (B, PARAMETERS), given what `describe` returns (B, FEATURES)."""
        standardized = (features - self.mean) / self.deviation
        shares = self.perceptron(standardized.clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS)).to(parameters)
        return parameters * (1 + shares[:, :1]) + shares[:, 1:] @ self.style_maps.to(parameters)


def curves_of_gains(gains: Tensor) -> Tensor:
    """Return the control points (3, CONTROLS) of sRGB curves, see `expand_curves`, that multiply linear light (3,)."""
    basis, knots, _ = (torch.from_numpy(one) for one in CURVE_CONSTANTS)
    wanted = linear_tensor_to_srgb(srgb_tensor_to_linear(knots) * gains[:, None]) - knots
    return torch.linalg.lstsq(basis.T, wanted.T).solution.T


def describe(parameters: Tensor, composite: Tensor, mask: Tensor) -> Tensor:
    """Return (B, FEATURES): the base network's parameters, and the colors of foreground and background."""
    regions = [describe_background(composite, one) for one in (1 - mask, mask)]
    return torch.cat([parameters.float(), *regions], dim=1)
